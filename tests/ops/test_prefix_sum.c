// Prefix sums equal the plain loop in double precision, for any shape, and twice give the same bits.
#include <stdlib.h>
#include <string.h>

#include "ops/prefix_sum.h"
#include "support/device.h"
#include "support/suite.h"

static const struct {
    int outer, count, inner;
} shapes[] = {{1, 1, 1}, {3, 7, 5}, {2, 64, 16}, {1, 65, 17}, {2, 129, 1}, {1, 4099, 3}, {3, 5, 1100}};

// fp32 sums of up to 4,099 numbers of both signs: 6e-8 a step, and most steps cancel.
static const double tolerance = 3e-6;

static void reference(double *y, const float *x, int shape, bool exclusive)
{
    const int count = shapes[shape].count, inner = shapes[shape].inner;
    for (int o = 0; o < shapes[shape].outer; o++)
        for (int c = 0; c < inner; c++) {
            double sum = 0;
            for (int i = 0; i < count; i++) {
                const int at = (o * count + i) * inner + c;
                y[at] = exclusive ? sum : sum + (double)x[at];
                sum += (double)x[at];
            }
        }
}

static void run(pf_prefix_sum *op, const float *x, float *y, int shape, bool exclusive)
{
    const int outer = shapes[shape].outer, count = shapes[shape].count, inner = shapes[shape].inner;
    const size_t numbers = (size_t)(outer * count * inner);
    const size_t scratch_bytes = pf_prefix_sum_scratch_bytes(outer, count, inner);
    pf_buffer *data = test_upload(x, numbers);
    pf_buffer *scratch = scratch_bytes ? test_empty(scratch_bytes / sizeof(float)) : NULL;
    must(pf_prefix_sum_run(op, &(pf_prefix_sum_call){data, scratch, outer, count, inner, exclusive}));
    test_download(data, y, numbers);
    pf_buffer_free(data);
    pf_buffer_free(scratch);
}

START_TEST(equals_the_plain_loop)
{
    const int shape = _i;
    const size_t numbers = (size_t)(shapes[shape].outer * shapes[shape].count * shapes[shape].inner);
    float *x = malloc(numbers * sizeof *x), *y = malloc(numbers * sizeof *y), *again = malloc(numbers * sizeof *again);
    double *expected = malloc(numbers * sizeof *expected);
    test_normal(x, numbers, 1, 1);
    pf_prefix_sum *op = NULL;
    must(pf_prefix_sum_create(test_device(), &op));
    for (int exclusive = 0; exclusive < 2; exclusive++) {
        reference(expected, x, shape, exclusive);
        run(op, x, y, shape, exclusive);
        if (numbers > 1 || !exclusive) test_close("prefix sum", y, expected, numbers, tolerance);
        else ck_assert(y[0] == 0);
        run(op, x, again, shape, exclusive);
        ck_assert(memcmp(y, again, numbers * sizeof *y) == 0);
    }
    pf_prefix_sum_free(op);
    free(x), free(y), free(again), free(expected);
}
END_TEST

// Neighbours in other columns and matrices change no bit of a column.
START_TEST(columns_do_not_depend_on_each_other)
{
    enum { COUNT = 200, INNER = 5 };
    float x[COUNT * INNER], y[COUNT * INNER], column[COUNT];
    test_normal(x, COUNT * INNER, 1, 2);
    for (int i = 0; i < COUNT; i++) column[i] = x[i * INNER + 3];
    pf_prefix_sum *op = NULL;
    must(pf_prefix_sum_create(test_device(), &op));
    pf_buffer *all = test_upload(x, COUNT * INNER), *one = test_upload(column, COUNT);
    pf_buffer *scratch = test_empty(pf_prefix_sum_scratch_bytes(1, COUNT, INNER) / sizeof(float));
    must(pf_prefix_sum_run(op, &(pf_prefix_sum_call){all, scratch, 1, COUNT, INNER, false}));
    must(pf_prefix_sum_run(op, &(pf_prefix_sum_call){one, scratch, 1, COUNT, 1, false}));
    test_download(all, y, COUNT * INNER);
    test_download(one, column, COUNT);
    for (int i = 0; i < COUNT; i++) ck_assert(memcmp(&column[i], &y[i * INNER + 3], sizeof *y) == 0);
    pf_buffer_free(all), pf_buffer_free(one), pf_buffer_free(scratch);
    pf_prefix_sum_free(op);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("prefix_sum");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, equals_the_plain_loop, 0, sizeof shapes / sizeof *shapes);
    tcase_add_test(all, columns_do_not_depend_on_each_other);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
