// What the files of the approximation study share. For src/infer/approx*.c only; see performer/approx.h.
#ifndef PF_INFER_APPROX_PARTS_H
#define PF_INFER_APPROX_PARTS_H

#include "infer/pieces.h"
#include "ops/sequences.h"
#include "performer/approx.h"

// One estimator, of which the options have n_kernels * n_features * n_projections.
typedef struct pf_approx_estimator {
    pf_favor_kernel kernel;
    int32_t n_features;
    pf_projection_kind projection;
} pf_approx_estimator;

// ---- approx_error.c: errors over the draws ----

// Mean and sum of squared differences so far (Welford 1962).
typedef struct pf_approx_moments {
    int32_t count;
    double mean, squares;
} pf_approx_moments;

typedef struct pf_approx_errors {
    pf_approx_moments mse, relative, divergence;
    uint64_t not_finite;
} pf_approx_errors;

// One draw: `got` against `expected`, [count].
void pf_approx_add(pf_approx_errors *errors, const float *got, const float *expected, size_t count);
// Logits of one draw, [n_rows,n_letters]: the divergence of their predictions. Beside pf_approx_add.
void pf_approx_add_divergence(pf_approx_errors *errors, const float *got, const float *expected, size_t n_rows,
                              size_t n_letters);
// The row's numbers; what says which row it is stays.
void pf_approx_fill(pf_approx_row *row, const pf_approx_errors *errors);

// ---- approx_attention.c: q, k, v of some layers, exact attention on them, and one estimator after the other
// ----

typedef struct pf_approx_tensors {
    pf_device *device;                            // lent
    int32_t n_layers, n_heads, head_size, n_rows; // H, E, N; D = H*E
    bool causal, is_random;
    pf_sequences *sequences;
    float *qkv;        // [layers][N,3D]
    float *exact;      // [layers][N,D]
    float *got;        // [N,D]
    double *pair_size; // [layers] mean of |x+y|^2 over queries and keys of a head
    pf_buffer *d_qkv, *d_out;
} pf_approx_tensors;

// All memory of `t`, whose device, sizes and direction are set; `batch` NULL: one sequence. qkv is the
// caller's to fill. On an error what was taken stays, for pf_approx_tensors_free.
pf_status pf_approx_tensors_create(pf_approx_tensors *t, const pf_batch *batch);
void pf_approx_tensors_free(pf_approx_tensors *t);
void pf_approx_fill_random(pf_approx_tensors *t, const pf_approx_options *options);
// Exact attention of every layer, and what the tensors say about themselves.
pf_status pf_approx_attend_exactly(pf_approx_tensors *t);
// rows [layers]
pf_status pf_approx_attend(pf_approx_tensors *t, const pf_approx_options *options,
                           const pf_approx_estimator *estimator, pf_approx_row *rows);

// ---- approx_stream.c: a whole model with another attention ----

enum { PF_APPROX_NO_LAYER = -2, PF_APPROX_EVERY_LAYER = -1 };

typedef struct pf_approx_stream {
    pf_device *device; // lent, as is the batch
    const pf_batch *batch;
    struct pf_config config; // of the user's model
    float *trained, *projections;
    size_t projections_size;
    float *exact; // [layers][N,D], then [N,A]
    float *got;   // [N,D] or [N,A]
    double oprf_s;
    pf_model *model; // with the attention of the last estimator,
    pf_approx_estimator now;
    int only; // in this layer, or in every or no layer
} pf_approx_stream;

// Takes the weights of `model` and runs them with exact attention over the batch.
pf_status pf_approx_stream_create(pf_approx_stream *s, pf_model *model, const pf_batch *batch);
void pf_approx_stream_free(pf_approx_stream *s);
// rows [layers + 1]
pf_status pf_approx_stream_run(pf_approx_stream *s, const pf_approx_options *options,
                               const pf_approx_estimator *estimator, pf_approx_row *rows);
// The same with FAVOR in one layer, from 0, and exact attention in the others: the row of the logits.
pf_status pf_approx_stream_alone(pf_approx_stream *s, const pf_approx_options *options,
                                 const pf_approx_estimator *estimator, int layer, pf_approx_row *row);

#endif
