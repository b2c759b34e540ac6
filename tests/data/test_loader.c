// A training step is a function of corpus, options, number and cursor: not of micro-batches, of
// prefetching or of how the loader came there.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/alphabet.h"
#include "data/loader.h"
#include "support/corpus.h"
#include "support/suite.h"
#include "support/temporary.h"

static pf_corpus *corpus;

static void create_corpus(void)
{
    temporary_create();
    corpus = test_random_corpus(50, 1, 60);
}

static void free_corpus(void)
{
    pf_corpus_free(corpus);
    temporary_remove();
}

static pf_loader_options options(void)
{
    return (pf_loader_options){.shuffle = true,
                               .crop_random = true,
                               .max_length = 32,
                               .batch_tokens = 200,
                               .micro_batch_tokens = 64,
                               .micro_batch_sequences = 3,
                               .seed = 11,
                               .shuffle_seed = 12,
                               .masking = pf_masking_default()};
}

static pf_loader *create(const pf_loader_options *options)
{
    pf_loader *loader = NULL;
    ck_assert_msg(pf_loader_create(corpus, options, &loader) == PF_OK, "%s", pf_error_message());
    return loader;
}

// All that a step says, micro-batches joined, so that steps can be compared however they were cut.
typedef struct flat_step {
    pf_step step;
    int32_t token[4096], target[4096], length[4096];
    size_t n_rows, n_sequences;
} flat_step;

static void flatten(const pf_step *step, flat_step *flat)
{
    *flat = (flat_step){.step = *step};
    flat->step.micro = NULL;
    flat->step.n_micro = 0;
    for (size_t m = 0; m < step->n_micro; m++) {
        const pf_batch *batch = &step->micro[m];
        ck_assert_int_gt(batch->n_sequences, 0);
        ck_assert_int_eq(batch->start[0], 0);
        ck_assert_int_eq(batch->start[batch->n_sequences], batch->n_rows);
        int32_t longest = 0, n_targets = 0;
        for (int32_t b = 0; b < batch->n_sequences; b++) {
            const int32_t length = batch->start[b + 1] - batch->start[b];
            ck_assert_uint_eq(batch->number[b], flat->n_sequences);
            flat->length[flat->n_sequences++] = length;
            longest = length > longest ? length : longest;
        }
        for (int32_t i = 0; i < batch->n_rows; i++) {
            n_targets += batch->target[i] != PF_NO_TARGET;
            ck_assert_int_ne(batch->token[i],
                             PF_TOKEN_PAD); // a row is a token: nothing is computed for padding
        }
        ck_assert_int_eq(batch->longest, longest);
        ck_assert_int_eq(batch->n_targets, n_targets);
        memcpy(flat->token + flat->n_rows, batch->token, (size_t)batch->n_rows * sizeof(int32_t));
        memcpy(flat->target + flat->n_rows, batch->target, (size_t)batch->n_rows * sizeof(int32_t));
        flat->n_rows += (size_t)batch->n_rows;
    }
    ck_assert_uint_eq(flat->n_sequences, step->n_sequences);
    ck_assert_uint_eq(flat->n_rows, step->n_tokens);
}

static void expect_same_steps(pf_loader *a, pf_loader *b, int count)
{
    static flat_step left, right;
    for (int i = 0; i < count; i++) {
        flatten(pf_loader_next(a), &left);
        flatten(pf_loader_next(b), &right);
        ck_assert_mem_eq(&left, &right, sizeof left);
    }
}

START_TEST(steps_keep_their_limits)
{
    const pf_loader_options o = options();
    pf_loader *loader = create(&o);
    uint64_t cursor = 0;
    for (uint64_t s = 1; s <= 60; s++) {
        const pf_step *step = pf_loader_next(loader);
        ck_assert_uint_eq(step->step, s);
        ck_assert_uint_le(step->n_tokens, o.batch_tokens);
        ck_assert_uint_gt(step->n_tokens, o.batch_tokens - o.max_length); // the next would not have fitted
        ck_assert_uint_eq(step->cursor, cursor + step->n_sequences);
        cursor = step->cursor;
        uint64_t n_targets = 0;
        for (size_t m = 0; m < step->n_micro; m++) {
            ck_assert_uint_le((uint64_t)step->micro[m].n_rows, o.micro_batch_tokens);
            ck_assert_uint_le((uint64_t)step->micro[m].n_sequences, o.micro_batch_sequences);
            n_targets += (uint64_t)step->micro[m].n_targets;
        }
        ck_assert_uint_eq(step->n_targets, n_targets);
    }
    pf_loader_free(loader);
}
END_TEST

