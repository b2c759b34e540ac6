// Carried states to and from the host. See state.h.
#include "model/state.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "model/parts.h"

enum { MOST_TENSORS = 4 }; // of a layer

typedef struct state_shape {
    bool has_favor, has_references, has_keys;
    uint64_t heads, features, columns; // of FAVOR
    uint64_t rows, width;              // of keys
} state_shape;

static int32_t first_key(const pf_model *m, int layer, int32_t position)
{
    const bool is_exact = pf_config_layer_type(&m->config, layer) == PF_ATTENTION_SOFTMAX;
    return is_exact ? 0 : pf_window_first(&m->config, position);
}

static state_shape shape_of(const pf_model *m, int layer, int32_t position)
{
    const struct pf_config *c = &m->config;
    const pf_favor_config favor = pf_favor_config_of(c, false);
    const bool is_exact = pf_config_layer_type(c, layer) == PF_ATTENTION_SOFTMAX;
    state_shape s = {.has_favor = !is_exact && favor.n_heads > 0,
                     .has_keys = is_exact || c->attention.local_heads > 0};
    if (s.has_favor) {
        s.has_references = pf_favor_state_has_references(&favor);
        s.heads = (uint64_t)favor.n_heads;
        s.features = (uint64_t)pf_favor_state_features(&favor);
        s.columns = (uint64_t)favor.head_size + 1;
    }
    if (s.has_keys) {
        s.rows = (uint64_t)(position - first_key(m, layer, position));
        s.width = (uint64_t)(is_exact ? c->hidden_size : c->attention.local_heads * favor.head_size);
    }
    return s;
}

static void add(pf_state_layout *layout, int layer, const char *name, uint64_t a, uint64_t b, uint64_t c)
{
    pf_state_tensor *t = &layout->tensor[layout->n_tensors++];
    snprintf(t->name, sizeof t->name, "layers.%d.attention.%s", layer, name);
    t->rank = c ? 3 : 2;
    t->shape[0] = a, t->shape[1] = b, t->shape[2] = c;
    t->offset = layout->count;
    t->count = (size_t)(a * b * (c ? c : 1));
    layout->count += t->count;
}

pf_status pf_state_layout_create(const pf_model *m, int32_t position, pf_state_layout *out)
{
    const int n_layers = m->config.num_hidden_layers;
    void *memory = NULL;
    pf_state_layout layout = {0};
    PF_TRY(pf_alloc(&memory, (size_t)n_layers * MOST_TENSORS, sizeof(pf_state_tensor), "carried state"));
    layout.tensor = memory;
    for (int l = 0; l < n_layers; l++) {
        const state_shape s = shape_of(m, l, position);
        if (s.has_favor) add(&layout, l, "state", s.heads, s.features, s.columns);
        if (s.has_references) add(&layout, l, "reference", s.heads, s.features, 0);
        if (s.has_keys) add(&layout, l, "keys", s.rows, s.width, 0);
        if (s.has_keys) add(&layout, l, "values", s.rows, s.width, 0);
    }
    *out = layout;
    return PF_OK;
}

void pf_state_layout_free(pf_state_layout *layout)
{
    pf_free(layout->tensor);
    *layout = (pf_state_layout){0};
}

// One layer of a sequence on its way: where its numbers are in the flat array, and as the device has them.
typedef struct transfer {
    pf_model *model;
    int layer;
    int32_t number, position;
    state_shape shape;
    float *flat;   // of this layer
    float *device; // as large as any part of a layer
} transfer;

static size_t favor_numbers(const state_shape *s)
{
    return (size_t)(s->heads * s->features * (s->columns + (s->has_references ? 1 : 0)));
}

static pf_status move_favor(const transfer *t, bool to_device)
{
    const pf_favor_config favor = pf_favor_config_of(&t->model->config, false);
    const size_t bytes = pf_favor_state_bytes(&favor, 1), at = (size_t)t->number * bytes;
    pf_buffer *state = t->model->kept[t->layer].state;
    const size_t sums = (size_t)(t->shape.heads * t->shape.features * t->shape.columns);
    float *references = t->shape.has_references ? t->flat + sums : NULL;
    if (to_device) {
        pf_favor_state_pack(&favor, t->flat, references, t->device);
        return pf_buffer_write(state, at, t->device, bytes);
    }
    PF_TRY(pf_buffer_read(state, at, t->device, bytes));
    pf_favor_state_unpack(&favor, t->device, t->flat, references);
    return PF_OK;
}

