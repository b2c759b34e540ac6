// An open OpenCL device as the layers above see it: buffers with one owner, kernels from embedded
// text, one way to launch them. No OpenCL type leaves this folder but through opencl.h.
//
// Work on a device is enqueued in order and runs later; only functions that say so wait.
#ifndef PF_DEVICE_DEVICE_H
#define PF_DEVICE_DEVICE_H

#include <stddef.h>

#include "base/text.h"
#include "performer/device.h"

// How kernels are shaped on this device (design: one text for all devices, a few constants). `wide`
// suits CPU-like devices: work-groups of one item that walks whole tiles with 16-wide vectors.
// The narrow one suits GPUs: the items of a group share a tile.
typedef struct pf_shape {
    int work_group; // WG: work-items in a group, always dimension 0
    int vector;     // VEC: floats in a vector
} pf_shape;

pf_shape pf_device_shape(const pf_device *device);

// ---- buffers ----

// Device memory. Contents are undefined until written.
typedef struct pf_buffer pf_buffer;

// `name` appears in messages about memory. Errors: PF_ERROR_DEVICE with the size, what is in use
// and what the device has.
pf_status pf_buffer_create(pf_device *device, size_t bytes, const char *name, pf_buffer **out);

// A part of `whole` as a buffer of its own; `offset_bytes` a multiple of pf_device_alignment. Free it
// before `whole`.
pf_status pf_buffer_slice(pf_buffer *whole, size_t offset_bytes, size_t bytes, pf_buffer **out);
void pf_buffer_free(pf_buffer *buffer); // NULL is fine
size_t pf_buffer_bytes(const pf_buffer *buffer);
size_t pf_device_alignment(const pf_device *device);

// Upload returns once `data` may be reused, and does not wait for the work before it unless much is on its way (see
// staging.c); download waits.
pf_status pf_buffer_write(pf_buffer *buffer, size_t offset_bytes, const void *data, size_t bytes);
pf_status pf_buffer_read(const pf_buffer *buffer, size_t offset_bytes, void *data, size_t bytes);
// Sets bytes offset .. offset+bytes-1 to zero (multiples of 4). Enqueued.
pf_status pf_buffer_zero(pf_buffer *buffer, size_t offset_bytes, size_t bytes);
// Copies on the device. Enqueued.
pf_status pf_buffer_copy(pf_buffer *to, size_t to_bytes, const pf_buffer *from, size_t from_bytes,
                         size_t bytes);

// Rows of a buffer, the first at `first_bytes`, `stride_bytes` apart.
typedef struct pf_buffer_rows {
    const pf_buffer *buffer;
    size_t first_bytes, stride_bytes;
} pf_buffer_rows;

// Copies `width_bytes` of each of `rows` rows on the device, as one command. Enqueued.
pf_status pf_buffer_copy_rows(pf_buffer_rows to, pf_buffer_rows from, size_t width_bytes, size_t rows);

// ---- kernels ----

// A constant of a program. Names are ours and values are integers: nothing that came from outside
// ever reaches a compiler's command line.
typedef struct pf_define {
    const char *name;
    long value;
} pf_define;

typedef struct pf_kernel pf_kernel;

// Kernel `name` of cl/`file`.cl compiled with WG, VEC and `defines`. The compiled program is kept by
// the device and shared by all kernels of the same text and constants; builds happen here, never
// at a launch. Errors: PF_ERROR_DEVICE with file, constants and the head of the compiler's log.
typedef struct pf_program_key {
    const char *file;         // base name in cl/, without .cl
    const pf_define *defines; // [n_defines]
    int n_defines;
    pf_shape shape; // zero: the device's own
} pf_program_key;

pf_status pf_kernel_create(pf_device *device, const pf_program_key *program, const char *name,
                           pf_kernel **out);
void pf_kernel_free(pf_kernel *kernel); // NULL is fine

// Puts `label` behind the kernel's name in profiles and messages: "matmul_nt 6x64".
void pf_kernel_label(pf_kernel *kernel, const char *label);

// ---- files about a device ----

// Which device this is, to the driver's version, the cores in use and the shape of kernels, as one line of
// text.
pf_status pf_device_identity(const pf_device *device, pf_text *out);

// SHA-256 of the text of cl/`file`.cl with all that it includes, lower-case hex.
pf_status pf_kernel_digest(const char *file, char hex[65]);

// Path of the file NAME-DIGITS.txt about this device, in the directory where compiled programs are kept; it
// need not be there. `prepare`: makes the directory. Release *out with pf_free. PF_END where nothing is to be
// kept (PERFORMER_CACHE=off, no home). Errors: PF_ERROR_FAILED for a directory that cannot be ours alone.
pf_status pf_device_file(const pf_device *device, const char *name, bool prepare, char **out);

// ---- launching ----

typedef enum pf_arg_kind { PF_ARG_BUFFER, PF_ARG_INT, PF_ARG_UINT, PF_ARG_FLOAT, PF_ARG_LOCAL } pf_arg_kind;

// One typed argument; made by the functions below, in the order of the kernel's parameters.
typedef struct pf_arg {
    pf_arg_kind kind;
    union {
        const pf_buffer *buffer;
        int32_t i;
        uint32_t u;
        float f;
        size_t local_bytes;
    } value;
} pf_arg;

pf_arg pf_arg_buffer(const pf_buffer *buffer);
pf_arg pf_arg_int(int32_t value);
pf_arg pf_arg_uint(uint32_t value);
pf_arg pf_arg_float(float value);
pf_arg pf_arg_local(size_t bytes); // local memory of a group

// How much to launch, and what it is worth for the profile.
typedef struct pf_work {
    size_t groups[3]; // work-groups along each dimension; 0 in 1 and 2 counts as 1
    double flops;     // arithmetic of the whole launch, for GFLOP/s; 0: not told
    double bytes;     // bytes read and written, for GB/s; 0: not told
} pf_work;

// The arguments of a launch, written in place: PF_ARGS(pf_arg_buffer(y), pf_arg_int(rows)).
#define PF_ARGS(...)                                                                                         \
    (const pf_arg[]){__VA_ARGS__}, (int)(sizeof((const pf_arg[]){__VA_ARGS__}) / sizeof(pf_arg))

// Enqueues `kernel` over work.groups groups of the shape's size. No groups: nothing happens.
// Errors: PF_ERROR_DEVICE naming kernel, sizes and device.
pf_status pf_launch(pf_kernel *kernel, pf_work work, const pf_arg *args, int n_args);

// Launches so far, buffers created so far, and how often the host has waited: tests hold counts to these.
uint64_t pf_device_launches(const pf_device *device);
uint64_t pf_device_allocations(const pf_device *device);
uint64_t pf_device_waits(const pf_device *device);

#endif
