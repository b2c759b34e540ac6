// One layer of a Performer, forward and backward. Pre-norm, as spec says:
//
//   x_middle = x        + dropout(Wo attention(LN(x)))
//   x_next   = x_middle + dropout(Wdown dropout(act(Wup LN(x_middle) + b)) + b)
//
// Post-norm (BERT), h = LN(x + f(h)), is written the same way: x is the sum that is about to be normalised,
// and what passes a branch by is LN(x) instead of x. (weights.c has moved the norms to where they are
// applied.)
//
// Kept for the backward pass: x, x_middle, LN's statistics, qkv, o, u = Wup LN(x_middle) + b. LN(x) and
// act(u) are made again: that costs a pass over memory each and saves 2D + F numbers a row and layer. The
// backward pass is the forward pass read upward; d_stream is the gradient of the residual stream.
// The forward pass has two parts: what the backward pass needs, and the way on to the next layer.
#include "model/parts.h"

pf_layer_kept *pf_kept(pf_model *m, int layer)
{
    return &m->kept[layer];
}

// Without training there are two stream buffers in turn: x and x_middle of the one kept set, so the stream
// after a layer is where it began.
pf_buffer *pf_stream_after(pf_model *m, int layer)
{
    if (!m->limits.training) return m->kept[0].x;
    return layer + 1 < m->config.num_hidden_layers ? m->kept[layer + 1].x : m->x_last;
}

const pf_dropout *pf_dropout_of(const pf_model *m, int layer, int site, pf_dropout *storage)
{
    if (!m->pass.dropout || m->config.hidden_dropout <= 0) return NULL;
    *storage =
        pf_dropout_at(m->config.hidden_dropout, m->pass.seed, m->pass.step, (uint64_t)(layer * 3 + site));
    return storage;
}

pf_status pf_norm_forward(pf_model *m, const pf_norm_weights *w, pf_buffer *y, const pf_buffer *x,
                          pf_buffer *stat)
{
    return pf_layer_norm_run(m->layer_norm,
                             &(pf_layer_norm_forward){y, stat, x, w->weight, w->bias, m->input.n_rows,
                                                      (float)m->config.layer_norm_eps});
}

pf_status pf_norm_backward(pf_model *m, const pf_norm_weights *w, const pf_norm_gradient *call)
{
    return pf_layer_norm_run_backward(m->layer_norm, &(pf_layer_norm_backward){
                                                         .dx = call->dx,
                                                         .dweight = w->d_weight,
                                                         .dbias = w->d_bias,
                                                         .dy = call->dy,
                                                         .x = call->x,
                                                         .stat = call->stat,
                                                         .weight = w->weight,
                                                         .add = call->add,
                                                         .rows = m->input.n_rows,
                                                     });
}

static bool is_post(const pf_model *m)
{
    return m->config.norm_placement == PF_NORM_POST;
}

static pf_status norm_forward(pf_model *m, const pf_norm_weights *w, const pf_buffer *x, pf_buffer *stat)
{
    return pf_norm_forward(m, w, m->normed, x, stat);
}

// From the gradient of a branch's first product, and past the branch: dh goes into d_branch, then d_stream is
// the gradient of x. Pre-norm what passed by meets it behind the norm, post-norm in front.
static pf_status begin_backward(pf_model *m, const pf_linear *linear, const pf_norm_weights *w,
                                const pf_buffer *d_first, const pf_norm_gradient *norm)
{
    pf_norm_gradient call = *norm;
    PF_TRY(pf_linear_backward_input(m->matmul, linear, m->d_branch, d_first, is_post(m) ? m->d_stream : NULL,
                                    m->input.n_rows));
    call.dx = m->d_stream, call.dy = m->d_branch;
    call.add = is_post(m) ? NULL : m->d_stream;
    return pf_norm_backward(m, w, &call);
}

