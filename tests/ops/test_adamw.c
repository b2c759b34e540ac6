// AdamW with clipping equals the reference over many steps, decays what it should, and stands still for a
// gradient that is not finite. The reference equals an independent program.
#include <math.h>

#include "ops/adamw.h"
#include "ops/global_norm.h"
#include "ref/adamw_ref.h"
#include "support/arrays.h"
#include "support/suite.h"

static const struct {
    int count, n_decay, steps;
    double lr, clip;
} cases[] = {{1, 1, 3, 1e-2, 0.5}, {7, 4, 20, 1e-2, 0.5}, {63, 17, 5, 1e-3, 0},
             {130, 0, 5, 1e-3, 0.5}, {20011, 9001, 4, 1e-3, 0.5}, {8192, 8192, 3, 1e-3, 100}};

// A parameter is rounded to 6e-8 in each of up to 20 steps; the updates' own errors are lr times smaller.
static const double tolerance = 1e-6;
// Moments: a few roundings of 6e-8 a step, and the norm's error in the scale.
static const double moment_tolerance = 4e-6;

START_TEST(equals_reference)
{
    const int count = cases[_i].count;
    const size_t n = (size_t)count;
    const float *start = host_normal(n, 1, 1);
    adamw_ref_state expected = {as_doubles(start, n), host_doubles(n), host_doubles(n), count, cases[_i].n_decay};
    pf_adamw *op = NULL;
    pf_global_norm *norm = NULL;
    must(pf_adamw_create(test_device(), &op));
    must(pf_global_norm_create(test_device(), count, &norm));
    pf_buffer *p = on_device(start, n), *m = on_device(host_floats(n), n), *v = on_device(host_floats(n), n);
    for (int step = 1; step <= cases[_i].steps; step++) {
        const float *g = host_normal(n, step % 3 ? 0.01 : 2, (unsigned)(10 + step));
        adamw_ref(&expected, as_doubles(g, n), step, cases[_i].lr, 0.1, cases[_i].clip);
        pf_buffer *gradient = on_device(g, n);
        must(pf_global_norm_run(norm, gradient, count, (float)cases[_i].clip));
        must(pf_adamw_run(op, &(pf_adamw_call){p, m, v, gradient, pf_global_norm_result(norm), count, cases[_i].n_decay,
                                               step, cases[_i].lr, 0.1, 0.9, 0.98, 1e-9, NULL}));
    }
    test_close("p", from_device(p, n), expected.p, n, tolerance);
    test_close("m", from_device(m, n), expected.m, n, moment_tolerance);
    test_close("v", from_device(v, n), expected.v, n, moment_tolerance);
    pf_adamw_free(op);
    pf_global_norm_free(norm);
}
END_TEST

START_TEST(a_gradient_that_is_not_finite_changes_nothing)
{
    enum { COUNT = 100 };
    const float *start = host_normal(COUNT, 1, 1);
    float *g = host_normal(COUNT, 1, 2);
    g[61] = NAN;
    pf_adamw *op = NULL;
    pf_global_norm *norm = NULL;
    must(pf_adamw_create(test_device(), &op));
    must(pf_global_norm_create(test_device(), COUNT, &norm));
    pf_buffer *p = on_device(start, COUNT), *m = on_device(start, COUNT), *v = on_device(start, COUNT);
    pf_buffer *gradient = on_device(g, COUNT);
    must(pf_global_norm_run(norm, gradient, COUNT, 0.5f));
    must(pf_adamw_run(op, &(pf_adamw_call){p, m, v, gradient, pf_global_norm_result(norm), COUNT, COUNT, 1, 1e-3, 0.1,
                                           0.9, 0.98, 1e-9, NULL}));
    ck_assert_mem_eq(from_device(p, COUNT), start, COUNT * sizeof *start);
    ck_assert_mem_eq(from_device(m, COUNT), start, COUNT * sizeof *start);
    ck_assert_mem_eq(from_device(v, COUNT), start, COUNT * sizeof *start);
    pf_adamw_free(op);
    pf_global_norm_free(norm);
}
END_TEST