START_TEST(micro_batches_change_nothing_in_the_step)
{
    pf_loader_options o = options();
    pf_loader *a = create(&o);
    o.micro_batch_tokens = 200;
    o.micro_batch_sequences = 100;
    pf_loader *b = create(&o);
    expect_same_steps(a, b, 50);
    ck_assert_uint_eq(pf_loader_next(b)->n_micro, 1);
    ck_assert_uint_gt(pf_loader_next(a)->n_micro, 1);
    pf_loader_free(a);
    pf_loader_free(b);
}
END_TEST

START_TEST(prefetching_changes_nothing)
{
    for (int concat = 0; concat < 2; concat++) {
        pf_loader_options o = options();
        o.concat = concat;
        pf_loader *a = create(&o);
        o.prefetch = true;
        pf_loader *b = create(&o);
        expect_same_steps(a, b, 50);
        pf_loader_seek(a, 7, 123);
        pf_loader_seek(b, 7, 123);
        expect_same_steps(a, b, 20);
        pf_loader_free(a);
        pf_loader_free(b);
    }
}
END_TEST

START_TEST(a_resumed_run_sees_the_same_steps)
{
    for (int concat = 0; concat < 2; concat++) {
        pf_loader_options o = options();
        o.concat = concat;
        pf_loader *whole = create(&o);
        for (int done = 0; done < 30; done++) {
            const pf_step *step = pf_loader_next(whole);
            const uint64_t number = step->step, cursor = step->cursor;
            pf_loader *resumed = create(&o);
            pf_loader_seek(resumed, number + 1, cursor);
            pf_loader *other = create(&o);
            pf_loader_seek(other, number + 1, cursor);
            expect_same_steps(resumed, other, 3);
            pf_loader_free(other);
            pf_loader_seek(resumed, number + 1, cursor);
            static flat_step left, right;
            flatten(pf_loader_next(whole), &left);
            flatten(pf_loader_next(resumed), &right);
            ck_assert_mem_eq(&left, &right, sizeof left);
            pf_loader_free(resumed);
        }
        pf_loader_free(whole);
    }
}
END_TEST

START_TEST(seeds_steps_and_places_change_the_masks)
{
    static flat_step first, other;
    pf_loader_options o = options();
    pf_loader *loader = create(&o);
    flatten(pf_loader_next(loader), &first);
    pf_loader_seek(loader, 2, 0);
    flatten(pf_loader_next(loader), &other);
    ck_assert_uint_eq(other.step.cursor, first.step.cursor);
    ck_assert(memcmp(first.target, other.target, sizeof first.target) != 0);
    pf_loader_free(loader);
    o.seed++;
    loader = create(&o);
    flatten(pf_loader_next(loader), &other);
    ck_assert_uint_eq(other.step.cursor, first.step.cursor); // the order is shuffle_seed's
    ck_assert(memcmp(first.target, other.target, sizeof first.target) != 0);
    pf_loader_free(loader);
}
END_TEST

START_TEST(random_windows_move_and_first_windows_do_not)
{
    pf_loader_options o = options();
    o.max_length = 8;
    o.is_causal = true;
    for (int random = 0; random < 2; random++) {
        o.crop_random = random;
        pf_loader *loader = create(&o);
        int begins = 0, ends = 0, windows = 0;
        for (int s = 0; s < 20; s++) {
            static flat_step flat;
            flatten(pf_loader_next(loader), &flat);
            const int32_t *token = flat.token;
            for (size_t i = 0; i < flat.n_sequences; token += flat.length[i], i++) {
                if (flat.length[i] < 8) continue;
                begins += token[0] == PF_TOKEN_BEGIN;
                ends += token[7] == PF_TOKEN_END;
                windows++;
            }
        }
        // Sequences of exactly 8 tokens have both; they are a few in a hundred.
        if (random) {
            ck_assert_int_lt(begins, windows / 3);
            ck_assert_int_lt(ends, windows / 3);
            ck_assert_int_gt(begins, 0);
        } else {
            ck_assert_int_eq(begins, windows);
            ck_assert_int_lt(ends, windows / 3);
        }
        pf_loader_free(loader);
    }
}
END_TEST

START_TEST(a_sequence_beyond_the_step_is_a_step_of_its_own)
{
    pf_loader_options o = options();
    o.batch_tokens = 5;
    pf_loader *loader = create(&o);
    for (int s = 0; s < 50; s++) {
        const pf_step *step = pf_loader_next(loader);
        if (step->n_tokens > 5) ck_assert_uint_eq(step->n_sequences, 1);
    }
    pf_loader_free(loader);
}
END_TEST

