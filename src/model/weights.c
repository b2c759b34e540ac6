// The weights on the device: two arenas (trained numbers, projections), a third for gradients, and
// views of every tensor. See parts.h.
#include "model/parts.h"

#include "base/memory.h"
#include "model/init.h"

// A view of `count` numbers at `offset` of an arena; NULL stays NULL for what the model lacks.
static pf_status view(pf_weights *w, pf_buffer *arena, size_t offset, size_t count, pf_buffer **out)
{
    if (!arena || offset == PF_ABSENT) return PF_OK;
    void *views = w->views;
    PF_TRY(pf_grow(&views, &w->views_capacity, w->n_views + 1, sizeof *w->views, "views of weights"));
    w->views = views;
    PF_TRY(pf_buffer_slice(arena, offset * sizeof(float), count * sizeof(float), out));
    w->views[w->n_views++] = *out;
    return PF_OK;
}

// What is not trained has no gradient.
static pf_status view_pair(pf_weights *w, size_t offset, size_t count, pf_buffer **weight,
                           pf_buffer **gradient)
{
    PF_TRY(view(w, w->parameters, offset, count, weight));
    return offset < w->trained_size ? view(w, w->gradients, offset, count, gradient) : PF_OK;
}

static pf_status view_norm(pf_weights *w, size_t weight, size_t bias, int D, pf_norm_weights *out)
{
    PF_TRY(view_pair(w, weight, (size_t)D, &out->weight, &out->d_weight));
    return view_pair(w, bias, (size_t)D, &out->bias, &out->d_bias);
}

static pf_status view_linear(pf_weights *w, size_t weight, size_t bias, pf_linear *out)
{
    PF_TRY(view_pair(w, weight, (size_t)out->out * (size_t)out->in, &out->weight, &out->d_weight));
    return view_pair(w, bias, (size_t)out->out, &out->bias, &out->d_bias);
}

static pf_status view_adapters(pf_weights *w, const struct pf_config *c, int layer,
                               const pf_layer_parameters *p)
{
    pf_layer_weights *l = &w->layers[layer];
    pf_linear *const linears[PF_LAYER_LINEARS] = {&l->qkv, &l->output, &l->up, &l->down};
    for (int i = 0; i < PF_LAYER_LINEARS; i++) {
        pf_adapters *a = &w->adapters[layer][i];
        if (!pf_adapters_of(c, layer, i, a)) continue;
        for (int part = 0; part < a->n_parts; part++) {
            const int target = pf_adapters_first_target(i) + part;
            const pf_lora_shape shape = pf_lora_shape_of(c, target);
            pf_adapter *to = &a->part[part];
            const size_t r = (size_t)a->rank;
            PF_TRY(view_pair(w, p->lora_down[target], r * (size_t)shape.in, &to->down, &to->d_down));
            PF_TRY(view_pair(w, p->lora_up[target], r * (size_t)shape.out, &to->up, &to->d_up));
        }
        a->merged = w->merged;
        a->d_merged = w->d_merged;
        linears[i]->adapters = a;
    }
    return PF_OK;
}

static pf_status create_adapters(pf_weights *w, const struct pf_config *c, const pf_parameters *p)
{
    void *memory = NULL;
    if (c->lora.rank == 0) return PF_OK;
    PF_TRY(pf_alloc(&memory, (size_t)c->num_hidden_layers, sizeof *w->adapters, "adapters"));
    w->adapters = memory;
    for (int layer = 0; layer < c->num_hidden_layers; layer++)
        PF_TRY(view_adapters(w, c, layer, &p->layer[layer]));
    return PF_OK;
}

static pf_status view_layer(pf_weights *w, const struct pf_config *c, const pf_layer_parameters *p,
                            pf_layer_weights *out)
{
    const int D = c->hidden_size, F = c->intermediate_size;
    out->qkv = (pf_linear){.in = D, .out = 3 * D};
    out->output = (pf_linear){.in = D, .out = D};
    out->up = (pf_linear){.in = D, .out = F};
    out->down = (pf_linear){.in = F, .out = D};
    PF_TRY(view_norm(w, p->attention_norm_weight, p->attention_norm_bias, D, &out->attention_norm));
    PF_TRY(view_linear(w, p->qkv_weight, p->qkv_bias, &out->qkv));
    PF_TRY(view_linear(w, p->output_weight, p->output_bias, &out->output));
    PF_TRY(view_norm(w, p->feed_forward_norm_weight, p->feed_forward_norm_bias, D, &out->feed_forward_norm));
    PF_TRY(view_linear(w, p->up_weight, p->up_bias, &out->up));
    PF_TRY(view_linear(w, p->down_weight, p->down_bias, &out->down));
    const size_t count = (size_t)c->attention.num_features * (size_t)pf_config_head_size(c);
    return view(w, w->projections, p->projection, count, &out->projection);
}

