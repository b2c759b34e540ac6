// Drawing a token: never begin, pad or mask, in the proportions of the softmax, cut off by top-p.
#include "infer/sample.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "data/alphabet.h"
#include "support/suite.h"

static float logits[PF_ALPHABET_SIZE];

static void set_logits(void)
{
    for (int i = 0; i < PF_ALPHABET_SIZE; i++) logits[i] = (float)sin(3.0 * i);
    logits[PF_TOKEN_BEGIN] = logits[PF_TOKEN_PAD] = logits[PF_TOKEN_MASK] = 50;
}

static int draw(double temperature, double top_p, double uniform)
{
    return pf_sample(logits, &(pf_sample_request){temperature, top_p, true, uniform});
}

static double weight_of(int token, double temperature)
{
    return exp((double)logits[token] / temperature);
}

static double total_weight(double temperature)
{
    double total = weight_of(PF_TOKEN_END, temperature);
    for (int i = 0; i < PF_RESIDUES; i++) total += weight_of(i, temperature);
    return total;
}

START_TEST(shares_are_those_of_the_softmax)
{
    enum { DRAWS = 200000 };
    static const double temperatures[] = {0.5, 1, 3};
    const double temperature = temperatures[_i];
    int seen[PF_ALPHABET_SIZE] = {0};
    for (uint64_t i = 0; i < DRAWS; i++)
        seen[draw(temperature, 1, pf_random_uniform(1, PF_RANDOM_TEST, 0, i))]++;
    for (int token = 0; token < PF_ALPHABET_SIZE; token++) {
        const bool allowed = token < PF_RESIDUES || token == PF_TOKEN_END;
        const double p = allowed ? weight_of(token, temperature) / total_weight(temperature) : 0;
        // Five standard deviations of a count: 26 tokens and 3 temperatures stay within them.
        ck_assert_double_le(fabs(seen[token] - DRAWS * p), 5 * sqrt(DRAWS * p * (1 - p)));
    }
}
END_TEST

START_TEST(every_random_number_gives_a_token)
{
    ck_assert_int_eq(draw(1, 1, 0), 0);
    ck_assert_int_eq(draw(1, 1, nextafter(1, 0)), PF_TOKEN_END);
    ck_assert_int_eq(draw(1e-300, 1, 0.5), draw(0, 1, 0.5));
    const int likeliest = draw(0, 1, 0);
    ck_assert_int_eq(draw(1, 1e-9, 0.99), likeliest);
    ck_assert_int_eq(draw(1, 1e-9, 0), likeliest);
}
END_TEST

START_TEST(temperature_zero_takes_the_likeliest_and_of_equals_the_first)
{
    ck_assert_int_eq(draw(0, 1, 0), draw(0, 1, 0.9));
    memset(logits, 0, sizeof logits);
    ck_assert_int_eq(draw(0, 1, 0.5), 0);
    logits[7] = logits[PF_TOKEN_END] = 1;
    ck_assert_int_eq(draw(0, 1, 0.5), 7);
}
END_TEST

START_TEST(top_p_keeps_the_smallest_set_that_has_it)
{
    for (int i = 0; i < PF_ALPHABET_SIZE; i++) logits[i] = -1000;
    logits[3] = (float)log(0.5), logits[1] = (float)log(0.3), logits[9] = (float)log(0.2);
    // 0.5 and 0.3 have 0.79: drawn 5 to 3, in the order of tokens (1, then 3); 9 never.
    ck_assert_int_eq(draw(1, 0.79, 0.374), 1);
    ck_assert_int_eq(draw(1, 0.79, 0.376), 3);
    ck_assert_int_eq(draw(1, 0.79, 0.9999999), 3);
    // The twin: above 0.8 the third one counts.
    ck_assert_int_eq(draw(1, 0.81, 0.9999999), 9);
    ck_assert_int_eq(draw(1, 0.49, 0.9999999), 3);
}
END_TEST

START_TEST(an_end_that_is_not_allowed_is_not_drawn)
{
    logits[PF_TOKEN_END] = 40;
    ck_assert_int_eq(draw(1, 1, 0.9), PF_TOKEN_END);
    const pf_sample_request request = {1, 1, false, 0.9};
    ck_assert_int_lt(pf_sample(logits, &request), PF_RESIDUES);
}
END_TEST

START_TEST(logits_that_are_no_numbers_are_told)
{
    logits[PF_TOKEN_PAD] = NAN; // never drawn, never looked at
    ck_assert_int_ge(draw(1, 1, 0.5), 0);
    logits[4] = _i ? INFINITY : NAN;
    ck_assert_int_eq(draw(1, 1, 0.5), -1);
    ck_assert_int_eq(draw(0, 1, 0.5), -1);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("sample");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_logits, NULL);
    tcase_add_loop_test(all, shares_are_those_of_the_softmax, 0, 3);
    tcase_add_test(all, every_random_number_gives_a_token);
    tcase_add_test(all, temperature_zero_takes_the_likeliest_and_of_equals_the_first);
    tcase_add_test(all, top_p_keeps_the_smallest_set_that_has_it);
    tcase_add_test(all, an_end_that_is_not_allowed_is_not_drawn);
    tcase_add_loop_test(all, logits_that_are_no_numbers_are_told, 0, 2);
    suite_add_tcase(s, all);
    return s;
}
