// The global norm is right from 1e-25 to 1e25, clips, tells what is not finite and where.
#include <float.h>
#include <math.h>

#include "ops/global_norm.h"
#include "support/arrays.h"
#include "support/suite.h"

static const size_t counts[] = {1, 7, 64, 1000, 8192, 8193, 20011, 100003};

// Each lane of a part adds up to 512 squares, each rounded to 6e-8: errors grow as the root, and halve in the norm.
static const double tolerance = 2e-6;

static double norm_ref(const float *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

static pf_norm_result run(pf_global_norm *op, const float *x, size_t count, float clip)
{
    pf_norm_result got;
    must(pf_global_norm_run(op, on_device(x, count), (int64_t)count, clip));
    must(pf_global_norm_read(op, &got));
    return got;
}

START_TEST(equals_reference_at_every_size)
{
    const size_t count = counts[_i];
    pf_global_norm *op = NULL;
    must(pf_global_norm_create(test_device(), (int64_t)count, &op));
    const double sizes[] = {1, 1e25, 1e-25, 1e14, 1e-14, 1e-3};
    for (int k = 0; k < 6; k++) {
        const float *x = host_normal(count, sizes[k], 1);
        const double expected = norm_ref(x, count);
        const pf_norm_result got = run(op, x, count, 0.5f), again = run(op, x, count, 0.5f);
        test_close("norm", &got.norm, &expected, 1, tolerance);
        ck_assert_mem_eq(&got, &again, sizeof got);
        ck_assert_int_eq(got.finite, 1);
        const double scale = fmin(1, 0.5 / expected);
        test_close("scale", &got.scale, &scale, 1, tolerance);
        ck_assert(run(op, x, count, 0).scale == 1);
    }
    pf_global_norm_free(op);
}
END_TEST

START_TEST(a_few_large_ones_count)
{
    pf_global_norm *op = NULL;
    float *x = host_normal(20000, 1e-3, 1);
    x[17] = 3e25f;
    x[19000] = -4e25f;
    must(pf_global_norm_create(test_device(), 20000, &op));
    const double expected = 5e25;
    const float got = run(op, x, 20000, 1).norm;
    test_close("norm", &got, &expected, 1, tolerance);
    pf_global_norm_free(op);
}
END_TEST

START_TEST(nothing_has_norm_zero_and_is_not_scaled)
{
    pf_global_norm *op = NULL;
    must(pf_global_norm_create(test_device(), 100, &op));
    const pf_norm_result zeros = run(op, host_floats(100), 100, 0.5f), none = run(op, host_floats(1), 0, 0.5f);
    ck_assert(zeros.norm == 0 && zeros.scale == 1 && zeros.finite == 1);
    ck_assert(none.norm == 0 && none.scale == 1 && none.finite == 1);
    pf_global_norm_free(op);
}
END_TEST

START_TEST(what_is_not_finite_is_told_and_found)
{
    enum { COUNT = 30000 };
    static const int places[] = {0, 8191, 8192, 29999};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    pf_global_norm *op = NULL;
    must(pf_global_norm_create(test_device(), COUNT, &op));
    float *x = host_normal(COUNT, 1, 1);
    int64_t index = 5;
    must(pf_global_norm_find_bad(op, on_device(x, COUNT), COUNT, &index));
    ck_assert_int_eq(index, -1);
    for (int k = 0; k < 12; k++) {
        const float was = x[places[k % 4]];
        x[places[k % 4]] = bad[k / 4];
        const pf_norm_result got = run(op, x, COUNT, 0.5f);
        ck_assert_int_eq(got.finite, 0);
        ck_assert(!isfinite(got.norm));
        must(pf_global_norm_find_bad(op, on_device(x, COUNT), COUNT, &index));
        ck_assert_int_eq(index, places[k % 4]);
        x[places[k % 4]] = was;
    }
    for (int i = 0; i < COUNT; i++) x[i] = FLT_MAX; // each finite, the norm not
    ck_assert_int_eq(run(op, x, COUNT, 0.5f).finite, 0);
    pf_global_norm_free(op);
}
END_TEST

START_TEST(more_than_it_was_made_for_is_refused)
{
    pf_global_norm *op = NULL;
    must(pf_global_norm_create(test_device(), 10, &op));
    ck_assert_int_eq(pf_global_norm_run(op, on_device(NULL, 11), 11, 0), PF_ERROR_USAGE);
    pf_global_norm_free(op);
    op = NULL;
    ck_assert_int_eq(pf_global_norm_create(test_device(), (int64_t)1 << 31, &op), PF_ERROR_USAGE);
    ck_assert_ptr_null(op);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("global_norm");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, NULL, arrays_end);
    tcase_add_loop_test(all, equals_reference_at_every_size, 0, (int)(sizeof counts / sizeof *counts) - (test_small() ? 2 : 0));
    tcase_add_test(all, a_few_large_ones_count);
    tcase_add_test(all, nothing_has_norm_zero_and_is_not_scaled);
    if (!test_small()) tcase_add_test(all, what_is_not_finite_is_told_and_found);
    tcase_add_test(all, more_than_it_was_made_for_is_refused);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