// Post-norm, h = LN(x + f(h)), is pre-norm whose residual is the normed stream: the norm behind a part is the
// one in front of the next part. So each norm moves one place on, from the embedding's to the final one.
static void shift_norms(pf_weights *w, int n_layers)
{
    pf_norm_weights before = w->embedding_norm;
    for (int layer = 0; layer < n_layers; layer++) {
        pf_layer_weights *l = &w->layers[layer];
        const pf_norm_weights after_attention = l->attention_norm, after_feed_forward = l->feed_forward_norm;
        l->attention_norm = before;
        l->feed_forward_norm = after_attention;
        before = after_feed_forward;
    }
    w->norm = before;
    w->embedding_norm = (pf_norm_weights){0};
}

static pf_status create_arenas(pf_device *device, const pf_plan *plan, pf_weights *w)
{
    PF_TRY(pf_buffer_create(device, plan->parameters, "weights", &w->parameters));
    if (plan->gradients) PF_TRY(pf_buffer_create(device, plan->gradients, "gradients", &w->gradients));
    if (plan->projections)
        PF_TRY(pf_buffer_create(device, plan->projections, "projections", &w->projections));
    if (plan->merged) PF_TRY(pf_buffer_create(device, plan->merged, "merged weights", &w->merged));
    if (plan->d_merged)
        PF_TRY(pf_buffer_create(device, plan->d_merged, "gradient of merged weights", &w->d_merged));
    return PF_OK;
}

pf_status pf_weights_create(pf_device *device, const struct pf_config *c, const pf_parameters *p,
                            const pf_plan *plan, pf_weights *w)
{
    const size_t D = (size_t)c->hidden_size;
    void *memory = NULL;
    w->trained_size = p->trained_size;
    PF_TRY(create_arenas(device, plan, w));
    PF_TRY(pf_alloc(&memory, (size_t)c->num_hidden_layers, sizeof(pf_layer_weights), "layers"));
    w->layers = memory;
    PF_TRY(view_pair(w, p->token_embedding, (size_t)c->vocab_size * D, &w->token, &w->d_token));
    PF_TRY(view_pair(w, p->position_embedding, (size_t)c->max_position_embeddings * D, &w->position,
                     &w->d_position));
    PF_TRY(
        view_norm(w, p->embedding_norm_weight, p->embedding_norm_bias, c->hidden_size, &w->embedding_norm));
    for (int layer = 0; layer < c->num_hidden_layers; layer++)
        PF_TRY(view_layer(w, c, &p->layer[layer], &w->layers[layer]));
    PF_TRY(create_adapters(w, c, p));
    PF_TRY(view_norm(w, p->norm_weight, p->norm_bias, c->hidden_size, &w->norm));
    if (c->norm_placement == PF_NORM_POST) shift_norms(w, c->num_hidden_layers);
    w->transform = (pf_linear){.in = c->hidden_size, .out = c->hidden_size};
    PF_TRY(view_linear(w, p->transform_weight, p->transform_bias, &w->transform));
    PF_TRY(
        view_norm(w, p->transform_norm_weight, p->transform_norm_bias, c->hidden_size, &w->transform_norm));
    w->head = (pf_linear){.in = c->hidden_size, .out = pf_config_outputs(c)};
    return view_linear(w, p->head_weight, p->head_bias, &w->head);
}

void pf_weights_free(pf_weights *w)
{
    for (size_t i = 0; i < w->n_views; i++) pf_buffer_free(w->views[i]);
    pf_buffer_free(w->parameters);
    pf_buffer_free(w->gradients);
    pf_buffer_free(w->projections);
    pf_buffer_free(w->merged);
    pf_buffer_free(w->d_merged);
    pf_free(w->adapters);
    pf_free(w->views);
    pf_free(w->layers);
}
