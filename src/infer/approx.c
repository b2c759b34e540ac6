// The approximation study, one estimator after the other. See performer/approx.h.
#include "performer/approx.h"

#include <math.h>

#include "base/memory.h"
#include "infer/approx_parts.h"

struct pf_approx {
    pf_approx_options options;
    pf_approx_tensors tensors;
    pf_pieces *pieces; // of a model: lends the batch
    const pf_batch *batch;
    pf_approx_stream stream; // without stream_features: nothing
    int32_t step, n_attention_steps, n_stream_steps, n_steps;
    pf_approx_row *rows; // [layers + 1]
};

void pf_approx_default(pf_approx_options *options)
{
    *options = (pf_approx_options){
        .kernel = {PF_FAVOR_SOFTMAX, PF_FAVOR_SOFTMAX_HYPERBOLIC, PF_FAVOR_SOFTMAX_TRIG,
                   PF_FAVOR_SOFTMAX_OPRF},
        .n_kernels = 4,
        .projection = {PF_PROJECTION_ORTHOGONAL, PF_PROJECTION_IID},
        .n_projections = 2,
        .features = {16, 32, 64, 128, 256, 512, 1024},
        .n_features = 7,
        .draws = 15,
        .length = 4096,
        .head_size = 16,
        .scale = {0.5, 1},
        .n_scales = 2,
        .stream_features = 256,
    };
}

static pf_status check_projections(const pf_approx_options *o, int head_size)
{
    PF_CHECK(o->n_projections >= 1 && o->n_projections <= PF_APPROX_MOST, PF_ERROR_USAGE,
             "%d projections, from 1 to %d are possible", o->n_projections, PF_APPROX_MOST);
    for (int i = 0; i < o->n_projections; i++) {
        PF_CHECK(o->projection[i] != PF_PROJECTION_NONE, PF_ERROR_USAGE,
                 "estimates of softmax attention need a projection");
        PF_CHECK(o->projection[i] != PF_PROJECTION_HADAMARD || (head_size & (head_size - 1)) == 0,
                 PF_ERROR_USAGE, "projection hadamard takes heads of a power of two, these have %d numbers",
                 head_size);
    }
    return PF_OK;
}

static pf_status check(const pf_approx_options *o, int head_size)
{
    PF_CHECK(o->n_kernels >= 1 && o->n_kernels <= PF_APPROX_MOST, PF_ERROR_USAGE,
             "%d kernels, from 1 to %d are possible", o->n_kernels, PF_APPROX_MOST);
    for (int i = 0; i < o->n_kernels; i++)
        PF_CHECK(
            pf_favor_kernel_is_softmax(o->kernel[i]), PF_ERROR_USAGE,
            "kernel %s does not estimate softmax attention; softmax, softmax_hyperbolic, softmax_trig and "
            "softmax_oprf do",
            pf_favor_kernel_name(o->kernel[i]));
    PF_CHECK(o->n_features >= 1 && o->n_features <= PF_APPROX_MOST, PF_ERROR_USAGE,
             "%d numbers of features, from 1 to %d are possible", o->n_features, PF_APPROX_MOST);
    for (int i = 0; i < o->n_features; i++)
        PF_CHECK(o->features[i] >= 1 && o->features[i] <= PF_MAX_FEATURES, PF_ERROR_USAGE,
                 "%d features, expected 1 to %d", o->features[i], PF_MAX_FEATURES);
    PF_CHECK(o->stream_features >= 0 && o->stream_features <= PF_MAX_FEATURES, PF_ERROR_USAGE,
             "%d features of a model, expected 0 to %d", o->stream_features, PF_MAX_FEATURES);
    PF_CHECK(o->draws >= 1, PF_ERROR_USAGE, "%d draws, expected 1 or more", o->draws);
    return check_projections(o, head_size);
}

static pf_status check_sizes(const pf_approx_options *o)
{
    PF_CHECK(o->head_size >= 1 && o->head_size <= PF_MAX_HEAD_SIZE, PF_ERROR_USAGE,
             "heads of %d numbers, from 1 to %d are possible", o->head_size, PF_MAX_HEAD_SIZE);
    PF_CHECK(o->length >= 1 && o->length <= INT32_MAX / (3 * o->head_size), PF_ERROR_USAGE,
             "%d tokens of %d numbers, from 1 to %d tokens are possible", o->length, o->head_size,
             INT32_MAX / (3 * o->head_size));
    PF_CHECK(o->n_scales >= 1 && o->n_scales <= PF_APPROX_MOST, PF_ERROR_USAGE,
             "%d scales, from 1 to %d are possible", o->n_scales, PF_APPROX_MOST);
    for (int i = 0; i < o->n_scales; i++)
        PF_CHECK(isfinite(o->scale[i]) && o->scale[i] > 0, PF_ERROR_USAGE, "scale %g, expected more than 0",
                 o->scale[i]);
    return PF_OK;
}

