// What a pass costs in launches and waits: fixed numbers, whatever the batch. Speed itself is not tested,
// clocks on shared machines tell too little; that a launch or a wait more slips in is told here.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/init.h"
#include "support/device.h"
#include "support/suite.h"
#include "train/trainer.h"

enum { MOST_ROWS = 120, MOST_SEQUENCES = 4 };

typedef struct subject {
    struct pf_config config;
    pf_model *model;
    pf_trainer *trainer;
} subject;

// `setting` NULL: FAVOR, bidirectional, learned positions, no dropout.
static void make_subject(subject *s, int layers, bool training, const char *setting)
{
    static const char *const sizes[] = {
        "hidden_size=16",     "num_attention_heads=2",      "intermediate_size=24",
        "hidden_dropout=0",   "max_position_embeddings=64", "attention.num_features=8",
        "compute.matmul=tile"};
    const pf_model_limits limits = {
        .max_rows = MOST_ROWS, .max_sequences = MOST_SEQUENCES, .max_length = 64, .training = training};
    char text[64];
    memset(s, 0, sizeof *s);
    pf_config_default(&s->config);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) must(pf_config_set(&s->config, sizes[i]));
    snprintf(text, sizeof text, "num_hidden_layers=%d", layers);
    must(pf_config_set(&s->config, text));
    if (setting) must(pf_config_set(&s->config, setting));
    must(pf_config_finish(&s->config, PF_CONFIG_USER));
    must(pf_model_create(test_device(), &s->config, &limits, &s->model));
    const pf_parameters *params = pf_model_params(s->model);
    float *trained = calloc(params->trained_size, sizeof *trained);
    float *projections = calloc(params->projections_size + 1, sizeof *projections);
    must(pf_init_parameters(&s->config, params, 5, trained, projections));
    must(pf_model_upload(s->model, trained, projections));
    free(trained);
    free(projections);
    if (training) must(pf_trainer_create(s->model, &s->trainer));
}

static void free_subject(subject *s)
{
    pf_trainer_free(s->trainer);
    pf_model_free(s->model);
}

typedef struct rows {
    int32_t start[MOST_SEQUENCES + 1], token[MOST_ROWS];
    float value[MOST_ROWS]; // of a regression's labels
    uint64_t number[MOST_SEQUENCES];
    pf_batch batch;
} rows;

static void make_rows(rows *r, int sequences, int length)
{
    memset(r, 0, sizeof *r);
    for (int b = 0; b <= sequences; b++) r->start[b] = b * length;
    for (int n = 0; n < sequences * length; n++) r->token[n] = n % 20;
    for (int b = 0; b < sequences; b++) r->number[b] = (uint64_t)b;
    r->batch = (pf_batch){.n_sequences = sequences,
                          .n_rows = sequences * length,
                          .n_targets = sequences * length,
                          .longest = length,
                          .start = r->start,
                          .token = r->token,
                          .target = r->token,
                          .value = r->value,
                          .number = r->number};
}

typedef struct cost {
    uint64_t launches, waits, allocations;
} cost;

static cost cost_now(void)
{
    pf_device *device = test_device();
    return (cost){pf_device_launches(device), pf_device_waits(device), pf_device_allocations(device)};
}

static cost cost_since(cost before)
{
    const cost now = cost_now();
    return (cost){now.launches - before.launches, now.waits - before.waits,
                  now.allocations - before.allocations};
}

static cost cost_of_forward(subject *s, int sequences, int length)
{
    rows r;
    make_rows(&r, sequences, length);
    const cost before = cost_now();
    must(pf_model_forward(s->model, &r.batch, &(pf_pass){0}));
    return cost_since(before);
}

static cost cost_of_step(subject *s, int micro, int sequences, int length)
{
    rows r;
    pf_trainer_result result;
    pf_batch batches[4];
    make_rows(&r, sequences, length);
    for (int i = 0; i < micro; i++) batches[i] = r.batch;
    const cost before = cost_now();
    must(pf_trainer_step(s->trainer,
                         &(pf_trainer_step_call){.micro = batches,
                                                 .n_micro = (size_t)micro,
                                                 .n_targets = (uint64_t)(micro * sequences * length),
                                                 .step = 1,
                                                 .learning_rate = 1e-3},
                         &result));
    return cost_since(before);
}

