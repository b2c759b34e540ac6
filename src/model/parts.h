// What the files of this folder share: the model's weights, activations and operations as views.
// For src/model/*.c only; everybody else sees performer.h.
#ifndef PF_MODEL_PARTS_H
#define PF_MODEL_PARTS_H

#include "model/linear.h"
#include "model/params.h"
#include "model/performer.h"
#include "model/vocabulary.h"
#include "ops/activation.h"
#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "ops/favor.h"
#include "ops/layer_norm.h"
#include "ops/pool.h"
#include "ops/position_table.h"
#include "ops/residual.h"
#include "ops/rotary.h"
#include "ops/softmax_attention.h"
#include "ops/squared_error.h"
#include "ops/storage.h"

// A layer norm's weight and bias [D] and their gradients.
typedef struct pf_norm_weights {
    pf_buffer *weight, *bias, *d_weight, *d_bias;
} pf_norm_weights;

typedef struct pf_layer_weights {
    pf_norm_weights attention_norm, feed_forward_norm;
    pf_linear qkv, output, up, down; // qkv: query, key and value as one [3D,D]
    pf_buffer *projection;           // W [M,E]; NULL: none
} pf_layer_weights;

typedef struct pf_weights {
    pf_buffer *parameters, *gradients, *projections; // the arenas; all below are views into them
    size_t trained_size;                             // numbers of the second
    pf_buffer *merged, *d_merged;                    // of the largest matrix with adapters; see adapters.h
    pf_adapters (*adapters)[PF_LAYER_LINEARS];       // [layers], NULL: none
    pf_buffer *token, *d_token;                      // [A,D]
    pf_buffer *position, *d_position;                // [Lmax,D], learned
    pf_norm_weights
        embedding_norm;       // all NULL where the stream is the embedding sum itself, and with post-norm
    pf_layer_weights *layers; // their norms by where they are applied: in front of attention and feed-forward
    pf_norm_weights norm;     // of the last stream
    pf_linear transform;      // in front of the head, with its norm; weight NULL: none
    pf_norm_weights transform_norm;
    pf_linear head;
    pf_buffer **views; // all views, for freeing
    size_t n_views, views_capacity;
} pf_weights;

pf_status pf_weights_create(pf_device *device, const struct pf_config *config, const pf_parameters *params,
                            const pf_plan *plan, pf_weights *out);
void pf_weights_free(pf_weights *weights);

// The same in 16 bits, where the rule in plan.h has it.
typedef struct pf_layer_packed {
    pf_buffer *x, *x_middle, *qkv, *attended, *hidden;
} pf_layer_packed;

// What the forward pass of a layer leaves for the backward pass. Which layers share what says the rule in
// plan.h; without training all share all, but for `state` with carry.
typedef struct pf_layer_kept {
    pf_buffer *x, *x_middle;            // the stream before attention and before the feed-forward [N,D]
    pf_buffer *stat, *stat_middle;      // [N,2]
    pf_buffer *qkv, *attended, *hidden; // [N,3D], o [N,D], u [N,F]
    pf_buffer *normalizer, *log_sum;    // FAVOR's R; exact attention's log of its denominator
    pf_buffer *state;                   // FAVOR's sums
    pf_buffer *cache;                   // with carry: keys and values of exact heads, see carry.c
    pf_layer_packed packed;
} pf_layer_kept;

// What a head with a transform leaves for the backward pass, [N,D] each: u = W x + b, act(u), LN(act(u)), and
// the norm's statistics. Without training u and act(u) are one.
typedef struct pf_head_kept {
    pf_buffer *u, *activated, *normed, *stat;
} pf_head_kept;

// What a task has besides: where the residues of each sequence lie, the mean over them, and the labels on the
// host, in the order of the outputs' rows.
typedef struct pf_task {
    pf_buffer *range;  // int32 [B][2]: first row, one past the last
    pf_buffer *pooled; // [B,D]; in the backward pass their gradient
    pf_buffer *value;  // [B] or [N] labels of a regression
    int32_t *host_ranges, *host_targets;
    float *host_values;
    pf_pool *pool;                    // of tasks on sequences
    pf_squared_error *squared_error; // of a regression
} pf_task;

