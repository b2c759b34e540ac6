// Masks have the asked-for frequencies, touch residues only, and depend on logical places only.
#include <math.h>
#include <string.h>

#include "data/alphabet.h"
#include "data/mask.h"
#include "performer/batch.h"
#include "support/suite.h"

enum { MANY = 200000 };

static int32_t token[MANY], target[MANY], before[MANY];

static void fill_letters(void)
{
    for (int i = 0; i < MANY; i++) before[i] = token[i] = i % PF_RESIDUES;
}

// A count of n draws of probability p lies within 5 standard deviations but once in 1.7 million.
static void check_frequency(double count, double n, double p)
{
    ck_assert_double_le(fabs(count - n * p), 5 * sqrt(n * p * (1 - p)));
    ck_assert_double_gt(fabs(count - n * (p + 0.02)), 5 * sqrt(n * p * (1 - p))); // and this would be seen
}

START_TEST(frequencies_are_those_asked_for)
{
    const pf_masking masking = {.fraction = 0.3, .mask = 0.5, .random = 0.2, .keep = 0.3};
    fill_letters();
    const int32_t n = pf_mask_training(&masking, (pf_mask_key){1, 2, 3}, token, target, MANY);
    int chosen = 0, masked = 0, kept = 0, changed = 0, letters[PF_AMINO_ACIDS] = {0};
    for (int i = 0; i < MANY; i++) {
        if (target[i] == PF_NO_TARGET) {
            ck_assert_int_eq(token[i], before[i]);
            continue;
        }
        ck_assert_int_eq(target[i], before[i]);
        chosen++;
        if (token[i] == PF_TOKEN_MASK) {
            masked++;
        } else if (token[i] == before[i]) {
            kept++;
        } else {
            ck_assert_int_lt(token[i], PF_AMINO_ACIDS);
            changed++;
            letters[token[i]]++;
        }
    }
    ck_assert_int_eq(n, chosen);
    check_frequency(chosen, MANY, 0.3);
    check_frequency(masked, chosen, 0.5);
    // 20 of the 25 letters are drawn from, so 0.8 of 1/20 of the draws are the letter that was there.
    check_frequency(changed, chosen, 0.2 * (1 - 0.8 / 20));
    check_frequency(kept, chosen, 0.3 + 0.2 * 0.8 / 20);
    for (int i = 0; i < PF_AMINO_ACIDS; i++) check_frequency(letters[i], changed, 0.05);
}
END_TEST

START_TEST(certainty_is_certain)
{
    const pf_masking all = {.fraction = 1, .mask = 1}, none = {.fraction = 0, .mask = 1};
    fill_letters();
    ck_assert_int_eq(pf_mask_training(&all, (pf_mask_key){1, 2, 3}, token, target, MANY), MANY);
    for (int i = 0; i < MANY; i++) ck_assert_int_eq(token[i], PF_TOKEN_MASK);
    fill_letters();
    ck_assert_int_eq(pf_mask_training(&none, (pf_mask_key){1, 2, 3}, token, target, MANY), 0);
    ck_assert_mem_eq(token, before, sizeof token);
}
END_TEST

START_TEST(only_residues_are_targets)
{
    static const pf_masking all = {.fraction = 1, .mask = 1};
    int32_t some[] = {PF_TOKEN_BEGIN, 0, PF_TOKEN_PAD, PF_TOKEN_MASK, 24, PF_TOKEN_END}, wanted[6];
    ck_assert_int_eq(pf_mask_training(&all, (pf_mask_key){0, 1, 0}, some, wanted, 6), 2);
    ck_assert_mem_eq(wanted, ((const int32_t[]){-1, 0, -1, -1, 24, -1}), sizeof wanted);
    ck_assert_mem_eq(some,
                     ((const int32_t[]){PF_TOKEN_BEGIN, PF_TOKEN_MASK, PF_TOKEN_PAD, PF_TOKEN_MASK,
                                        PF_TOKEN_MASK, PF_TOKEN_END}),
                     sizeof some);
}
END_TEST

// Chosen positions as a string of bits.
static void chosen_of(pf_mask_key key, size_t length, char *out)
{
    const pf_masking masking = pf_masking_default();
    fill_letters();
    pf_mask_training(&masking, key, token, target, length);
    for (size_t i = 0; i < length; i++) out[i] = target[i] == PF_NO_TARGET ? '.' : '#';
    out[length] = '\0';
}

START_TEST(masks_depend_on_the_key_and_the_position_only)
{
    char first[401], other[401];
    chosen_of((pf_mask_key){5, 6, 7}, 400, first);
    chosen_of((pf_mask_key){5, 6, 7}, 400, other);
    ck_assert_str_eq(first, other);
    chosen_of((pf_mask_key){5, 6, 7}, 100, other);
    ck_assert_int_eq(strncmp(first, other, 100), 0);
    const pf_mask_key others[] = {{4, 6, 7}, {5, 7, 7}, {5, 6, 8}};
    for (int i = 0; i < 3; i++) {
        chosen_of(others[i], 400, other);
        ck_assert_str_ne(first, other);
    }
}
END_TEST

START_TEST(in_evaluation_fifteen_percent_become_masks)
{
    fill_letters();
    const int32_t n = pf_mask_evaluation(9, 4, token, target, MANY);
    check_frequency(n, MANY, 0.15);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(token[i], target[i] == PF_NO_TARGET ? before[i] : PF_TOKEN_MASK);
        if (target[i] != PF_NO_TARGET) ck_assert_int_eq(target[i], before[i]);
    }
}
END_TEST

START_TEST(a_causal_target_is_the_next_token)
{
    const int32_t tokens[] = {PF_TOKEN_BEGIN, 3, 4, PF_TOKEN_END};
    int32_t targets[4];
    ck_assert_int_eq(pf_mask_causal(tokens, targets, 4), 3);
    ck_assert_mem_eq(targets, ((const int32_t[]){3, 4, PF_TOKEN_END, PF_NO_TARGET}), sizeof targets);
    ck_assert_int_eq(pf_mask_causal(tokens, targets, 1), 0);
    ck_assert_int_eq(targets[0], PF_NO_TARGET);
    ck_assert_int_eq(pf_mask_causal(tokens, targets, 0), 0);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/mask");
    TCase *tests = tcase_create("mask");
    tcase_add_test(tests, frequencies_are_those_asked_for);
    tcase_add_test(tests, certainty_is_certain);
    tcase_add_test(tests, only_residues_are_targets);
    tcase_add_test(tests, masks_depend_on_the_key_and_the_position_only);
    tcase_add_test(tests, in_evaluation_fifteen_percent_become_masks);
    tcase_add_test(tests, a_causal_target_is_the_next_token);
    suite_add_tcase(suite, tests);
    return suite;
}
