// Layer normalisation on the device equals the reference for any width and number of rows; the
// reference's gradients are its derivatives; two runs give the same bits.
#include <string.h>

#include "ops/layer_norm.h"
#include "ref/layer_norm_ref.h"
#include "support/arrays.h"
#include "support/suite.h"

static const struct {
    int rows, width;
} shapes[] = {{1, 1}, {3, 7}, {17, 16}, {5, 61}, {33, 64}, {40, 130}, {100, 512}, {1100, 17}};

// fp32 rounding of x (6e-8) grows with |x| / deviation, about 5 here, and by the sums: 2e-6 leaves a factor of 5.
static const double tolerance = 2e-6;

// Gradients hold differences of such numbers, and at width 7 the inverse deviation of a narrow row: 1e-5.
static const double backward_tolerance = 1e-5;

typedef struct problem {
    int rows, width;
    size_t count;
    float *x, *weight, *bias, *dy, *add;
} problem;

static problem make(int rows, int width)
{
    const size_t count = (size_t)rows * (size_t)width, w = (size_t)width;
    return (problem){rows, width, count, host_normal(count, 3, 1), host_normal(w, 1, 2), host_normal(w, 1, 3),
                     host_normal(count, 1, 4), host_normal(count, 1, 5)};
}

START_TEST(forward_equals_reference)
{
    const problem p = make(shapes[_i].rows, shapes[_i].width);
    const size_t w = (size_t)p.width;
    double *expected = host_doubles(p.count);
    layer_norm_ref(expected, as_doubles(p.x, p.count), as_doubles(p.weight, w), as_doubles(p.bias, w), p.rows, p.width);

    pf_layer_norm *op = NULL;
    must(pf_layer_norm_create(test_device(), p.width, &op));
    pf_buffer *y = on_device(NULL, p.count), *stat = on_device(NULL, 2 * (size_t)p.rows);
    must(pf_layer_norm_run(op, &(pf_layer_norm_forward){y, stat, on_device(p.x, p.count), on_device(p.weight, w),
                                                        on_device(p.bias, w), p.rows, 1e-6f}));
    test_close("y", from_device(y, p.count), expected, p.count, tolerance);
    pf_buffer *without = on_device(NULL, p.count);
    must(pf_layer_norm_run(op, &(pf_layer_norm_forward){without, NULL, on_device(p.x, p.count), on_device(p.weight, w),
                                                        on_device(p.bias, w), p.rows, 1e-6f}));
    ck_assert_mem_eq(from_device(y, p.count), from_device(without, p.count), p.count * sizeof(float));
    pf_layer_norm_free(op);
}
END_TEST

// The forward pass for its stat, then the backward pass twice: with `add` apart, and with add in dx.
START_TEST(backward_equals_reference)
{
    const problem p = make(shapes[_i].rows, shapes[_i].width);
    const size_t w = (size_t)p.width;
    const layer_norm_gradients expected = {host_doubles(p.count), as_doubles(p.weight, w), as_doubles(p.bias, w)};
    layer_norm_backward_ref(&expected, as_doubles(p.dy, p.count), as_doubles(p.x, p.count), as_doubles(p.weight, w),
                            p.rows, p.width);
    for (size_t i = 0; i < p.count; i++) expected.dx[i] += (double)p.add[i];

    pf_layer_norm *op = NULL;
    must(pf_layer_norm_create(test_device(), p.width, &op));
    pf_buffer *x = on_device(p.x, p.count), *weight = on_device(p.weight, w), *dy = on_device(p.dy, p.count);
    pf_buffer *stat = on_device(NULL, 2 * (size_t)p.rows), *y = on_device(NULL, p.count);
    must(pf_layer_norm_run(op, &(pf_layer_norm_forward){y, stat, x, weight, weight, p.rows, 1e-6f}));
    pf_buffer *dx[2] = {on_device(NULL, p.count), on_device(p.add, p.count)}, *dweight[2], *dbias[2];
    for (int k = 0; k < 2; k++) {
        dweight[k] = on_device(p.weight, w); // added to, so they start from something
        dbias[k] = on_device(p.bias, w);
        must(pf_layer_norm_run_backward(op, &(pf_layer_norm_backward){dx[k], dweight[k], dbias[k], dy, x, stat, weight,
                                                                      k ? dx[k] : on_device(p.add, p.count), p.rows}));
        test_close("dx", from_device(dx[k], p.count), expected.dx, p.count, backward_tolerance);
        test_close("dweight", from_device(dweight[k], w), expected.dweight, w, backward_tolerance);
        test_close("dbias", from_device(dbias[k], w), expected.dbias, w, backward_tolerance);
    }
    ck_assert_mem_eq(from_device(dx[0], p.count), from_device(dx[1], p.count), p.count * sizeof(float));
    ck_assert_mem_eq(from_device(dweight[0], w), from_device(dweight[1], w), w * sizeof(float));
    ck_assert_mem_eq(from_device(dbias[0], w), from_device(dbias[1], w), w * sizeof(float));
    pf_layer_norm_free(op);
}
END_TEST

