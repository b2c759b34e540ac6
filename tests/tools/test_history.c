// A run's history for plots: units that fit, few points that hold all steps, and seconds that compiling does
// not spoil.
#include <check.h>
#include <math.h>
#include <string.h>

#include "support/suite.h"
#include "tools/history.h"

enum { STEPS = 1201 };

static pf_run_step steps[STEPS];
static pf_run_evaluation evaluations[2] = {
    {.step = 600, .tokens_so_far = 600000, .time_s = 1200, .loss = 2, .perplexity = 8},
    {.step = STEPS, .tokens_so_far = 1000 * STEPS, .time_s = 2 * STEPS, .loss = 1, .perplexity = 3},
};
static pf_run run;

// Every step has 1000 tokens and takes 2 s, the first 100 s.
static void set_up(void)
{
    for (int i = 0; i < STEPS; i++)
        steps[i] = (pf_run_step){
            .step = i + 1, .tokens = 1000, .loss = i, .tokens_per_s = i ? 500 : 10, .time_s = 2 * (i + 1)};
    run = (pf_run){.step = steps,
                   .n_steps = STEPS,
                   .evaluation = evaluations,
                   .n_evaluations = 2,
                   .tokens = 1000 * STEPS};
}

START_TEST(units_are_the_largest_that_fit)
{
    static const struct {
        double most;
        const char *tokens, *seconds;
    } cases[] = {
        {0, "tokens", "seconds"},
        {999, "tokens", "minutes"},
        {2000, "thousand tokens", "minutes"},
        {3e6, "million tokens", "days"},
        {5e9, "billion tokens", "days"},
        {299, "tokens", "seconds"},
        {18000, "thousand tokens", "hours"},
        {1.95e6, "million tokens", "days"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_str_eq(pf_unit_of_tokens(cases[i].most).name, cases[i].tokens);
        ck_assert_str_eq(pf_unit_of_seconds(cases[i].most).name, cases[i].seconds);
    }
}
END_TEST

START_TEST(a_long_history_becomes_few_points_that_hold_all_of_it)
{
    pf_history h;
    double losses = 0;
    ck_assert_int_eq(pf_history_create(&run, &h), PF_OK);
    ck_assert_int_le(h.n_steps, 500);
    ck_assert_str_eq(h.token_unit.name, "million tokens");
    ck_assert_str_eq(h.second_unit.name, "minutes");
    ck_assert_double_eq_tol(h.tokens[h.n_steps - 1], STEPS / 1e3, 1e-12);
    ck_assert_double_eq_tol(h.seconds[h.n_steps - 1], 2.0 * STEPS / 60, 1e-12); // one division
    for (int i = 0; i < h.n_steps; i++)
        losses += 1000 * h.loss[i] *
                  (h.tokens[i] - (i ? h.tokens[i - 1] : 0)); // a mean times how many steps it holds
    ck_assert_double_eq_tol(losses, (STEPS - 1) / 2.0 * STEPS,
                            1e-6); // whole numbers but for the thirds of means
    ck_assert_double_eq(h.valid_tokens[0], 0.6);
    ck_assert_double_eq(h.valid_perplexity[1], 3);
    pf_history_free(&h);
    ck_assert_ptr_null(h.memory);
}
END_TEST

START_TEST(a_run_without_steps_has_no_points)
{
    pf_history h;
    ck_assert_int_eq(pf_history_create(&(pf_run){0}, &h), PF_OK);
    ck_assert_int_eq(h.n_steps, 0);
    ck_assert_int_eq(h.n_evaluations, 0);
    pf_history_free(&h);
}
END_TEST

START_TEST(the_first_steps_compiling_counts_as_three_steps_at_most)
{
    double scratch[STEPS];
    ck_assert_double_eq_tol(pf_run_step_seconds(&run, 1, scratch), 6, 1e-12);
    ck_assert_double_eq_tol(pf_run_step_seconds(&run, 10, scratch), 6 + 9 * 2, 1e-12);
    ck_assert_double_eq_tol(pf_run_step_seconds(&run, STEPS, scratch), 6 + 2 * (STEPS - 1), 1e-9);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("history");
    TCase *cases = tcase_create("history");
    tcase_add_checked_fixture(cases, set_up, NULL);
    tcase_add_test(cases, units_are_the_largest_that_fit);
    tcase_add_test(cases, a_long_history_becomes_few_points_that_hold_all_of_it);
    tcase_add_test(cases, a_run_without_steps_has_no_points);
    tcase_add_test(cases, the_first_steps_compiling_counts_as_three_steps_at_most);
    suite_add_tcase(suite, cases);
    return suite;
}
