// Low-rank adapters: a model with fresh ones is the model without to the bit, with trained ones that of W + s
// up down, their gradients are what the chain rule makes of that matrix's, and nothing else is changed.
#include "model/lora.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "model/init.h"
#include "model/merge.h"
#include "model/subject.h"
#include "support/device.h"
#include "support/suite.h"
#include "train/trainer.h"

enum { A = PF_VOCAB_SIZE, ROWS = SUBJECT_ROWS, SETTINGS = 8 };

static const char *const kinds[][SETTINGS] = {
    {"lora.rank=3", "lora.alpha=6"},
    {"lora.rank=1", "lora.targets=*", "attention_bias=true", "lora.also=*norm*,*.bias"},
    {"lora.rank=5", "lora.targets=key,output,down", "attention.type=softmax",
     "position_embedding_type=rotary"},
    {"lora.rank=2", "lora.targets=layers.1.*", "norm_placement=post", "embedding_norm=true",
     "head_transform=true", "lora.also=embed.*,head.*"},
    {"lora.rank=4", "lora.targets=*", "train.recompute=1", "objective=clm", "lora.also=norm.bias"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static struct pf_config make_config(const char *const *settings, int count)
{
    static const char *const sizes[] = {
        "hidden_size=24",       "num_hidden_layers=2",        "num_attention_heads=2",
        "intermediate_size=40", "max_position_embeddings=40", "attention.num_features=20",
        "hidden_dropout=0",     "compute.matmul=tile"};
    struct pf_config config;
    pf_config_default(&config);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) must(pf_config_set(&config, sizes[i]));
    for (int i = 0; i < count && settings[i]; i++) must(pf_config_set(&config, settings[i]));
    must(pf_config_finish(&config, PF_CONFIG_USER));
    return config;
}

// A model with adapters, and the plain one that they make.
typedef struct pair {
    pf_model_arrays *arrays, *plain_arrays;
    pf_model *model, *plain;
    subject_rows rows;
} pair;

static pf_model *make_model(const pf_model_arrays *arrays)
{
    const pf_model_limits limits = {
        .max_rows = ROWS, .max_sequences = SUBJECT_SEQUENCES, .max_length = 40, .training = true};
    pf_model *model = NULL;
    must(pf_model_create(test_device(), &arrays->config, &limits, &model));
    must(pf_model_upload(model, arrays->trained, arrays->projections));
    return model;
}

// `noise` in the matrices up, which are 0 in fresh ones.
static void make_pair(pair *p, int kind, double noise)
{
    const struct pf_config config = make_config(kinds[kind], SETTINGS);
    *p = (pair){0};
    must(pf_model_arrays_create(&config, &p->arrays));
    must(pf_init_parameters(&config, p->arrays->parameters, 5, p->arrays->trained, p->arrays->projections));
    for (int i = 0; i < p->arrays->parameters->n_tensors; i++) {
        const pf_parameter *tensor = &p->arrays->parameters->tensor[i];
        float *numbers = pf_model_numbers(p->arrays, tensor);
        for (size_t n = 0; tensor->is_adapter && n < tensor->count; n++)
            numbers[n] += (float)(noise * pf_random_normal(1, PF_RANDOM_TEST, tensor->offset, n));
    }
    must(pf_model_merge(p->arrays, &p->plain_arrays));
    p->model = make_model(p->arrays);
    p->plain = make_model(p->plain_arrays);
    subject_rows_fill(&p->rows, -1, false);
}

static void free_pair(pair *p)
{
    pf_model_free(p->model);
    pf_model_free(p->plain);
    pf_model_arrays_free(p->arrays);
    pf_model_arrays_free(p->plain_arrays);
}

static void logits_of(pf_model *model, const pf_batch *batch, float *out)
{
    must(pf_model_forward(model, batch, &(pf_pass){0}));
    must(pf_model_read_logits(model, out));
}

START_TEST(a_model_with_fresh_adapters_is_the_one_without)
{
    static float with[ROWS * A], without[ROWS * A];
    pair p;
    make_pair(&p, _i, 0);
    logits_of(p.model, &p.rows.batch, with);
    logits_of(p.plain, &p.rows.batch, without);
    ck_assert_mem_eq(with, without, (size_t)p.rows.batch.n_rows * A * sizeof *with);
    free_pair(&p);
}
END_TEST

// The largest difference of two lists, in the largest number of the second.
static double difference(const float *a, const float *b, size_t count)
{
    double largest = 0, most = 0;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)b[i]));
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    }
    return most / largest;
}

