// The learning rate of every step is the formula of its schedule.
#include <math.h>

#include "support/suite.h"
#include "train/schedule.h"

static struct pf_train_config with(pf_schedule schedule, int64_t warmup, int64_t steps)
{
    return (struct pf_train_config){
        .learning_rate = 2e-3, .schedule = schedule, .warmup_steps = warmup, .steps = steps};
}

// Doubles all the way: a few roundings.
static const double tolerance = 1e-15;

static void expect(const struct pf_train_config *c, int64_t step, double rate)
{
    ck_assert_double_eq_tol(pf_learning_rate(c, step), rate, tolerance);
    ck_assert_double_ne_tol(pf_learning_rate(c, step), rate * (1 + 1e-9), tolerance); // the twin
}

START_TEST(warm_up_is_a_straight_line_to_the_rate)
{
    for (pf_schedule s = PF_SCHEDULE_CONSTANT; s <= PF_SCHEDULE_RSQRT; s++) {
        const struct pf_train_config c = with(s, 4, 20);
        expect(&c, 1, 0.5e-3);
        expect(&c, 3, 1.5e-3);
        expect(&c, 4, 2e-3);
    }
}
END_TEST

START_TEST(constant_stays)
{
    const struct pf_train_config c = with(PF_SCHEDULE_CONSTANT, 4, 20);
    expect(&c, 5, 2e-3);
    expect(&c, 20, 2e-3);
}
END_TEST

START_TEST(linear_falls_by_the_same_each_step)
{
    const struct pf_train_config c = with(PF_SCHEDULE_LINEAR, 4, 20);
    expect(&c, 5, 2e-3); // x = 0
    expect(&c, 13, 1e-3);
    expect(&c, 20, 2e-3 / 16);
}
END_TEST

START_TEST(cosine_falls_slowly_at_both_ends)
{
    const struct pf_train_config c = with(PF_SCHEDULE_COSINE, 4, 20);
    expect(&c, 5, 2e-3);
    expect(&c, 13, 1e-3);
    expect(&c, 20, 1e-3 * (1 + cos(3.14159265358979323846 * 15 / 16)));
}
END_TEST

START_TEST(rsqrt_falls_with_the_root_of_the_step)
{
    const struct pf_train_config c = with(PF_SCHEDULE_RSQRT, 4, 20), without = with(PF_SCHEDULE_RSQRT, 0, 20);
    expect(&c, 16, 1e-3);
    expect(&without, 1, 2e-3);
    expect(&without, 4, 1e-3);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("schedule");
    TCase *all = tcase_create("all");
    tcase_add_test(all, warm_up_is_a_straight_line_to_the_rate);
    tcase_add_test(all, constant_stays);
    tcase_add_test(all, linear_falls_by_the_same_each_step);
    tcase_add_test(all, cosine_falls_slowly_at_both_ends);
    tcase_add_test(all, rsqrt_falls_with_the_root_of_the_step);
    suite_add_tcase(s, all);
    return s;
}
