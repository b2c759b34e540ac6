// Exact softmax attention, forward and backward, in tiles: no L x L matrix is ever stored.
//
//   o[i] = sum_j p[i,j] v[j],   p[i,j] = softmax over j of q[i].k[j] / sqrt(E)
//
// over all keys of the sequence, or those not after the query (causal), or those less than `window` tokens away.
// Does heads first_head .. first_head+n_heads-1 of the rows; columns of other heads and rows outside the sequences
// are not touched. What a sequence gets depends on itself alone, to the bit.
#ifndef PF_OPS_SOFTMAX_ATTENTION_H
#define PF_OPS_SOFTMAX_ATTENTION_H

#include "ops/sequences.h"

enum { PF_MOST_HEAD_SIZE = 128 };

typedef struct pf_softmax_attention_config {
    int first_head, n_heads;
    int head_size;     // E, 1 .. PF_MOST_HEAD_SIZE
    bool causal;       // keys j <= i only
    int window;        // keys with |i - j| < window only; 0: all
    bool has_backward; // compile the backward pass too
} pf_softmax_attention_config;

typedef struct pf_softmax_attention pf_softmax_attention;

// Compiles the kernels. Errors: PF_ERROR_USAGE for a head size that is too large; PF_ERROR_DEVICE.
pf_status pf_softmax_attention_create(pf_device *device, const pf_softmax_attention_config *config,
                                      pf_softmax_attention **out);
void pf_softmax_attention_free(pf_softmax_attention *op); // NULL is fine

// Floats in `log_sum`, and in `delta`, for a batch of `rows` rows.
size_t pf_softmax_attention_log_sum_floats(const pf_softmax_attention_config *config, int32_t rows);

// Where the keys of a sequence are when they are not its own rows: new queries attend to a cache. int4 in the
// kernel, in this order.
typedef struct pf_key_range {
    int32_t first_row, length; // rows of k and v
    int32_t place;             // of the first query among the keys: queries are keys place, place + 1, ...
    int32_t unused;
} pf_key_range;

typedef struct pf_softmax_attention_forward {
    pf_rows o, q, k, v;
    pf_buffer *log_sum; // log of the softmax's denominator for the backward pass; NULL: not kept
    const pf_sequences *sequences;
    const pf_buffer *keys; // pf_key_range for each sequence; NULL: the sequences' own rows
} pf_softmax_attention_forward;

typedef struct pf_softmax_attention_backward {
    pf_rows dq, dk, dv; // written, not added to
    pf_rows q, k, v, o, d_o;
    const pf_buffer *log_sum; // of the forward pass
    pf_buffer *delta;         // scratch, as large as log_sum
    const pf_sequences *sequences;
} pf_softmax_attention_backward;

pf_status pf_softmax_attention_run(pf_softmax_attention *op, const pf_softmax_attention_forward *call);

// Gradients of the heads' columns of q, k and v from d_o, the gradient of o. For sequences with their own keys.
// Errors: PF_ERROR_USAGE if made without has_backward.
pf_status pf_softmax_attention_run_backward(pf_softmax_attention *op, const pf_softmax_attention_backward *call);

#endif
