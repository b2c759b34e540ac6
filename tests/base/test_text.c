// Numbers are read strictly and in every locale alike; foreign text cannot hurt a message.
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"
#include "support/suite.h"

START_TEST(integers_are_read_whole)
{
    int64_t n = 7;
    ck_assert_int_eq(pf_parse_integer("-12", -20, 20, &n), PF_OK);
    ck_assert_int_eq(n, -12);
    ck_assert_int_eq(pf_parse_integer("9223372036854775807", 0, INT64_MAX, &n), PF_OK);
    ck_assert_int_eq(n, INT64_MAX);
}
END_TEST

START_TEST(what_is_no_integer_is_refused_and_leaves_the_output_alone)
{
    static const char *const wrong[] = {"",    "-",   "+1",  " 1",  "1 ",
                                        "1.0", "0x1", "1e3", "--1", "9223372036854775808"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t n = 7;
        ck_assert_int_eq(pf_parse_integer(wrong[i], INT64_MIN, INT64_MAX, &n), PF_ERROR_USAGE);
        ck_assert_int_eq(n, 7);
    }
    int64_t n = 7;
    ck_assert_int_eq(pf_parse_integer("21", -20, 20, &n), PF_ERROR_USAGE);
    ck_assert_int_eq(pf_parse_integer("-21", -20, 20, &n), PF_ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "'-21'"));
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "from -20 to 20"));
    ck_assert_int_eq(n, 7);
}
END_TEST

START_TEST(numbers_are_read_whole)
{
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0}, {"1e-3", 1e-3}, {"-2.5", -2.5}, {".5", .5}, {"5.", 5}, {"1E+2", 100}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double x = 7;
        ck_assert_int_eq(pf_parse_number(good[i].text, -1e9, 1e9, &x), PF_OK);
        ck_assert_double_eq(x, good[i].value);
    }
}
END_TEST

START_TEST(what_is_no_number_is_refused)
{
    static const char *const wrong[] = {"",    ".",   "-",  "1e", "1e+",   "+1",    "0x10", "inf",
                                        "nan", "1,5", "1 ", " 1", "1e400", "-1e10", "1.2.3"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        double x = 7;
        ck_assert_int_eq(pf_parse_number(wrong[i], -1e9, 1e9, &x), PF_ERROR_USAGE);
        ck_assert_double_eq(x, 7);
    }
}
END_TEST

