// Bidirectional FAVOR attention gives the golden answers, forward and backward, with every feature map.
#include "ops/favor_golden.h"
#include "support/device.h"
#include "support/suite.h"

static bool is_generalised(pf_favor_kernel kernel)
{
    return kernel < PF_FAVOR_SOFTMAX || kernel > PF_FAVOR_SOFTMAX_OPRF;
}

START_TEST(golden_cases_come_out)
{
    ck_assert_int_ge(favor_golden_run(false, is_generalised), test_small() ? 15 : 18);
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
