// A Performer on a device: creation, and the passes from a batch to logits and back to gradients.
// See performer.h.
#include "model/parts.h"

#include "base/memory.h"
#include "model/init.h"

static pf_status buffer(pf_model *m, size_t bytes, const char *name, pf_buffer **out)
{
    return bytes ? pf_buffer_create(m->device, bytes, name, out) : PF_OK;
}

static pf_status create_buffers(pf_model *m)
{
    const pf_plan *p = &m->plan;
    PF_TRY(pf_kept_create(m));
    PF_TRY(pf_probe_create(m));
    PF_TRY(buffer(m, p->stat, "norm statistics", &m->stat_last));
    PF_TRY(buffer(m, p->normed, "normalised stream", &m->normed));
    PF_TRY(buffer(m, p->activated, "activations", &m->activated));
    PF_TRY(buffer(m, p->logits, "logits", &m->logits));
    PF_TRY(buffer(m, p->row_losses, "losses of rows", &m->row_losses));
    PF_TRY(buffer(m, p->scratch, "attention scratch", &m->scratch));
    PF_TRY(buffer(m, p->d_stream, "gradient of the stream", &m->d_stream));
    PF_TRY(buffer(m, p->d_branch, "gradient of a branch", &m->d_branch));
    PF_TRY(buffer(m, p->d_wide, "gradient of q, k, v or hidden units", &m->d_qkv));
    m->d_hidden = m->x_last = m->d_qkv;
    PF_TRY(buffer(m, m->limits.training ? p->log_sum : 0, "attention scratch", &m->delta));
    PF_TRY(buffer(m, p->embedded, "embedding sum", &m->embedded));
    PF_TRY(buffer(m, p->embedded ? p->stat : 0, "norm statistics", &m->stat_embedded));
    if (m->limits.n_captured == 0) return PF_OK;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, (size_t)m->limits.n_captured, sizeof(pf_buffer *), "captured layers"));
    m->captured = memory;
    for (int i = 0; i < m->limits.n_captured; i++)
        PF_TRY(buffer(m, p->stream, "captured layer", &m->captured[i]));
    return PF_OK;
}

// Of a task all classes count as residues: the metrics are of all labels.
static pf_status create_loss(pf_model *m)
{
    const struct pf_config *c = &m->config;
    const pf_vocabulary *v = &m->input.vocabulary;
    switch (c->task.type) {
    case PF_TASK_NONE:
        return pf_cross_entropy_create(m->device, c->vocab_size, v->first_residue, v->last_residue + 1,
                                       &m->cross_entropy);
    case PF_TASK_CLASSIFICATION:
        return pf_cross_entropy_create(m->device, c->task.n_classes, 0, c->task.n_classes, &m->cross_entropy);
    case PF_TASK_REGRESSION: // pf_task_create
        break;
    }
    return PF_OK;
}

static pf_status create_operations(pf_model *m)
{
    const struct pf_config *c = &m->config;
    const int D = c->hidden_size, F = c->intermediate_size, A = c->vocab_size;
    const bool dropout = m->limits.training && c->hidden_dropout > 0;
    if (m->limits.training) PF_TRY(pf_column_sum_create(m->device, pf_widest_bias(c), &m->column_sum));
    PF_TRY(pf_embedding_create(m->device, A, D, dropout, &m->embedding));
    PF_TRY(pf_layer_norm_create(m->device, D, &m->layer_norm));
    PF_TRY(pf_activate_create(m->device, c->hidden_act, F, dropout, &m->activation));
    if (dropout) PF_TRY(pf_residual_create(m->device, D, true, &m->residual));
    const int positions = pf_position_room(&m->limits);
    const double *frequencies = c->n_rotary_frequencies ? c->rotary_frequency : NULL;
    if (pf_config_is_rotary(c))
        PF_TRY(pf_rotary_create(m->device, pf_config_head_size(c), positions, frequencies, &m->rotary));
    if (c->position_embedding_type == PF_POSITION_SINUSOIDAL)
        PF_TRY(pf_position_table_create(m->device, positions, D, pf_sinusoids, NULL, &m->sinusoids));
    PF_TRY(create_loss(m));
    PF_TRY(pf_head_create(m));
    PF_TRY(pf_task_create(m));
    PF_TRY(pf_attention_create(m));
    return pf_carry_create(m);
}

static pf_status create_all(pf_model *m)
{
    PF_TRY(pf_parameters_create(&m->config, &m->params));
    PF_TRY(pf_matmul_create(m->device, m->config.compute.matmul, &m->matmul));
    const pf_plan_request request = {&m->config, &m->limits, m->params, m->device, m->matmul};
    PF_TRY(pf_plan_make(&request, &m->plan));
    PF_TRY(pf_weights_create(m->device, &m->config, m->params, &m->plan, &m->weights));
    PF_TRY(pf_matmul_reserve(m->matmul, m->plan.matmul));
    PF_TRY(pf_input_create(m->device, &m->config, &m->limits, &m->input));
    PF_TRY(create_buffers(m));
    return create_operations(m);
}