static pf_status count_steps(pf_approx *a)
{
    const pf_approx_options *o = &a->options;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, (size_t)a->tensors.n_layers + 1, sizeof(pf_approx_row), "rows"));
    a->rows = memory;
    a->n_attention_steps = o->n_kernels * o->n_features * o->n_projections;
    a->n_stream_steps = a->stream.exact ? o->n_kernels * o->n_projections : 0;
    a->n_steps = a->n_attention_steps + a->n_stream_steps + (a->stream.exact ? a->tensors.n_layers : 0);
    return PF_OK;
}

static pf_status open_random(pf_approx *a, pf_device *device)
{
    const pf_approx_options *o = &a->options;
    pf_approx_tensors *t = &a->tensors;
    *t = (pf_approx_tensors){.device = device,
                             .n_layers = o->n_scales,
                             .n_heads = 1,
                             .is_random = true,
                             .head_size = o->head_size,
                             .n_rows = o->length,
                             .causal = o->causal};
    PF_TRY(pf_approx_tensors_create(t, NULL));
    pf_approx_fill_random(t, o);
    PF_TRY(pf_approx_attend_exactly(t));
    return count_steps(a);
}

static pf_status allocate(const pf_approx_options *options, pf_approx **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_approx), "approximation study"));
    *out = memory;
    (*out)->options = *options;
    return PF_OK;
}

static pf_status finish_open(pf_approx *a, pf_status status, pf_approx **out)
{
    if (status == PF_OK)
        *out = a;
    else
        pf_approx_close(a);
    return status;
}

pf_status pf_approx_open(pf_device *device, const pf_approx_options *options, pf_approx **out)
{
    pf_approx *a = NULL;
    *out = NULL;
    PF_TRY(check_sizes(options));
    PF_TRY(check(options, options->head_size));
    PF_TRY(allocate(options, &a));
    return finish_open(a, open_random(a, device), out);
}

static pf_status read_batch(pf_approx *a, pf_model *model, const pf_stream_options *stream)
{
    const pf_pieces_options options = {.records = {.stream = *stream}, .task = PF_PIECES_PLAIN};
    pf_piece_batch batch;
    PF_TRY(pf_pieces_open(model, &options, &a->pieces));
    const pf_status status = pf_pieces_next(a->pieces, &batch);
    PF_CHECK(status != PF_END, PF_ERROR_INPUT, "%s: no sequences to look at", stream->files[0]);
    PF_TRY(status);
    a->batch = batch.batch;
    return PF_OK;
}

// q, k and v of all layers in one pass of the model as it is.
static pf_status read_tensors(pf_approx *a, pf_model *model)
{
    const struct pf_config *config = pf_model_config(model);
    const size_t each = 3 * (size_t)a->batch->n_rows * (size_t)config->hidden_size;
    const pf_pass pass = {0};
    pf_approx_tensors *t = &a->tensors;
    *t = (pf_approx_tensors){.device = pf_model_device(model),
                             .n_layers = config->num_hidden_layers,
                             .n_heads = config->num_attention_heads,
                             .head_size = pf_config_head_size(config),
                             .n_rows = a->batch->n_rows,
                             .causal = config->objective == PF_OBJECTIVE_CLM};
    PF_TRY(pf_approx_tensors_create(t, a->batch));
    PF_TRY(pf_model_forward_begin(model, a->batch, &pass));
    for (int layer = 0; layer < t->n_layers; layer++) {
        PF_TRY(pf_model_forward_layer(model, layer));
        PF_TRY(pf_model_read_qkv(model, layer, t->qkv + (size_t)layer * each));
    }
    return pf_approx_attend_exactly(t);
}

static double mean_pair_size(const pf_approx_tensors *t)
{
    double sum = 0;
    for (int layer = 0; layer < t->n_layers; layer++) sum += t->pair_size[layer];
    return sum / t->n_layers;
}

