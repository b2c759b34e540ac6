// Rotary positions equal the reference inside rows of any stride, touch nothing else, and turn back exactly
// where they came from; the backward turn is the gradient.
#include <math.h>

#include "ops/places.h"
#include "ops/rotary.h"
#include "ref/rotary_ref.h"
#include "support/arrays.h"
#include "support/suite.h"

static const struct {
    int rows, heads, width, stride, offset, first_position;
} shapes[] = {{1, 1, 2, 2, 0, 0},      {5, 3, 6, 20, 1, 0},       {17, 2, 8, 24, 8, 3},
              {9, 4, 64, 768, 256, 0}, {33, 2, 130, 300, 40, 70}, {40, 16, 64, 1536, 0, 2000}};

// The angle is exact; cosine, sine, two products and a sum are rounded.
static const double tolerance = 3e-7;

START_TEST(equals_reference)
{
    const int rows = shapes[_i].rows, E = shapes[_i].width, stride = shapes[_i].stride;
    const size_t count = (size_t)rows * (size_t)stride;
    const float *x = host_normal(count, 1, 1);
    double *turned = as_doubles(x, count), *same = as_doubles(x, count), *back = as_doubles(x, count);
    pf_place *place = (pf_place *)host_ints(4 * (size_t)rows);
    for (int n = 0; n < rows; n++) {
        const int position = shapes[_i].first_position + n % 30, at = n * stride + shapes[_i].offset;
        place[n].position = (uint32_t)position;
        rotary_ref(turned + at, position, shapes[_i].heads, E, 1);
        rotary_ref(back + at, position, shapes[_i].heads, E, -1);
    }
    pf_rotary *op = NULL;
    // A table of the batch's positions only, which may begin anywhere.
    must(pf_rotary_create(test_device(), E, 30, NULL, &op));
    must(pf_rotary_reach(op, shapes[_i].first_position, 30));
    pf_buffer *dx = on_device(x, count), *dy = on_device(x, count), *places = on_device(place, 4 * (size_t)rows);
    pf_rotary_call call = {{dx, stride, shapes[_i].offset}, places, rows, shapes[_i].heads, false};
    must(pf_rotary_run(op, &call));
    test_close("turned", from_device(dx, count), turned, count, tolerance);
    call.backward = true;
    must(pf_rotary_run(op, &call));
    test_close("turned and back", from_device(dx, count), same, count, 2 * tolerance);
    call.x.buffer = dy;
    must(pf_rotary_run(op, &call));
    test_close("turned back", from_device(dy, count), back, count, tolerance);
    pf_rotary_free(op);
}
END_TEST

enum { HEADS = 2, E = 6, COUNT = HEADS * E };

static double weighted(const double *x, void *gradient)
{
    double y[COUNT], sum = 0;
    for (int i = 0; i < COUNT; i++) y[i] = x[i];
    rotary_ref(y, 5, HEADS, E, 1);
    for (int i = 0; i < COUNT; i++) sum += y[i] * ((const double *)gradient)[i];
    return sum;
}

START_TEST(turning_back_is_the_gradient)
{
    const float *x = host_normal(COUNT, 1, 1), *dy = host_normal(COUNT, 1, 2);
    double *dx = as_doubles(dy, COUNT);
    rotary_ref(dx, 5, HEADS, E, -1);
    // Linear: nothing but rounding.
    test_is_gradient(&(test_gradient){"rotary", weighted, as_doubles(dy, COUNT), as_doubles(x, COUNT), dx, COUNT, 1e-3,
                                      1e-10});
}
END_TEST

START_TEST(an_odd_head_is_refused)
{
    pf_rotary *op = NULL;
    ck_assert_int_eq(pf_rotary_create(test_device(), 7, 10, NULL, &op), PF_ERROR_USAGE);
    ck_assert_ptr_null(op);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("rotary");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, NULL, arrays_end);
    tcase_add_loop_test(all, equals_reference, 0, (int)(sizeof shapes / sizeof *shapes) - (test_small() ? 2 : 0));
    tcase_add_test(all, turning_back_is_the_gradient);
    tcase_add_test(all, an_odd_head_is_refused);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
