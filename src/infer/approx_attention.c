// Exact attention and its estimates on the queries, keys and values of some layers. See approx_parts.h.
#include <math.h>

#include "base/memory.h"
#include "base/random.h"
#include "infer/approx_parts.h"
#include "model/projection.h"
#include "ops/favor.h"
#include "ops/softmax_attention.h"

static size_t width(const pf_approx_tensors *t) // D
{
    return (size_t)t->n_heads * (size_t)t->head_size;
}

static size_t numbers(const pf_approx_tensors *t) // of a layer's output
{
    return (size_t)t->n_rows * width(t);
}

static pf_status set_sequences(pf_approx_tensors *t, const pf_batch *batch)
{
    const int32_t count = batch ? batch->n_sequences : 1;
    void *memory = NULL;
    PF_TRY(pf_sequences_create(t->device, count, t->n_rows, &t->sequences));
    PF_TRY(pf_alloc(&memory, (size_t)count, sizeof(int32_t), "lengths"));
    int32_t *length = memory;
    const int32_t whole[] = {0, t->n_rows}, *start = batch ? batch->start : whole;
    for (int32_t b = 0; b < count; b++) length[b] = start[b + 1] - start[b];
    const pf_status status = pf_sequences_set(t->sequences, start, length, count);
    pf_free(length);
    return status;
}

pf_status pf_approx_tensors_create(pf_approx_tensors *t, const pf_batch *batch)
{
    const size_t count = numbers(t), layers = (size_t)t->n_layers;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, layers * 3, count * sizeof(float), "queries, keys, values"));
    t->qkv = memory;
    PF_TRY(pf_alloc(&memory, layers, count * sizeof(float), "exact attention"));
    t->exact = memory;
    PF_TRY(pf_alloc(&memory, count, sizeof(float), "attention"));
    t->got = memory;
    PF_TRY(pf_alloc(&memory, layers, sizeof(double), "sizes"));
    t->pair_size = memory;
    PF_TRY(pf_buffer_create(t->device, 3 * count * sizeof(float), "queries, keys, values", &t->d_qkv));
    PF_TRY(pf_buffer_create(t->device, count * sizeof(float), "attention output", &t->d_out));
    return set_sequences(t, batch);
}

void pf_approx_tensors_free(pf_approx_tensors *t)
{
    pf_free(t->qkv);
    pf_free(t->exact);
    pf_free(t->got);
    pf_free(t->pair_size);
    pf_buffer_free(t->d_qkv);
    pf_buffer_free(t->d_out);
    pf_sequences_free(t->sequences);
}

void pf_approx_fill_random(pf_approx_tensors *t, const pf_approx_options *options)
{
    const size_t D = width(t), rows = (size_t)t->n_rows;
    for (uint64_t tensor = 0; tensor < 3; tensor++)
        for (size_t i = 0; i < rows * D; i++) {
            const size_t at = (3 * (i / D) + tensor) * D + i % D;
            const double number = pf_random_normal(options->seed, PF_RANDOM_STUDY, tensor, i);
            for (int layer = 0; layer < t->n_layers; layer++) // the same numbers at every scale
                t->qkv[(size_t)layer * 3 * rows * D + at] =
                    (float)(tensor < 2 ? options->scale[layer] * number : number);
        }
}

// Mean of |x+y|^2 over all pairs of a query and a key of one head: E|x|^2 + E|y|^2 + 2 E[x].E[y]. Pairs of
// different sequences count too: it is a size, no result.
static double pair_size(const pf_approx_tensors *t, const float *qkv)
{
    const size_t D = width(t), rows = (size_t)t->n_rows;
    double sum = 0;
    for (size_t c = 0; c < D; c++) {
        double q = 0, k = 0, squares = 0;
        for (size_t n = 0; n < rows; n++) {
            const double x = (double)qkv[3 * n * D + c], y = (double)qkv[(3 * n + 1) * D + c];
            q += x, k += y, squares += x * x + y * y;
        }
        sum += squares / (double)rows + 2 * (q / (double)rows) * (k / (double)rows);
    }
    return sum / t->n_heads / sqrt(t->head_size);
}

typedef struct layer_rows {
    pf_rows o, q, k, v;
} layer_rows;

static layer_rows rows_of(const pf_approx_tensors *t)
{
    const int32_t D = (int32_t)width(t);
    return (layer_rows){
        {t->d_out, D, 0}, {t->d_qkv, 3 * D, 0}, {t->d_qkv, 3 * D, D}, {t->d_qkv, 3 * D, 2 * D}};
}

static pf_status load_layer(const pf_approx_tensors *t, int layer)
{
    const size_t bytes = 3 * numbers(t) * sizeof(float);
    return pf_buffer_write(t->d_qkv, 0, t->qkv + (size_t)layer * 3 * numbers(t), bytes);
}

static pf_status attend_layer_exactly(pf_approx_tensors *t, pf_softmax_attention *op, int layer)
{
    const layer_rows r = rows_of(t);
    PF_TRY(load_layer(t, layer));
    PF_TRY(pf_softmax_attention_run(
        op,
        &(pf_softmax_attention_forward){.o = r.o, .q = r.q, .k = r.k, .v = r.v, .sequences = t->sequences}));
    return pf_buffer_read(t->d_out, 0, t->exact + (size_t)layer * numbers(t), numbers(t) * sizeof(float));
}