// With carry: where the keys and values of a kind of exact heads lie in the cache of each layer,
// [carry_sequences, rows, 2, width].
typedef struct pf_key_cache {
    pf_buffer *ranges; // pf_key_range [carry_sequences]
    pf_key_range *host_ranges;
    int32_t rows, width;
    int32_t first; // position of the first row
} pf_key_cache;

// The rows of a batch on the device, and where they belong.
typedef struct pf_input {
    pf_buffer *token, *target; // int [N]
    pf_buffer *place;          // pf_place [N]
    pf_buffer *scale;          // [N] of the token embeddings; NULL without token_dropout
    pf_vocabulary vocabulary;
    int32_t *host_tokens; // [N] as the model numbers them; NULL where batches do, too
    float *host_scales;
    pf_place *host_places;
    int32_t *lengths; // [B]
    pf_sequences *sequences;
    int32_t n_rows, n_sequences;
    bool is_labelled; // targets are a task's labels: task.c
} pf_input;

struct pf_model {
    pf_device *device;
    struct pf_config config;
    pf_model_limits limits;
    pf_plan plan;
    pf_parameters *params;
    pf_weights weights;
    pf_input input;
    pf_layer_kept *kept; // [layers]; see pf_layer_kept
    pf_buffer *stat_last;
    pf_buffer *embedded, *stat_embedded; // with embedding_norm in front of pre-norm layers: the embedding sum
    pf_head_kept head;
    pf_task task;
    pf_buffer *normed, *activated, *logits, *row_losses, *scratch;
    pf_buffer *d_stream, *d_branch, *delta;
    // Three in one, as no two are needed at once: the gradients of q, k, v [N,3D] and of the hidden units
    // [N,F], and the stream after the last layer [N,D], which the backward pass reads before it makes the
    // first of these.
    pf_buffer *d_qkv, *d_hidden, *x_last;
    pf_buffer **captured;                       // [limits.n_captured]
    pf_buffer *probe_values, *probe_projection; // limits.probe: [N,D], [M,E]
    // operations
    pf_matmul *matmul;
    pf_storage_op *storage; // NULL: all is fp32
    pf_column_sum *column_sum;
    pf_embedding *embedding;
    pf_layer_norm *layer_norm;
    pf_activate *activation, *head_activation; // of F and of D numbers
    pf_residual *residual;
    pf_rotary *rotary;
    pf_position_table sinusoids; // of the positions of the last batch, if they are sinusoidal
    pf_favor *favor;             // heads local_heads .. H-1 of layers of type favor
    pf_softmax_attention *exact,
        *local;                 // all heads of layers of type softmax; the first local_heads, windowed
    pf_key_cache whole, window; // of `exact`, of `local`
    pf_cross_entropy *cross_entropy; // NULL: a regression
    pf_pass pass; // of the last forward
    int lowest;   // layer that backward reaches, -1: the embedding
};

// ---- attention.c: heads of one layer, from q, k, v to o and back ----

pf_status pf_attention_create(pf_model *model);
void pf_attention_free(pf_model *model);
pf_status pf_attention_forward(pf_model *model, int layer);
// The same with other values [N,D] and another projection [M,E], each NULL for the layer's own.
pf_status pf_attention_forward_of(pf_model *model, int layer, const pf_buffer *values,
                                  const pf_buffer *projection);
// From the gradient of o, in `normed`, to d_qkv.
pf_status pf_attention_backward(pf_model *model, int layer);
pf_favor_config pf_favor_config_of(const struct pf_config *config, bool trains);
pf_softmax_attention_config pf_exact_config_of(const struct pf_config *config, bool is_local, bool trains);
bool pf_model_has_type(const struct pf_config *config, pf_attention_type type);

// ---- carry.c: keys and values from pass to pass ----

