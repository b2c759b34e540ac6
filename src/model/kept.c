// What lies between the forward and the backward pass: buffers of layers, shared as the rule in plan.h says,
// and in 16 bits where compute.storage asks for it. See parts.h.
#include "model/parts.h"

#include "base/memory.h"

static pf_status buffer(pf_model *m, size_t bytes, const char *name, pf_buffer **out)
{
    return bytes ? pf_buffer_create(m->device, bytes, name, out) : PF_OK;
}

static pf_status create_work(pf_model *m, pf_layer_kept *k)
{
    const pf_plan *p = &m->plan;
    PF_TRY(buffer(m, p->stream, "residual stream", &k->x_middle));
    PF_TRY(buffer(m, p->qkv, "queries, keys, values", &k->qkv));
    PF_TRY(buffer(m, p->attended, "attention output", &k->attended));
    return buffer(m, p->hidden, "hidden units", &k->hidden);
}

static pf_status create_small(pf_model *m, pf_layer_kept *k)
{
    const pf_plan *p = &m->plan;
    PF_TRY(buffer(m, p->stat, "norm statistics", &k->stat));
    PF_TRY(buffer(m, p->stat, "norm statistics", &k->stat_middle));
    PF_TRY(buffer(m, p->normalizer, "attention normalizer", &k->normalizer));
    return buffer(m, p->log_sum, "attention normalizer", &k->log_sum);
}

static pf_status create_packed(pf_model *m, pf_layer_packed *k)
{
    const pf_plan *p = &m->plan;
    PF_TRY(buffer(m, p->stream / 2, "packed residual stream", &k->x_middle));
    PF_TRY(buffer(m, p->qkv / 2, "packed queries, keys, values", &k->qkv));
    PF_TRY(buffer(m, p->attended / 2, "packed attention output", &k->attended));
    return buffer(m, p->hidden / 2, "packed hidden units", &k->hidden);
}

// With carry every layer has a state of its own, else it goes with the statistics.
static bool has_own_state(const pf_model *m, int layer)
{
    return m->limits.carry || pf_plan_layer(&m->plan, layer).small;
}

static pf_status create_state(pf_model *m, int layer, pf_layer_kept *k)
{
    const bool is_exact = pf_config_layer_type(&m->config, layer) == PF_ATTENTION_SOFTMAX;
    k->state = k->cache = NULL;
    if (!m->limits.carry || !is_exact) PF_TRY(buffer(m, m->plan.state, "attention state", &k->state));
    return buffer(m, is_exact ? m->plan.cache : m->plan.window, "carried keys and values", &k->cache);
}

// A layer sees the buffers of the one that has its place in the first segment, but for those of its own.
static pf_status create_layer(pf_model *m, int layer)
{
    const pf_layer_buffers own = pf_plan_layer(&m->plan, layer);
    const int first = layer % m->plan.segment;
    pf_layer_kept *k = &m->kept[layer];
    *k = m->kept[first];
    if (m->plan.packed) {
        const pf_layer_kept *work = &m->kept[0];
        k->x = work->x, k->x_middle = work->x_middle;
        k->qkv = work->qkv, k->attended = work->attended, k->hidden = work->hidden;
    }
    if (own.work) PF_TRY(create_work(m, k));
    if (own.x) k->x = NULL;
    if (own.x) PF_TRY(buffer(m, m->plan.stream, "residual stream", &k->x));
    if (own.small) PF_TRY(create_small(m, k));
    if (own.packed) PF_TRY(create_packed(m, &k->packed));
    if (own.packed_x) k->packed.x = NULL;
    if (own.packed_x) PF_TRY(buffer(m, m->plan.stream / 2, "packed residual stream", &k->packed.x));
    return has_own_state(m, layer) ? create_state(m, layer, k) : PF_OK;
}