pf_status pf_approx_attend_exactly(pf_approx_tensors *t)
{
    const pf_softmax_attention_config config = {
        .n_heads = t->n_heads, .head_size = t->head_size, .causal = t->causal};
    pf_softmax_attention *op = NULL;
    PF_TRY(pf_softmax_attention_create(t->device, &config, &op));
    pf_status status = PF_OK;
    for (int layer = 0; layer < t->n_layers && status == PF_OK; layer++) {
        t->pair_size[layer] = pair_size(t, t->qkv + (size_t)layer * 3 * numbers(t));
        status = attend_layer_exactly(t, op, layer);
    }
    pf_softmax_attention_free(op);
    return status;
}

// FAVOR with one estimator, and what it needs on the device.
typedef struct estimate {
    pf_favor *op;
    pf_buffer *projection, *state, *normalizer, *scratch;
    float *w; // [M,E]
    double *draw_scratch;
} estimate;

static pf_status create_buffers(const pf_approx_tensors *t, const pf_favor_config *config, estimate *e)
{
    const pf_favor_room room = {t->sequences->n_sequences, t->sequences->n_blocks, t->n_rows};
    const size_t count = (size_t)config->n_features * (size_t)config->head_size;
    void *memory = NULL;
    PF_TRY(pf_buffer_create(t->device, count * sizeof(float), "projection", &e->projection));
    if (!config->causal)
        PF_TRY(pf_buffer_create(t->device, pf_favor_state_bytes(config, room.sequences), "state", &e->state));
    PF_TRY(pf_buffer_create(t->device, pf_favor_normalizer_bytes(config, room.rows), "normalizer",
                            &e->normalizer));
    PF_TRY(pf_buffer_create(t->device, pf_favor_forward_scratch_bytes(config, room), "scratch", &e->scratch));
    PF_TRY(pf_alloc(&memory, count, sizeof(float), "projection"));
    e->w = memory;
    PF_TRY(pf_alloc(&memory, pf_projection_scratch(config->head_size), sizeof(double), "projection"));
    e->draw_scratch = memory;
    return PF_OK;
}

static void free_estimate(estimate *e)
{
    pf_favor_free(e->op);
    pf_buffer *all[] = {e->projection, e->state, e->normalizer, e->scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) pf_buffer_free(all[i]);
    pf_free(e->w);
    pf_free(e->draw_scratch);
}

static pf_status attend_once(const pf_approx_tensors *t, const estimate *e,
                             const pf_projection_request *request)
{
    const layer_rows r = rows_of(t);
    const size_t count = (size_t)request->num_features * (size_t)request->head_size;
    pf_projection_draw(e->w, request, e->draw_scratch);
    PF_TRY(pf_buffer_write(e->projection, 0, e->w, count * sizeof(float)));
    PF_TRY(pf_favor_run(e->op, &(pf_favor_forward){.o = r.o,
                                                   .q = r.q,
                                                   .k = r.k,
                                                   .v = r.v,
                                                   .projection = e->projection,
                                                   .sequences = t->sequences,
                                                   .state = e->state,
                                                   .normalizer = e->normalizer,
                                                   .scratch = e->scratch}));
    return pf_buffer_read(t->d_out, 0, t->got, numbers(t) * sizeof(float));
}

static pf_status attend_layer(const pf_approx_tensors *t, const pf_approx_options *options,
                              pf_projection_request request, pf_approx_row *row)
{
    const pf_favor_config config = {
        .n_heads = t->n_heads,
        .head_size = t->head_size,
        .n_features = request.num_features,
        .kernel = row->kernel,
        .projected = true,
        .causal = t->causal,
        .renormalize = true,
        .oprf_s = (float)(options->oprf_s > 0 ? options->oprf_s : row->pair_size),
    };
    estimate e = {0};
    pf_approx_errors errors = {0};
    pf_status status;
    PF_TRY_OR(done, pf_favor_create(t->device, &config, &e.op));
    PF_TRY_OR(done, create_buffers(t, &config, &e));
    PF_TRY_OR(done, load_layer(t, row->layer - 1));
    for (int32_t draw = 0; draw < options->draws; draw++) {
        // Each M has draws of its own: else small ones were parts of large ones and all would err together.
        request.draw = (uint64_t)request.num_features << 32 | (uint64_t)draw;
        PF_TRY_OR(done, attend_once(t, &e, &request));
        pf_approx_add(&errors, t->got, t->exact + (size_t)(row->layer - 1) * numbers(t), numbers(t));
    }
    pf_approx_fill(row, &errors);
done:
    free_estimate(&e);
    return status;
}

pf_status pf_approx_attend(pf_approx_tensors *t, const pf_approx_options *options,
                           const pf_approx_estimator *estimator, pf_approx_row *rows)
{
    for (int layer = 0; layer < t->n_layers; layer++) {
        const pf_projection_request request = {
            .num_features = estimator->n_features,
            .head_size = t->head_size,
            .kind = estimator->projection,
            .row_norm = options->row_norm,
            .seed = options->seed,
            .layer = t->is_random ? 0 : (uint64_t)layer, // the same draws at every scale
        };
        rows[layer].pair_size = t->pair_size[layer];
        PF_TRY(attend_layer(t, options, request, &rows[layer]));
    }
    return PF_OK;
}