// out = x + dropout(linear(branch)); without dropout in one pass.
static pf_status add_branch(pf_model *m, const pf_linear *linear, pf_buffer *out, const pf_buffer *x,
                            const pf_buffer *branch, const pf_dropout *dropout)
{
    const int rows = m->input.n_rows;
    if (!dropout) return pf_linear_forward(m->matmul, linear, out, branch, x, rows);
    PF_TRY(pf_linear_forward(m->matmul, linear, m->d_branch, branch, NULL, rows));
    return pf_residual_run(m->residual, &(pf_residual_forward){.y = out,
                                                               .x = x,
                                                               .branch = m->d_branch,
                                                               .place = m->input.place,
                                                               .dropout = dropout,
                                                               .rows = rows});
}

static pf_status rotate(pf_model *m, pf_buffer *qkv, bool backward)
{
    if (!m->rotary) return PF_OK;
    // Queries and keys stand beside each other: one call turns the heads of both.
    return pf_rotary_run(m->rotary, &(pf_rotary_call){
                                        .x = {qkv, 3 * m->config.hidden_size, 0},
                                        .place = m->input.place,
                                        .rows = m->input.n_rows,
                                        .heads = 2 * m->config.num_attention_heads,
                                        .backward = backward,
                                    });
}

static pf_status attention_forward(pf_model *m, int layer)
{
    const pf_layer_weights *w = &m->weights.layers[layer];
    const pf_layer_kept *kept = pf_kept(m, layer);
    pf_dropout storage;
    PF_TRY(norm_forward(m, &w->attention_norm, kept->x, kept->stat)); // h      [N,D]
    PF_TRY(
        pf_linear_forward(m->matmul, &w->qkv, kept->qkv, m->normed, NULL, m->input.n_rows)); // q k v  [N,3D]
    PF_TRY(rotate(m, kept->qkv, false));
    PF_TRY(pf_attention_forward(m, layer)); // o      [N,D]
    return add_branch(m, &w->output, kept->x_middle, is_post(m) ? m->normed : kept->x, kept->attended,
                      pf_dropout_of(m, layer, PF_SITE_ATTENTION, &storage)); // stream [N,D]
}

static pf_status feed_forward_up(pf_model *m, int layer)
{
    const pf_layer_weights *w = &m->weights.layers[layer];
    const pf_layer_kept *kept = pf_kept(m, layer);
    PF_TRY(norm_forward(m, &w->feed_forward_norm, kept->x_middle, kept->stat_middle));           // h [N,D]
    return pf_linear_forward(m->matmul, &w->up, kept->hidden, m->normed, NULL, m->input.n_rows); // u [N,F]
}

static pf_status feed_forward_down(pf_model *m, int layer)
{
    const pf_layer_weights *w = &m->weights.layers[layer];
    const pf_layer_kept *kept = pf_kept(m, layer);
    pf_dropout hidden, branch;
    PF_TRY(pf_activate_run(m->activation, &(pf_activate_forward){
                                              .g = m->activated,
                                              .u = kept->hidden,
                                              .place = m->input.place,
                                              .dropout = pf_dropout_of(m, layer, PF_SITE_HIDDEN, &hidden),
                                              .rows = m->input.n_rows,
                                          })); // g [N,F]
    return add_branch(m, &w->down, pf_stream_after(m, layer), is_post(m) ? m->normed : kept->x_middle,
                      m->activated, pf_dropout_of(m, layer, PF_SITE_FEED_FORWARD, &branch));
}

pf_status pf_layer_forward(pf_model *m, int layer)
{
    PF_TRY(pf_layer_forward_kept(m, layer));
    PF_TRY(pf_kept_pack(m, layer));
    return feed_forward_down(m, layer);
}

pf_status pf_layer_forward_kept(pf_model *m, int layer)
{
    PF_TRY(attention_forward(m, layer));
    return feed_forward_up(m, layer);
}