START_TEST(packed_windows_are_full_and_follow_the_stream)
{
    pf_loader_options o = options();
    o.concat = true;
    o.is_causal = true;
    pf_loader *loader = create(&o);
    int32_t last = PF_TOKEN_END; // of the window before
    for (int s = 0; s < 30; s++) {
        static flat_step flat;
        flatten(pf_loader_next(loader), &flat);
        ck_assert_uint_eq(flat.n_rows, 200 / 32 * 32);
        ck_assert_uint_eq(flat.step.n_targets, 6 * 31);
        for (size_t i = 0; i < flat.n_rows; i++) {
            ck_assert_int_eq(last == PF_TOKEN_END, flat.token[i] == PF_TOKEN_BEGIN);
            last = flat.token[i];
            ck_assert_int_eq(flat.target[i], i % 32 == 31 ? PF_NO_TARGET : flat.token[i + 1]);
        }
    }
    pf_loader_free(loader);
}
END_TEST

START_TEST(the_golden_training_run_takes_the_golden_numbers_of_tokens)
{
    const char *path = PF_TEST_SOURCE "/golden/training/train.fasta";
    pf_corpus *golden = NULL;
    ck_assert_int_eq(pf_corpus_load(&path, 1, &golden), PF_OK);
    const pf_loader_options o = {.is_causal = true,
                                 .max_length = 64,
                                 .batch_tokens = 300,
                                 .micro_batch_tokens = 100,
                                 .micro_batch_sequences = 2};
    pf_loader *loader = NULL;
    ck_assert_int_eq(pf_loader_create(golden, &o, &loader), PF_OK);
    json_t *expected = json_load_file(PF_TEST_SOURCE "/golden/training/expected.json", 0, NULL), *step;
    size_t i;
    json_array_foreach(json_object_get(expected, "steps"), i, step) ck_assert_uint_eq(
        pf_loader_next(loader)->n_tokens, (uint64_t)json_integer_value(json_object_get(step, "tokens")));
    ck_assert_uint_eq(i, 30);
    json_decref(expected);
    pf_loader_free(loader);
    pf_corpus_free(golden);
}
END_TEST

START_TEST(limits_that_hold_no_window_are_refused)
{
    pf_loader *loader = NULL;
    pf_loader_options o = options();
    o.micro_batch_tokens = 31;
    ck_assert_int_eq(pf_loader_create(corpus, &o, &loader), PF_ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "expected at least 32"));
    o = options();
    o.micro_batch_sequences = 0;
    ck_assert_int_eq(pf_loader_create(corpus, &o, &loader), PF_ERROR_USAGE);
    ck_assert_ptr_null(loader);
}
END_TEST

START_TEST(steps_need_no_memory_and_creation_survives_its_lack)
{
    pf_loader_options o = options();
    o.prefetch = true;
    for (long n = 0;; n++) {
        pf_loader *loader = NULL;
        pf_alloc_fail_after(n, 1);
        const pf_status status = pf_loader_create(corpus, &o, &loader);
        for (int i = 0; loader && i < 100; i++) pf_loader_next(loader);
        pf_loader_free(loader);
        pf_alloc_fail_after(-1, 0);
        if (status == PF_OK) break;
        ck_assert_int_eq(status, PF_ERROR_FAILED);
        ck_assert_int_lt(n, 50);
    }
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/loader");
    TCase *tests = tcase_create("loader");
    tcase_add_checked_fixture(tests, create_corpus, free_corpus);
    tcase_add_test(tests, steps_keep_their_limits);
    tcase_add_test(tests, micro_batches_change_nothing_in_the_step);
    tcase_add_test(tests, prefetching_changes_nothing);
    tcase_add_test(tests, a_resumed_run_sees_the_same_steps);
    tcase_add_test(tests, seeds_steps_and_places_change_the_masks);
    tcase_add_test(tests, random_windows_move_and_first_windows_do_not);
    tcase_add_test(tests, a_sequence_beyond_the_step_is_a_step_of_its_own);
    tcase_add_test(tests, packed_windows_are_full_and_follow_the_stream);
    tcase_add_test(tests, the_golden_training_run_takes_the_golden_numbers_of_tokens);
    tcase_add_test(tests, limits_that_hold_no_window_are_refused);
    tcase_add_test(tests, steps_need_no_memory_and_creation_survives_its_lack);
    suite_add_tcase(suite, tests);
    return suite;
}