static pf_status open_model(pf_approx *a, pf_model *model, const pf_stream_options *stream)
{
    PF_TRY(read_batch(a, model, stream));
    PF_TRY(read_tensors(a, model));
    if (a->options.stream_features > 0) {
        // A model has one s for all layers, as its configuration has.
        a->stream.oprf_s = a->options.oprf_s > 0 ? a->options.oprf_s : mean_pair_size(&a->tensors);
        PF_TRY(pf_approx_stream_create(&a->stream, model, a->batch));
    }
    return count_steps(a);
}

pf_status pf_approx_open_model(pf_model *model, const pf_stream_options *stream,
                               const pf_approx_options *options, pf_approx **out)
{
    pf_approx *a = NULL;
    *out = NULL;
    PF_TRY(check(options, pf_config_head_size(pf_model_config(model))));
    PF_TRY(allocate(options, &a));
    return finish_open(a, open_model(a, model, stream), out);
}

void pf_approx_close(pf_approx *a)
{
    if (!a) return;
    pf_approx_stream_free(&a->stream);
    pf_approx_tensors_free(&a->tensors);
    pf_pieces_close(a->pieces);
    pf_free(a->rows);
    pf_free(a);
}

// Projections change fastest, then M, then kernels: neighbours share their programs and draws.
static pf_approx_estimator estimator_of(const pf_approx *a, bool is_stream)
{
    const pf_approx_options *o = &a->options;
    const int i = is_stream ? a->step - a->n_attention_steps : a->step, p = o->n_projections;
    const int sizes = is_stream ? 1 : o->n_features;
    return (pf_approx_estimator){
        .kernel = o->kernel[i / p / sizes],
        .n_features = is_stream ? o->stream_features : o->features[i / p % sizes],
        .projection = o->projection[i % p],
    };
}

// Which layer a step replaces alone, from 0; below 0: it is of another kind.
static int layer_alone(const pf_approx *a)
{
    return a->step - a->n_attention_steps - a->n_stream_steps;
}

// One layer's attention replaced, by the first estimator.
static pf_status step_alone(pf_approx *a, int layer)
{
    const pf_approx_options *o = &a->options;
    const pf_approx_estimator estimator = {o->kernel[0], o->stream_features, o->projection[0]};
    a->rows[0] = (pf_approx_row){
        .place = PF_APPROX_ALONE,
        .layer = layer + 1,
        .kernel = estimator.kernel,
        .projection = estimator.projection,
        .n_features = estimator.n_features,
        .pair_size = (double)NAN,
    };
    return pf_approx_stream_alone(&a->stream, o, &estimator, layer, &a->rows[0]);
}

static void name_rows(pf_approx *a, const pf_approx_estimator *estimator, bool is_stream)
{
    const int n_layers = a->tensors.n_layers;
    for (int i = 0; i <= n_layers; i++) {
        const bool is_logits = is_stream && i == n_layers;
        a->rows[i] = (pf_approx_row){
            .place = is_logits   ? PF_APPROX_LOGITS
                     : is_stream ? PF_APPROX_STREAM
                                 : PF_APPROX_ATTENTION,
            .layer = is_logits ? 0 : i + 1,
            .kernel = estimator->kernel,
            .projection = estimator->projection,
            .n_features = estimator->n_features,
            .pair_size = (double)NAN,
        };
    }
}

pf_status pf_approx_step(pf_approx *a, const pf_approx_row **rows, int *n_rows)
{
    if (a->step == a->n_steps) return PF_END;
    if (layer_alone(a) >= 0) {
        PF_TRY(step_alone(a, layer_alone(a)));
        a->step++;
        *rows = a->rows;
        *n_rows = 1;
        return PF_OK;
    }
    const bool is_stream = a->step >= a->n_attention_steps;
    const pf_approx_estimator estimator = estimator_of(a, is_stream);
    name_rows(a, &estimator, is_stream);
    PF_TRY(is_stream ? pf_approx_stream_run(&a->stream, &a->options, &estimator, a->rows)
                     : pf_approx_attend(&a->tensors, &a->options, &estimator, a->rows));
    a->step++;
    *rows = a->rows;
    *n_rows = a->tensors.n_layers + (is_stream ? 1 : 0);
    return PF_OK;
}

pf_approx_size pf_approx_describe(const pf_approx *a)
{
    const pf_approx_tensors *t = &a->tensors;
    return (pf_approx_size){a->n_steps,  t->sequences->n_sequences, t->n_rows, t->n_layers, t->n_heads,
                            t->head_size};
}

const char *pf_approx_warning(const pf_approx *a, size_t i)
{
    return a->pieces ? pf_pieces_warning(a->pieces, i) : NULL;
}
