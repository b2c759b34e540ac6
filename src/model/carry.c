// What a causal model carries from pass to pass besides FAVOR's sums: keys and values of exact heads. Layers
// of exact attention keep all of them; local heads, of which a token sees a window, keep as many as a window
// still reaches, so their memory does not grow with the sequence. See parts.h.
//
// A cache has the same rows for each sequence, those of position `first` on: 0 or a multiple of
// PF_CHUNK_ROWS, so that tiles of keys begin where they do in a whole sequence, and the bits are the same.
#include "model/parts.h"

#include "base/memory.h"

int32_t pf_window_first(const struct pf_config *config, int32_t position)
{
    const int64_t first = (int64_t)position - (config->attention.window - 1);
    return first > 0 ? (int32_t)(first / PF_CHUNK_ROWS * PF_CHUNK_ROWS) : 0;
}

int32_t pf_window_rows(const struct pf_config *config, const pf_model_limits *limits)
{
    // Twice what a window needs, so that what is still needed can move to the front without overlap.
    const int64_t kept = (int64_t)config->attention.window - 1 + PF_CHUNK_ROWS - 1;
    const int64_t rows = 2 * kept + pf_carry_tokens(limits);
    return rows < limits->max_length ? (int32_t)rows : limits->max_length;
}

static bool is_exact(const pf_model *m, int layer)
{
    return pf_config_layer_type(&m->config, layer) == PF_ATTENTION_SOFTMAX;
}

pf_key_cache *pf_cache_of(pf_model *m, int layer)
{
    return is_exact(m, layer) ? &m->whole : &m->window;
}

static pf_status create_cache(pf_model *m, int32_t rows, int32_t width, pf_key_cache *cache)
{
    const size_t count = (size_t)pf_carry_sequences(&m->limits);
    void *memory = NULL;
    cache->rows = rows;
    cache->width = width;
    PF_TRY(pf_buffer_create(m->device, count * sizeof(pf_key_range), "key ranges", &cache->ranges));
    PF_TRY(pf_alloc(&memory, count, sizeof(pf_key_range), "key ranges"));
    cache->host_ranges = memory;
    return PF_OK;
}

pf_status pf_carry_create(pf_model *m)
{
    const int E = pf_config_head_size(&m->config);
    if (!m->limits.carry) return PF_OK;
    if (m->exact) PF_TRY(create_cache(m, m->limits.max_length, m->config.hidden_size, &m->whole));
    if (!m->local) return PF_OK;
    return create_cache(m, pf_window_rows(&m->config, &m->limits), m->config.attention.local_heads * E,
                        &m->window);
}

void pf_carry_free(pf_model *m)
{
    pf_buffer_free(m->whole.ranges);
    pf_buffer_free(m->window.ranges);
    pf_free(m->whole.host_ranges);
    pf_free(m->window.host_ranges);
}

// Lets the windows begin at position `first`: the rows from there to `position` move to the front.
static pf_status move_windows(pf_model *m, int32_t first, int32_t position)
{
    const pf_key_cache *cache = &m->window;
    const size_t row_bytes = 2 * (size_t)cache->width * sizeof(float);
    const size_t from = (size_t)(first - cache->first), count = (size_t)(position - first);
    for (int layer = 0; layer < m->config.num_hidden_layers; layer++) {
        pf_buffer *keys = m->kept[layer].cache;
        if (is_exact(m, layer)) continue;
        for (int32_t b = 0; b < m->input.n_sequences; b++) {
            const size_t to = (size_t)b * (size_t)cache->rows;
            PF_TRY(pf_buffer_copy(keys, to * row_bytes, keys, (to + from) * row_bytes, count * row_bytes));
        }
    }
    m->window.first = first;
    return PF_OK;
}

static pf_status place_keys(const pf_input *input, int32_t position, pf_key_cache *cache)
{
    const int32_t place = position - cache->first;
    for (int32_t b = 0; b < input->n_sequences; b++)
        cache->host_ranges[b] = (pf_key_range){b * cache->rows, place + input->lengths[b], place, 0};
    return pf_buffer_write(cache->ranges, 0, cache->host_ranges,
                           (size_t)input->n_sequences * sizeof(pf_key_range));
}

pf_status pf_carry_begin(pf_model *m, const pf_batch *batch)
{
    const int32_t position = m->pass.first_position, most = pf_carry_sequences(&m->limits);
    PF_CHECK(m->limits.carry, PF_ERROR_USAGE, "the model was not made to carry a state from pass to pass");
    PF_CHECK(batch->n_sequences <= most && batch->longest <= pf_carry_tokens(&m->limits), PF_ERROR_USAGE,
             "%d sequences of up to %d tokens go on, the model carries %d of up to %d a pass",
             batch->n_sequences, batch->longest, most, pf_carry_tokens(&m->limits));
    if (m->exact) PF_TRY(place_keys(&m->input, position, &m->whole));
    if (!m->local) return PF_OK;
    if (position == 0) m->window.first = 0;
    if (position + batch->longest - m->window.first > m->window.rows)
        PF_TRY(move_windows(m, pf_window_first(&m->config, position), position));
    return place_keys(&m->input, position, &m->window);
}

// Rows of keys (part 0) or values (part 1) of all of a layer's cache.
static pf_buffer_rows part_of(const pf_layer_kept *kept, const pf_key_cache *cache, int32_t row, int part)
{
    const size_t width = (size_t)cache->width * sizeof(float);
    return (pf_buffer_rows){kept->cache, ((size_t)row * 2 + (size_t)part) * width, 2 * width};
}

pf_status pf_carry_keys(pf_model *m, int layer, pf_rows *k, pf_rows *v)
{
    const pf_layer_kept *kept = pf_kept(m, layer);
    const pf_key_cache *cache = pf_cache_of(m, layer);
    const size_t D = (size_t)m->config.hidden_size, width = (size_t)cache->width, number = sizeof(float);
    for (int32_t b = 0; b < m->input.n_sequences; b++) {
        const pf_key_range *range = &cache->host_ranges[b];
        const pf_sequence *sequence = &m->input.sequences->host_sequences[b];
        for (int part = 0; part < 2; part++) {
            const size_t first = (size_t)sequence->first_row * 3 * D + (size_t)(1 + part) * D;
            PF_TRY(pf_buffer_copy_rows(part_of(kept, cache, range->first_row + range->place, part),
                                       (pf_buffer_rows){kept->qkv, first * number, 3 * D * number},
                                       width * number, (size_t)sequence->length));
        }
    }
    *k = (pf_rows){kept->cache, 2 * cache->width, 0};
    *v = (pf_rows){kept->cache, 2 * cache->width, cache->width};
    return PF_OK;
}
