// A Performer on a device: weights, the activations of one batch, and the passes over them.
//
// Forward, loss and backward only enqueue work; functions that read wait. All memory is taken at
// creation, sized by pf_model_limits, and none after it. Spec: README, "The model".
#ifndef PF_MODEL_PERFORMER_H
#define PF_MODEL_PERFORMER_H

#include "device/device.h"
#include "model/plan.h"
#include "ops/cross_entropy.h"
#include "performer/batch.h"
#include "performer/config.h"
#include "performer/model.h"

// Compiles what the configuration needs. Weights are undefined until pf_model_upload.
// Errors: PF_ERROR_DEVICE (memory: with the plan in the message), PF_ERROR_USAGE.
pf_status pf_model_create(pf_device *device, const struct pf_config *config, const pf_model_limits *limits,
                          pf_model **out);
void pf_model_free(pf_model *model);

const pf_parameters *pf_model_params(const pf_model *model);
const pf_model_limits *pf_model_get_limits(const pf_model *model);
const pf_plan *pf_model_plan(const pf_model *model);
pf_device *pf_model_device(const pf_model *model);
int32_t pf_model_token_number(const pf_model *model,
                              int32_t token);        // the model's own number of a token of batches
bool pf_model_keeps_all_keys(const pf_model *model); // with carry: it has a layer of exact attention

// PF_ERROR_USAGE for a model with a head for labels, whose outputs are no logits of tokens.
pf_status pf_model_need_tokens(const pf_model *model);

// Gives the model other limits and keeps its weights; what handles point to stays the same. For inference: on
// an error the model is as before. Errors: as pf_model_create.
pf_status pf_model_resize(pf_model *model, const pf_model_limits *limits);

// Flat host arrays in the layout of the parameter table <-> device. Either may be NULL.
pf_status pf_model_upload(pf_model *model, const float *parameters, const float *projections);
pf_status pf_model_download(pf_model *model, float *parameters, float *projections);
pf_buffer *pf_model_parameters(pf_model *model); // the whole arena
pf_buffer *pf_model_gradients(pf_model *model);  // same layout; training only

// How a forward pass runs.
typedef struct pf_pass {
    bool dropout;           // training only
    uint64_t seed, step;    // key of dropout's random numbers
    bool carry;             // go on from the state that the last pass left (clm, limits.carry)
    int32_t first_position; // with carry: the position of each sequence's first token
} pf_pass;

// Uploads the batch and computes the logits. Errors: PF_ERROR_USAGE for a batch beyond the limits.
pf_status pf_model_forward(pf_model *model, const pf_batch *batch, const pf_pass *pass);

// The same in steps, for those who look at what lies between: begin, the layers in order, end.
pf_status pf_model_forward_begin(pf_model *model, const pf_batch *batch, const pf_pass *pass);
pf_status pf_model_forward_layer(pf_model *model, int layer);
pf_status pf_model_forward_end(pf_model *model);
// Of the layer that was computed last; these wait. Queries and keys as attention sees them, turned by rotary positions.
pf_status pf_model_read_qkv(pf_model *model, int layer, float *out);    // [N,3D]
pf_status pf_model_read_stream(pf_model *model, int layer, float *out); // [N,D] after the layer

// After forward: adds the batch to the metrics (pf_metrics: sums over the target rows of all batches since
// pf_model_clear_metrics; of a regression the loss is the sum of squared errors, and nothing hits); with
// training limits also leaves the gradient of scale * (sum of losses) in the logits' place.
pf_status pf_model_loss(pf_model *model, float scale);
pf_status pf_model_weigh_classes(pf_model *model, const float *weight); // [C] of a classification: for gradients
pf_status pf_model_clear_metrics(pf_model *model);
pf_status pf_model_read_metrics(pf_model *model, pf_metrics *out); // waits

// After loss: adds the gradients of this batch to the gradients. Training only.
pf_status pf_model_backward(pf_model *model);
pf_status pf_model_clear_gradients(pf_model *model);

// Backward goes down to this layer only, -1: to the embedding (so it is at first). Gradients below stay as they are.
void pf_model_train_from(pf_model *model, int layer);

// What the attention of the layer that was computed last makes of other values: o_i = sum_j a_ij v_j in each
// head, with the queries and keys of this batch and the kernels of the model. One-hot values give the
// weights a_ij themselves (Choromanski et al. 2021, arXiv:2009.14794, appendix C.4). Layers to come see nothing
// of it.
typedef struct pf_probe {
    int layer;
    const float *values;     // [N,D], head h in columns h*E .. h*E+E-1
    const float *projection; // [M,E] in place of the layer's own; NULL: its own
    float *out;              // [N,D]
} pf_probe;

// Waits. Errors: PF_ERROR_USAGE unless made with limits.probe.
pf_status pf_model_probe(pf_model *model, const pf_probe *probe);

// Rows of the outputs of the last forward pass: N, or B of a task on sequences; and all their numbers.
int32_t pf_model_output_rows(const pf_model *model);
size_t pf_model_logits_count(const pf_model *model);

// Results of the last forward pass on the device: [N,A] (of a task [output rows, C]), and [N,D] of a captured layer.
const pf_buffer *pf_model_logits(const pf_model *model);
const pf_buffer *pf_model_layer(const pf_model *model, int captured);

// Results of the last forward pass; these wait. `rows` as in the batch.
pf_status pf_model_read_logits(pf_model *model, float *out); // [N,A]; of a task [output rows, C]
pf_status pf_model_read_target_log_p(pf_model *model,
                                     float *out); // [N], after loss; 0 without target; limits.row_losses
pf_status pf_model_read_layer(pf_model *model, int captured, float *out); // [N,D], see limits.capture

#endif
