// Loss, metrics and gradient of rows of logits equal the reference: any alphabet, rows without a target, ties,
// sure rows, many micro-batches.
#include <math.h>

#include "base/random.h"
#include "ops/cross_entropy.h"
#include "ref/cross_entropy_ref.h"
#include "support/arrays.h"
#include "support/suite.h"

static const struct {
    int rows, alphabet, stride, residues;
    double deviation;
} shapes[] = {{1, 2, 2, 1, 1},    {7, 29, 29, 25, 1},   {65, 29, 32, 25, 3}, {100, 33, 40, 20, 10},
              {131, 5, 5, 2, 0.1}, {3001, 29, 29, 25, 2}, {20000, 29, 29, 25, 5}};

// A logit of 30 is rounded to 2e-6, the exponential of the difference to 2e-7: relative to the largest loss.
static const double tolerance = 1e-6;

typedef struct problem {
    int rows, alphabet, stride, residues, first; // residues: first .. residues-1
    size_t count;
    float *logits;
    double *exact;
    int *target;
} problem;

static problem make(int k)
{
    problem p = {.rows = shapes[k].rows,
                 .alphabet = shapes[k].alphabet,
                 .stride = shapes[k].stride,
                 .residues = shapes[k].residues,
                 .first = k % 2 ? shapes[k].residues / 5 : 0};
    p.count = (size_t)p.rows * (size_t)p.stride;
    p.logits = host_normal(p.count, shapes[k].deviation, 1);
    p.target = host_ints((size_t)p.rows);
    for (int n = 0; n < p.rows; n++) {
        const uint64_t t = pf_random_below((uint64_t)p.alphabet + 1, 1, PF_RANDOM_TEST, 4, (uint64_t)n);
        p.target[n] = p.rows == 1 ? 0 : (int)t - 1;
    }
    if (p.rows > 6) { // ties, at the target and before it
        float *row = p.logits + 5 * p.stride;
        for (int a = 0; a < p.alphabet; a++) row[a] = row[a + p.stride] = 1.5f;
        p.target[5] = 0;
        p.target[6] = 1;
    }
    p.exact = as_doubles(p.logits, p.count);
    return p;
}

// Numbers in the gaps between rows are NaN: they must not be looked at.
static void spoil_gaps(const problem *p)
{
    for (int n = 0; n < p->rows; n++)
        for (int a = p->alphabet; a < p->stride; a++) p->logits[n * p->stride + a] = NAN;
}

static pf_metrics metrics_ref(const problem *p, double *loss)
{
    pf_metrics m = {0};
    for (int n = 0; n < p->rows; n++) {
        const int t = p->target[n], residue = t >= p->first && t < p->residues;
        if (t < 0) continue;
        loss[n] = cross_entropy_ref(p->exact + n * p->stride, t, p->alphabet);
        const int hit = is_hit_ref(p->exact + n * p->stride, t, p->alphabet);
        m.loss += loss[n];
        m.residue_loss += residue ? loss[n] : 0;
        m.targets++;
        m.hits += hit;
        m.residue_targets += residue;
        m.residue_hits += residue && hit;
    }
    return m;
}

static void must_be_times(const pf_metrics *got, const pf_metrics *one, int times)
{
    ck_assert_int_eq(got->targets, times * one->targets);
    ck_assert_int_eq(got->hits, times * one->hits);
    ck_assert_int_eq(got->residue_targets, times * one->residue_targets);
    ck_assert_int_eq(got->residue_hits, times * one->residue_hits);
    // Rows are right to 1e-6 of the largest; their errors do not add up, and the sum loses nothing.
    ck_assert_double_le(fabs(got->loss - times * one->loss), 1e-6 * times * one->loss);
    ck_assert_double_le(fabs(got->residue_loss - times * one->residue_loss), 1e-6 * times * one->residue_loss);
}