// What one layer adds, and what there is without layers, told apart with two models.
typedef struct launches {
    int each, rest;
} launches;

static launches forward_launches(const char *setting)
{
    subject one, two;
    make_subject(&one, 1, false, setting);
    make_subject(&two, 2, false, setting);
    const int a = (int)cost_of_forward(&one, 2, 20).launches, b = (int)cost_of_forward(&two, 2, 20).launches;
    free_subject(&one);
    free_subject(&two);
    return (launches){b - a, 2 * a - b};
}

static launches step_launches(const char *setting)
{
    subject one, two;
    make_subject(&one, 1, true, setting);
    make_subject(&two, 2, true, setting);
    const int a = (int)cost_of_step(&one, 1, 2, 20).launches, b = (int)cost_of_step(&two, 1, 2, 20).launches;
    free_subject(&one);
    free_subject(&two);
    return (launches){b - a, 2 * a - b};
}

START_TEST(a_forward_pass_takes_so_many_launches)
{
    const launches favor = forward_launches(NULL), exact = forward_launches("attention.type=softmax");
    ck_assert_int_le(favor.each, 15);
    ck_assert_int_le(favor.rest, 4);
    ck_assert_int_le(exact.each, 12);
    ck_assert_int_eq(exact.rest, favor.rest);
}
END_TEST

START_TEST(a_training_step_takes_so_many_launches)
{
    const launches favor = step_launches(NULL), exact = step_launches("attention.type=softmax");
    ck_assert_int_le(favor.each, 46);
    ck_assert_int_le(favor.rest, 21);
    ck_assert_int_le(exact.each, 41);
    ck_assert_int_eq(exact.rest, favor.rest);
}
END_TEST

// A task's head over the mean of residues is at most one launch more each way; squared errors cost what cross-entropy does.
START_TEST(a_task_takes_so_many_launches)
{
    const launches forward = forward_launches(NULL), step = step_launches(NULL);
    const launches pooled_forward = forward_launches("task.type=regression"),
                   pooled = step_launches("task.type=regression");
    ck_assert_int_eq(pooled_forward.each, forward.each);
    ck_assert_int_eq(pooled.each, step.each);
    ck_assert_int_le(pooled_forward.rest, forward.rest + 1);
    ck_assert_int_le(pooled.rest, step.rest + 2);
}
END_TEST

// A batch of more or longer sequences is more work for the same launches, and no memory is taken.
START_TEST(the_batch_does_not_change_the_launches)
{
    subject s;
    make_subject(&s, 2, true, NULL);
    const cost few = cost_of_step(&s, 1, 1, 12), many = cost_of_step(&s, 1, 4, 30),
               long_one = cost_of_step(&s, 1, 1, 60);
    ck_assert_uint_eq(few.launches, many.launches);
    ck_assert_uint_eq(few.launches, long_one.launches);
    ck_assert_uint_eq(few.allocations + many.allocations + long_one.allocations, 0);
    free_subject(&s);
}
END_TEST

// The device is never left without work because the host looks at something: a step waits for its loss and
// its norm, at the end, however many micro-batches there are, and a forward pass does not wait at all.
START_TEST(the_host_waits_for_results_only)
{
    static const char *const settings[] = {NULL, "task.type=regression"};
    subject s;
    make_subject(&s, 2, true, settings[_i]);
    ck_assert_uint_eq(cost_of_forward(&s, 2, 20).waits, 0);
    ck_assert_uint_eq(cost_of_step(&s, 1, 2, 20).waits, 2);
    ck_assert_uint_eq(cost_of_step(&s, 4, 2, 20).waits, 2);
    ck_assert_uint_eq(cost_of_step(&s, 4, 2, 20).allocations, 0);
    free_subject(&s);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("counts");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 300); // on an empty kernel cache a driver's compiler takes most of it
    tcase_add_test(all, a_forward_pass_takes_so_many_launches);
    tcase_add_test(all, a_training_step_takes_so_many_launches);
    tcase_add_test(all, a_task_takes_so_many_launches);
    tcase_add_test(all, the_batch_does_not_change_the_launches);
    tcase_add_loop_test(all, the_host_waits_for_results_only, 0, 2);
    suite_add_tcase(s, all);
    return s;
}