START_TEST(merged_on_the_host_and_kept_on_the_device_are_one)
{
    // Weights differ in their last bit, half of 1.2e-7, and so do the sums over up to 40 of them in two
    // layers.
    const double allowed = 1e-5;
    static float kept[ROWS * A], merged[ROWS * A];
    pair p;
    make_pair(&p, _i, 0.1);
    const size_t count = (size_t)p.rows.batch.n_rows * A;
    logits_of(p.model, &p.rows.batch, kept);
    logits_of(p.plain, &p.rows.batch, merged);
    ck_assert_double_le(difference(kept, merged, count), allowed);
    // The twin: a scale that is 1 % off is caught.
    p.arrays->config.lora.alpha *= 1.01;
    pf_model_arrays *other = NULL;
    must(pf_model_merge(p.arrays, &other));
    must(pf_model_upload(p.plain, other->trained, other->projections));
    logits_of(p.plain, &p.rows.batch, merged);
    ck_assert_double_gt(difference(kept, merged, count), 3 * allowed);
    pf_model_arrays_free(other);
    free_pair(&p);
}
END_TEST

static float *gradient_of(pf_model *model, const pf_batch *batch)
{
    const size_t count = pf_model_params(model)->trained_size;
    float *gradient = malloc(count * sizeof *gradient);
    must(pf_model_clear_gradients(model));
    must(pf_model_clear_metrics(model));
    for (int pass = 0; pass < 2; pass++) { // they are added to
        must(pf_model_forward(model, batch, &(pf_pass){0}));
        must(pf_model_loss(model, 1));
        must(pf_model_backward(model));
    }
    must(pf_buffer_read(pf_model_gradients(model), 0, gradient, count * sizeof *gradient));
    return gradient;
}

// s dW' down^T and s up^T dW' in double precision, from the plain model's dW'.
static void expect(const pair *p, const float *plain_gradient, int layer, int target, double *d_down,
                   double *d_up)
{
    char name[PF_PARAMETER_NAME];
    const struct pf_config *config = &p->arrays->config;
    const pf_lora_shape shape = pf_lora_shape_of(config, target);
    const size_t in = (size_t)shape.in, out = (size_t)shape.out, r = (size_t)config->lora.rank;
    const double s = config->lora.alpha / config->lora.rank;
    const pf_layer_parameters *at = &p->arrays->parameters->layer[layer];
    const float *down = p->arrays->trained + at->lora_down[target],
                *up = p->arrays->trained + at->lora_up[target];
    snprintf(name, sizeof name, "layers.%d.%s.weight", layer, pf_lora_names_of(target)->module);
    const float *dw = plain_gradient + pf_parameters_find(p->plain_arrays->parameters, name)->offset;
    for (size_t k = 0; k < r; k++)
        for (size_t j = 0; j < out; j++)
            for (size_t i = 0; i < in; i++) {
                d_up[j * r + k] += s * (double)dw[j * in + i] * (double)down[k * in + i];
                d_down[k * in + i] += s * (double)up[j * r + k] * (double)dw[j * in + i];
            }
}

static double error_of(const float *found, const double *expected, size_t count, double factor)
{
    double error = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        error += pow(factor * (double)found[i] - expected[i], 2);
        norm += expected[i] * expected[i];
    }
    return sqrt(error / norm);
}