START_TEST(forward_equals_reference)
{
    const problem p = make(_i);
    double *loss = host_doubles((size_t)p.rows);
    const pf_metrics expected = metrics_ref(&p, loss);
    spoil_gaps(&p);
    pf_cross_entropy *op = NULL;
    must(pf_cross_entropy_create(test_device(), p.alphabet, p.first, p.residues, &op));
    pf_buffer *logits = on_device(p.logits, p.count), *target = on_device(p.target, (size_t)p.rows);
    pf_buffer *out = on_device(NULL, (size_t)p.rows);
    pf_metrics got;
    must(pf_cross_entropy_run(op, &(pf_cross_entropy_forward){out, logits, target, p.rows, p.stride}));
    must(pf_cross_entropy_read(op, &got));
    must_be_times(&got, &expected, 1);
    test_close("loss", from_device(out, (size_t)p.rows), loss, (size_t)p.rows, tolerance);
    for (int k = 0; k < 2; k++)
        must(pf_cross_entropy_run(op, &(pf_cross_entropy_forward){NULL, logits, target, p.rows, p.stride}));
    must(pf_cross_entropy_read(op, &got));
    must_be_times(&got, &expected, 3);
    must(pf_cross_entropy_reset(op));
    must(pf_cross_entropy_run(op, &(pf_cross_entropy_forward){NULL, logits, target, p.rows, p.stride}));
    must(pf_cross_entropy_read(op, &got));
    must_be_times(&got, &expected, 1);
    pf_cross_entropy_free(op);
}
END_TEST

START_TEST(backward_equals_reference)
{
    const problem p = make(_i);
    const double scale = 0.01;
    double *expected = host_doubles(p.count);
    for (int n = 0; n < p.rows; n++) {
        cross_entropy_backward_ref(expected + n * p.stride, p.exact + n * p.stride, p.target[n], p.alphabet, scale);
        for (int a = p.alphabet; a < p.stride; a++) expected[n * p.stride + a] = p.exact[n * p.stride + a];
    }
    pf_cross_entropy *op = NULL;
    must(pf_cross_entropy_create(test_device(), p.alphabet, p.first, p.residues, &op));
    pf_buffer *logits = on_device(p.logits, p.count), *target = on_device(p.target, (size_t)p.rows);
    pf_buffer *dlogits = on_device(p.logits, p.count); // gaps stay as they are
    must(pf_cross_entropy_run_backward(op, &(pf_cross_entropy_backward){dlogits, logits, target, p.rows, p.stride,
                                                                        (float)scale}));
    must(pf_cross_entropy_run_backward(op, &(pf_cross_entropy_backward){logits, logits, target, p.rows, p.stride,
                                                                        (float)scale}));
    const float *got = from_device(dlogits, p.count);
    test_close("dlogits", got, expected, p.count, tolerance);
    ck_assert_mem_eq(got, from_device(logits, p.count), p.count * sizeof *got);
    pf_cross_entropy_free(op);
}
END_TEST

START_TEST(weights_are_those_of_the_rows_targets)
{
    const problem p = make(_i);
    float *weight = host_normal((size_t)p.alphabet, 1, 7);
    double *expected = host_doubles(p.count);
    pf_cross_entropy *op = NULL;
    for (int n = 0; n < p.rows; n++) {
        const double w = p.target[n] < 0 ? 0 : (double)weight[p.target[n]];
        cross_entropy_backward_ref(expected + n * p.stride, p.exact + n * p.stride, p.target[n], p.alphabet, w);
        for (int a = p.alphabet; a < p.stride; a++) expected[n * p.stride + a] = p.exact[n * p.stride + a];
    }
    must(pf_cross_entropy_create(test_device(), p.alphabet, p.first, p.residues, &op));
    must(pf_cross_entropy_set_weights(op, weight));
    pf_buffer *logits = on_device(p.logits, p.count), *target = on_device(p.target, (size_t)p.rows);
    must(pf_cross_entropy_run_backward(
        op, &(pf_cross_entropy_backward){logits, logits, target, p.rows, p.stride, 1}));
    test_close("weighted dlogits", from_device(logits, p.count), expected, p.count, tolerance);
    for (int a = 0; a < p.alphabet; a++) weight[a] = 1; // no weights, to the bit
    must(pf_cross_entropy_set_weights(op, weight));
    pf_buffer *weighted = on_device(p.logits, p.count), *plain = on_device(p.logits, p.count);
    must(pf_cross_entropy_run_backward(
        op, &(pf_cross_entropy_backward){weighted, weighted, target, p.rows, p.stride, 1}));
    pf_cross_entropy_free(op);
    must(pf_cross_entropy_create(test_device(), p.alphabet, p.first, p.residues, &op));
    must(pf_cross_entropy_run_backward(
        op, &(pf_cross_entropy_backward){plain, plain, target, p.rows, p.stride, 1}));
    ck_assert_mem_eq(from_device(weighted, p.count), from_device(plain, p.count), p.count * sizeof(float));
    pf_cross_entropy_free(op);
}
END_TEST

