// Random numbers: Random123's published vectors, ranges, moments, and no state.
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "support/suite.h"

// Random123 1.14, tests/kat_vectors, philox4x32 10. Our counter carries the purpose in the top
// byte of its last word, so step and purpose are chosen such that the words are the vector's.
typedef struct known_answer {
    uint64_t seed, step, index;
    uint32_t purpose;
    uint32_t expected[4];
} known_answer;

static const known_answer known_answers[] = {
    {0, 0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {~0ull, ~0ull, ~0ull, 0, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88, 0, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    {0x299f31d0a4093822, 0x0070734413198a2e, 0x85a308d3243f6a88, 3, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

START_TEST(philox_gives_the_published_vectors)
{
    const known_answer *answer = &known_answers[_i];
    uint32_t block[4];
    pf_random_block(block, answer->seed, (pf_purpose)answer->purpose, answer->step, answer->index);
    for (int i = 0; i < 4; i++) ck_assert_uint_eq(block[i], answer->expected[i]);
}
END_TEST

START_TEST(words_are_those_of_the_blocks)
{
    for (uint64_t block_index = 0; block_index < 50; block_index++) {
        uint32_t block[4];
        pf_random_block(block, 7, PF_RANDOM_TEST, 9, block_index);
        for (uint64_t i = 0; i < 4; i++)
            ck_assert_uint_eq(pf_random_word(7, PF_RANDOM_TEST, 9, 4 * block_index + i), block[i]);
    }
}
END_TEST

START_TEST(seed_purpose_step_and_index_each_change_the_stream)
{
    const uint32_t word = pf_random_word(1, PF_RANDOM_TEST, 2, 4);
    ck_assert_uint_ne(word, pf_random_word(2, PF_RANDOM_TEST, 2, 4));
    ck_assert_uint_ne(word, pf_random_word(1ull << 32, PF_RANDOM_TEST, 2, 4));
    ck_assert_uint_ne(word, pf_random_word(1, PF_RANDOM_INIT, 2, 4));
    ck_assert_uint_ne(word, pf_random_word(1, PF_RANDOM_TEST, 3, 4));
    ck_assert_uint_ne(word, pf_random_word(1, PF_RANDOM_TEST, 2, 5));
    ck_assert_uint_eq(word, pf_random_word(1, PF_RANDOM_TEST, 2, 4));
}
END_TEST

// Bounds of the moments: five standard errors of 20000 draws, so an honest generator fails once in
// two million; the twin draws with a bias of ten standard errors must not pass.
static int has_moments(double shift, double (*draw)(uint64_t, pf_purpose, uint64_t, uint64_t), double mean,
                       double variance, double fourth_central)
{
    enum { DRAWS = 20000 };
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        const double x = draw(3, PF_RANDOM_TEST, 1, i) + shift - mean;
        sum += x;
        squares += x * x;
    }
    const double mean_error = 5 * sqrt(variance / DRAWS);
    const double variance_error = 5 * sqrt((fourth_central - variance * variance) / DRAWS);
    return fabs(sum / DRAWS) < mean_error && fabs(squares / DRAWS - variance) < variance_error;
}

START_TEST(uniform_and_normal_have_their_moments)
{
    ck_assert(has_moments(0, pf_random_uniform, 0.5, 1 / 12.0, 1 / 80.0));
    ck_assert(has_moments(0, pf_random_normal, 0, 1, 3));
    ck_assert(!has_moments(10 * sqrt(1 / 12.0 / 20000), pf_random_uniform, 0.5, 1 / 12.0, 1 / 80.0));
    ck_assert(!has_moments(10 / sqrt(20000), pf_random_normal, 0, 1, 3));
}
END_TEST

START_TEST(uniform_stays_below_one)
{
    for (uint64_t i = 0; i < 100000; i++) {
        const double x = pf_random_uniform(5, PF_RANDOM_TEST, 0, i);
        ck_assert(x >= 0 && x < 1);
    }
}
END_TEST

START_TEST(below_is_even_over_its_range)
{
    enum { SIDES = 7, DRAWS = 70000 };
    int count[SIDES] = {0};
    for (uint64_t i = 0; i < DRAWS; i++) count[pf_random_below(SIDES, 11, PF_RANDOM_TEST, 0, i)]++;
    // Six standard deviations of a binomial count around 10000.
    for (int i = 0; i < SIDES; i++) ck_assert_int_lt(abs(count[i] - DRAWS / SIDES), 560);
    for (uint64_t i = 0; i < 100; i++) ck_assert_uint_eq(pf_random_below(1, 11, PF_RANDOM_TEST, 0, i), 0);
    ck_assert_uint_gt(pf_random_below(~0ull, 11, PF_RANDOM_TEST, 0, 0), 1ull << 32);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("random");
    TCase *cases = tcase_create("random");
    tcase_add_loop_test(cases, philox_gives_the_published_vectors, 0,
                        sizeof known_answers / sizeof known_answers[0]);
    tcase_add_test(cases, words_are_those_of_the_blocks);
    tcase_add_test(cases, seed_purpose_step_and_index_each_change_the_stream);
    tcase_add_test(cases, uniform_and_normal_have_their_moments);
    tcase_add_test(cases, uniform_stays_below_one);
    tcase_add_test(cases, below_is_even_over_its_range);
    suite_add_tcase(suite, cases);
    return suite;
}
