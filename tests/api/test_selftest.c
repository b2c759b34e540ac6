// The self-test passes on a right device, and a wrong number shows. Run with PERFORMER_PRINT_ANSWERS=1 it
// prints the rows of src/api/selftest_answers.c as this device computes them.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/selftest.h"
#include "support/device.h"
#include "support/suite.h"

START_TEST(every_family_gives_its_stored_answer)
{
    if (getenv("PERFORMER_PRINT_ANSWERS")) {
        double sums[PF_SELFTEST_SUMS], size;
        must(pf_selftest_sums(test_device(), &pf_selftest_families[_i], sums, &size));
        fprintf(stderr, "%s: {%.9g, %.9g, %.9g} of %.4g\n", pf_selftest_families[_i].name, sums[0], sums[1],
                sums[2], size);
    }
    pf_selftest_result result;
    pf_selftest_run(test_device(), false, _i, &result);
    ck_assert_msg(result.passed, "%s: error %g, allowed %g %s", result.family, result.error, result.tolerance,
                  result.reason);
}
END_TEST

START_TEST(a_wrong_answer_is_caught)
{
    // What a family computes is sums of some thousand numbers; an answer off by 1e-4 of their size must be
    // told apart.
    double sums[PF_SELFTEST_SUMS], size;
    const pf_selftest_family *family = &pf_selftest_families[_i];
    must(pf_selftest_sums(test_device(), family, sums, &size));
    ck_assert(size > 0);
    pf_selftest_result result;
    pf_selftest_run(test_device(), false, _i, &result);
    for (int k = 0; k < PF_SELFTEST_SUMS; k++)
        ck_assert(fabs(sums[k] + 1e-4 * size - family->answers[k]) / size > result.tolerance);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("selftest");
    TCase *all = tcase_create("all");
    // CLBlast's programs are built for half a minute where nothing is compiled yet.
    tcase_set_timeout(all, 300);
    tcase_add_loop_test(all, every_family_gives_its_stored_answer, 0, pf_n_selftest_families);
    tcase_add_loop_test(all, a_wrong_answer_is_caught, 0, pf_n_selftest_families);
    suite_add_tcase(s, all);
    return s;
}
