// Status: one line of text that gains context on its way up and never breaks.
#include <string.h>

#include "base/status.h"
#include "support/suite.h"

START_TEST(a_failure_has_its_code_and_text)
{
    ck_assert_int_eq(pf_fail(PF_ERROR_INPUT, "line %d: bad", 42), PF_ERROR_INPUT);
    ck_assert_str_eq(pf_error_message(), "line 42: bad");
}
END_TEST

START_TEST(context_goes_in_front)
{
    pf_fail(PF_ERROR_DEVICE, "out of resources");
    ck_assert_int_eq(pf_context(PF_ERROR_DEVICE, "layer %d", 3), PF_ERROR_DEVICE);
    ck_assert_int_eq(pf_context(PF_ERROR_DEVICE, "step %d", 12), PF_ERROR_DEVICE);
    ck_assert_str_eq(pf_error_message(), "step 12: layer 3: out of resources");
}
END_TEST

START_TEST(success_and_end_take_no_context)
{
    pf_fail(PF_ERROR_FAILED, "old");
    ck_assert_int_eq(pf_context(PF_OK, "layer"), PF_OK);
    ck_assert_int_eq(pf_context(PF_END, "layer"), PF_END);
    ck_assert_str_eq(pf_error_message(), "old");
}
END_TEST

START_TEST(a_message_may_quote_the_one_before)
{
    pf_fail(PF_ERROR_FAILED, "inner");
    pf_fail(PF_ERROR_FAILED, "outer (%s)", pf_error_message());
    ck_assert_str_eq(pf_error_message(), "outer (inner)");
}
END_TEST

START_TEST(text_without_end_is_cut_not_overrun)
{
    char text[9000];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 0;
    pf_fail(PF_ERROR_FAILED, "%s", text);
    const size_t length = strlen(pf_error_message());
    ck_assert_uint_gt(length, 1000);
    ck_assert_uint_lt(length, 5000);
    ck_assert_int_eq(pf_context(PF_ERROR_FAILED, "%s", text), PF_ERROR_FAILED);
    ck_assert_uint_eq(strlen(pf_error_message()), length);
}
END_TEST

START_TEST(control_characters_cannot_reach_a_terminal)
{
    pf_fail(PF_ERROR_INPUT, "a\x1b[2Jb\nc\td\x7f");
    ck_assert_str_eq(pf_error_message(), "a?[2Jb?c?d?");
    pf_context(PF_ERROR_INPUT, "x\ry");
    ck_assert_str_eq(pf_error_message(), "x?y: a?[2Jb?c?d?");
}
END_TEST

static pf_status check_positive(int number)
{
    PF_CHECK(number > 0, PF_ERROR_USAGE, "number %d, expected above 0", number);
    return PF_OK;
}

static pf_status twice(int first, int second)
{
    PF_TRY(check_positive(first));
    pf_status status = PF_OK;
    PF_TRY_OR(done, check_positive(second));
    return PF_END;
done:
    return status;
}

START_TEST(the_macros_return_the_first_failure)
{
    ck_assert_int_eq(twice(1, 1), PF_END);
    ck_assert_int_eq(twice(-1, -2), PF_ERROR_USAGE);
    ck_assert_str_eq(pf_error_message(), "number -1, expected above 0");
    ck_assert_int_eq(twice(1, -2), PF_ERROR_USAGE);
    ck_assert_str_eq(pf_error_message(), "number -2, expected above 0");
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("status");
    TCase *cases = tcase_create("status");
    tcase_add_test(cases, a_failure_has_its_code_and_text);
    tcase_add_test(cases, context_goes_in_front);
    tcase_add_test(cases, success_and_end_take_no_context);
    tcase_add_test(cases, a_message_may_quote_the_one_before);
    tcase_add_test(cases, text_without_end_is_cut_not_overrun);
    tcase_add_test(cases, control_characters_cannot_reach_a_terminal);
    tcase_add_test(cases, the_macros_return_the_first_failure);
    suite_add_tcase(suite, cases);
    return suite;
}
