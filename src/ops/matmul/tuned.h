// What `performer tune` found out about matrix products on a device: for each kind of product the provider
// and the constants of its kernels that were fastest. Kept as a text file beside the compiled programs; where
// there is none, or one that was made for other kernels, the built-in choice stands.
//
// A choice holds for a kind of product with two of its sizes, never for a number of rows of a batch: for
// op(A) untransposed it is known by n and k, for A^T B (gradients of weights, k the rows) by m and n. So what
// decides the order of a sum does not depend on what else is in a batch.
#ifndef PF_OPS_MATMUL_TUNED_H
#define PF_OPS_MATMUL_TUNED_H

#include "ops/matmul/matmul.h"

// Constants of cl/matmul.cl, see there.
typedef struct pf_tile_shape {
    int packed, rows /* MR */, vectors /* NV */, beside /* GN */, staged_rows /* MC */, depth /* KC */;
} pf_tile_shape;

typedef struct pf_tuned_entry {
    bool transpose_a, transpose_b;
    int sizes[2];              // n, k; with transpose_a m, n
    pf_matmul_choice provider; // never PF_MATMUL_AUTO
    pf_tile_shape shape;       // with PF_MATMUL_TILE
    double gflops, built_in;   // measured: this choice, and the built-in one
} pf_tuned_entry;

enum { PF_TUNED_ENTRIES = 64, PF_TUNED_SHAPES = 8 }; // at most that many, of so many different shapes

// Also known to matmul.h.
typedef struct pf_tuned {
    int count;
    pf_tuned_entry entry[PF_TUNED_ENTRIES];
} pf_tuned;

// What stands in a file, for a device in this shape with so much local memory.
typedef struct pf_tuned_device {
    const char *identity; // pf_device_identity
    char kernels[65];     // pf_kernel_digest
    pf_shape shape;
    uint64_t local_bytes;
} pf_tuned_device;

// Reads a file's text. Errors: PF_ERROR_INPUT with the line; *out is untouched. PF_END for a file in order
// that was made for another device, kernels or version of the format, with a message.
pf_status pf_tuned_parse(const char *text, size_t length, const pf_tuned_device *device, pf_tuned *out);

// The text that pf_tuned_parse reads.
pf_status pf_tuned_write(const pf_tuned *tuned, const pf_tuned_device *device, pf_text *out);

// Reads this device's file; without one *out is empty. Errors as pf_tuned_parse, with the path.
pf_status pf_tuned_load(const pf_device *device, pf_tuned *out);

// Puts `found` into this device's file in the place of all that it had for the products of `measured`; it
// keeps the others. *path, if not NULL: where it lies; release with pf_free. Errors: PF_ERROR_FAILED;
// PF_ERROR_USAGE if nothing is to be kept (PERFORMER_CACHE=off).
pf_status pf_tuned_save(const pf_device *device, const pf_tuned *measured, const pf_tuned *found,
                        char **path);

// The entry for a call, or NULL.
const pf_tuned_entry *pf_tuned_find(const pf_tuned *tuned, const pf_matmul_call *call);

// Adds an entry in the place of one for the same products. False if there is no room.
bool pf_tuned_add(pf_tuned *tuned, const pf_tuned_entry *entry);

// An entry for a call's kind of products, its provider and shape yet to be set.
pf_tuned_entry pf_tuned_entry_of(const pf_matmul_call *call);

bool pf_tile_shape_equal(const pf_tile_shape *a, const pf_tile_shape *b);

// Whether the kernels are right with these constants and fit the device.
bool pf_tile_shape_fits(const pf_tile_shape *shape, const pf_tuned_device *device);

// "6x64 96x512 packed": rows and columns of the register tile, rows and depth of what is staged.
void pf_tile_shape_label(const pf_tile_shape *shape, int vector, char *out, size_t size);

#endif
