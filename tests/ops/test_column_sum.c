// Sums of columns equal the reference, in rows of any stride; two runs give the same bits.
#include "ops/column_sum.h"
#include "ref/column_sum_ref.h"
#include "support/arrays.h"
#include "support/suite.h"

static const struct {
    int rows, columns, stride, offset;
} shapes[] = {{1, 1, 1, 0},    {3, 7, 9, 2},       {31, 64, 64, 0},      {33, 61, 200, 100},
              {100, 130, 130, 0}, {257, 515, 600, 17}, {3000, 29, 32, 0}, {4099, 128, 384, 256}};

// Normal numbers, so sums grow as the root of the rows; each of up to 40 roundings in a chain is 6e-8 of a partial sum.
static const double tolerance = 2e-6;

START_TEST(equals_reference)
{
    const int rows = shapes[_i].rows, columns = shapes[_i].columns, stride = shapes[_i].stride;
    const size_t count = (size_t)rows * (size_t)stride, c = (size_t)columns;
    const float *x = host_normal(count, 1, 1), *start = host_normal(c, 1, 2);
    double *expected = as_doubles(start, c);
    column_sum_ref(expected, x + shapes[_i].offset, stride, rows, columns);
    pf_column_sum *op = NULL;
    must(pf_column_sum_create(test_device(), columns, &op));
    // The last row ends with its last column: nothing behind it may be read as part of it.
    pf_buffer *dx = on_device(x, count), *sum[2];
    for (int k = 0; k < 2; k++) {
        sum[k] = on_device(start, c);
        must(pf_column_sum_run(op, &(pf_column_sum_call){sum[k], {dx, stride, shapes[_i].offset}, rows, columns}));
    }
    const float *got = from_device(sum[0], c);
    test_close("sums", got, expected, c, tolerance);
    ck_assert_mem_eq(got, from_device(sum[1], c), c * sizeof *got);
    pf_column_sum_free(op);
}
END_TEST

START_TEST(no_rows_and_too_many_columns)
{
    pf_column_sum *op = NULL;
    must(pf_column_sum_create(test_device(), 4, &op));
    const float start[4] = {1, 2, 3, 4};
    pf_buffer *sum = on_device(start, 4);
    must(pf_column_sum_run(op, &(pf_column_sum_call){sum, {sum, 4, 0}, 0, 4}));
    ck_assert_mem_eq(from_device(sum, 4), start, sizeof start);
    ck_assert_int_eq(pf_column_sum_run(op, &(pf_column_sum_call){sum, {sum, 5, 0}, 1, 5}), PF_ERROR_USAGE);
    pf_column_sum_free(op);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("column_sum");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, NULL, arrays_end);
    tcase_add_loop_test(all, equals_reference, 0, (int)(sizeof shapes / sizeof *shapes) - (test_small() ? 3 : 0));
    tcase_add_test(all, no_rows_and_too_many_columns);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