static void check_target(const pair *p, const float *gradient, const float *plain_gradient, int layer,
                         int target)
{
    // The same sums over the same rows but for W', which differs in its last bit.
    const double allowed = 1e-4;
    const pf_layer_parameters *at = &p->arrays->parameters->layer[layer];
    const pf_lora_shape shape = pf_lora_shape_of(&p->arrays->config, target);
    const size_t r = (size_t)p->arrays->config.lora.rank;
    const size_t counts[] = {r * (size_t)shape.in, r * (size_t)shape.out};
    const float *found[] = {gradient + at->lora_down[target], gradient + at->lora_up[target]};
    double *expected[] = {calloc(counts[0], sizeof(double)), calloc(counts[1], sizeof(double))};
    expect(p, plain_gradient, layer, target, expected[0], expected[1]);
    for (int i = 0; i < 2; i++) {
        const double error = error_of(found[i], expected[i], counts[i], 1);
        ck_assert_msg(error <= allowed, "layer %d, %s: %g", layer, pf_lora_names_of(target)->module, error);
        ck_assert_double_gt(error_of(found[i], expected[i], counts[i], 1.0003),
                            allowed); // the twin: 0.03 % too long
        free(expected[i]);
    }
}

START_TEST(gradients_follow_from_those_of_the_merged_matrix)
{
    pair p;
    make_pair(&p, _i, 0.1);
    float *gradient = gradient_of(p.model, &p.rows.batch), *plain = gradient_of(p.plain, &p.rows.batch);
    int checked = 0;
    for (int layer = 0; layer < 2; layer++)
        for (int target = 0; target < PF_LORA_TARGETS; target++) {
            if (!pf_lora_has(&p.arrays->config, layer, target)) continue;
            check_target(&p, gradient, plain, layer, target);
            checked++;
        }
    ck_assert_int_gt(checked, 3);
    // What is trained beside has the gradient that it has in the plain model.
    for (int i = 0; i < p.arrays->parameters->n_tensors; i++) {
        const pf_parameter *tensor = &p.arrays->parameters->tensor[i];
        if (!tensor->is_trained || tensor->is_frozen || tensor->is_adapter) continue;
        const pf_parameter *same = pf_parameters_find(p.plain_arrays->parameters, tensor->name);
        if (strstr(tensor->name, "key.bias")) continue; // of queries that all shift alike: none but rounding
        ck_assert_double_le(difference(gradient + tensor->offset, plain + same->offset, tensor->count), 1e-4);
    }
    free(gradient);
    free(plain);
    free_pair(&p);
}
END_TEST

// Steps of the optimiser; the first and the last loss.
static void train(pair *p, int steps, double losses[2])
{
    pf_trainer *trainer = NULL;
    pf_trainer_result result;
    must(pf_trainer_create(p->model, &trainer));
    for (int64_t step = 1; step <= steps; step++) {
        must(pf_trainer_step(trainer,
                             &(pf_trainer_step_call){.micro = &p->rows.batch,
                                                     .n_micro = 1,
                                                     .n_targets = (uint64_t)p->rows.batch.n_targets,
                                                     .step = step,
                                                     .learning_rate = 1e-2},
                             &result));
        losses[step > 1] = result.loss;
    }
    pf_trainer_free(trainer);
}

START_TEST(training_changes_adapters_and_what_is_named_beside)
{
    pair p;
    make_pair(&p, _i, 0);
    const pf_parameters *all = p.arrays->parameters;
    double losses[2];
    train(&p, 30, losses);
    ck_assert_double_lt(losses[1], losses[0] - 0.05);
    float *after = malloc(all->parameters_size * sizeof *after);
    must(pf_model_download(p.model, after, NULL));
    for (int i = 0; i < all->n_tensors; i++) {
        const pf_parameter *tensor = &all->tensor[i];
        if (!tensor->is_trained) continue;
        const bool is_same = memcmp(after + tensor->offset, pf_model_numbers(p.arrays, tensor),
                                    tensor->count * sizeof *after) == 0;
        ck_assert_msg(is_same == tensor->is_frozen, "%s", tensor->name);
    }
    free(after);
    free_pair(&p);
}
END_TEST