// Keys and values stand beside each other in a row of the device's, behind each other in the flat array.
static pf_status move_keys(const transfer *t, bool to_device)
{
    const pf_key_cache *cache = pf_cache_of(t->model, t->layer);
    const size_t rows = (size_t)t->shape.rows, width = (size_t)t->shape.width,
                 width_bytes = width * sizeof(float);
    const int32_t first = first_key(t->model, t->layer, t->position) - cache->first;
    const size_t at = ((size_t)t->number * (size_t)cache->rows + (size_t)first) * 2 * width_bytes;
    pf_buffer *buffer = t->model->kept[t->layer].cache;
    float *keys = t->flat + (t->shape.has_favor ? favor_numbers(&t->shape) : 0),
          *values = keys + rows * width;
    if (!to_device) PF_TRY(pf_buffer_read(buffer, at, t->device, rows * 2 * width_bytes));
    for (size_t r = 0; r < rows; r++) {
        float *key = t->device + 2 * r * width, *value = key + width;
        memcpy(to_device ? key : keys + r * width, to_device ? keys + r * width : key, width_bytes);
        memcpy(to_device ? value : values + r * width, to_device ? values + r * width : value, width_bytes);
    }
    return to_device ? pf_buffer_write(buffer, at, t->device, rows * 2 * width_bytes) : PF_OK;
}

static pf_status move_state(pf_model *m, int32_t number, int32_t position, float *flat, bool to_device)
{
    const pf_favor_config favor = pf_favor_config_of(&m->config, false);
    pf_state_layout layout;
    void *memory = NULL;
    pf_status status;
    PF_TRY(pf_state_layout_create(m, position, &layout));
    const size_t room = layout.count + (m->favor ? pf_favor_state_bytes(&favor, 1) / sizeof(float) : 0);
    transfer t = {.model = m, .number = number, .position = position, .flat = flat};
    PF_TRY_OR(done, pf_alloc(&memory, room, sizeof(float), "carried state"));
    t.device = memory;
    for (t.layer = 0; t.layer < m->config.num_hidden_layers; t.layer++) {
        t.shape = shape_of(m, t.layer, position);
        if (t.shape.has_favor) PF_TRY_OR(done, move_favor(&t, to_device));
        if (t.shape.has_keys) PF_TRY_OR(done, move_keys(&t, to_device));
        t.flat +=
            (t.shape.has_favor ? favor_numbers(&t.shape) : 0) + 2 * (size_t)(t.shape.rows * t.shape.width);
    }
done:
    pf_free(memory);
    pf_state_layout_free(&layout);
    return status;
}

pf_status pf_model_read_state(pf_model *m, int32_t number, int32_t position, float *out)
{
    return move_state(m, number, position, out, false);
}

pf_status pf_model_write_state(pf_model *m, int32_t number, int32_t position, const float *state)
{
    m->window.first = pf_window_first(&m->config, position);
    return move_state(m, number, position, (float *)(uintptr_t)state, true); // only read on this way
}

static pf_status copy_part(pf_buffer *buffer, size_t each, size_t bytes, int32_t from, int32_t to)
{
    return buffer ? pf_buffer_copy(buffer, (size_t)to * each, buffer, (size_t)from * each, bytes) : PF_OK;
}

pf_status pf_model_copy_state(pf_model *m, int32_t from, int32_t to, int32_t position)
{
    const pf_favor_config favor = pf_favor_config_of(&m->config, false);
    const size_t state_bytes = pf_favor_state_bytes(&favor, 1);
    for (int layer = 0; layer < m->config.num_hidden_layers; layer++) {
        const pf_key_cache *cache = pf_cache_of(m, layer);
        const size_t row_bytes = 2 * (size_t)cache->width * sizeof(float);
        PF_TRY(copy_part(m->kept[layer].state, state_bytes, state_bytes, from, to));
        PF_TRY(copy_part(m->kept[layer].cache, (size_t)cache->rows * row_bytes,
                         (size_t)(position - cache->first) * row_bytes, from, to));
    }
    return PF_OK;
}
