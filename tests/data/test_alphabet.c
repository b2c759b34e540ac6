// Letters and tokens are those of the format, both ways.
#include <string.h>

#include "data/alphabet.h"
#include "support/suite.h"

START_TEST(letters_have_the_tokens_of_the_format)
{
    const char *letters = "ACDEFGHIKLMNPQRSTVWYBOUXZ";
    for (int i = 0; i < PF_RESIDUES; i++) {
        ck_assert_int_eq(pf_alphabet_token(letters[i]), i);
        ck_assert_int_eq(pf_alphabet_letter(i), letters[i]);
    }
    ck_assert_int_eq(pf_alphabet_token('X'), PF_TOKEN_X);
    ck_assert_int_eq(pf_alphabet_token('*'), PF_TOKEN_MASK);
    ck_assert_int_eq(pf_alphabet_letter(PF_TOKEN_MASK), '*');
}
END_TEST

START_TEST(nothing_else_has_one)
{
    for (int byte = -128; byte < 128; byte++) {
        if (byte == '*' || (byte && strchr("ACDEFGHIKLMNPQRSTVWYBOUXZ", byte))) continue;
        ck_assert_int_eq(pf_alphabet_token((char)byte), PF_NO_TOKEN);
    }
    ck_assert_int_eq(pf_alphabet_letter(PF_TOKEN_BEGIN), '.');
    ck_assert_int_eq(pf_alphabet_letter(-1), '.');
    ck_assert_int_eq(pf_alphabet_letter(PF_ALPHABET_SIZE), '.');
}
END_TEST

START_TEST(sequences_are_encoded_letter_by_letter)
{
    uint8_t token[4] = {9, 9, 9, 9};
    pf_alphabet_encode(token, "MX*", 3);
    ck_assert_int_eq(token[0], 10);
    ck_assert_int_eq(token[1], 23);
    ck_assert_int_eq(token[2], 28);
    ck_assert_int_eq(token[3], 9);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/alphabet");
    TCase *tests = tcase_create("alphabet");
    tcase_add_test(tests, letters_have_the_tokens_of_the_format);
    tcase_add_test(tests, nothing_else_has_one);
    tcase_add_test(tests, sequences_are_encoded_letter_by_letter);
    suite_add_tcase(suite, tests);
    return suite;
}