pf_status pf_model_create(pf_device *device, const struct pf_config *config, const pf_model_limits *limits,
                          pf_model **out)
{
    void *memory = NULL;
    PF_CHECK(
        !limits->carry || (config->objective == PF_OBJECTIVE_CLM && !limits->training), PF_ERROR_USAGE,
        "only causal models generate token by token; this one is not, train one with --set objective=clm");
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_model), "model"));
    pf_model *m = memory;
    m->device = device;
    m->config = *config;
    m->limits = *limits;
    m->lowest = -1;
    const pf_status status = create_all(m);
    if (status != PF_OK) {
        pf_model_free(m);
        return status;
    }
    *out = m;
    return PF_OK;
}

static void free_buffers(pf_model *m)
{
    pf_kept_free(m);
    pf_probe_free(m);
    pf_buffer *all[] = {m->stat_last, m->normed,   m->activated, m->logits, m->row_losses, m->embedded,
                        m->scratch,   m->d_stream, m->d_branch,  m->d_qkv,  m->delta,      m->stat_embedded};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) pf_buffer_free(all[i]);
    for (int i = 0; m->captured && i < m->limits.n_captured; i++) pf_buffer_free(m->captured[i]);
    pf_free(m->captured);
}

void pf_model_free(pf_model *m)
{
    if (!m) return;
    pf_carry_free(m);
    pf_attention_free(m);
    pf_head_free(m);
    pf_task_free(m);
    pf_position_table_free(&m->sinusoids);
    pf_cross_entropy_free(m->cross_entropy);
    pf_rotary_free(m->rotary);
    pf_residual_free(m->residual);
    pf_activate_free(m->activation);
    pf_layer_norm_free(m->layer_norm);
    pf_embedding_free(m->embedding);
    pf_column_sum_free(m->column_sum);
    free_buffers(m);
    pf_input_free(&m->input);
    pf_weights_free(&m->weights);
    pf_matmul_free(m->matmul);
    pf_parameters_free(m->params);
    pf_free(m);
}

// ---- passes ----

static bool is_post(const pf_model *m)
{
    return m->config.norm_placement == PF_NORM_POST;
}

// What a layer reads: with post-norm the stream is normalised first.
static pf_status capture(pf_model *m, int layer, const pf_buffer *x)
{
    const size_t bytes = (size_t)m->input.n_rows * (size_t)m->config.hidden_size * sizeof(float);
    const bool is_raw = is_post(m) && layer >= 0 && layer < m->config.num_hidden_layers;
    for (int i = 0; i < m->limits.n_captured; i++) {
        if (m->limits.captured[i] != layer) continue;
        if (is_raw)
            PF_TRY(pf_norm_forward(m, &m->weights.layers[layer].attention_norm, m->captured[i], x, NULL));
        else
            PF_TRY(pf_buffer_copy(m->captured[i], 0, x, 0, bytes));
    }
    return PF_OK;
}

static pf_status reach_positions(pf_model *m, int count)
{
    const int first = m->pass.carry ? m->pass.first_position : 0;
    if (m->rotary) PF_TRY(pf_rotary_reach(m->rotary, first, count));
    return m->sinusoids.buffer ? pf_position_table_reach(&m->sinusoids, first, count) : PF_OK;
}

// The embedding sum becomes the stream, through its norm where that is not the first layer's own.
static pf_status embed(pf_model *m)
{
    pf_dropout storage;
    const bool learned = m->weights.position != NULL, has_norm = m->weights.embedding_norm.weight != NULL;
    pf_buffer *stream = m->kept[0].x, *sum = !has_norm ? stream : m->embedded ? m->embedded : m->normed;
    PF_TRY(pf_embedding_run(m->embedding,
                            &(pf_embedding_forward){
                                .x = sum,
                                .token_table = m->weights.token,
                                .position_table = learned ? m->weights.position : m->sinusoids.buffer,
                                .first_position = learned ? 0 : m->sinusoids.first,
                                .token = m->input.token,
                                .place = m->input.place,
                                .scale = m->input.scale,
                                .dropout = pf_dropout_of(m, 0, 0, &storage),
                                .rows = m->input.n_rows,
                            }));
    return has_norm ? pf_norm_forward(m, &m->weights.embedding_norm, stream, sum, m->stat_embedded) : PF_OK;
}

