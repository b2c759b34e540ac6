// Layer normalisation on the device equals the reference for any width and number of rows.
#include <stdlib.h>
#include <string.h>

#include "ops/layer_norm.h"
#include "ref/layer_norm_ref.h"
#include "support/device.h"
#include "support/suite.h"

static const struct {
    int rows, width;
} shapes[] = {{1, 1}, {3, 7}, {17, 16}, {5, 61}, {33, 64}, {40, 130}, {100, 512}};

// fp32 rounding of x (6e-8) grows with |x| / deviation, about 5 here, and by the sums: 2e-6 leaves a factor of 5.
static const double tolerance = 2e-6;

START_TEST(forward_equals_reference)
{
    const int rows = shapes[_i].rows, width = shapes[_i].width;
    const size_t count = (size_t)rows * (size_t)width;
    float *x = malloc(count * sizeof *x), *got = malloc(count * sizeof *got);
    float *weight = malloc((size_t)width * sizeof *weight), *bias = malloc((size_t)width * sizeof *bias);
    double *expected = malloc(count * sizeof *expected);
    test_normal(x, count, 3, 1);
    test_normal(weight, (size_t)width, 1, 2);
    test_normal(bias, (size_t)width, 1, 3);
    layer_norm_ref(expected, x, weight, bias, rows, width);

    pf_layer_norm *op = NULL;
    must(pf_layer_norm_create(test_device(), width, &op));
    pf_buffer *dx = test_upload(x, count), *dw = test_upload(weight, (size_t)width), *db = test_upload(bias, (size_t)width);
    pf_buffer *y = test_empty(count), *stat = test_empty(2 * (size_t)rows);
    must(pf_layer_norm_run(op, &(pf_layer_norm_forward){y, stat, dx, dw, db, rows, 1e-6f}));
    test_download(y, got, count);
    test_close("y", got, expected, count, tolerance);

    pf_buffer *buffers[] = {dx, dw, db, y, stat};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) pf_buffer_free(buffers[i]);
    pf_layer_norm_free(op);
    free(x), free(got), free(weight), free(bias), free(expected);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("layer_norm");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, forward_equals_reference, 0, sizeof shapes / sizeof *shapes);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
