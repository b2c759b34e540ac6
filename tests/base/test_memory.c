// Memory: zeroed, checked against overflow, and failing on request.
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "support/suite.h"

START_TEST(allocations_are_zeroed)
{
    void *memory = NULL;
    ck_assert_int_eq(pf_alloc(&memory, 1000, 4, "test"), PF_OK);
    for (size_t i = 0; i < 4000; i++) ck_assert_int_eq(((char *)memory)[i], 0);
    pf_free(memory);
}
END_TEST

START_TEST(nothing_is_still_something)
{
    void *memory = NULL;
    ck_assert_int_eq(pf_alloc(&memory, 0, 8, "test"), PF_OK);
    ck_assert_ptr_nonnull(memory);
    pf_free(memory);
    pf_free(NULL);
}
END_TEST

START_TEST(sizes_that_overflow_are_refused)
{
    void *memory = &memory;
    ck_assert_int_eq(pf_alloc(&memory, SIZE_MAX / 8 + 2, 8, "weights"), PF_ERROR_FAILED);
    ck_assert_ptr_eq(memory, &memory);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "weights"));
    size_t capacity = 0;
    memory = NULL;
    ck_assert_int_eq(pf_grow(&memory, &capacity, SIZE_MAX / 8 + 2, 8, "ids"), PF_ERROR_FAILED);
    ck_assert_ptr_null(memory);
    ck_assert_uint_eq(capacity, 0);
}
END_TEST

START_TEST(growing_keeps_what_was_there_and_zeroes_the_rest)
{
    void *memory = NULL;
    size_t capacity = 0;
    for (size_t n = 1; n < 2000; n++) {
        ck_assert_int_eq(pf_grow(&memory, &capacity, n, sizeof(uint32_t), "test"), PF_OK);
        ck_assert_uint_ge(capacity, n);
        uint32_t *numbers = memory;
        ck_assert_uint_eq(numbers[n - 1], 0);
        numbers[n - 1] = (uint32_t)n;
        ck_assert_uint_eq(numbers[n / 2], n / 2 + 1 <= n ? n / 2 + 1 : 0);
    }
    pf_free(memory);
}
END_TEST

START_TEST(the_nth_allocation_fails_once_or_for_ever)
{
    void *memory = NULL;
    pf_alloc_fail_after(1, 0);
    ck_assert_int_eq(pf_alloc(&memory, 1, 1, "first"), PF_OK);
    pf_free(memory);
    memory = NULL;
    ck_assert_int_eq(pf_alloc(&memory, 1, 1, "second"), PF_ERROR_FAILED);
    ck_assert_ptr_null(memory);
    ck_assert_int_eq(pf_alloc(&memory, 1, 1, "third"), PF_OK);
    pf_free(memory);
    pf_alloc_fail_after(0, 1);
    char *text = NULL;
    ck_assert_int_eq(pf_copy_text(&text, "a"), PF_ERROR_FAILED);
    ck_assert_int_eq(pf_copy_text(&text, "a"), PF_ERROR_FAILED);
    ck_assert_ptr_null(text);
    pf_alloc_fail_after(-1, 0);
    ck_assert_int_eq(pf_copy_text(&text, "a"), PF_OK);
    ck_assert_str_eq(text, "a");
    pf_free(text);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("memory");
    TCase *cases = tcase_create("memory");
    tcase_add_test(cases, allocations_are_zeroed);
    tcase_add_test(cases, nothing_is_still_something);
    tcase_add_test(cases, sizes_that_overflow_are_refused);
    tcase_add_test(cases, growing_keeps_what_was_there_and_zeroes_the_rest);
    tcase_add_test(cases, the_nth_allocation_fails_once_or_for_ever);
    suite_add_tcase(suite, cases);
    return suite;
}