static pf_status embed_backward(pf_model *m)
{
    pf_dropout storage;
    if (m->embedded)
        PF_TRY(pf_norm_backward(
            m, &m->weights.embedding_norm,
            &(pf_norm_gradient){
                .dx = m->d_branch, .dy = m->d_stream, .x = m->embedded, .stat = m->stat_embedded}));
    return pf_embedding_run_backward(m->embedding, &(pf_embedding_backward){
                                                       .dtoken_table = m->weights.d_token,
                                                       .dposition_table = m->weights.d_position,
                                                       .dx = m->embedded ? m->d_branch : m->d_stream,
                                                       .token = m->input.token,
                                                       .place = m->input.place,
                                                       .scale = m->input.scale,
                                                       .sequences = m->input.sequences,
                                                       .dropout = pf_dropout_of(m, 0, 0, &storage),
                                                       .rows = m->input.n_rows,
                                                   });
}

static pf_buffer *last_stream(pf_model *m)
{
    return pf_stream_after(m, m->config.num_hidden_layers - 1);
}

pf_status pf_model_forward_begin(pf_model *m, const pf_batch *batch, const pf_pass *pass)
{
    m->pass = *pass;
    PF_TRY(pf_input_upload(&m->input, &m->limits, batch, pass));
    if (m->input.is_labelled) PF_TRY(pf_task_upload(m, batch));
    PF_TRY(reach_positions(m, batch->longest));
    if (pass->carry) PF_TRY(pf_carry_begin(m, batch));
    PF_TRY(embed(m));
    return capture(m, 0, m->kept[0].x);
}

pf_status pf_model_forward_layer(pf_model *m, int layer)
{
    PF_TRY(pf_context(pf_layer_forward(m, layer), "layer %d, forward", layer));
    return capture(m, layer + 1, pf_stream_after(m, layer));
}

pf_status pf_model_forward_end(pf_model *m)
{
    PF_TRY(pf_norm_forward(m, &m->weights.norm, m->normed, last_stream(m), m->stat_last));
    PF_TRY(capture(m, -1, m->normed));
    return pf_head_forward(m);
}

pf_status pf_model_forward(pf_model *m, const pf_batch *batch, const pf_pass *pass)
{
    PF_TRY(pf_model_forward_begin(m, batch, pass));
    for (int layer = 0; layer < m->config.num_hidden_layers; layer++)
        PF_TRY(pf_model_forward_layer(m, layer));
    return pf_model_forward_end(m);
}

static pf_status regression_loss(pf_model *m, float scale)
{
    const int rows = pf_model_output_rows(m);
    PF_TRY(pf_squared_error_run(m->task.squared_error, &(pf_squared_error_forward){
                                                           .loss = m->row_losses,
                                                           .y = m->logits,
                                                           .value = m->task.value,
                                                           .target = m->input.target,
                                                           .rows = rows,
                                                       }));
    if (!m->limits.training) return PF_OK;
    return pf_squared_error_run_backward(m->task.squared_error, &(pf_squared_error_backward){
                                                                    .dy = m->logits,
                                                                    .y = m->logits,
                                                                    .value = m->task.value,
                                                                    .target = m->input.target,
                                                                    .rows = rows,
                                                                    .scale = scale,
                                                                });
}

pf_status pf_model_loss(pf_model *m, float scale)
{
    const int rows = pf_model_output_rows(m), A = pf_config_outputs(&m->config);
    if (m->task.squared_error) return regression_loss(m, scale);
    PF_TRY(pf_cross_entropy_run(m->cross_entropy, &(pf_cross_entropy_forward){
                                                      .loss = m->row_losses,
                                                      .logits = m->logits,
                                                      .target = m->input.target,
                                                      .rows = rows,
                                                      .stride = A,
                                                  }));
    if (!m->limits.training) return PF_OK;
    return pf_cross_entropy_run_backward(m->cross_entropy, &(pf_cross_entropy_backward){
                                                               .dlogits = m->logits,
                                                               .logits = m->logits,
                                                               .target = m->input.target,
                                                               .rows = rows,
                                                               .stride = A,
                                                               .scale = scale,
                                                           });
}

pf_status pf_model_backward(pf_model *m)
{
    const int last = m->config.num_hidden_layers - 1;
    PF_TRY(pf_head_backward(m));
    for (int layer = last; layer >= 0 && layer >= m->lowest; layer--) {
        if (layer < last && pf_plan_ends_segment(&m->plan, layer)) PF_TRY(pf_kept_compute_again(m, layer));
        PF_TRY(pf_context(pf_layer_backward(m, layer), "layer %d, backward", layer));
    }
    return m->lowest < 0 ? embed_backward(m) : PF_OK;
}

void pf_model_train_from(pf_model *m, int layer)
{
    m->lowest = layer;
}
