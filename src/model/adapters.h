// Low-rank adapters of a linear layer on the device (lora.h has the formula). The merged matrix W' and its
// gradient dW' = dy^T x lie in one buffer each that all layers share:
//
//   d_up   += scale dW' down^T        d_down += scale up^T dW'
//
// Merging costs r / N of a layer's product over N rows, so it is done whenever W' is read. To go through down
// and up apart instead would save the product for dW' and add six thin ones, bound by memory: a fifth of an
// adapted matrix's time in training (two CPU cores, N 4096, D 512, r 8), for N r numbers more to keep and
// another path everywhere.
#ifndef PF_MODEL_ADAPTERS_H
#define PF_MODEL_ADAPTERS_H

#include "model/lora.h"
#include "ops/matmul/matmul.h"

// A layer has four linear layers: qkv, output, up, down; the first is three matrices in one.
enum { PF_LAYER_LINEARS = 4, PF_ADAPTER_PARTS = 3 };

// Of a block of rows of W; all NULL: these rows have none.
typedef struct pf_adapter {
    pf_buffer *down, *up;     // [r,in], [rows,r]
    pf_buffer *d_down, *d_up; // only when training
} pf_adapter;

typedef struct pf_adapters {
    pf_adapter part[PF_ADAPTER_PARTS]; // equal blocks of rows: query, key, value of one matrix
    int n_parts, rank;
    float scale;
    pf_buffer *merged, *d_merged; // [out,in], or larger
} pf_adapters;

// Those of one of a layer's linear layers (in the order of pf_linear_kinds), without buffers; false: it has
// none. With layer -1: of any layer.
bool pf_adapters_of(const struct pf_config *config, int layer, int linear, pf_adapters *out);
// The first of its targets (lora.h).
int pf_adapters_first_target(int linear);

// The matrix that they belong to.
typedef struct pf_adapted {
    int in, out;
    const pf_buffer *weight; // [out,in]
} pf_adapted;

// W' into `merged`.
pf_status pf_adapters_merge(pf_matmul *matmul, const pf_adapters *adapters, const pf_adapted *of);

// From dy [N,out] and x [N,in] to d_down and d_up, which are added to.
typedef struct pf_adapters_gradient {
    const pf_buffer *dy, *x;
    int rows; // N
} pf_adapters_gradient;

pf_status pf_adapters_backward(pf_matmul *matmul, const pf_adapters *adapters, const pf_adapted *of,
                               const pf_adapters_gradient *call);

// Scratch of all products, if *bytes is less; buffers may be NULL.
pf_status pf_adapters_scratch_bytes(const pf_matmul *matmul, const pf_adapters *adapters,
                                    const pf_adapted *of, int rows, size_t *bytes);

#endif
