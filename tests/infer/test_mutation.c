// Substitutions as people write them.
#include "infer/mutation.h"

#include <string.h>

#include "data/alphabet.h"
#include "tests/support/suite.h"

static const uint8_t residue[] = {10, 8, 0}; // M K A
static const pf_mutation_context context = {"p", 1, residue, sizeof residue, 1};

START_TEST(several_are_joined_by_colons)
{
    const char *text = "K2R:a3v";
    pf_substitution s;
    ck_assert_int_eq(pf_read_substitution(&context, &text, &s), PF_OK);
    ck_assert_uint_eq(s.index, 1);
    ck_assert_int_eq(pf_alphabet_letter(s.from), 'K');
    ck_assert_int_eq(pf_alphabet_letter(s.to), 'R');
    ck_assert_str_eq(text, "a3v");
    ck_assert_int_eq(pf_read_substitution(&context, &text, &s), PF_OK); // letters in either case
    ck_assert_uint_eq(s.index, 2);
    ck_assert_int_eq(pf_alphabet_letter(s.to), 'V');
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(positions_count_from_where_the_user_says)
{
    pf_mutation_context other = context;
    const char *text = "M-5A";
    pf_substitution s;
    other.first_position = -5;
    ck_assert_int_eq(pf_read_substitution(&other, &text, &s), PF_OK);
    ck_assert_uint_eq(s.index, 0);
}
END_TEST

static const struct {
    const char *text, *says;
} wrong[] = {
    {"", "cannot be read"},
    {"K", "cannot be read"},
    {"KR", "cannot be read"},
    {"2R", "cannot be read"},
    {"K2", "cannot be read"},
    {"KxR", "cannot be read"},
    {"K 2R", "cannot be read"},
    {"K2R,A3V", "cannot be read"},
    {"K2R:", "ends in a colon"},
    {"K2J", "cannot be read"},
    {"K2-", "cannot be read"},
    {"K99999999999999999999R", "cannot be read"},
    {"K9999999999R", "position 9999999999"},
    {"K0R", "1 to 3"},
    {"A2R", "position 2 of p is K, not A"},
};

START_TEST(what_cannot_be_read_is_named)
{
    const char *text = wrong[_i].text;
    pf_substitution s = {.index = 77};
    ck_assert_int_eq(pf_read_substitution(&context, &text, &s), PF_ERROR_INPUT);
    ck_assert_msg(strstr(pf_error_message(), wrong[_i].says), "%s: %s", wrong[_i].text, pf_error_message());
    ck_assert_ptr_eq(text, wrong[_i].text);
    ck_assert_uint_eq(s.index, 77);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("infer/mutation");
    TCase *tests = tcase_create("mutation");
    tcase_add_test(tests, several_are_joined_by_colons);
    tcase_add_test(tests, positions_count_from_where_the_user_says);
    tcase_add_loop_test(tests, what_cannot_be_read_is_named, 0, sizeof wrong / sizeof *wrong);
    suite_add_tcase(s, tests);
    return s;
}
