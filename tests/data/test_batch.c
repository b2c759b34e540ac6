// Batches are packed without pads and never exceed their room.
#include <string.h>

#include "base/memory.h"
#include "data/batch.h"
#include "support/suite.h"

START_TEST(sequences_lie_behind_each_other)
{
    pf_batch_builder builder;
    ck_assert_int_eq(pf_batch_builder_create(&builder, 10, 3), PF_OK);
    for (int pass = 0; pass < 2; pass++) { // clearing makes it as new
        const pf_batch *batch = &builder.batch;
        ck_assert_int_eq(batch->n_sequences, 0);
        ck_assert_int_eq(batch->start[0], 0);
        ck_assert_int_eq(pf_batch_builder_add(&builder, 4, 70), 0);
        ck_assert_int_eq(pf_batch_builder_add(&builder, 5, 80), 4);
        ck_assert_mem_eq(batch->start, ((const int32_t[]){0, 4, 9}), 3 * sizeof(int32_t));
        ck_assert_mem_eq(batch->number, ((const uint64_t[]){70, 80}), 2 * sizeof(uint64_t));
        ck_assert_int_eq(batch->n_rows, 9);
        ck_assert_int_eq(batch->longest, 5);
        ck_assert_int_eq(batch->n_targets, 0);
        for (int i = 0; i < 9; i++) ck_assert_int_eq(batch->target[i], PF_NO_TARGET);
        memset(builder.target, 0, 9 * sizeof(int32_t));
        pf_batch_builder_clear(&builder);
    }
    pf_batch_builder_free(&builder);
}
END_TEST

START_TEST(what_fits_is_known_before)
{
    pf_batch_builder builder;
    ck_assert_int_eq(pf_batch_builder_create(&builder, 10, 2), PF_OK);
    ck_assert(pf_batch_builder_fits(&builder, 10));
    ck_assert(!pf_batch_builder_fits(&builder, 11));
    pf_batch_builder_add(&builder, 4, 0);
    ck_assert(pf_batch_builder_fits(&builder, 6));
    ck_assert(!pf_batch_builder_fits(&builder, 7));
    pf_batch_builder_add(&builder, 1, 1);
    ck_assert(!pf_batch_builder_fits(&builder, 1)); // a third sequence
    pf_batch_builder_free(&builder);
}
END_TEST

START_TEST(impossible_rooms_and_lack_of_memory_are_errors)
{
    pf_batch_builder builder;
    ck_assert_int_eq(pf_batch_builder_create(&builder, 0, 1), PF_ERROR_USAGE);
    ck_assert_int_eq(pf_batch_builder_create(&builder, 1, 0), PF_ERROR_USAGE);
    ck_assert_int_eq(pf_batch_builder_create(&builder, 1ULL << 31, 1), PF_ERROR_USAGE);
    for (long n = 0; n < 4; n++) {
        pf_alloc_fail_after(n, 0);
        ck_assert_int_eq(pf_batch_builder_create(&builder, 5, 5), PF_ERROR_FAILED);
    }
    pf_alloc_fail_after(-1, 0);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/batch");
    TCase *tests = tcase_create("batch");
    tcase_add_test(tests, sequences_lie_behind_each_other);
    tcase_add_test(tests, what_fits_is_known_before);
    tcase_add_test(tests, impossible_rooms_and_lack_of_memory_are_errors);
    suite_add_tcase(suite, tests);
    return suite;
}
