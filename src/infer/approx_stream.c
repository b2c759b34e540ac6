// A model's weights under other attention: how far the residual stream and the logits come from those of
// exact attention. See approx_parts.h.
#include "base/memory.h"
#include "infer/approx_parts.h"
#include "model/projection.h"

static size_t stream_numbers(const pf_approx_stream *s)
{
    return (size_t)s->batch->n_rows * (size_t)s->config.hidden_size;
}

static size_t logit_numbers(const pf_approx_stream *s)
{
    const struct pf_task_config *task = &s->config.task;
    const bool by_sequence = task->type != PF_TASK_NONE && task->level == PF_TASK_SEQUENCE;
    return (size_t)(by_sequence ? s->batch->n_sequences : s->batch->n_rows) *
           (size_t)pf_config_outputs(&s->config);
}

// The same weights; every head of the layers that s->only means gets FAVOR, all others exact attention.
static pf_status create_model(pf_approx_stream *s)
{
    const pf_model_limits limits = {
        .max_rows = s->batch->n_rows,
        .max_sequences = s->batch->n_sequences,
        .max_length = s->batch->longest,
    };
    struct pf_config config = s->config;
    config.attention.n_types = config.num_hidden_layers;
    for (int layer = 0; layer < config.num_hidden_layers; layer++) {
        const bool is_favor = s->only == PF_APPROX_EVERY_LAYER || s->only == layer;
        config.attention.type[layer] = is_favor ? PF_ATTENTION_FAVOR : PF_ATTENTION_SOFTMAX;
    }
    config.attention.local_heads = 0;
    config.attention.kernel = s->now.kernel;
    config.attention.num_features = s->now.n_features;
    config.attention.projection = PF_PROJECTION_ORTHOGONAL; // there is one; which is drawn below
    config.attention.renormalize = true;
    config.attention.oprf_s = s->oprf_s;
    pf_model_free(s->model);
    s->model = NULL;
    PF_TRY(pf_model_create(s->device, &config, &limits, &s->model));
    return pf_model_upload(s->model, s->trained, NULL);
}

static const float *exact_logits(const pf_approx_stream *s)
{
    return s->exact + (size_t)s->config.num_hidden_layers * stream_numbers(s);
}

// The logits in `got`.
static void add_divergence(const pf_approx_stream *s, pf_approx_errors *errors)
{
    const size_t outputs = (size_t)pf_config_outputs(&s->config);
    pf_approx_add_divergence(errors, s->got, exact_logits(s), logit_numbers(s) / outputs, outputs);
}

// A pass that reads the stream after each layer and the logits: into `exact` without `errors` [layers + 1].
static pf_status run_model(const pf_approx_stream *s, pf_approx_errors *errors)
{
    const pf_pass pass = {0};
    const int n_layers = s->config.num_hidden_layers;
    PF_TRY(pf_model_forward_begin(s->model, s->batch, &pass));
    for (int place = 0; place <= n_layers; place++) {
        const bool is_logits = place == n_layers;
        float *expected = s->exact + (size_t)place * stream_numbers(s), *to = errors ? s->got : expected;
        PF_TRY(is_logits ? pf_model_forward_end(s->model) : pf_model_forward_layer(s->model, place));
        PF_TRY(is_logits ? pf_model_read_logits(s->model, to) : pf_model_read_stream(s->model, place, to));
        if (!errors) continue;
        pf_approx_add(&errors[place], to, expected, is_logits ? logit_numbers(s) : stream_numbers(s));
        if (is_logits) add_divergence(s, &errors[place]);
    }
    return PF_OK;
}

// A pass that reads the logits only.
static pf_status run_logits(const pf_approx_stream *s, pf_approx_errors *errors)
{
    const pf_pass pass = {0};
    PF_TRY(pf_model_forward_begin(s->model, s->batch, &pass));
    for (int layer = 0; layer < s->config.num_hidden_layers; layer++)
        PF_TRY(pf_model_forward_layer(s->model, layer));
    PF_TRY(pf_model_forward_end(s->model));
    PF_TRY(pf_model_read_logits(s->model, s->got));
    pf_approx_add(errors, s->got, exact_logits(s), logit_numbers(s));
    add_divergence(s, errors);
    return PF_OK;
}