START_TEST(a_locale_with_a_decimal_comma_changes_nothing)
{
    // Where the locale is not installed this runs in "C", which shows nothing but breaks nothing.
    setlocale(LC_ALL, "de_DE.UTF-8");
    double x = 0;
    ck_assert_int_eq(pf_parse_number("1.5", 0, 2, &x), PF_OK);
    ck_assert_double_eq(x, 1.5);
    setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(quoting_escapes_and_cuts)
{
    char out[PF_QUOTE_BYTES];
    ck_assert_str_eq(pf_quote(out, "a\n\x1b[0m\\\xff\0z", 9), "a\\x0a\\x1b[0m\\x5c\\xff\\x00");
    ck_assert_str_eq(pf_quote(out, "", 0), "");
    char many[200];
    memset(many, 1, sizeof many);
    pf_quote(out, many, sizeof many);
    ck_assert_uint_eq(strlen(out), 80 * 4 + 3);
    memset(many, 'x', sizeof many);
    ck_assert_uint_eq(strlen(pf_quote(out, many, 80)), 80);
    ck_assert_str_eq(pf_quote(out, many, 81) + 80, "...");
}
END_TEST

START_TEST(text_grows_and_keeps_nul_bytes)
{
    pf_text text = {0};
    for (int i = 0; i < 100; i++) ck_assert_int_eq(pf_text_add(&text, "%d,", i % 10), PF_OK);
    ck_assert_uint_eq(text.length, 200);
    ck_assert_uint_eq(strlen(text.data), 200);
    ck_assert_int_eq(pf_text_add_bytes(&text, "\0b", 2), PF_OK);
    ck_assert_uint_eq(text.length, 202);
    ck_assert_mem_eq(text.data + 198, "9,\0b", 5);
    pf_text_free(&text);
    ck_assert_ptr_null(text.data);
}
END_TEST

START_TEST(paths_stay_readable_and_harmless)
{
    pf_text text = {0};
    ck_assert_int_eq(pf_text_add_path(&text, "a/M\xc3\xbcller\n\xc2\x9b\xff.fa"), PF_OK);
    ck_assert_str_eq(text.data, "a/M\xc3\xbcller\\x0a\\xc2\\x9b\\xff.fa");
    pf_text_free(&text);
}
END_TEST

START_TEST(text_stays_as_it_was_when_memory_is_gone)
{
    pf_text text = {0};
    ck_assert_int_eq(pf_text_add(&text, "kept"), PF_OK);
    pf_alloc_fail_after(0, 1);
    const pf_status status = pf_text_add(&text, "%1000d", 1);
    pf_alloc_fail_after(-1, 0);
    ck_assert_int_eq(status, PF_ERROR_FAILED);
    ck_assert_str_eq(text.data, "kept");
    pf_text_free(&text);
}
END_TEST

START_TEST(numbers_come_back_with_the_same_bits)
{
    pf_text text = {0};
    pf_text_add_number(&text, 0.1);
    pf_text_add(&text, " ");
    pf_text_add_number(&text, 1e-6);
    pf_text_add(&text, " ");
    pf_text_add_number(&text, -1.0 / 3);
    pf_text_add(&text, " ");
    pf_text_add_float(&text, 0.1f);
    pf_text_add(&text, " ");
    pf_text_add_number(&text, INFINITY);
    ck_assert_str_eq(text.data, "0.1 1e-06 -0.3333333333333333 0.1 null");
    for (uint64_t i = 0; i < 2000; i++) {
        const double value = ldexp(pf_random_normal(1, PF_RANDOM_TEST, 0, i), (int)(i % 200) - 100);
        text.length = 0;
        ck_assert_int_eq(pf_text_add_number(&text, value), PF_OK);
        ck_assert(strtod(text.data, NULL) == value);
        text.length = 0;
        ck_assert_int_eq(pf_text_add_float(&text, (float)value), PF_OK);
        ck_assert(strtof(text.data, NULL) == (float)value);
    }
    pf_text_free(&text);
}
END_TEST

START_TEST(json_strings_are_escaped_and_utf8)
{
    static const char foreign[] = "a\"\\\n\x7f\xc3\xa9\xff\xc0\x80\xed\xa0\x80\xe2\x82";
    pf_text text = {0};
    ck_assert_int_eq(pf_text_add_json(&text, foreign, sizeof foreign - 1), PF_OK);
    ck_assert_str_eq(text.data, "\"a\\\"\\\\\\u000a\\u007f\xc3\xa9\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd"
                                "\\ufffd\\ufffd\"");
    pf_text_free(&text);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("base/text");
    TCase *tests = tcase_create("text");
    tcase_add_test(tests, integers_are_read_whole);
    tcase_add_test(tests, what_is_no_integer_is_refused_and_leaves_the_output_alone);
    tcase_add_test(tests, numbers_are_read_whole);
    tcase_add_test(tests, what_is_no_number_is_refused);
    tcase_add_test(tests, a_locale_with_a_decimal_comma_changes_nothing);
    tcase_add_test(tests, quoting_escapes_and_cuts);
    tcase_add_test(tests, text_grows_and_keeps_nul_bytes);
    tcase_add_test(tests, paths_stay_readable_and_harmless);
    tcase_add_test(tests, text_stays_as_it_was_when_memory_is_gone);
    tcase_add_test(tests, numbers_come_back_with_the_same_bits);
    tcase_add_test(tests, json_strings_are_escaped_and_utf8);
    suite_add_tcase(suite, tests);
    return suite;
}