pf_status pf_carry_create(pf_model *model); // after pf_attention_create
void pf_carry_free(pf_model *model);
pf_key_cache *pf_cache_of(pf_model *model, int layer);

// Position of the first key that a window from `position` on still needs, and rows of a window for each
// sequence.
int32_t pf_window_first(const struct pf_config *config, int32_t position);
int32_t pf_window_rows(const struct pf_config *config, const pf_model_limits *limits);

// Before the layers of a pass that carries: makes room for the batch's keys behind those of earlier passes.
pf_status pf_carry_begin(pf_model *model, const pf_batch *batch);
// Puts the keys and values of the batch there, and lets k and v be the cache.
pf_status pf_carry_keys(pf_model *model, int layer, pf_rows *k, pf_rows *v);

// ---- layer.c: one layer; the stream goes from kept.x to the next layer's ----

pf_status pf_layer_forward(pf_model *model, int layer);
pf_status pf_layer_backward(pf_model *model, int layer);
// Its first part: what the backward pass needs. The second leads on to the next layer.
pf_status pf_layer_forward_kept(pf_model *model, int layer);
pf_layer_kept *pf_kept(pf_model *model, int layer);
pf_buffer *pf_stream_after(pf_model *model, int layer);

// Dropout of a site in this pass, in *storage, or NULL. Sites: 0 the embedding sum, then three a layer.
enum { PF_SITE_ATTENTION = 1, PF_SITE_HIDDEN = 2, PF_SITE_FEED_FORWARD = 3 };
const pf_dropout *pf_dropout_of(const pf_model *model, int layer, int site, pf_dropout *storage);

// ---- head.c: from the stream after the last layer to logits, and back ----

pf_status pf_head_create(pf_model *model);
void pf_head_free(pf_model *model);
pf_status pf_head_forward(pf_model *model);
pf_status pf_head_backward(pf_model *model); // from the gradient of the logits, in `logits`, to d_stream
bool pf_head_has_transform(const struct pf_config *config); // a task's has none

// ---- task.c: labels of tasks, and what lies between the rows of residues and those of the outputs ----

bool pf_head_pools(const struct pf_config *config); // outputs are of sequences, not of rows
pf_status pf_task_create(pf_model *model);
void pf_task_free(pf_model *model);
pf_status pf_task_upload(pf_model *model, const pf_batch *batch);
// From h, in `normed`, to the means that the head reads, and from their gradient, in `pooled`, to d_branch.
pf_status pf_task_pool(pf_model *model);
pf_status pf_task_pool_backward(pf_model *model);

// y = LN(x), with its statistics in `stat` (NULL: not kept)
pf_status pf_norm_forward(pf_model *model, const pf_norm_weights *weights, pf_buffer *y, const pf_buffer *x,
                          pf_buffer *stat);
// dx = gradient of x through the norm from dy, plus `add` (NULL: nothing)
typedef struct pf_norm_gradient {
    pf_buffer *dx;
    const pf_buffer *dy, *x, *stat, *add;
} pf_norm_gradient;
pf_status pf_norm_backward(pf_model *model, const pf_norm_weights *weights, const pf_norm_gradient *call);

// ---- kept.c: what lies between the forward and the backward pass ----

pf_status pf_kept_create(pf_model *model);
void pf_kept_free(pf_model *model);
// Puts away what the layer left, before the stream goes on, and brings it back; does nothing in fp32.
pf_status pf_kept_pack(pf_model *model, int layer);
pf_status pf_kept_unpack(pf_model *model, int layer);
// Runs the segment that ends with layer `last` forward again.
pf_status pf_kept_compute_again(pf_model *model, int last);

// ---- probe.c ----

pf_status pf_probe_create(pf_model *model);
void pf_probe_free(pf_model *model);

// ---- input.c ----

pf_status pf_input_create(pf_device *device, const struct pf_config *config, const pf_model_limits *limits,
                          pf_input *out);
void pf_input_free(pf_input *input);
pf_status pf_input_upload(pf_input *input, const pf_model_limits *limits, const pf_batch *batch,
                          const pf_pass *pass);

#endif
