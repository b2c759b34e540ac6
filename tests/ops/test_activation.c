// Activations and their gradients equal the reference, with and without dropout, also far from 0.
#include <math.h>

#include "ref/activation_ref.h"
#include "ref/dropout_ref.h"
#include "support/arrays.h"
#include "support/suite.h"

static const struct {
    int rows, width;
    double rate;
} shapes[] = {{1, 1, 0}, {3, 7, 0.1}, {17, 64, 0}, {5, 61, 0.5}, {9, 130, 0.1}, {40, 1024, 0.1}, {33, 512, 0}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

// Phi to 2e-7 (the fit and one exp), times |u| up to about 15, relative to the largest value, also about 15.
static const double tolerance = 4e-7;
// The slope has u times the density besides, whose exponent, of up to about 15 where it counts, is rounded too.
static const double backward_tolerance = 2e-6;

// GELU in every shape, the others in the first ones: each is a program to compile.
enum { N_OTHER = 3, N_CASES = N_SHAPES + 2 * N_OTHER };

static pf_activation case_activation(int i)
{
    return i < N_SHAPES ? PF_ACTIVATION_GELU : i < N_SHAPES + N_OTHER ? PF_ACTIVATION_GELU_TANH : PF_ACTIVATION_RELU;
}

static int case_shape(int i)
{
    return i < N_SHAPES ? i : (i - N_SHAPES) % N_OTHER;
}

typedef struct problem {
    pf_activation act;
    int rows, width;
    size_t count;
    double rate;
    float *u, *dg;
    double *mask;
    pf_place *place;
    pf_dropout dropout;
} problem;

static problem make(int i)
{
    const int k = case_shape(i), rows = shapes[k].rows, width = shapes[k].width;
    const size_t count = (size_t)rows * (size_t)width;
    problem p = {case_activation(i), rows, width, count, shapes[k].rate, host_normal(count, 3, 1),
                 host_normal(count, 1, 2), host_doubles(count), (pf_place *)host_ints(4 * (size_t)rows), {0}};
    places_ref(p.place, &rows, 1, 77);
    p.dropout = pf_dropout_at(p.rate, 5, 1, 2);
    dropout_mask_ref(p.mask, &p.dropout, p.rate, p.place, rows, width);
    return p;
}

START_TEST(forward_equals_reference)
{
    const problem p = make(_i);
    double *expected = host_doubles(p.count);
    for (size_t i = 0; i < p.count; i++) expected[i] = activation_ref(p.act, (double)p.u[i]) * p.mask[i];
    pf_activate *op = NULL;
    must(pf_activate_create(test_device(), p.act, p.width, p.rate > 0, &op));
    pf_buffer *u = on_device(p.u, p.count), *g = on_device(NULL, p.count), *place = on_device(p.place, 4 * (size_t)p.rows);
    must(pf_activate_run(op, &(pf_activate_forward){g, u, place, &p.dropout, p.rows}));
    must(pf_activate_run(op, &(pf_activate_forward){u, u, place, &p.dropout, p.rows}));
    const float *got = from_device(g, p.count);
    test_close("g", got, expected, p.count, tolerance);
    ck_assert_mem_eq(got, from_device(u, p.count), p.count * sizeof *got);
    pf_activate_free(op);
}
END_TEST

// Once with g, once without and du in place of dg.
START_TEST(backward_equals_reference)
{
    const problem p = make(_i);
    double *expected = host_doubles(p.count), *expected_g = host_doubles(p.count);
    for (size_t i = 0; i < p.count; i++) {
        expected[i] = activation_slope_ref(p.act, (double)p.u[i]) * p.mask[i] * (double)p.dg[i];
        expected_g[i] = activation_ref(p.act, (double)p.u[i]) * p.mask[i];
    }
    pf_activate *op = NULL;
    must(pf_activate_create(test_device(), p.act, p.width, p.rate > 0, &op));
    pf_buffer *u = on_device(p.u, p.count), *dg = on_device(p.dg, p.count), *place = on_device(p.place, 4 * (size_t)p.rows);
    pf_buffer *du = on_device(NULL, p.count), *g = on_device(NULL, p.count);
    must(pf_activate_run_backward(op, &(pf_activate_backward){du, g, u, dg, place, &p.dropout, p.rows}));
    must(pf_activate_run_backward(op, &(pf_activate_backward){dg, NULL, u, dg, place, &p.dropout, p.rows}));
    const float *got = from_device(du, p.count);
    test_close("du", got, expected, p.count, backward_tolerance);
    test_close("g", from_device(g, p.count), expected_g, p.count, tolerance);
    ck_assert_mem_eq(got, from_device(dg, p.count), p.count * sizeof *got);
    pf_activate_free(op);
}
END_TEST

START_TEST(far_from_zero_it_is_the_identity_or_nothing)
{
    float u[16] = {-1e30f, -3e4f, -100, -40, -20, -14, 0, -0.0f, 14, 20, 40, 100, 3e4f, 1e15f, 1e-30f, -1e-30f};
    for (int act = 0; act < 3; act++) {
        pf_activate *op = NULL;
        must(pf_activate_create(test_device(), (pf_activation)act, 16, false, &op));
        pf_buffer *x = on_device(u, 16);
        must(pf_activate_run(op, &(pf_activate_forward){x, x, NULL, NULL, 1}));
        const float *g = from_device(x, 16);
        for (int i = 0; i < 16; i++) {
            const double expected = activation_ref((pf_activation)act, (double)u[i]);
            ck_assert_msg(fabs((double)g[i] - expected) <= 1e-6 * fabs(expected) + 1e-36, "act %d of %g is %g", act,
                          (double)u[i], (double)g[i]);
        }
        pf_activate_free(op);
    }
}
END_TEST

static double reference(const double *u, void *act)
{
    return activation_ref(*(pf_activation *)act, *u);
}

START_TEST(reference_slopes_are_derivatives)
{
    for (pf_activation act = PF_ACTIVATION_GELU; act <= PF_ACTIVATION_RELU; act++)
        for (double u = -4.05; u < 4; u += 0.1) {
            double x = u, slope = activation_slope_ref(act, u);
            if (fabs(slope) < 1e-2) continue; // differences are relative to it
            test_is_gradient(&(test_gradient){"activation", reference, &act, &x, &slope, 1, 1e-5, 1e-6});
        }
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("activation");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, NULL, arrays_end);
    tcase_add_loop_test(all, forward_equals_reference, 0, test_small() ? 3 : N_CASES);
    tcase_add_loop_test(all, backward_equals_reference, 0, test_small() ? 3 : N_CASES);
    tcase_add_test(all, far_from_zero_it_is_the_identity_or_nothing);
    tcase_add_test(all, reference_slopes_are_derivatives);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
