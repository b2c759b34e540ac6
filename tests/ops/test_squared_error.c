// Loss, count and gradient of a regression equal plain doubles: rows without a label, many micro-batches, sums of
// many.
#include <math.h>

#include "base/random.h"
#include "ops/squared_error.h"
#include "support/arrays.h"
#include "support/suite.h"

static const int shapes[] = {1, 7, 65, 300, 3001, 100000};

typedef struct problem {
    int rows, labels;
    float *y, *value;
    int *target;
    double *loss, *dy; // expected; dy at scale 0.01
    double sum;
    pf_buffer *on_y, *on_value, *on_target;
} problem;

static const double scale = 0.01;

static problem make(int k)
{
    problem p = {.rows = shapes[k]};
    const size_t rows = (size_t)p.rows;
    p.y = host_normal(rows, 1, 1);
    p.value = host_normal(rows, 1, 2);
    p.target = host_ints(rows);
    p.loss = host_doubles(rows);
    p.dy = host_doubles(rows);
    for (int n = 0; n < p.rows; n++) {
        const double error = (double)p.y[n] - (double)p.value[n];
        p.target[n] = p.rows == 1 ? 0 : (int)pf_random_below(2, 1, PF_RANDOM_TEST, 4, (uint64_t)n) - 1;
        if (p.target[n] < 0) {
            p.value[n] = NAN; // must not be looked at
            continue;
        }
        p.loss[n] = error * error;
        p.dy[n] = 2 * error * scale;
        p.sum += p.loss[n];
        p.labels++;
    }
    p.on_y = on_device(p.y, rows);
    p.on_value = on_device(p.value, rows);
    p.on_target = on_device(p.target, rows);
    return p;
}

static void run(pf_squared_error *op, const problem *p, pf_buffer *loss)
{
    must(pf_squared_error_run(op, &(pf_squared_error_forward){loss, p->on_y, p->on_value, p->on_target, p->rows}));
}

static void must_be_times(const pf_squared_error *op, const problem *p, int times)
{
    pf_metrics got;
    must(pf_squared_error_read(op, &got));
    ck_assert_int_eq(got.targets, times * p->labels);
    ck_assert_int_eq(got.residue_targets, times * p->labels);
    ck_assert_int_eq(got.hits, 0);
    ck_assert_int_eq(got.residue_hits, 0);
    // Rows are right to two roundings of 6e-8, and the sum loses nothing.
    const double allowed = 2e-7 * times * p->sum;
    ck_assert_double_le(fabs(got.loss - times * p->sum), allowed);
    ck_assert(got.residue_loss == got.loss);
    // The twin: one row of the mean size that is left out shows, at all these sizes.
    if (p->labels) ck_assert_double_gt(fabs(got.loss - times * p->sum * (1 - 1.0 / p->labels)), allowed);
}

START_TEST(forward_equals_reference)
{
    const problem p = make(_i);
    pf_squared_error *op = NULL;
    must(pf_squared_error_create(test_device(), &op));
    pf_buffer *loss = on_device(NULL, (size_t)p.rows);
    run(op, &p, loss);
    must_be_times(op, &p, 1);
    test_close("loss", from_device(loss, (size_t)p.rows), p.loss, (size_t)p.rows, 2e-7);
    for (int k = 0; k < 2; k++) run(op, &p, NULL);
    must_be_times(op, &p, 3);
    must(pf_squared_error_reset(op));
    run(op, &p, NULL);
    must_be_times(op, &p, 1);
    pf_squared_error_free(op);
}
END_TEST

START_TEST(backward_equals_reference)
{
    const problem p = make(_i);
    const size_t rows = (size_t)p.rows;
    pf_squared_error *op = NULL;
    must(pf_squared_error_create(test_device(), &op));
    pf_buffer *dy = on_device(NULL, rows);
    pf_squared_error_backward call = {dy, p.on_y, p.on_value, p.on_target, p.rows, (float)scale};
    must(pf_squared_error_run_backward(op, &call));
    call.dy = p.on_y;
    must(pf_squared_error_run_backward(op, &call));
    const float *got = from_device(dy, rows);
    test_close("dy", got, p.dy, rows, 2e-7);
    ck_assert_mem_eq(got, from_device(p.on_y, rows), rows * sizeof *got);
    pf_squared_error_free(op);
}
END_TEST

START_TEST(what_is_not_finite_shows)
{
    const float y[2] = {0, INFINITY}, value[2] = {1, 2};
    const int target[2] = {0, 0};
    pf_squared_error *op = NULL;
    pf_metrics got;
    must(pf_squared_error_create(test_device(), &op));
    must(pf_squared_error_run(
        op, &(pf_squared_error_forward){NULL, on_device(y, 2), on_device(value, 2), on_device(target, 2), 2}));
    must(pf_squared_error_read(op, &got));
    ck_assert(!isfinite(got.loss));
    pf_squared_error_free(op);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("squared_error");
    TCase *all = tcase_create("all");
    const int n_shapes = (int)(sizeof shapes / sizeof *shapes) - (test_small() ? 2 : 0);
    tcase_add_checked_fixture(all, NULL, arrays_end);
    tcase_add_loop_test(all, forward_equals_reference, 0, n_shapes);
    tcase_add_loop_test(all, backward_equals_reference, 0, n_shapes);
    tcase_add_test(all, what_is_not_finite_shows);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
