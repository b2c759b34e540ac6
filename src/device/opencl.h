// OpenCL's own types behind the handles of device.h. For this folder and the matrix-product
// providers that call a foreign OpenCL library; nobody else.
#ifndef PF_DEVICE_OPENCL_H
#define PF_DEVICE_OPENCL_H

#include <CL/cl.h>

#include "device/device.h"

typedef struct pf_program pf_program;
typedef struct pf_profile pf_profile;
typedef struct pf_staging pf_staging;

struct pf_buffer {
    pf_device *device;
    cl_mem memory;
    size_t bytes;
    bool is_slice; // counted with its whole
    char name[32];
};

struct pf_kernel {
    pf_device *device;
    cl_kernel kernel;
    size_t work_group;
    char name[64];
};

struct pf_device {
    cl_platform_id platform;
    cl_device_id id;
    cl_device_id part; // the same when it is a part of a device, ours to release; else NULL
    cl_context context;
    cl_command_queue queue;
    pf_device_info info;
    pf_shape shape;
    size_t alignment_bytes;
    size_t largest_arguments_bytes;
    pf_program *programs;   // compiled so far, a list
    pf_profile *profile;    // NULL: not asked for
    pf_staging *staging;    // what is on its way to the device
    pf_kernel *zero;
    char *directory;        // for files about devices; it need not be there yet; NULL: none
    const char *cache_directory; // the same where programs are cached; NULL: nowhere
    uint64_t bytes, peak_bytes, launches, allocations, waits;
    uint64_t cache_hits;    // programs that came from the cache
    bool wait_each;         // PERFORMER_SYNC=1: wait after each launch so an error names its kernel
};

// With context, queue and info in place: all that follows, to a known answer. Closing it is the caller's, also on an error.
pf_status pf_device_prepare(pf_device *device, const pf_device_options *options, cl_device_type type);

// A compiled program of the device's list, built if it is new.
pf_status pf_program_get(pf_device *device, const pf_program_key *key, cl_program *out);
void pf_programs_free(pf_device *device);

// Text of an OpenCL error code, "CL_OUT_OF_RESOURCES (-5)".
const char *pf_opencl_error(cl_int code);

// Sets the message "call: code on device" and returns PF_ERROR_DEVICE.
pf_status pf_fail_opencl(const pf_device *device, const char *call, cl_int code);

// ---- staging.c ----

pf_status pf_staging_create(pf_staging **out);
void pf_staging_free(pf_staging *staging); // NULL is fine; the queue must be empty

// Enqueues the upload of a copy of `data`: returns at once, but waits for earlier uploads when there is no room.
// Very large ones are waited for. `event` may be NULL.
cl_int pf_staging_write(pf_buffer *buffer, size_t offset_bytes, const void *data, size_t bytes, cl_event *event);

// ---- the compiled-in kernel texts (made by cl/embed.py) ----

typedef struct pf_source {
    const char *file;          // base name
    const unsigned char *text; // includes flattened, #line kept
    size_t bytes;
} pf_source;

extern const pf_source pf_sources[];
extern const int pf_n_sources;

// ---- profile.c ----

pf_status pf_profile_create(pf_profile **out);
void pf_profile_free(pf_profile *profile);
// Takes over the event. Never fails: what cannot be kept is counted as lost.
void pf_profile_add(pf_profile *profile, const char *kernel, pf_work work, cl_event event);

#endif
