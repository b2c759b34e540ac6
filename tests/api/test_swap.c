// A model's weights under another attention: what stays, what is new, and what is refused.
#include "performer/swap.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/alphabet.h"
#include "data/batch.h"
#include "model/performer.h"
#include "support/device.h"
#include "support/suite.h"

enum { LONGEST = 64, COUNT = LONGEST * PF_VOCAB_SIZE };

#define EXACT "mlm-sinusoidal-exact-tied"
#define FAVOR "mlm-learned-relu"

static const char *path_of(const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/golden/models/%s", PF_TEST_SOURCE, name);
    return path;
}

static pf_model *swapped(const char *name, const char *const *settings, int n_settings, uint64_t seed)
{
    pf_model *model = NULL;
    const pf_swap_options swap = {.settings = settings, .n_settings = n_settings, .seed = seed};
    must(pf_model_open_swapped(test_device(), path_of(name), &(pf_model_options){0}, &swap, &model));
    return model;
}

static void logits_of(pf_model *model, float out[COUNT])
{
    static const char sequence[] = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEG";
    const pf_pass pass = {0};
    pf_batch_builder builder;
    uint8_t residue[LONGEST];
    pf_alphabet_encode(residue, sequence, strlen(sequence));
    must(pf_batch_builder_create(&builder, LONGEST, 1));
    const int32_t row = pf_batch_builder_add(&builder, strlen(sequence) + 2, 0);
    pf_alphabet_window(builder.token + row, residue, strlen(sequence), 0, strlen(sequence) + 2);
    memset(out, 0, COUNT * sizeof *out);
    must(pf_model_forward(model, &builder.batch, &pass));
    must(pf_model_read_logits(model, out));
    pf_batch_builder_free(&builder);
}

static double distance(const float *a, const float *b)
{
    double squares = 0;
    for (int i = 0; i < COUNT; i++) squares += pow((double)a[i] - (double)b[i], 2);
    return sqrt(squares);
}

static const char *const few[] = {"attention.type=favor", "attention.kernel=softmax",
                                  "attention.renormalize=true", "attention.num_features=4"};
static const char *const many[] = {"attention.type=favor", "attention.kernel=softmax",
                                   "attention.renormalize=true", "attention.num_features=4096"};

START_TEST(without_a_change_the_logits_are_the_models)
{
    static float own[COUNT], got[COUNT];
    pf_model *model = NULL;
    must(pf_model_open(test_device(), path_of(EXACT), &(pf_model_options){0}, &model, NULL));
    logits_of(model, own);
    pf_model_close(model);
    model = swapped(EXACT, NULL, 0, 1);
    logits_of(model, got);
    ck_assert_mem_eq(own, got, sizeof own);
    must(pf_model_redraw(model, 2)); // has no projections
    logits_of(model, got);
    ck_assert_mem_eq(own, got, sizeof own);
    pf_model_close(model);
}
END_TEST

// Mean over draws of how far the logits are from `own`.
static double mean_distance(const char *const *settings, const float own[COUNT])
{
    enum { DRAWS = 8 };
    static float got[COUNT];
    double sum = 0;
    pf_model *model = swapped(EXACT, settings, 4, 0);
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        must(pf_model_redraw(model, draw));
        logits_of(model, got);
        sum += distance(got, own) / DRAWS;
    }
    pf_model_close(model);
    return sum;
}

// 1024 times the features. Queries and keys of this model are long, so errors fall slower than as 1/sqrt(M):
// they came to a fifth.
START_TEST(many_features_come_near_exact_attention)
{
    static float own[COUNT];
    pf_model *model = swapped(EXACT, NULL, 0, 1);
    logits_of(model, own);
    pf_model_close(model);
    const double rough = mean_distance(few, own), fine = mean_distance(many, own);
    ck_assert_double_gt(fine, 0);
    ck_assert_msg(fine < rough / 2.5, "%g, %g", fine, rough);
}
END_TEST

START_TEST(projections_are_the_seeds)
{
    static float first[COUNT], got[COUNT];
    pf_model *model = swapped(EXACT, few, 4, 1);
    logits_of(model, first);
    must(pf_model_redraw(model, 2));
    logits_of(model, got);
    ck_assert_double_gt(distance(first, got), 0);
    must(pf_model_redraw(model, 1));
    logits_of(model, got);
    ck_assert_mem_eq(first, got, sizeof first);
    pf_model_close(model);
    model = swapped(EXACT, few, 4, 2);
    must(pf_model_redraw(model, 1));
    logits_of(model, got);
    ck_assert_mem_eq(first, got, sizeof first);
    pf_model_close(model);
}
END_TEST

START_TEST(favor_can_be_made_exact)
{
    static const char *const exact[] = {"attention.type=softmax"};
    pf_model *model = swapped(FAVOR, exact, 1, 0);
    ck_assert_int_eq(pf_config_layer_type(pf_model_config(model), 0), PF_ATTENTION_SOFTMAX);
    ck_assert_uint_eq(pf_model_params(model)->projections_size, 0);
    pf_model_close(model);
}
END_TEST

START_TEST(what_is_not_attention_is_refused)
{
    static const char *const wrong[] = {"compute.matmul=tile", "attention.kernel=nothing",
                                        "attention.num_features=0"};
    for (int i = 0; i < 3; i++) {
        pf_model *model = NULL;
        const pf_swap_options swap = {.settings = &wrong[i], .n_settings = 1};
        ck_assert_int_eq(
            pf_model_open_swapped(test_device(), path_of(FAVOR), &(pf_model_options){0}, &swap, &model),
            PF_ERROR_USAGE);
        ck_assert_ptr_null(model);
    }
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("swap");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, without_a_change_the_logits_are_the_models);
    tcase_add_test(cases, many_features_come_near_exact_attention);
    tcase_add_test(cases, projections_are_the_seeds);
    tcase_add_test(cases, favor_can_be_made_exact);
    tcase_add_test(cases, what_is_not_attention_is_refused);
    tcase_set_timeout(cases, 120);
    suite_add_tcase(s, cases);
    return s;
}