pf_status pf_approx_stream_create(pf_approx_stream *s, pf_model *model, const pf_batch *batch)
{
    const size_t layers = (size_t)pf_model_config(model)->num_hidden_layers;
    void *memory = NULL;
    s->device = pf_model_device(model);
    s->batch = batch;
    s->config = *pf_model_config(model);
    const size_t stream = stream_numbers(s), logits = logit_numbers(s);
    PF_TRY(pf_alloc(&memory, pf_model_params(model)->parameters_size, sizeof(float), "parameters"));
    s->trained = memory;
    PF_TRY(pf_alloc(&memory, layers * stream + logits, sizeof(float), "residual stream"));
    s->exact = memory;
    PF_TRY(pf_alloc(&memory, stream > logits ? stream : logits, sizeof(float), "residual stream"));
    s->got = memory;
    PF_TRY(pf_model_download(model, s->trained, NULL));
    s->only = PF_APPROX_NO_LAYER;
    PF_TRY(create_model(s));
    return run_model(s, NULL);
}

void pf_approx_stream_free(pf_approx_stream *s)
{
    pf_model_free(s->model);
    pf_free(s->trained);
    pf_free(s->projections);
    pf_free(s->exact);
    pf_free(s->got);
}

// Kernels and projections come one after the other: a model serves all projections of a kernel.
static pf_status prepare(pf_approx_stream *s, const pf_approx_estimator *estimator, int only)
{
    const bool is_same = s->projections && s->only == only && s->now.kernel == estimator->kernel &&
                         s->now.n_features == estimator->n_features;
    s->now = *estimator;
    s->only = only;
    if (is_same) return PF_OK;
    void *memory = NULL;
    PF_TRY(create_model(s));
    pf_free(s->projections);
    s->projections = NULL;
    PF_TRY(pf_alloc(&memory, pf_model_params(s->model)->projections_size, sizeof(float), "projections"));
    s->projections = memory;
    return PF_OK;
}

static pf_status draw(pf_approx_stream *s, const pf_approx_options *options, uint64_t number)
{
    const pf_parameters *parameters = pf_model_params(s->model);
    const int head_size = pf_config_head_size(&s->config);
    void *scratch = NULL;
    PF_TRY(pf_alloc(&scratch, pf_projection_scratch(head_size), sizeof(double), "projection"));
    for (int layer = 0; layer < parameters->n_layers; layer++) {
        if (s->only >= 0 && s->only != layer) continue;
        const pf_projection_request request = {
            .num_features = s->now.n_features,
            .head_size = head_size,
            .kind = s->now.projection,
            .row_norm = options->row_norm,
            .seed = options->seed,
            .layer = (uint64_t)layer,
            .draw = number,
        };
        pf_projection_draw(s->projections + parameters->layer[layer].projection, &request, scratch);
    }
    pf_free(scratch);
    return pf_model_upload(s->model, NULL, s->projections);
}

pf_status pf_approx_stream_run(pf_approx_stream *s, const pf_approx_options *options,
                               const pf_approx_estimator *estimator, pf_approx_row *rows)
{
    const int n_rows = s->config.num_hidden_layers + 1;
    void *memory = NULL;
    PF_TRY(prepare(s, estimator, PF_APPROX_EVERY_LAYER));
    PF_TRY(pf_alloc(&memory, (size_t)n_rows, sizeof(pf_approx_errors), "errors"));
    pf_approx_errors *errors = memory;
    pf_status status = PF_OK;
    for (int32_t n = 0; n < options->draws && status == PF_OK; n++) {
        status = draw(s, options, (uint64_t)n);
        if (status == PF_OK) status = run_model(s, errors);
    }
    for (int i = 0; i < n_rows && status == PF_OK; i++) pf_approx_fill(&rows[i], &errors[i]);
    pf_free(memory);
    return status;
}

pf_status pf_approx_stream_alone(pf_approx_stream *s, const pf_approx_options *options,
                                 const pf_approx_estimator *estimator, int layer, pf_approx_row *row)
{
    pf_approx_errors errors = {0};
    PF_TRY(prepare(s, estimator, layer));
    for (int32_t n = 0; n < options->draws; n++) {
        PF_TRY(draw(s, options, (uint64_t)n));
        PF_TRY(run_logits(s, &errors));
    }
    pf_approx_fill(row, &errors);
    return PF_OK;
}