// The gradient of a branch: d_stream itself, or what dropout let through of it, in m->d_branch.
static pf_status branch_gradient(pf_model *m, const pf_dropout *dropout, const pf_buffer **out)
{
    *out = m->d_stream;
    if (!dropout) return PF_OK;
    *out = m->d_branch;
    return pf_residual_run_backward(m->residual, &(pf_residual_backward){.dbranch = m->d_branch,
                                                                         .dy = m->d_stream,
                                                                         .place = m->input.place,
                                                                         .dropout = dropout,
                                                                         .rows = m->input.n_rows});
}

static pf_status feed_forward_backward(pf_model *m, int layer)
{
    const pf_layer_weights *w = &m->weights.layers[layer];
    const pf_layer_kept *kept = pf_kept(m, layer);
    const int rows = m->input.n_rows;
    const pf_buffer *d_branch = NULL;
    pf_dropout hidden, branch;
    PF_TRY(branch_gradient(m, pf_dropout_of(m, layer, PF_SITE_FEED_FORWARD, &branch), &d_branch)); // [N,D]
    PF_TRY(pf_linear_backward_input(m->matmul, &w->down, m->d_hidden, d_branch, NULL, rows));      // dg [N,F]
    PF_TRY(pf_activate_run_backward(m->activation,
                                    &(pf_activate_backward){
                                        .du = m->d_hidden,
                                        .g = m->activated,
                                        .u = kept->hidden,
                                        .dg = m->d_hidden,
                                        .place = m->input.place,
                                        .dropout = pf_dropout_of(m, layer, PF_SITE_HIDDEN, &hidden),
                                        .rows = rows,
                                    })); // du, and g again
    PF_TRY(pf_linear_backward_weights(m->matmul, m->column_sum, &w->down, d_branch, m->activated, rows));
    PF_TRY(norm_forward(m, &w->feed_forward_norm, kept->x_middle, kept->stat_middle)); // h again
    PF_TRY(pf_linear_backward_weights(m->matmul, m->column_sum, &w->up, m->d_hidden, m->normed, rows));
    return begin_backward(m, &w->up, &w->feed_forward_norm, m->d_hidden,
                          &(pf_norm_gradient){.x = kept->x_middle, .stat = kept->stat_middle}); // dx [N,D]
}

static pf_status attention_backward(pf_model *m, int layer)
{
    const pf_layer_weights *w = &m->weights.layers[layer];
    const pf_layer_kept *kept = pf_kept(m, layer);
    const int rows = m->input.n_rows;
    const pf_buffer *d_branch = NULL;
    pf_dropout storage;
    PF_TRY(branch_gradient(m, pf_dropout_of(m, layer, PF_SITE_ATTENTION, &storage), &d_branch));
    PF_TRY(pf_linear_backward_weights(m->matmul, m->column_sum, &w->output, d_branch, kept->attended, rows));
    // The gradient of o goes into `normed`: d_branch may be what is read here, and h is made again below
    // anyway.
    PF_TRY(pf_linear_backward_input(m->matmul, &w->output, m->normed, d_branch, NULL, rows)); // do [N,D]
    PF_TRY(pf_attention_backward(m, layer)); // dq dk dv [N,3D]
    PF_TRY(rotate(m, m->d_qkv, true));
    PF_TRY(norm_forward(m, &w->attention_norm, kept->x, kept->stat)); // h again
    PF_TRY(pf_linear_backward_weights(m->matmul, m->column_sum, &w->qkv, m->d_qkv, m->normed, rows));
    return begin_backward(m, &w->qkv, &w->attention_norm, m->d_qkv,
                          &(pf_norm_gradient){.x = kept->x, .stat = kept->stat}); // dx [N,D]
}

pf_status pf_layer_backward(pf_model *m, int layer)
{
    PF_TRY(pf_kept_unpack(m, layer));
    PF_TRY(feed_forward_backward(m, layer));
    return attention_backward(m, layer);
}