// Blocks of PF_RATE_BLOCK numbers with rates of their own: that of rate 0 stays as it is, that of rate 1 does what it
// does without rates, that of rate 1/2 goes half as far, to the rounding of p (6e-8 of numbers up to 5).
START_TEST(blocks_have_rates_of_their_own)
{
    enum { COUNT = 2 * PF_RATE_BLOCK + 100 };
    const float rates[] = {0, 1, 0.5f};
    const float *start = host_normal(COUNT, 1, 1), *g = host_normal(COUNT, 1, 2);
    pf_adamw *op = NULL;
    pf_global_norm *norm = NULL;
    must(pf_adamw_create(test_device(), &op));
    must(pf_global_norm_create(test_device(), COUNT, &norm));
    pf_buffer *gradient = on_device(g, COUNT), *p[2], *m[2];
    must(pf_global_norm_run(norm, gradient, COUNT, 0));
    for (int has = 0; has < 2; has++) {
        p[has] = on_device(start, COUNT), m[has] = on_device(host_floats(COUNT), COUNT);
        must(pf_adamw_run(op, &(pf_adamw_call){.p = p[has],
                                               .m = m[has],
                                               .v = on_device(host_floats(COUNT), COUNT),
                                               .gradient = gradient,
                                               .norm = pf_global_norm_result(norm),
                                               .count = COUNT,
                                               .n_decay = COUNT,
                                               .step = 1,
                                               .lr = 0.125,
                                               .decay = 0.1,
                                               .b1 = 0.9,
                                               .b2 = 0.98,
                                               .eps = 1e-9,
                                               .rate = has ? on_device(rates, 3) : NULL}));
    }
    const float *plain = from_device(p[0], COUNT), *own = from_device(p[1], COUNT), *moment = from_device(m[1], COUNT);
    for (int i = 0; i < COUNT; i++) {
        const int block = i / PF_RATE_BLOCK;
        ck_assert(block == 0 ? moment[i] == 0 : moment[i] != 0);
        if (block < 2) ck_assert(own[i] == (block ? plain : start)[i]);
        else ck_assert_double_eq_tol(own[i] - start[i], (plain[i] - start[i]) / 2, 6e-7);
        if (block == 2) ck_assert_double_gt(fabs(plain[i] - start[i]) / 2, 6e-6); // a whole step is not half of one
    }
    pf_adamw_free(op);
    pf_global_norm_free(norm);
}
END_TEST

// 20 steps of the NumPy reference model's optimizer (float64), a matrix [2,2] that is decayed beside a vector [3]:
// gradient (7i + 5t) mod 11 - 5, times 1/2 in every third step, else 1/16; lr 1e-2, cosine, 5 steps of warm-up, clip 0.5.
START_TEST(reference_equals_an_independent_program)
{
    static const double golden[] = {0.4687890540290352, -0.9724451651996772,   1.9807306817115409, -0.24808750040131813,
                                    1.0013739535739652, 0.0033020742479667243, -2.982669920878668};
    double p[] = {0.5, -1, 2, -0.25, 1, 0, -3}, m[7] = {0}, v[7] = {0}, g[7];
    adamw_ref_state state = {p, m, v, 7, 4};
    for (int t = 1; t <= 20; t++) {
        for (int i = 0; i < 7; i++) g[i] = ((7 * i + 5 * t) % 11 - 5) * (t % 3 ? 0.0625 : 0.5);
        const double lr = t <= 5 ? 1e-2 * t / 5 : 1e-2 * (1 + cos(3.14159265358979323846 * (t - 6) / 15)) / 2;
        adamw_ref(&state, g, t, lr, 0.1, 0.5);
    }
    // Both in double: what rounding leaves.
    for (int i = 0; i < 7; i++) ck_assert_msg(fabs(p[i] - golden[i]) < 1e-13, "%d: %.17g", i, p[i]);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("adamw");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, NULL, arrays_end);
    tcase_add_loop_test(all, equals_reference, 0, (int)(sizeof cases / sizeof *cases) - (test_small() ? 2 : 0));
    tcase_add_test(all, a_gradient_that_is_not_finite_changes_nothing);
    tcase_add_test(all, blocks_have_rates_of_their_own);
    tcase_add_test(all, reference_equals_an_independent_program);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