START_TEST(without_add_it_is_the_plain_gradient)
{
    const problem p = make(5, 33);
    const layer_norm_gradients expected = {host_doubles(p.count), host_doubles(33), host_doubles(33)};
    layer_norm_backward_ref(&expected, as_doubles(p.dy, p.count), as_doubles(p.x, p.count), as_doubles(p.weight, 33),
                            p.rows, p.width);
    pf_layer_norm *op = NULL;
    must(pf_layer_norm_create(test_device(), p.width, &op));
    pf_buffer *x = on_device(p.x, p.count), *weight = on_device(p.weight, 33), *dx = on_device(NULL, p.count);
    pf_buffer *stat = on_device(NULL, 10), *y = on_device(NULL, p.count), *dweight = on_device(p.weight, 33);
    must(pf_layer_norm_run(op, &(pf_layer_norm_forward){y, stat, x, weight, weight, p.rows, 1e-6f}));
    must(pf_layer_norm_run_backward(op, &(pf_layer_norm_backward){dx, dweight, on_device(p.weight, 33),
                                                                  on_device(p.dy, p.count), x, stat, weight, NULL, 5}));
    test_close("dx", from_device(dx, p.count), expected.dx, p.count, backward_tolerance);
    pf_layer_norm_free(op);
}
END_TEST

// Each result has the bits that it has among all of them.
START_TEST(what_is_not_wanted_is_left_out)
{
    const problem p = make(5, 33);
    pf_layer_norm *op = NULL;
    must(pf_layer_norm_create(test_device(), p.width, &op));
    pf_buffer *x = on_device(p.x, p.count), *weight = on_device(p.weight, 33), *dy = on_device(p.dy, p.count);
    pf_buffer *stat = on_device(NULL, 10), *y = on_device(NULL, p.count);
    float *whole[3] = {NULL};
    must(pf_layer_norm_run(op, &(pf_layer_norm_forward){y, stat, x, weight, weight, p.rows, 1e-6f}));
    for (int wanted = 3; wanted >= 0; wanted--) {
        pf_buffer *dx = on_device(NULL, p.count), *dweight = on_device(p.weight, 33), *dbias = on_device(p.weight, 33);
        must(pf_layer_norm_run_backward(op, &(pf_layer_norm_backward){dx, wanted & 1 ? dweight : NULL,
                                                                      wanted & 2 ? dbias : NULL, dy, x, stat,
                                                                      weight, NULL, 5}));
        float *found[3] = {from_device(dx, p.count), from_device(dweight, 33), from_device(dbias, 33)};
        if (wanted == 3) memcpy(whole, found, sizeof whole);
        ck_assert_mem_eq(found[0], whole[0], p.count * sizeof(float));
        ck_assert_int_eq(memcmp(found[1], whole[1], 33 * sizeof(float)) == 0, (wanted & 1) != 0);
        ck_assert_int_eq(memcmp(found[2], whole[2], 33 * sizeof(float)) == 0, (wanted & 2) != 0);
    }
    pf_layer_norm_free(op);
}
END_TEST

// sum of dy * y, as a function of x, weight and bias behind each other.
static double weighted(const double *all, void *context)
{
    const problem *p = context;
    double y[64], sum = 0;
    layer_norm_ref(y, all, all + p->count, all + p->count + p->width, p->rows, p->width);
    for (size_t i = 0; i < p->count; i++) sum += y[i] * (double)p->dy[i];
    return sum;
}

START_TEST(reference_gradients_are_derivatives)
{
    problem p = make(3, 7);
    double *all = host_doubles(p.count + 14), *gradient = host_doubles(p.count + 14);
    for (size_t i = 0; i < p.count; i++) all[i] = (double)p.x[i];
    for (int d = 0; d < 7; d++) {
        all[p.count + (size_t)d] = (double)p.weight[d];
        all[p.count + 7 + (size_t)d] = (double)p.bias[d];
    }
    const layer_norm_gradients out = {gradient, gradient + p.count, gradient + p.count + 7};
    layer_norm_backward_ref(&out, as_doubles(p.dy, p.count), all, all + p.count, p.rows, p.width);
    // Central differences: h^2 of truncation, 1e-16/h of rounding.
    test_is_gradient(&(test_gradient){"layer norm", weighted, &p, all, gradient, p.count + 14, 1e-5, 1e-8});
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("layer_norm");
    TCase *all = tcase_create("all");
    const int n_shapes = (int)(sizeof shapes / sizeof *shapes) - (test_small() ? 2 : 0);
    tcase_add_checked_fixture(all, NULL, arrays_end);
    tcase_add_loop_test(all, forward_equals_reference, 0, n_shapes);
    tcase_add_loop_test(all, backward_equals_reference, 0, n_shapes);
    tcase_add_test(all, without_add_it_is_the_plain_gradient);
    tcase_add_test(all, what_is_not_wanted_is_left_out);
    tcase_add_test(all, reference_gradients_are_derivatives);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
