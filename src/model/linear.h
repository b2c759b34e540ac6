// A linear layer y = x W^T + b and its gradients, over the rows of a batch.
#ifndef PF_MODEL_LINEAR_H
#define PF_MODEL_LINEAR_H

#include "model/adapters.h"
#include "ops/column_sum.h"
#include "ops/matmul/matmul.h"

// Views of one layer's tensors; who made the views owns them.
typedef struct pf_linear {
    pf_buffer *weight, *d_weight; // [out,in]; the gradient only of what is trained
    pf_buffer *bias, *d_bias;     // [out]; NULL: none
    int in, out;
    const pf_adapters *adapters; // NULL: none; else W' takes the place of W
} pf_linear;

// The linear layers of a model, sizes only: attention's queries, keys and values, its output, the two of the
// feed-forward, the head. All but the last are there in each layer.
enum { PF_LINEAR_KINDS = 5, PF_LINEAR_HEAD = 4 };
void pf_linear_kinds(const struct pf_config *config, pf_linear kinds[PF_LINEAR_KINDS]);
int pf_widest_bias(const struct pf_config *config); // the most outputs of any of them

// The products of a linear layer over `rows` rows, without buffers: forward, gradient of the input, of the weights.
enum { PF_LINEAR_CALLS = 3 };
void pf_linear_calls(const pf_linear *sizes, int rows, pf_matmul_call calls[PF_LINEAR_CALLS]);

// y [N,out] = x [N,in] W^T + b, plus `residual` [N,out] if it is given.
pf_status pf_linear_forward(pf_matmul *matmul, const pf_linear *linear, pf_buffer *y, const pf_buffer *x,
                            const pf_buffer *residual, int rows);

// dx [N,in] = dy [N,out] W, plus `residual` [N,in] if it is given
pf_status pf_linear_backward_input(pf_matmul *matmul, const pf_linear *linear, pf_buffer *dx,
                                   const pf_buffer *dy, const pf_buffer *residual, int rows);

// d_weight += dy^T x, d_bias += sum of dy's rows, of those that are trained; adapters' gradients
pf_status pf_linear_backward_weights(pf_matmul *matmul, pf_column_sum *sums, const pf_linear *linear,
                                     const pf_buffer *dy, const pf_buffer *x, int rows);

// Scratch of all three, and of adapters, for up to `rows` rows (backward only when training).
pf_status pf_linear_scratch_bytes(const pf_matmul *matmul, const pf_linear *sizes, int rows, bool training,
                                  size_t *bytes);

#endif