pf_status pf_kept_create(pf_model *m)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, (size_t)m->config.num_hidden_layers, sizeof(pf_layer_kept), "layers"));
    m->kept = memory;
    if (m->plan.packed) PF_TRY(pf_storage_op_create(m->device, m->config.compute.storage, &m->storage));
    for (int layer = 0; layer < m->config.num_hidden_layers; layer++) PF_TRY(create_layer(m, layer));
    return PF_OK;
}

static void free_all(pf_buffer *const *buffers, size_t count)
{
    for (size_t i = 0; i < count; i++) pf_buffer_free(buffers[i]);
}

static void free_layer(pf_model *m, int layer)
{
    const pf_layer_kept *k = &m->kept[layer];
    const pf_layer_buffers own = pf_plan_layer(&m->plan, layer);
    if (own.work) free_all((pf_buffer *[]){k->x_middle, k->qkv, k->attended, k->hidden}, 4);
    if (own.x) pf_buffer_free(k->x);
    if (own.small) free_all((pf_buffer *[]){k->stat, k->stat_middle, k->normalizer, k->log_sum}, 4);
    const pf_layer_packed *p = &k->packed;
    if (own.packed) free_all((pf_buffer *[]){p->x_middle, p->qkv, p->attended, p->hidden}, 4);
    if (own.packed_x) pf_buffer_free(p->x);
    if (has_own_state(m, layer)) free_all((pf_buffer *[]){k->state, k->cache}, 2);
}

void pf_kept_free(pf_model *m)
{
    for (int layer = 0; m->kept && layer < m->config.num_hidden_layers; layer++) free_layer(m, layer);
    pf_storage_op_free(m->storage);
    pf_free(m->kept);
}

static pf_status pack(pf_model *m, pf_buffer *to, const pf_buffer *from, int width)
{
    return pf_storage_pack(m->storage, &(pf_storage_call){to, from, m->input.n_rows, width});
}

static pf_status unpack(pf_model *m, pf_buffer *to, const pf_buffer *from, int width)
{
    return pf_storage_unpack(m->storage, &(pf_storage_call){to, from, m->input.n_rows, width});
}

pf_status pf_kept_pack(pf_model *m, int layer)
{
    const pf_layer_kept *k = pf_kept(m, layer);
    const int D = m->config.hidden_size;
    if (pf_plan_packs_x(&m->plan, layer)) PF_TRY(pack(m, k->packed.x, k->x, D));
    if (!pf_plan_packs(&m->plan, layer)) return PF_OK;
    PF_TRY(pack(m, k->packed.x_middle, k->x_middle, D));
    PF_TRY(pack(m, k->packed.qkv, k->qkv, 3 * D));
    PF_TRY(pack(m, k->packed.attended, k->attended, D));
    return pack(m, k->packed.hidden, k->hidden, m->config.intermediate_size);
}

pf_status pf_kept_unpack(pf_model *m, int layer)
{
    const pf_layer_kept *k = pf_kept(m, layer);
    const int D = m->config.hidden_size;
    if (!pf_plan_packs(&m->plan, layer)) return PF_OK;
    PF_TRY(unpack(m, k->x, k->packed.x, D));
    PF_TRY(unpack(m, k->x_middle, k->packed.x_middle, D));
    PF_TRY(unpack(m, k->qkv, k->packed.qkv, 3 * D));
    PF_TRY(unpack(m, k->attended, k->packed.attended, D));
    return unpack(m, k->hidden, k->packed.hidden, m->config.intermediate_size);
}

pf_status pf_kept_compute_again(pf_model *m, int last)
{
    const int first = last - last % m->plan.segment;
    const pf_layer_kept *k = pf_kept(m, first);
    if (m->plan.packed) PF_TRY(unpack(m, k->x, k->packed.x, m->config.hidden_size));
    for (int layer = first; layer < last; layer++)
        PF_TRY(pf_context(pf_layer_forward(m, layer), "layer %d, forward again", layer));
    return pf_context(pf_layer_forward_kept(m, last), "layer %d, forward again", last);
}
