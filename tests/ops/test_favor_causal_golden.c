// Causal FAVOR attention gives the golden answers, forward and backward, with every generalised feature map.
#include "ops/favor_golden.h"
#include "support/device.h"
#include "support/suite.h"

static bool is_generalised(pf_favor_kernel kernel)
{
    return kernel != PF_FAVOR_EXP && (kernel < PF_FAVOR_SOFTMAX || kernel > PF_FAVOR_SOFTMAX_OPRF);
}

START_TEST(golden_cases_of_generalised_kernels)
{
    ck_assert_int_ge(favor_golden_run(true, is_generalised), test_small() ? 14 : 25);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("favor_causal_golden");
    TCase *all = tcase_create("all");
    tcase_add_test(all, golden_cases_of_generalised_kernels);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
