// Bidirectional FAVOR attention gives the golden answers, forward and backward, with every feature map.
#include "ops/favor_golden.h"
#include "support/device.h"
#include "support/suite.h"

static bool any_kernel(pf_favor_kernel kernel)
{
    (void)kernel;
    return true;
}

START_TEST(golden_cases_come_out)
{
    ck_assert_int_ge(favor_golden_run(false, any_kernel), test_small() ? 20 : 33);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("favor_golden");
    TCase *all = tcase_create("all");
    tcase_add_test(all, golden_cases_come_out);
    tcase_set_timeout(all, 300);
    suite_add_tcase(s, all);
    return s;
}
