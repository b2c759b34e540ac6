// Every feature map of FAVOR attention on the device equals the formula, and the formulas' gradients their differences.
#include <math.h>
#include <string.h>

#include "ops/favor_batch.h"
#include "ref/favor_ref.h"
#include "support/device.h"
#include "support/suite.h"

START_TEST(every_map_equals_the_formula)
{
    favor_batch c = favor_batch_of((pf_favor_kernel)_i, 8, 16);
    c.length[3] = 65;
    favor_batch_test(c);
}
END_TEST

START_TEST(a_map_without_projection_equals_the_formula)
{
    favor_batch_test(favor_batch_of(PF_FAVOR_SIGMOID, 12, 0));
    favor_batch_test(favor_batch_of(PF_FAVOR_ELU1, 64, 0));
}
END_TEST

START_TEST(a_map_without_division_equals_the_formula)
{
    favor_batch c = favor_batch_of(PF_FAVOR_EXP, 8, 16);
    c.config.renormalize = false;
    favor_batch_test(c);
    for (pf_favor_kernel kernel = PF_FAVOR_SOFTMAX; kernel <= PF_FAVOR_SOFTMAX_OPRF; kernel++) {
        c = favor_batch_of(kernel, 12, 33);
        c.config.renormalize = false;
        c.length[3] = 290;
        favor_batch_test(c);
    }
}
END_TEST

// Exponents of about 100, over several blocks: references keep everything within fp32. Weights carry the rounding of their
// exponents, 100 * 6e-8; dq and dk are differences of such weights times |w|, about 3, held against 1/20 of dv. (Trig
// features of such inputs cancel in R; golden cases hold those that fp32 can tell.)
START_TEST(large_queries_and_keys_neither_overflow_nor_vanish)
{
    static const pf_favor_kernel positive[] = {PF_FAVOR_SOFTMAX, PF_FAVOR_SOFTMAX_HYPERBOLIC, PF_FAVOR_SOFTMAX_OPRF};
    favor_batch c = favor_batch_of(positive[_i], 8, 16);
    c.deviation = 6, c.near = true;
    if (test_small()) c.n_sequences = 2;
    favor_batch_make(&c, NULL);
    favor_batch_run(&c);
    favor_batch_check(&c, 2e-4, 2e-4);
    favor_batch_free(&c);
}
END_TEST

// An epsilon of 1e-4 as performer-pytorch has it, and one that outweighs most features; queries and keys whose features all but
// vanish beside it.
START_TEST(softmax_features_with_an_epsilon_equal_the_formula)
{
    static const struct {
        int head_size, n_features, length;
        float epsilon;
        double deviation;
    } cases[] = {{8, 16, 65, 1e-4f, 1}, {12, 33, 290, 0.1f, 1}, {64, 100, 300, 1e-4f, 1}, {8, 16, 65, 1e-4f, 3}};
    favor_batch c = favor_batch_of(PF_FAVOR_SOFTMAX, cases[_i].head_size, cases[_i].n_features);
    c.config.softmax_epsilon = cases[_i].epsilon;
    c.length[3] = cases[_i].length;
    c.deviation = cases[_i].deviation;
    favor_batch_test(c);
}
END_TEST

// f(0) is 1/2 for a sigmoid and 1 for a cosine: features that only fill a slice up must be 0, not their weights.
START_TEST(features_beyond_the_last_are_no_features)
{
    favor_batch_test(favor_batch_of(PF_FAVOR_SIGMOID, 12, 33));
    favor_batch_test(favor_batch_of(PF_FAVOR_COS, 12, 33));
}
END_TEST

// sum(o * gradient), moved by `step` at number `at` of q, k or v
static double loss(favor_ref r, int which, int at, float step)
{
    const int count = r.tokens * r.head_size;
    float moved[64];
    double o[64], sum = 0;
    const float *gradient = r.g;
    const float *from = which == 0 ? r.q : which == 1 ? r.k : r.v;
    memcpy(moved, from, (size_t)count * sizeof *moved);
    moved[at] += step;
    if (which == 0) r.q = moved;
    if (which == 1) r.k = moved;
    if (which == 2) r.v = moved;
    r.g = NULL;
    favor_ref_run(&r, o, NULL, NULL, NULL);
    for (int i = 0; i < count; i++) sum += o[i] * (double)gradient[i];
    return sum;
}

static void check_reference_gradients(favor_ref *r)
{
    double o[64], d[3][64];
    const int count = r->tokens * r->head_size;
    favor_ref_run(r, o, d[0], d[1], d[2]);
    for (int which = 0; which < 3; which++)
        for (int at = 0; at < count; at++) {
            // A step that fp32 inputs hold exactly; the next term of the difference is 1e-5 of the gradient.
            const float h = 0x1p-10f, x = (which == 0 ? r->q : which == 1 ? r->k : r->v)[at];
            const double up = (double)(x + h) - (double)x, down = (double)x - (double)(x - h);
            const double got = (loss(*r, which, at, h) - loss(*r, which, at, -h)) / (up + down);
            ck_assert_msg(fabs(got - d[which][at]) <= 1e-4 * (1 + fabs(got)), "kernel %d, d%c[%d]: %g, by differences %g",
                          (int)r->kernel, "qkv"[which], at, d[which][at], got);
        }
}

START_TEST(gradients_of_the_reference_are_its_differences)
{
    enum { L = 3, E = 4, M = 6 };
    float x[4][L * E], w[M * E], centre[E];
    test_normal(w, M * E, 1, 70);
    test_normal(centre, E, 1, 71);
    for (int part = 0; part < 4; part++) {
        test_normal(x[part], L * E, part < 2 ? 0.3 : 1, 72 + (unsigned)part);
        for (int i = 0; i < L * E && part < 2; i++) x[part][i] += centre[i % E];
    }
    for (int variant = 0; variant < 8; variant++) {
        favor_ref r = {.tokens = L, .head_size = E, .n_features = variant & 4 ? E : M, .stride = E,
                       .kernel = (pf_favor_kernel)_i, .causal = variant & 1,
                       .renormalize = variant & 2, .epsilon = 1e-3, .oprf_s = 0.25, .w = variant & 4 ? NULL : w,
                       .q = x[0], .k = x[1], .v = x[2], .g = x[3]};
        const bool softmax = _i >= PF_FAVOR_SOFTMAX && _i <= PF_FAVOR_SOFTMAX_OPRF;
        if (!(softmax && !r.w)) check_reference_gradients(&r);
    }
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("favor_maps");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, gradients_of_the_reference_are_its_differences, 0, PF_FAVOR_KERNELS);
    tcase_add_loop_test(all, every_map_equals_the_formula, 0, PF_FAVOR_KERNELS);
    tcase_add_test(all, a_map_without_projection_equals_the_formula);
    tcase_add_test(all, a_map_without_division_equals_the_formula);
    tcase_add_loop_test(all, large_queries_and_keys_neither_overflow_nor_vanish, 0, 3);
    tcase_add_test(all, features_beyond_the_last_are_no_features);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    TCase *epsilon = tcase_create("epsilon");
    tcase_add_loop_test(epsilon, softmax_features_with_an_epsilon_equal_the_formula, 0, 4);
    tcase_set_timeout(epsilon, 120);
    suite_add_tcase(s, epsilon);
    return s;
}
