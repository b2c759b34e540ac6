// What goes in and out of a model besides batches: weights, metrics, results. See performer.h.
#include "model/parts.h"

const pf_parameters *pf_model_params(const pf_model *m)
{
    return m->params;
}

const struct pf_config *pf_model_config(const pf_model *m)
{
    return &m->config;
}

const pf_model_limits *pf_model_get_limits(const pf_model *m)
{
    return &m->limits;
}

const pf_plan *pf_model_plan(const pf_model *m)
{
    return &m->plan;
}

pf_device *pf_model_device(const pf_model *m)
{
    return m->device;
}

int32_t pf_model_token_number(const pf_model *m, int32_t token)
{
    return m->input.vocabulary.number[token];
}

pf_status pf_model_need_tokens(const pf_model *m)
{
    PF_CHECK(m->config.task.type == PF_TASK_NONE, PF_ERROR_USAGE,
             "the model has a head for labels (task.type) and says nothing of tokens: performer predict, "
             "embed and eval "
             "--labels take it");
    return PF_OK;
}

bool pf_model_keeps_all_keys(const pf_model *m)
{
    return pf_model_has_type(&m->config, PF_ATTENTION_SOFTMAX);
}

pf_buffer *pf_model_parameters(pf_model *m)
{
    return m->weights.parameters;
}

pf_buffer *pf_model_gradients(pf_model *m)
{
    return m->weights.gradients;
}

pf_status pf_model_upload(pf_model *m, const float *parameters, const float *projections)
{
    if (parameters) PF_TRY(pf_buffer_write(m->weights.parameters, 0, parameters, m->plan.parameters));
    if (!projections || !m->weights.projections) return PF_OK;
    return pf_buffer_write(m->weights.projections, 0, projections, m->plan.projections);
}

pf_status pf_model_download(pf_model *m, float *parameters, float *projections)
{
    if (parameters) PF_TRY(pf_buffer_read(m->weights.parameters, 0, parameters, m->plan.parameters));
    if (!projections || !m->weights.projections) return PF_OK;
    return pf_buffer_read(m->weights.projections, 0, projections, m->plan.projections);
}

pf_status pf_model_clear_gradients(pf_model *m)
{
    return pf_buffer_zero(m->weights.gradients, 0, m->plan.gradients);
}

const pf_buffer *pf_model_logits(const pf_model *m)
{
    return m->logits;
}

const pf_buffer *pf_model_layer(const pf_model *m, int captured)
{
    return m->captured[captured];
}

size_t pf_model_logits_count(const pf_model *m)
{
    return (size_t)pf_model_output_rows(m) * (size_t)pf_config_outputs(&m->config);
}

pf_status pf_model_read_logits(pf_model *m, float *out)
{
    return pf_buffer_read(m->logits, 0, out, pf_model_logits_count(m) * sizeof *out);
}

pf_status pf_model_weigh_classes(pf_model *m, const float *weight)
{
    PF_CHECK(m->config.task.type == PF_TASK_CLASSIFICATION, PF_ERROR_USAGE, "weights are for classes");
    return pf_cross_entropy_set_weights(m->cross_entropy, weight);
}

pf_status pf_model_clear_metrics(pf_model *m)
{
    return m->task.squared_error ? pf_squared_error_reset(m->task.squared_error)
                                 : pf_cross_entropy_reset(m->cross_entropy);
}

pf_status pf_model_read_metrics(pf_model *m, pf_metrics *out)
{
    return m->task.squared_error ? pf_squared_error_read(m->task.squared_error, out)
                                 : pf_cross_entropy_read(m->cross_entropy, out);
}

pf_status pf_model_read_target_log_p(pf_model *m, float *out)
{
    const size_t rows = (size_t)pf_model_output_rows(m);
    PF_CHECK(m->row_losses, PF_ERROR_USAGE, "the model was not made to keep the losses of rows");
    PF_TRY(pf_buffer_read(m->row_losses, 0, out, rows * sizeof *out));
    for (size_t n = 0; n < rows; n++) out[n] = -out[n];
    return PF_OK;
}

pf_status pf_model_read_layer(pf_model *m, int captured, float *out)
{
    PF_CHECK(captured >= 0 && captured < m->limits.n_captured, PF_ERROR_USAGE, "captured layer %d of %d",
             captured, m->limits.n_captured);
    return pf_buffer_read(m->captured[captured], 0, out,
                          (size_t)m->input.n_rows * (size_t)m->config.hidden_size * sizeof *out);
}

pf_status pf_model_read_qkv(pf_model *m, int layer, float *out)
{
    return pf_buffer_read(pf_kept(m, layer)->qkv, 0, out,
                          (size_t)m->input.n_rows * 3 * (size_t)m->config.hidden_size * sizeof *out);
}

pf_status pf_model_read_stream(pf_model *m, int layer, float *out)
{
    return pf_buffer_read(pf_stream_after(m, layer), 0, out,
                          (size_t)m->input.n_rows * (size_t)m->config.hidden_size * sizeof *out);
}
