// Causal FAVOR attention gives the golden answers, forward and backward, with every feature map.
#include "ops/favor_golden.h"
#include "support/device.h"
#include "support/suite.h"

static bool is_generalised(pf_favor_kernel kernel)
{
    return kernel < PF_FAVOR_SOFTMAX || kernel > PF_FAVOR_SOFTMAX_OPRF;
}

static bool is_softmax(pf_favor_kernel kernel)
{
    return !is_generalised(kernel);
}

START_TEST(golden_cases_of_generalised_kernels)
{
    ck_assert_int_ge(favor_golden_run(true, is_generalised), test_small() ? 14 : 30);
}
END_TEST

// Among them keys that fp32 cannot hold the features of, and keys that grow by e^100 along the sequence.
START_TEST(golden_cases_of_softmax_kernels)
{
    ck_assert_int_ge(favor_golden_run(true, is_softmax), test_small() ? 4 : 18);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("favor_causal_golden");
    TCase *all = tcase_create("all");
    tcase_add_test(all, golden_cases_of_generalised_kernels);
    tcase_add_test(all, golden_cases_of_softmax_kernels);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