START_TEST(memory_is_for_what_is_trained)
{
    const char *const none[] = {NULL}, *const some[] = {"lora.rank=3"};
    const struct pf_config plain = make_config(none, 1), with = make_config(some, 1);
    pf_parameters *a = NULL, *b = NULL;
    must(pf_parameters_create(&plain, &a));
    must(pf_parameters_create(&with, &b));
    ck_assert_str_eq(with.lora.targets, "query,value");
    ck_assert_uint_eq(b->n_trained, 2 * 2 * 2 * 3 * 24); // layers, targets, down and up
    ck_assert_uint_eq(b->n_frozen, a->n_trained);
    ck_assert_uint_le(b->trained_size, b->n_trained + 8 * PF_TENSOR_ALIGNMENT);
    ck_assert_uint_eq(b->parameters_size - b->trained_size, a->parameters_size);
    ck_assert_uint_eq(a->parameters_size, a->trained_size);
    ck_assert_uint_eq(b->layer[1].lora_down[1], PF_ABSENT);
    pf_parameters_free(a);
    pf_parameters_free(b);
}
END_TEST

static const struct {
    const char *settings[3], *says;
} wrong[] = {
    {{"lora.rank=2", "lora.targets=query,values"}, "lora.targets: values is no matrix; expected query, key"},
    {{"lora.rank=2", "lora.targets=layers.2.*"}, "layers.2.* is no matrix"},
    {{"lora.rank=2", "lora.targets=attention.query"}, "attention.query is no matrix"},
    {{"lora.targets=query"}, "lora.targets has no meaning while lora.rank is 0"},
    {{"lora.also=head.*"}, "lora.also has no meaning while lora.rank is 0"},
    {{"lora.rank=2", "lora.also=heads.*"}, "lora.also: heads.* is no trained tensor's name"},
    {{"lora.rank=2", "lora.also=layers.0.attention.projection"}, "is no trained tensor's name"},
    {{"lora.rank=2", "lora.also=layers.*"}, "lora.also: layers.0.attention.query.weight has adapters"},
    {{"lora.rank=2", "lora.targets=up", "lora.also=*.key.weight"},
     "key.weight and layers.0.attention.query.weight"},
    {{"lora.rank=-1"}, "lora.rank"},
    {{"lora.alpha=0"}, "lora.alpha"},
};

START_TEST(what_is_wrong_is_named)
{
    const char *const none[] = {NULL};
    struct pf_config config = make_config(none, 1);
    pf_parameters *all = NULL;
    pf_status status = PF_OK;
    for (int i = 0; i < 3 && wrong[_i].settings[i] && status == PF_OK; i++)
        status = pf_config_set(&config, wrong[_i].settings[i]);
    if (status == PF_OK) status = pf_config_finish(&config, PF_CONFIG_USER);
    if (status == PF_OK) status = pf_parameters_create(&config, &all);
    ck_assert_int_eq(status, PF_ERROR_USAGE);
    ck_assert_msg(strstr(pf_error_message(), wrong[_i].says), "%s", pf_error_message());
    ck_assert_ptr_null(all);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("lora");
    TCase *all = tcase_create("all");
    const int here = test_small() ? 2 : KINDS;
    tcase_set_timeout(all, 600);
    tcase_add_loop_test(all, a_model_with_fresh_adapters_is_the_one_without, 0, here);
    tcase_add_loop_test(all, merged_on_the_host_and_kept_on_the_device_are_one, 0, here);
    tcase_add_loop_test(all, gradients_follow_from_those_of_the_merged_matrix, 0, here);
    tcase_add_loop_test(all, training_changes_adapters_and_what_is_named_beside, 0, here);
    tcase_add_test(all, memory_is_for_what_is_trained);
    tcase_add_loop_test(all, what_is_wrong_is_named, 0, sizeof wrong / sizeof *wrong);
    suite_add_tcase(s, all);
    return s;
}
