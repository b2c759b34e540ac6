// See subject.h.
#include "model/subject.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "data/alphabet.h"
#include "model/init.h"
#include "support/device.h"
#include "support/suite.h"

subject subject_create(const char *const *settings, int n_settings, bool training)
{
    static const char *const sizes[] = {
        "hidden_size=24",       "num_hidden_layers=2",        "num_attention_heads=2",
        "intermediate_size=40", "max_position_embeddings=40", "attention.num_features=20",
        "hidden_dropout=0",     "compute.matmul=tile"};
    const pf_model_limits limits = {
        .max_rows = SUBJECT_ROWS, .max_sequences = SUBJECT_SEQUENCES, .max_length = 40, .training = training};
    struct pf_config config;
    subject s = {0};
    pf_config_default(&config);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) must(pf_config_set(&config, sizes[i]));
    for (int i = 0; i < n_settings && settings[i]; i++) must(pf_config_set(&config, settings[i]));
    must(pf_config_finish(&config, PF_CONFIG_USER));
    must(pf_model_create(test_device(), &config, &limits, &s.model));
    s.params = pf_model_params(s.model);
    s.trained = calloc(s.params->parameters_size, sizeof *s.trained);
    float *projections = calloc(s.params->projections_size + 1, sizeof *projections);
    must(pf_init_parameters(&config, s.params, 5, s.trained, projections));
    // Biases begin at 0, as half of the adapters do, and norms at 1, where some mistakes do not show.
    for (int i = 0; i < s.params->n_tensors; i++) {
        const pf_parameter *p = &s.params->tensor[i];
        for (size_t n = 0; p->is_trained && (p->rank == 1 || p->is_adapter) && n < p->count; n++)
            s.trained[p->offset + n] += (float)(0.1 * pf_random_normal(1, PF_RANDOM_TEST, p->offset, n));
    }
    must(pf_model_upload(s.model, s.trained, projections));
    free(projections);
    return s;
}

void subject_free(subject *s)
{
    pf_model_free(s->model);
    free(s->trained);
}

void subject_rows_fill(subject_rows *r, int only, bool has_masks)
{
    static const int lengths[SUBJECT_SEQUENCES] = {17, 1, 29};
    int32_t n = 0, b = 0;
    memset(r, 0, sizeof *r);
    for (int i = 0; i < SUBJECT_SEQUENCES; i++) {
        if (only >= 0 && i != only) continue;
        r->number[b] = (uint64_t)i;
        for (int t = 0; t < lengths[i]; t++, n++) {
            const uint64_t stream = (uint64_t)i;
            r->token[n] = (int32_t)pf_random_below(PF_RESIDUES, 3, PF_RANDOM_TEST, stream, (uint64_t)t);
            if (has_masks && t % 7 == 4) r->token[n] = PF_TOKEN_MASK;
            r->target[n] = t % 3
                               ? (int32_t)pf_random_below(PF_RESIDUES, 4, PF_RANDOM_TEST, stream, (uint64_t)t)
                               : PF_NO_TARGET;
        }
        r->start[++b] = n;
    }
    r->batch = (pf_batch){.n_sequences = b,
                          .n_rows = n,
                          .longest = 29,
                          .start = r->start,
                          .token = r->token,
                          .target = r->target,
                          .number = r->number};
    for (int32_t i = 0; i < n; i++) r->batch.n_targets += r->target[i] != PF_NO_TARGET;
}

static double loss_of(pf_model *model, const pf_batch *batch)
{
    const pf_pass pass = {0};
    pf_metrics metrics;
    must(pf_model_clear_metrics(model));
    must(pf_model_forward(model, batch, &pass));
    must(pf_model_loss(model, 1));
    must(pf_model_read_metrics(model, &metrics));
    return metrics.loss;
}

// The loss when a tensor has gone `step` along `direction`.
static double loss_beside(const subject *s, const pf_parameter *p, const float *direction, double step,
                          const pf_batch *batch)
{
    float *moved = malloc(s->params->parameters_size * sizeof *moved);
    memcpy(moved, s->trained, s->params->parameters_size * sizeof *moved);
    for (size_t i = 0; i < p->count; i++) moved[p->offset + i] += (float)(step * (double)direction[i]);
    must(pf_model_upload(s->model, moved, NULL));
    free(moved);
    return loss_of(s->model, batch);
}

static void check_gradient(const subject *s, const pf_parameter *p, float *along, const pf_batch *batch)
{
    double square = 0;
    for (size_t n = 0; n < p->count; n++) square += (double)along[n] * (double)along[n];
    const double norm = sqrt(square);
    // A bias of keys changes no softmax weight.
    if (norm < 1e-3) return;
    for (size_t n = 0; n < p->count; n++) along[n] /= (float)norm;
    // Along its own gradient the loss (about 100, in float32 right to 1e-5) rises by `norm` a unit. Steps
    // that change it by about 0.3 leave 1e-4 for rounding, and a few 1e-3 for the third derivative.
    const double h = fmin(0.15 / norm, 0.03);
    const double up = loss_beside(s, p, along, h, batch), down = loss_beside(s, p, along, -h, batch);
    const double error = fabs((up - down) / (2 * h) - norm) / norm, allowed = 0.02;
    ck_assert_msg(error <= allowed, "%s: off by %.3g of its gradient", p->name, error);
    // The twin: a gradient 5 % too long is caught.
    ck_assert_double_gt(fabs((up - down) / (2 * h) - 1.05 * norm) / norm, allowed);
}

void subject_check_gradients(const subject *s, const pf_batch *batch)
{
    const size_t size = s->params->trained_size;
    float *gradient = malloc(size * sizeof *gradient);
    must(pf_model_clear_gradients(s->model));
    loss_of(s->model, batch);
    must(pf_model_backward(s->model));
    must(pf_buffer_read(pf_model_gradients(s->model), 0, gradient, size * sizeof *gradient));
    for (int i = 0; i < s->params->n_tensors; i++) {
        const pf_parameter *p = &s->params->tensor[i];
        if (p->is_trained && !p->is_frozen) check_gradient(s, p, gradient + p->offset, batch);
    }
    free(gradient);
}
