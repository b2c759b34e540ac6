// Columns of attention weights. See weight_columns.h.
#include "infer/weight_columns.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/projection.h"

static size_t width(const pf_weight_columns *c)
{
    return (size_t)pf_model_config(c->model)->hidden_size;
}

static size_t projection_size(const pf_weight_columns *c)
{
    const struct pf_config *config = pf_model_config(c->model);
    return (size_t)config->attention.num_features * (size_t)pf_config_head_size(config);
}

static pf_status create_draws(pf_weight_columns *c, size_t count)
{
    void *memory = NULL;
    if (c->draws == 0) return PF_OK;
    PF_TRY(pf_alloc(&memory, count, sizeof(double), "mean of draws"));
    c->mean = memory;
    PF_TRY(pf_alloc(&memory, count, sizeof(double), "deviation of draws"));
    c->square = memory;
    PF_TRY(pf_alloc(&memory, (size_t)c->draws * projection_size(c), sizeof(float), "projections"));
    c->projections = memory;
    PF_TRY(pf_alloc(&memory, pf_projection_scratch(pf_config_head_size(pf_model_config(c->model))),
                    sizeof(double), "projections"));
    c->scratch = memory;
    return PF_OK;
}

static void free_arrays(pf_weight_columns *c)
{
    void *all[] = {c->values, c->out, c->mean, c->square, c->projections, c->scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) pf_free(all[i]);
    c->values = c->out = c->projections = NULL;
    c->mean = c->square = c->scratch = NULL;
    c->capacity = 0;
}

static pf_status create_arrays(pf_weight_columns *c, size_t length)
{
    const size_t count = length * width(c);
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, count, sizeof(float), "one-hot values"));
    c->values = memory;
    PF_TRY(pf_alloc(&memory, count, sizeof(float), "weights"));
    c->out = memory;
    PF_TRY(create_draws(c, count));
    c->capacity = length;
    return PF_OK;
}

pf_status pf_weight_columns_begin(pf_weight_columns *c, int32_t length)
{
    if ((size_t)length > c->capacity) {
        free_arrays(c);
        PF_TRY(create_arrays(c, (size_t)length));
    }
    c->length = length;
    c->layer = -1;
    return PF_OK;
}

void pf_weight_columns_free(pf_weight_columns *c)
{
    free_arrays(c);
}

// Draw 0 is what models begin with; these come after it.
static void draw_projections(pf_weight_columns *c, int layer)
{
    const struct pf_config *config = pf_model_config(c->model);
    for (int n = 0; n < c->draws; n++) {
        const pf_projection_request request = {
            .num_features = config->attention.num_features,
            .head_size = pf_config_head_size(config),
            .kind = config->attention.projection,
            .row_norm = config->attention.row_norm,
            .seed = c->seed,
            .layer = (uint64_t)layer,
            .draw = (uint64_t)n + 1,
        };
        pf_projection_draw(c->projections + (size_t)n * projection_size(c), &request, c->scratch);
    }
}

// Token first + e has a 1 in number e of every head.
static void set_block(pf_weight_columns *c, int32_t first, int32_t count, float one)
{
    const int32_t E = pf_config_head_size(pf_model_config(c->model));
    const size_t D = width(c);
    for (int32_t e = 0; e < count; e++)
        for (size_t at = (size_t)e; at < D; at += (size_t)E) c->values[(size_t)(first + e) * D + at] = one;
}

static pf_status probe(pf_weight_columns *c, int draw)
{
    return pf_model_probe(
        c->model, &(pf_probe){
                      .layer = c->layer,
                      .values = c->values,
                      .projection = draw < 0 ? NULL : c->projections + (size_t)draw * projection_size(c),
                      .out = c->out,
                  });
}

// Mean and squared differences from it, number by number as they come (Welford 1962).
static void add_draw(pf_weight_columns *c, int draw)
{
    const size_t count = (size_t)c->length * width(c);
    for (size_t i = 0; i < count; i++) {
        const double x = (double)c->out[i], before = draw ? c->mean[i] : 0;
        const double after = before + (x - before) / (draw + 1);
        c->square[i] = (draw ? c->square[i] : 0) + (x - before) * (x - after);
        c->mean[i] = after;
    }
}

static void store_block(const pf_weight_columns *c, int32_t first, int32_t count, bool is_drawn,
                        const pf_weight_maps *out)
{
    const size_t L = (size_t)c->length, D = width(c);
    const size_t E = (size_t)pf_config_head_size(pf_model_config(c->model));
    for (int h = 0; h < out->n_heads; h++)
        for (size_t i = 0; i < L; i++) {
            const size_t from = i * D + (size_t)out->heads[h] * E,
                         to = ((size_t)h * L + i) * L + (size_t)first;
            for (size_t e = 0; e < (size_t)count; e++) {
                out->weights[to + e] = is_drawn ? (float)c->mean[from + e] : c->out[from + e];
                if (!out->deviations) continue;
                out->deviations[to + e] = is_drawn ? (float)sqrt(c->square[from + e] / (c->draws - 1)) : 0;
            }
        }
}

pf_status pf_weight_columns_run(pf_weight_columns *c, int layer, const pf_weight_maps *out)
{
    const struct pf_config *config = pf_model_config(c->model);
    const int32_t E = pf_config_head_size(config);
    const bool is_drawn = c->draws > 0 && pf_config_has_projection(config, layer);
    if (is_drawn && c->layer != layer) draw_projections(c, layer);
    c->layer = layer;
    memset(c->values, 0, (size_t)c->length * width(c) * sizeof *c->values);
    for (int32_t first = 0; first < c->length; first += E) {
        const int32_t count = c->length - first < E ? c->length - first : E;
        set_block(c, first, count, 1);
        if (!is_drawn) PF_TRY(probe(c, -1));
        for (int draw = 0; is_drawn && draw < c->draws; draw++) {
            PF_TRY(probe(c, draw));
            add_draw(c, draw);
        }
        set_block(c, first, count, 0);
        store_block(c, first, count, is_drawn, out);
    }
    return PF_OK;
}
