// An evaluation sees every sequence once, in order, with the same masks whatever its batches.
#include <string.h>

#include "data/alphabet.h"
#include "data/evaluation.h"
#include "data/mask.h"
#include "support/corpus.h"
#include "support/suite.h"
#include "support/temporary.h"

enum { SEQUENCES = 40 };

static pf_corpus *corpus;

static void create_corpus(void)
{
    temporary_create();
    corpus = test_random_corpus(SEQUENCES, 1, 60);
}

static void free_corpus(void)
{
    pf_corpus_free(corpus);
    temporary_remove();
}

typedef struct everything {
    int32_t token[4096], target[4096];
    size_t n_rows, n_sequences, n_targets;
} everything;

static void gather(const pf_evaluation_options *options, everything *all)
{
    pf_evaluation *evaluation = NULL;
    const pf_batch *batch;
    ck_assert_msg(pf_evaluation_create(corpus, options, &evaluation) == PF_OK, "%s", pf_error_message());
    for (int pass = 0; pass < 2; pass++) { // the second, after a rewind, must say the same
        everything seen = {0};
        while (pf_evaluation_next(evaluation, &batch) == PF_OK) {
            ck_assert_uint_le((uint64_t)batch->n_rows, options->most_rows);
            ck_assert_uint_le((uint64_t)batch->n_sequences, options->most_sequences);
            ck_assert_int_eq(batch->start[0], 0);
            ck_assert_int_eq(batch->start[batch->n_sequences], batch->n_rows);
            for (int32_t b = 0; b < batch->n_sequences; b++)
                ck_assert_uint_eq(batch->number[b], seen.n_sequences++);
            memcpy(seen.token + seen.n_rows, batch->token, (size_t)batch->n_rows * sizeof(int32_t));
            memcpy(seen.target + seen.n_rows, batch->target, (size_t)batch->n_rows * sizeof(int32_t));
            seen.n_rows += (size_t)batch->n_rows;
            seen.n_targets += (size_t)batch->n_targets;
        }
        if (pass) ck_assert_mem_eq(all, &seen, sizeof seen);
        *all = seen;
        pf_evaluation_rewind(evaluation);
    }
    ck_assert_uint_eq(all->n_sequences, SEQUENCES);
    pf_evaluation_free(evaluation);
}

START_TEST(batches_change_nothing)
{
    static everything a, b;
    for (int causal = 0; causal < 2; causal++) {
        pf_evaluation_options options = {
            .is_causal = causal, .max_length = 40, .most_rows = 40, .most_sequences = 1, .seed = 3};
        gather(&options, &a);
        options.most_rows = 150;
        options.most_sequences = 7;
        gather(&options, &b);
        ck_assert_mem_eq(&a, &b, sizeof a);
        options.seed = 4;
        gather(&options, &b);
        ck_assert_int_eq(memcmp(&a, &b, sizeof a) == 0, causal);
    }
}
END_TEST

START_TEST(tokens_are_the_first_of_each_sequence)
{
    static everything all;
    const pf_evaluation_options options = {
        .is_causal = true, .max_length = 20, .most_rows = 100, .most_sequences = 100};
    gather(&options, &all);
    size_t row = 0;
    for (size_t i = 0; i < SEQUENCES; i++) {
        const uint64_t whole = pf_corpus_length(corpus, i);
        const size_t length = whole < 20 ? (size_t)whole : 20;
        int32_t token[20];
        pf_corpus_tokens(corpus, i, 0, length, token);
        ck_assert_mem_eq(all.token + row, token, length * sizeof *token);
        for (size_t t = 0; t < length; t++)
            ck_assert_int_eq(all.target[row + t], t + 1 < length ? token[t + 1] : PF_NO_TARGET);
        row += length;
    }
    ck_assert_uint_eq(row, all.n_rows);
}
END_TEST

START_TEST(masks_are_those_of_the_place_in_the_input)
{
    static everything all;
    const pf_evaluation_options options = {
        .max_length = 20, .most_rows = 100, .most_sequences = 100, .seed = 6};
    gather(&options, &all);
    size_t row = 0;
    for (size_t i = 0; i < SEQUENCES; i++) {
        const uint64_t whole = pf_corpus_length(corpus, i);
        const size_t length = whole < 20 ? (size_t)whole : 20;
        int32_t token[20], target[20];
        pf_corpus_tokens(corpus, i, 0, length, token);
        pf_mask_evaluation(6, i, token, target, length);
        ck_assert_mem_eq(all.token + row, token, length * sizeof *token);
        ck_assert_mem_eq(all.target + row, target, length * sizeof *target);
        row += length;
    }
}
END_TEST

START_TEST(labels_are_the_targets_of_a_task)
{
    int32_t target[SEQUENCES];
    double value[SEQUENCES];
    for (int i = 0; i < SEQUENCES; i++) value[i] = i, target[i] = 0;
    const struct pf_task_config task = {.type = PF_TASK_REGRESSION, .mean = 10, .deviation = 4};
    const pf_labels labels = {.type = task.type, .count = SEQUENCES, .target = target, .value = value};
    const pf_evaluation_options options = {
        .max_length = 20, .most_rows = 100, .most_sequences = 7, .labels = &labels, .task = &task};
    pf_evaluation *evaluation = NULL;
    const pf_batch *batch;
    int seen = 0;
    ck_assert_int_eq(pf_evaluation_create(corpus, &options, &evaluation), PF_OK);
    while (pf_evaluation_next(evaluation, &batch) == PF_OK) {
        ck_assert_int_eq(batch->n_targets, batch->n_sequences);
        for (int32_t b = 0; b < batch->n_sequences; b++, seen++) {
            ck_assert_int_eq(batch->target[batch->start[b]], 0);
            ck_assert(batch->value[batch->start[b]] == (float)(seen - 10) / 4);
        }
        for (int32_t row = 0; row < batch->n_rows; row++) ck_assert_int_ne(batch->token[row], PF_TOKEN_MASK);
    }
    ck_assert_int_eq(seen, SEQUENCES);
    pf_evaluation_free(evaluation);
}
END_TEST

START_TEST(limits_that_hold_no_sequence_are_refused)
{
    pf_evaluation *evaluation = NULL;
    pf_evaluation_options options = {.max_length = 40, .most_rows = 39, .most_sequences = 1};
    ck_assert_int_eq(pf_evaluation_create(corpus, &options, &evaluation), PF_ERROR_USAGE);
    options = (pf_evaluation_options){.max_length = 40, .most_rows = 40};
    ck_assert_int_eq(pf_evaluation_create(corpus, &options, &evaluation), PF_ERROR_USAGE);
    ck_assert_ptr_null(evaluation);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/evaluation");
    TCase *tests = tcase_create("evaluation");
    tcase_add_checked_fixture(tests, create_corpus, free_corpus);
    tcase_add_test(tests, batches_change_nothing);
    tcase_add_test(tests, tokens_are_the_first_of_each_sequence);
    tcase_add_test(tests, masks_are_those_of_the_place_in_the_input);
    tcase_add_test(tests, labels_are_the_targets_of_a_task);
    tcase_add_test(tests, limits_that_hold_no_sequence_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
