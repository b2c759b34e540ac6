// Means, maxima and gathered rows equal the reference; a sequence pooled in company gives the same bits as alone.
#include "ops/pool.h"
#include "ref/pool_ref.h"
#include "support/arrays.h"
#include "support/suite.h"

enum { ROWS = 700, RANGES = 5 };
static const int ranges[RANGES][2] = {{0, 1}, {3, 3}, {1, 130}, {131, 195}, {195, 700}};
static const struct {
    int columns, stride, offset;
} shapes[] = {{1, 1, 0}, {7, 9, 2}, {64, 64, 0}, {61, 200, 100}, {515, 515, 0}};

// The mean of up to 505 numbers, in runs of 64: the root of 64 roundings of 6e-8 of sums of deviation 8, over 64.
static const double tolerance = 1e-6;

START_TEST(equals_reference)
{
    const int columns = shapes[_i].columns, stride = shapes[_i].stride, offset = shapes[_i].offset;
    const size_t count = ROWS * (size_t)stride, c = (size_t)columns;
    const float *x = host_normal(count, 1, 1);
    double *mean = host_doubles(RANGES * c), *maximum = host_doubles(RANGES * c);
    for (int b = 0; b < RANGES; b++)
        pool_ref(mean + b * columns, maximum + b * columns, x + offset, stride, ranges[b], columns);
    pf_pool *op = NULL;
    must(pf_pool_create(test_device(), &op));
    pf_buffer *dx = on_device(x, count), *range = on_device(ranges, 2 * RANGES);
    pf_buffer *got_mean = on_device(NULL, RANGES * c), *got_maximum = on_device(NULL, RANGES * c);
    must(pf_pool_run(op, &(pf_pool_call){got_mean, NULL, {dx, stride, offset}, range, RANGES, columns}));
    must(pf_pool_run(op, &(pf_pool_call){NULL, got_maximum, {dx, stride, offset}, range, RANGES, columns}));
    test_close("mean", from_device(got_mean, RANGES * c), mean, RANGES * c, tolerance);
    const float *largest = from_device(got_maximum, RANGES * c);
    for (size_t i = 0; i < RANGES * c; i++) ck_assert((double)largest[i] == maximum[i]);
    // The last range alone, both at once.
    pf_buffer *alone = on_device(ranges[4], 2), *mean4 = on_device(NULL, c), *maximum4 = on_device(NULL, c);
    must(pf_pool_run(op, &(pf_pool_call){mean4, maximum4, {dx, stride, offset}, alone, 1, columns}));
    ck_assert_mem_eq(from_device(mean4, c), from_device(got_mean, RANGES * c) + 4 * columns, c * sizeof *x);
    ck_assert_mem_eq(from_device(maximum4, c), from_device(got_maximum, RANGES * c) + 4 * columns, c * sizeof *x);
    pf_pool_free(op);
}
END_TEST

// Sequences of which the first and the last row are no residues, one without residues, and one of two blocks.
START_TEST(the_gradient_of_the_mean_equals_reference)
{
    enum { B = 4 };
    static const int start[B + 1] = {0, 1, 3, 100, ROWS}, residues[B][2] = {{0, 1}, {2, 2}, {4, 99}, {101, ROWS}};
    const int columns = shapes[_i].columns;
    const size_t c = (size_t)columns;
    const float *dmean = host_normal(B * c, 1, 1);
    double *expected = host_doubles(ROWS * c);
    int lengths[B];
    for (int b = 0; b < B; b++) {
        lengths[b] = start[b + 1] - start[b];
        pool_backward_ref(expected, dmean + b * columns, start + b, residues[b], columns);
    }
    pf_pool *op = NULL;
    pf_sequences *sequences = NULL;
    must(pf_pool_create(test_device(), &op));
    must(pf_sequences_create(test_device(), B, ROWS, &sequences));
    must(pf_sequences_set(sequences, start, lengths, B));
    ck_assert_int_gt(sequences->n_blocks, B);
    pf_buffer *dx = on_device(NULL, ROWS * c);
    must(pf_pool_run_backward(op, &(pf_pool_backward){dx, on_device(dmean, B * c), on_device(residues, 2 * B),
                                                      sequences, columns}));
    // One division each.
    test_close("gradient", from_device(dx, ROWS * c), expected, ROWS * c, 1e-7);
    pf_sequences_free(sequences);
    pf_pool_free(op);
}
END_TEST

// The mean of rows 2 .. 6 of a column.
static double mean_of(const double *x, void *context)
{
    (void)context;
    return (x[2] + x[3] + x[4] + x[5] + x[6]) / 5;
}

START_TEST(reference_gradient_is_derivative)
{
    const float one = 1;
    double x[9] = {1, 2, -3, 4, 5, -6, 7, 8, 9}, dx[9];
    pool_backward_ref(dx, &one, (const int[]){0, 9}, (const int[]){2, 7}, 1);
    test_is_gradient(&(test_gradient){"mean", mean_of, NULL, x, dx, 9, 1e-5, 1e-9});
}
END_TEST

START_TEST(gathers_rows)
{
    enum { COUNT = 40 };
    const int columns = shapes[_i].columns, stride = shapes[_i].stride, offset = shapes[_i].offset;
    const float *x = host_normal(ROWS * (size_t)stride, 1, 1);
    int rows[COUNT];
    for (int k = 0; k < COUNT; k++) rows[k] = k * 277 % ROWS;
    pf_pool *op = NULL;
    must(pf_pool_create(test_device(), &op));
    pf_buffer *out = on_device(NULL, COUNT * (size_t)columns), *dx = on_device(x, ROWS * (size_t)stride);
    must(pf_gather_run(op, &(pf_gather_call){out, {dx, stride, offset}, on_device(rows, COUNT), COUNT, columns}));
    const float *got = from_device(out, COUNT * (size_t)columns);
    for (int k = 0; k < COUNT; k++)
        ck_assert_mem_eq(got + k * columns, x + rows[k] * stride + offset, (size_t)columns * sizeof *x);
    pf_pool_free(op);
}
END_TEST

START_TEST(something_must_be_wanted)
{
    pf_pool *op = NULL;
    must(pf_pool_create(test_device(), &op));
    pf_buffer *any = on_device(NULL, 16);
    ck_assert_int_eq(pf_pool_run(op, &(pf_pool_call){NULL, NULL, {any, 1, 0}, any, 1, 1}), PF_ERROR_USAGE);
    pf_pool_free(op);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("pool");
    TCase *all = tcase_create("all");
    const int n_shapes = (int)(sizeof shapes / sizeof *shapes) - (test_small() ? 1 : 0);
    tcase_add_checked_fixture(all, NULL, arrays_end);
    tcase_add_loop_test(all, equals_reference, 0, n_shapes);
    tcase_add_loop_test(all, the_gradient_of_the_mean_equals_reference, 0, n_shapes);
    tcase_add_test(all, reference_gradient_is_derivative);
    tcase_add_loop_test(all, gathers_rows, 0, n_shapes);
    tcase_add_test(all, something_must_be_wanted);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
