// The head: from the stream after the last layer to logits, and back.
//
//   h = LN(x),  logits = head(h)                          as spec says
//   u = W h + b,  logits = head(LN(act(u)))               with head_transform (BERT, ESM)
//   logits = task(h)  or  task(mean of h over residues)   of a task
//
// Kept for the backward pass: h (in `normed`) and LN's statistics; of a transform u, act(u), LN(act(u)) as
// well.
#include "model/parts.h"

#include "base/memory.h"

static pf_status buffer(pf_model *m, size_t bytes, const char *name, pf_buffer **out)
{
    return pf_buffer_create(m->device, bytes, name, out);
}

bool pf_head_has_transform(const struct pf_config *config)
{
    return config->head_transform && config->task.type == PF_TASK_NONE;
}

pf_status pf_head_create(pf_model *m)
{
    pf_head_kept *h = &m->head;
    if (!pf_head_has_transform(&m->config)) return PF_OK;
    PF_TRY(pf_activate_create(m->device, m->config.hidden_act, m->config.hidden_size, false,
                              &m->head_activation));
    PF_TRY(buffer(m, m->plan.stream, "hidden units of the head", &h->u));
    PF_TRY(buffer(m, m->plan.stream, "normalised units of the head", &h->normed));
    PF_TRY(buffer(m, m->plan.stat, "norm statistics", &h->stat));
    if (m->limits.training) return buffer(m, m->plan.stream, "activations of the head", &h->activated);
    h->activated = h->u;
    return PF_OK;
}

void pf_head_free(pf_model *m)
{
    pf_head_kept *h = &m->head;
    pf_activate_free(m->head_activation);
    if (h->activated != h->u) pf_buffer_free(h->activated);
    pf_buffer_free(h->u);
    pf_buffer_free(h->normed);
    pf_buffer_free(h->stat);
}

// What the head itself reads.
static const pf_buffer *read_by_head(const pf_model *m)
{
    if (pf_head_pools(&m->config)) return m->task.pooled;
    return pf_head_has_transform(&m->config) ? m->head.normed : m->normed;
}

static pf_status transform(pf_model *m)
{
    const pf_head_kept *h = &m->head;
    const int rows = m->input.n_rows;
    PF_TRY(pf_linear_forward(m->matmul, &m->weights.transform, h->u, m->normed, NULL, rows));
    PF_TRY(pf_activate_run(
        m->head_activation,
        &(pf_activate_forward){.g = h->activated, .u = h->u, .place = m->input.place, .rows = rows}));
    return pf_norm_forward(m, &m->weights.transform_norm, h->normed, h->activated, h->stat);
}

pf_status pf_head_forward(pf_model *m)
{
    if (pf_head_has_transform(&m->config)) PF_TRY(transform(m));
    if (pf_head_pools(&m->config)) PF_TRY(pf_task_pool(m));
    return pf_linear_forward(m->matmul, &m->weights.head, m->logits, read_by_head(m), NULL,
                             pf_model_output_rows(m));
}

// The gradient of what the head reads, in d_branch, becomes that of h, there again. d_stream is free yet.
static pf_status transform_backward(pf_model *m)
{
    const pf_head_kept *h = &m->head;
    const pf_linear *linear = &m->weights.transform;
    const int rows = m->input.n_rows;
    PF_TRY(pf_norm_backward(
        m, &m->weights.transform_norm,
        &(pf_norm_gradient){
            .dx = m->d_stream, .dy = m->d_branch, .x = h->activated, .stat = h->stat})); // dact
    PF_TRY(pf_activate_run_backward(
        m->head_activation,
        &(pf_activate_backward){
            .du = m->d_stream, .u = h->u, .dg = m->d_stream, .place = m->input.place, .rows = rows})); // du
    PF_TRY(pf_linear_backward_weights(m->matmul, m->column_sum, linear, m->d_stream, m->normed, rows));
    return pf_linear_backward_input(m->matmul, linear, m->d_branch, m->d_stream, NULL, rows); // dh
}

pf_status pf_head_backward(pf_model *m)
{
    const pf_linear *head = &m->weights.head;
    const bool pools = pf_head_pools(&m->config);
    const int rows = pf_model_output_rows(m);
    PF_TRY(pf_linear_backward_weights(m->matmul, m->column_sum, head, m->logits, read_by_head(m), rows));
    PF_TRY(pf_linear_backward_input(m->matmul, head, pools ? m->task.pooled : m->d_branch, m->logits, NULL,
                                    rows));
    if (pools) PF_TRY(pf_task_pool_backward(m));
    if (pf_head_has_transform(&m->config)) PF_TRY(transform_backward(m));
    const pf_buffer *last = pf_stream_after(m, m->config.num_hidden_layers - 1);
    return pf_norm_backward(
        m, &m->weights.norm,
        &(pf_norm_gradient){.dx = m->d_stream, .dy = m->d_branch, .x = last, .stat = m->stat_last});
}