START_TEST(a_sure_row_keeps_its_digits)
{
    float logits[4 * 29] = {0};
    const int target[4] = {3, 3, 28, 0};
    for (int n = 0; n < 4; n++) logits[n * 29 + 3] = (float)(10 + 20 * n); // loss e^-10*28, e^-30*28, 50 + …, 70 + …
    pf_cross_entropy *op = NULL;
    must(pf_cross_entropy_create(test_device(), 29, 0, 25, &op));
    pf_buffer *loss = on_device(NULL, 4);
    must(pf_cross_entropy_run(op, &(pf_cross_entropy_forward){loss, on_device(logits, 4 * 29), on_device(target, 4), 4, 29}));
    const float *got = from_device(loss, 4);
    const double *exact = as_doubles(logits, 4 * 29);
    for (int n = 0; n < 4; n++) {
        const double expected = cross_entropy_ref(exact + n * 29, target[n], 29);
        ck_assert_double_le(fabs((double)got[n] - expected), 1e-6 * expected);
    }
    pf_cross_entropy_free(op);
}
END_TEST

START_TEST(what_is_not_finite_shows)
{
    float logits[2 * 29] = {0};
    const int target[2] = {1, 2};
    logits[40] = NAN;
    pf_cross_entropy *op = NULL;
    pf_metrics got;
    must(pf_cross_entropy_create(test_device(), 29, 0, 25, &op));
    must(pf_cross_entropy_run(op, &(pf_cross_entropy_forward){NULL, on_device(logits, 58), on_device(target, 2), 2, 29}));
    must(pf_cross_entropy_read(op, &got));
    ck_assert(isnan(got.loss));
    pf_cross_entropy_free(op);
}
END_TEST

static double loss_of(const double *logits, void *context)
{
    (void)context;
    return cross_entropy_ref(logits, 3, 7);
}

START_TEST(reference_gradient_is_derivative)
{
    double *logits = as_doubles(host_normal(7, 2, 1), 7), dlogits[7];
    cross_entropy_backward_ref(dlogits, logits, 3, 7, 1);
    test_is_gradient(&(test_gradient){"cross-entropy", loss_of, NULL, logits, dlogits, 7, 1e-5, 1e-9});
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("cross_entropy");
    TCase *all = tcase_create("all");
    const int n_shapes = (int)(sizeof shapes / sizeof *shapes) - (test_small() ? 2 : 0);
    tcase_add_checked_fixture(all, NULL, arrays_end);
    tcase_add_loop_test(all, forward_equals_reference, 0, n_shapes);
    tcase_add_loop_test(all, backward_equals_reference, 0, n_shapes);
    tcase_add_loop_test(all, weights_are_those_of_the_rows_targets, 0, n_shapes);
    tcase_add_test(all, a_sure_row_keeps_its_digits);
    tcase_add_test(all, what_is_not_finite_shows);
    tcase_add_test(all, reference_gradient_is_derivative);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
