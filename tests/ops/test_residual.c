// Residual additions with dropout equal the reference, and the mask is what dropout.h promises: the same for
// a sequence wherever it lies, another for every key, right in its share.
#include <stdlib.h>

#include "ops/residual.h"
#include "ref/dropout_ref.h"
#include "support/arrays.h"
#include "support/suite.h"

static const struct {
    int rows, width, bias;
    double rate;
} shapes[] = {{1, 1, 0, 0.5}, {3, 7, 1, 0},     {17, 64, 1, 0.1}, {5, 61, 0, 0.9},
              {9, 130, 1, 0.1}, {70, 512, 1, 0.1}, {33, 515, 1, 0.3}};

// Two additions and one multiplication in fp32.
static const double tolerance = 3e-7;

START_TEST(equals_reference)
{
    const int rows = shapes[_i].rows, width = shapes[_i].width;
    const size_t count = (size_t)rows * (size_t)width, w = (size_t)width;
    const float *x = host_normal(count, 1, 1), *branch = host_normal(count, 1, 2), *bias = host_normal(w, 1, 3);
    double *mask = host_doubles(count), *y = host_doubles(count), *dbranch = host_doubles(count);
    pf_place *place = (pf_place *)host_ints(4 * (size_t)rows);
    const pf_dropout dropout = pf_dropout_at(shapes[_i].rate, 1, 2, 3);
    places_ref(place, &rows, 1, 3);
    dropout_mask_ref(mask, &dropout, shapes[_i].rate, place, rows, width);
    for (size_t i = 0; i < count; i++) {
        y[i] = (double)x[i] + mask[i] * ((double)branch[i] + (shapes[_i].bias ? (double)bias[i % w] : 0));
        dbranch[i] = mask[i] * (double)x[i]; // x as upstream gradient
        ck_assert_int_eq(mask[i] > 0, pf_dropout_keeps(&dropout, &place[i / w], (int)(i % w)));
    }
    pf_residual *op = NULL;
    must(pf_residual_create(test_device(), width, shapes[_i].rate > 0, &op));
    pf_buffer *dx = on_device(x, count), *db = on_device(branch, count), *dp = on_device(place, 4 * (size_t)rows);
    pf_buffer *out = on_device(NULL, count), *db_out = on_device(NULL, count), *bias_or_not = on_device(bias, w);
    if (!shapes[_i].bias) bias_or_not = NULL;
    must(pf_residual_run(op, &(pf_residual_forward){out, dx, db, bias_or_not, dp, &dropout, rows}));
    must(pf_residual_run_backward(op, &(pf_residual_backward){db_out, dx, dp, &dropout, rows}));
    must(pf_residual_run(op, &(pf_residual_forward){dx, dx, db, bias_or_not, dp, &dropout, rows}));
    const float *got = from_device(out, count);
    test_close("y", got, y, count, tolerance);
    test_close("dbranch", from_device(db_out, count), dbranch, count, tolerance);
    ck_assert_mem_eq(got, from_device(dx, count), count * sizeof *got);
    pf_residual_free(op);
}
END_TEST

// The mask of one call: dropout of ones.
static const float *mask_of(pf_residual *op, const pf_place *place, int rows, int width, const pf_dropout *dropout)
{
    const size_t count = (size_t)rows * (size_t)width;
    float *ones = host_floats(count);
    for (size_t i = 0; i < count; i++) ones[i] = 1;
    pf_buffer *out = on_device(NULL, count);
    must(pf_residual_run_backward(op, &(pf_residual_backward){out, on_device(ones, count),
                                                              on_device(place, 4 * (size_t)rows), dropout, rows}));
    return from_device(out, count);
}

START_TEST(a_sequence_keeps_its_mask_in_any_company)
{
    enum { WIDTH = 50 };
    pf_residual *op = NULL;
    must(pf_residual_create(test_device(), WIDTH, true, &op));
    const pf_dropout dropout = pf_dropout_at(0.1, 1, 2, 3);
    pf_place together[20], alone[9];
    places_ref(together, (const int[]){11, 9}, 2, 41);
    places_ref(alone, (const int[]){9}, 1, 42);
    const float *a = mask_of(op, together, 20, WIDTH, &dropout), *b = mask_of(op, alone, 9, WIDTH, &dropout);
    ck_assert_mem_eq(a + 11 * WIDTH, b, 9 * WIDTH * sizeof *a);
    ck_assert_mem_ne(a, b, 9 * WIDTH * sizeof *a);
    pf_residual_free(op);
}
END_TEST

START_TEST(the_share_is_right_and_every_key_has_its_own)
{
    enum { ROWS = 200, WIDTH = 100, COUNT = ROWS * WIDTH };
    pf_residual *op = NULL;
    must(pf_residual_create(test_device(), WIDTH, true, &op));
    pf_place place[ROWS];
    places_ref(place, (const int[]){ROWS}, 1, 1);
    const pf_dropout keys[] = {pf_dropout_at(0.1, 1, 1, 1), pf_dropout_at(0.1, 2, 1, 1), pf_dropout_at(0.1, 1, 2, 1),
                               pf_dropout_at(0.1, 1, 1, 2)};
    const float *mask[4];
    for (int k = 0; k < 4; k++) {
        int dropped = 0, both = 0;
        mask[k] = mask_of(op, place, ROWS, WIDTH, &keys[k]);
        for (int i = 0; i < COUNT; i++) {
            dropped += mask[k][i] == 0;
            both += k && mask[k][i] == 0 && mask[0][i] == 0;
        }
        // Binomial: 2000 expected with deviation 42, and 200 in common with deviation 14; five deviations.
        ck_assert_int_le(abs(dropped - 2000), 212);
        if (k) ck_assert_int_le(abs(both - 200), 70);
    }
    pf_residual_free(op);
}
END_TEST

START_TEST(dropout_must_have_been_asked_for)
{
    pf_residual *op = NULL;
    must(pf_residual_create(test_device(), 4, false, &op));
    const pf_dropout dropout = pf_dropout_at(0.1, 1, 1, 1);
    pf_buffer *any = on_device(NULL, 16);
    ck_assert_int_eq(pf_residual_run_backward(op, &(pf_residual_backward){any, any, any, &dropout, 1}), PF_ERROR_USAGE);
    pf_residual_free(op);
    must(pf_residual_create(test_device(), 4, true, &op));
    ck_assert_int_eq(pf_residual_run_backward(op, &(pf_residual_backward){any, any, NULL, &dropout, 1}), PF_ERROR_USAGE);
    pf_residual_free(op);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("residual");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, NULL, arrays_end);
    tcase_add_loop_test(all, equals_reference, 0, (int)(sizeof shapes / sizeof *shapes) - (test_small() ? 2 : 0));
    tcase_add_test(all, a_sequence_keeps_its_mask_in_any_company);
    if (!test_small()) tcase_add_test(all, the_share_is_right_and_every_key_has_its_own);
    tcase_add_test(all, dropout_must_have_been_asked_for);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
