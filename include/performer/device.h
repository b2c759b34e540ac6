// Devices: what is there, which one to take, and a handle to the one in use.
//
// A selector says which device is wanted: `auto`, `gpu`, `cpu`, `accelerator`, `P.D` (platform and
// device number), a part of the device's name, or several of these with commas, best first.
// `auto` takes a discrete GPU, else an integrated one, else an accelerator, else a CPU.
#ifndef PERFORMER_DEVICE_H
#define PERFORMER_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "performer/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_device pf_device;

typedef struct pf_device_info {
    char id[16]; // "P.D"
    char platform[128], name[128], version[128], driver[128];
    char type[16];        // gpu, cpu or accelerator
    uint32_t compute_units;
    uint64_t global_bytes, largest_buffer_bytes, local_bytes;
    uint64_t largest_work_group;
    bool usable;          // full enough to run on; else `reason` says what is missing
    bool is_auto;         // what `auto` takes
    char reason[256];
} pf_device_info;

typedef struct pf_device_options {
    const char *selector;        // NULL: auto
    const char *cache_directory; // for compiled programs; NULL: the default place, "off": none
    int threads;                 // 0: all; where the device takes it
    bool profile;                // keep a record of every launch (pf_device_write_profile)
} pf_device_options;

// Fills at most `capacity` entries and sets *count to how many devices there are.
// Errors: PF_ERROR_DEVICE when there is no platform or no device, with what to install.
PF_API pf_status pf_device_list(pf_device_info *infos, int capacity, int *count);

// Opens the first device that fits the selector and passes the probe. One context, one in-order
// queue. Errors: PF_ERROR_DEVICE naming each candidate and why it was refused; PF_ERROR_USAGE for
// a selector that cannot be read.
PF_API pf_status pf_device_open(const pf_device_options *options, pf_device **out);

// Everything made on the device must have been freed before. NULL is fine.
PF_API void pf_device_close(pf_device *device);

// Facts of an open device; valid until pf_device_close.
PF_API const pf_device_info *pf_device_describe(const pf_device *device);

// Waits until all work is done. Errors: PF_ERROR_DEVICE, also for work enqueued earlier.
PF_API pf_status pf_device_sync(pf_device *device);

// Bytes in buffers on the device now, and at most so far.
PF_API uint64_t pf_device_bytes(const pf_device *device);
PF_API uint64_t pf_device_peak_bytes(const pf_device *device);

// With options.profile: writes a Chrome trace (chrome://tracing, Perfetto) to `path`.
PF_API pf_status pf_device_write_profile(pf_device *device, const char *path);

// With options.profile: a table for people, a line for each kernel: calls, ms, share of the device's time, GFLOP/s,
// GB/s and how near that is to the device's measured peak (the nearer of the two). Measures that peak, which
// takes a moment. Valid until the next call or pf_device_close.
PF_API pf_status pf_device_profile_table(pf_device *device, const char **out);

// With options.profile: what each kernel did since the device was opened or the profile cleared. Names in parentheses are
// commands of the driver: uploads, downloads, fills, copies. Names are valid until the profile is cleared or the device
// closed. Fills at most `capacity` entries, in the order of their first launches, and sets *count to how many there are.
typedef struct pf_kernel_profile {
    const char *name;
    uint64_t calls;
    double seconds, flops, bytes; // flops and bytes as far as they are told
} pf_kernel_profile;

PF_API pf_status pf_device_read_profile(pf_device *device, pf_kernel_profile *out, int capacity, int *count);
PF_API pf_status pf_device_clear_profile(pf_device *device); // begins anew, the trace too

// What the device can do at best, measured: multiply-adds in registers (two operations each), a copy (bytes read and
// written), and what an empty launch takes from here and back.
typedef struct pf_device_peak {
    double gflops, gbytes_per_s, launch_us;
} pf_device_peak;

PF_API pf_status pf_device_measure_peak(pf_device *device, pf_device_peak *out);

#ifdef __cplusplus
}
#endif
#endif
