// The heads of a layer: FAVOR, exact softmax, or FAVOR with a few exact heads over a window.
//
//   q, k, v are the columns of qkv [N,3D]; head h owns columns h*E .. h*E+E-1 of each and of o [N,D]
//
// Kept for the backward pass: qkv, o, and a number per row and head (FAVOR also S [M,E+1] per
// sequence and head). Sources: Choromanski et al. 2021 (arXiv:2009.14794); Vaswani et al. 2017.
#include "model/parts.h"

bool pf_model_has_type(const struct pf_config *config, pf_attention_type type)
{
    for (int layer = 0; layer < config->num_hidden_layers; layer++)
        if (pf_config_layer_type(config, layer) == type) return true;
    return false;
}

pf_favor_config pf_favor_config_of(const struct pf_config *config, bool trains)
{
    const struct pf_attention_config *a = &config->attention;
    return (pf_favor_config){
        .first_head = a->local_heads,
        .n_heads = config->num_attention_heads - a->local_heads,
        .head_size = pf_config_head_size(config),
        .n_features = a->num_features,
        .kernel = a->kernel,
        .projected = a->projection != PF_PROJECTION_NONE,
        .causal = config->objective == PF_OBJECTIVE_CLM,
        .renormalize = a->renormalize,
        .trains = trains,
        .epsilon = (float)a->epsilon,
        .softmax_epsilon = (float)a->softmax_epsilon,
        .oprf_s = (float)a->oprf_s,
    };
}

pf_softmax_attention_config pf_exact_config_of(const struct pf_config *config, bool is_local, bool trains)
{
    return (pf_softmax_attention_config){
        .n_heads = is_local ? config->attention.local_heads : config->num_attention_heads,
        .head_size = pf_config_head_size(config),
        .causal = config->objective == PF_OBJECTIVE_CLM,
        .window = is_local ? config->attention.window : 0,
        .has_backward = trains,
    };
}

pf_status pf_attention_create(pf_model *m)
{
    const bool trains = m->limits.training;
    const pf_favor_config favor = pf_favor_config_of(&m->config, trains);
    const pf_softmax_attention_config exact = pf_exact_config_of(&m->config, false, trains);
    const pf_softmax_attention_config local = pf_exact_config_of(&m->config, true, trains);
    const bool has_favor = pf_model_has_type(&m->config, PF_ATTENTION_FAVOR);
    if (has_favor && favor.n_heads > 0) PF_TRY(pf_favor_create(m->device, &favor, &m->favor));
    if (has_favor && local.n_heads > 0) PF_TRY(pf_softmax_attention_create(m->device, &local, &m->local));
    if (pf_model_has_type(&m->config, PF_ATTENTION_SOFTMAX))
        PF_TRY(pf_softmax_attention_create(m->device, &exact, &m->exact));
    return PF_OK;
}

void pf_attention_free(pf_model *m)
{
    pf_favor_free(m->favor);
    pf_softmax_attention_free(m->exact);
    pf_softmax_attention_free(m->local);
}

typedef struct qkv_rows {
    pf_rows q, k, v;
} qkv_rows;

static qkv_rows columns(const pf_model *m, const pf_buffer *qkv)
{
    const int32_t D = m->config.hidden_size;
    return (qkv_rows){{qkv, 3 * D, 0}, {qkv, 3 * D, D}, {qkv, 3 * D, 2 * D}};
}

static pf_status exact_forward(pf_model *m, pf_softmax_attention *op, int layer, qkv_rows rows)
{
    const pf_layer_kept *kept = pf_kept(m, layer);
    const bool carry = m->pass.carry;
    if (carry) PF_TRY(pf_carry_keys(m, layer, &rows.k, &rows.v));
    return pf_softmax_attention_run(op, &(pf_softmax_attention_forward){
                                            .o = {kept->attended, m->config.hidden_size, 0},
                                            .q = rows.q,
                                            .k = rows.k,
                                            .v = rows.v,
                                            .log_sum = m->limits.training ? kept->log_sum : NULL,
                                            .sequences = m->input.sequences,
                                            .keys = carry ? pf_cache_of(m, layer)->ranges : NULL,
                                        });
}

pf_status pf_attention_forward_of(pf_model *m, int layer, const pf_buffer *values,
                                  const pf_buffer *projection)
{
    const pf_layer_kept *kept = pf_kept(m, layer);
    qkv_rows rows = columns(m, kept->qkv);
    if (values) rows.v = (pf_rows){values, m->config.hidden_size, 0};
    const bool causal = m->config.objective == PF_OBJECTIVE_CLM;
    if (pf_config_layer_type(&m->config, layer) == PF_ATTENTION_SOFTMAX)
        return exact_forward(m, m->exact, layer, rows);
    if (m->local) PF_TRY(exact_forward(m, m->local, layer, rows));
    if (!m->favor) return PF_OK;
    return pf_favor_run(m->favor,
                        &(pf_favor_forward){
                            .o = {kept->attended, m->config.hidden_size, 0},
                            .q = rows.q,
                            .k = rows.k,
                            .v = rows.v,
                            .projection = projection ? projection : m->weights.layers[layer].projection,
                            .sequences = m->input.sequences,
                            .state = causal && !m->pass.carry ? NULL : kept->state,
                            .normalizer = kept->normalizer,
                            .scratch = m->scratch,
                            .resume = m->pass.carry && m->pass.first_position > 0,
                        });
}

pf_status pf_attention_forward(pf_model *m, int layer)
{
    return pf_attention_forward_of(m, layer, NULL, NULL);
}

static pf_status exact_backward(pf_model *m, pf_softmax_attention *op, const pf_layer_kept *kept)
{
    const qkv_rows rows = columns(m, kept->qkv), d = columns(m, m->d_qkv);
    const int32_t D = m->config.hidden_size;
    return pf_softmax_attention_run_backward(op, &(pf_softmax_attention_backward){
                                                     .dq = d.q,
                                                     .dk = d.k,
                                                     .dv = d.v,
                                                     .q = rows.q,
                                                     .k = rows.k,
                                                     .v = rows.v,
                                                     .o = {kept->attended, D, 0},
                                                     .d_o = {m->normed, D, 0},
                                                     .log_sum = kept->log_sum,
                                                     .delta = m->delta,
                                                     .sequences = m->input.sequences,
                                                 });
}

pf_status pf_attention_backward(pf_model *m, int layer)
{
    const pf_layer_kept *kept = pf_kept(m, layer);
    const qkv_rows rows = columns(m, kept->qkv), d = columns(m, m->d_qkv);
    const int32_t D = m->config.hidden_size;
    if (pf_config_layer_type(&m->config, layer) == PF_ATTENTION_SOFTMAX)
        return exact_backward(m, m->exact, kept);
    if (m->local) PF_TRY(exact_backward(m, m->local, kept));
    if (!m->favor) return PF_OK;
    return pf_favor_run_backward(m->favor, &(pf_favor_backward){
                                               .dq = d.q,
                                               .dk = d.k,
                                               .dv = d.v,
                                               .gradient = {m->normed, D, 0},
                                               .o = {kept->attended, D, 0},
                                               .q = rows.q,
                                               .k = rows.k,
                                               .v = rows.v,
                                               .projection = m->weights.layers[layer].projection,
                                               .sequences = m->input.sequences,
                                               .state = kept->state,
                                               .normalizer = kept->normalizer,
                                               .scratch = m->scratch,
                                           });
}
