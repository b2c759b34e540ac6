// Matrix products on the device: one description of a call, several providers that run it.
//
//   C[m,n] = activation(alpha op(A)[m,k] op(B)[k,n] + beta residual[m,n] + bias[n])      row-major, fp32
//
// Whichever provider runs, what is not named in the description is not touched: gaps between rows stay as
// they are.
#ifndef PF_OPS_MATMUL_MATMUL_H
#define PF_OPS_MATMUL_MATMUL_H

#include "device/device.h"
#include "performer/config.h"

// Providers, named by compute.matmul:
//   PF_MATMUL_AUTO      what `performer tune` found to be faster; without it clblast on GPUs, tile elsewhere
//   PF_MATMUL_CLBLAST   CLBlast's tuned kernels, then ours for what it cannot do (residual, bias, activation)
//   PF_MATMUL_TILE      our own kernels, all in one pass
typedef struct pf_matmul pf_matmul;

// One product. Offsets, leading dimensions and strides count floats. Zero-initialise, then name what is
// needed; the three products of training (rows N, weights [n,k] as stored):
//   Y [N,out] = X W^T     a X, b W,  transpose_b, m N, n out, k in
//   dX [N,in] = dY W      a dY, b W,              m N, n in, k out
//   dW [out,in] += dY^T X a dY, b X, transpose_a, m out, n in, k N, beta 1
typedef struct pf_matmul_call {
    pf_buffer *c;       // [m,ldc]; no part of it may be read through a or b
    const pf_buffer *a; // [m,lda], with transpose_a [k,lda]
    const pf_buffer *b; // [k,ldb], with transpose_b [n,ldb]
    int m, n, k;        // any number from 0; k = 0: the product is 0
    bool transpose_a, transpose_b;
    int lda, ldb, ldc; // at least the width of a stored row; 0: exactly that
    size_t a_offset, b_offset, c_offset;
    float alpha, beta;         // beta 0: c or residual is never read
    const pf_buffer *residual; // with c's offset, ldc and stride; NULL: c itself
    const pf_buffer *bias;     // [n], added to every row; or NULL
    bool has_activation;
    pf_activation activation;            // with has_activation
    pf_buffer *pre_activation;           // what the activation is taken of, laid out as c; or NULL
    int batch;                           // products of equal shape; 0 counts as 1
    size_t a_stride, b_stride, c_stride; // from one product to the next; 0 in a or b: the same for all
} pf_matmul_call;

// Compiles the kernels, for what is tuned with the constants that are in the device's file (tuned.h); a file
// that cannot be used counts as none. Errors: PF_ERROR_DEVICE.
pf_status pf_matmul_create(pf_device *device, pf_matmul_choice provider, pf_matmul **out);
// The same with these choices, which are copied, in the place of the file's; NULL: none.
struct pf_tuned;
pf_status pf_matmul_create_tuned(pf_device *device, pf_matmul_choice provider, const struct pf_tuned *tuned,
                                 pf_matmul **out);
void pf_matmul_free(pf_matmul *matmul); // NULL is fine; before the device is closed

// The provider in use where nothing is tuned: never PF_MATMUL_AUTO.
pf_matmul_choice pf_matmul_provider(const pf_matmul *matmul);

// What runs a call, for people: "clblast" or "tile 6x64 96x512 packed" (the register tile's rows and columns;
// rows and depth of what a group stages; whether B is packed ahead, staged by the group, or shared in it tile
// by tile).
void pf_matmul_describe(const pf_matmul *matmul, const pf_matmul_call *call, char *out, size_t size);

// Bytes of scratch that `call` needs; only its sizes, transposes, offsets and batch are looked at, its
// buffers may be NULL. More rows never need less.
pf_status pf_matmul_scratch_bytes(const pf_matmul *matmul, const pf_matmul_call *call, size_t *bytes);

// Makes room for calls of up to that many bytes of scratch; does nothing when there is enough. The only place
// where memory is taken.
pf_status pf_matmul_reserve(pf_matmul *matmul, size_t bytes);

// Enqueues the product. Errors: PF_ERROR_USAGE for a call that does not fit its buffers or the reserved
// scratch; PF_ERROR_DEVICE.
//
// Bits: the same call gives the same bits again. With `tile` an element's bits depend on its row of op(A),
// its column of op(B), k, and its residual and bias only - not on m, n, the batch, the transposes, tuned
// constants, or the device's shape. CLBlast chooses kernels by m, n and k: there the promise is to rounding.
pf_status pf_matmul_run(pf_matmul *matmul, const pf_matmul_call *call);

#endif
