// Numbers in 16 bits are the nearest ones there are, ties to even, and come back as they were stored;
// infinite and missing numbers stay what they are, and what is too large for a half is the largest half.
#include <float.h>
#include <math.h>
#include <string.h>

#include "ops/storage.h"
#include "support/arrays.h"
#include "support/suite.h"

static const struct {
    int rows, width;
} shapes[] = {{1, 1}, {3, 5}, {4, 16}, {7, 61}, {33, 515}, {65, 1024}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static const float special[] = {0.0f,          -0.0f,    1.0f,        -1.0f,       INFINITY,    -INFINITY,
                                FLT_MAX,       -FLT_MAX, FLT_MIN,     1e-41f,      65504.0f,    65519.9f,
                                65520.0f,      -1e9f,    1.00390625f, 1.01171875f, 1.00048828f, 6e-8f,
                                2.9802322e-8f, 8.94e-8f, 6.1e-5f};
enum { SPECIAL = sizeof special / sizeof *special };

// The nearest number with so many bits whose exponent is at least `least`.
static double nearest(double x, int bits, int least)
{
    if (x == 0 || !isfinite(x)) return x;
    int exponent;
    frexp(x, &exponent);
    const double step = ldexp(1, (exponent - 1 > least ? exponent - 1 : least) - (bits - 1));
    return rint(x / step) * step; // both exact: powers of two
}

static float stored_ref(float x, pf_storage storage)
{
    if (storage == PF_STORAGE_BF16) return (float)nearest((double)x, 8, -126); // beyond FLT_MAX: infinity
    return (float)fmin(fmax(nearest((double)x, 11, -14), -65504), 65504);
}

static const float *round_trip(pf_storage storage, const float *x, int rows, int width)
{
    const size_t count = (size_t)rows * (size_t)width;
    pf_storage_op *op = NULL;
    must(pf_storage_op_create(test_device(), storage, &op));
    pf_buffer *packed = on_device(NULL, (count + 1) / 2), *back = on_device(NULL, count);
    must(pf_storage_pack(op, &(pf_storage_call){packed, on_device(x, count), rows, width}));
    must(pf_storage_unpack(op, &(pf_storage_call){back, packed, rows, width}));
    const float *got = from_device(back, count);
    pf_storage_op_free(op);
    return got;
}

static void check(pf_storage storage, int rows, int width)
{
    const size_t count = (size_t)rows * (size_t)width;
    float *x = host_normal(count, 1, 1);
    // Of all magnitudes, and among them the special ones wherever a vector may begin or end.
    for (size_t i = 0; i < count; i++)
        x[i] = i % 7 ? ldexpf(x[i], (int)(i % 50) - 30) : special[i / 7 % SPECIAL];
    const float *got = round_trip(storage, x, rows, width);
    for (size_t i = 0; i < count; i++) {
        const float expected = stored_ref(x[i], storage);
        ck_assert_msg(memcmp(&got[i], &expected, sizeof expected) == 0, "%a is stored as %a, expected %a",
                      (double)x[i], (double)got[i], (double)expected);
    }
}

START_TEST(bf16_is_the_nearest)
{
    check(PF_STORAGE_BF16, shapes[_i].rows, shapes[_i].width);
}
END_TEST

START_TEST(fp16_is_the_nearest)
{
    check(PF_STORAGE_FP16, shapes[_i].rows, shapes[_i].width);
}
END_TEST

START_TEST(what_is_no_number_stays_so)
{
    // Those with few bits set: the upper half alone would be an infinity, and rounding would carry.
    const uint32_t bits[] = {0x7FC00000, 0x7F800001, 0xFF800001, 0x7FFFFFFF, 0xFFFFFFFF};
    enum { COUNT = 37 };
    float *x = host_floats(COUNT);
    for (int i = 0; i < COUNT; i++) memcpy(&x[i], &bits[i % 5], sizeof *x);
    for (int storage = PF_STORAGE_BF16; storage <= PF_STORAGE_FP16; storage++) {
        const float *got = round_trip((pf_storage)storage, x, 1, COUNT);
        for (int i = 0; i < COUNT; i++)
            ck_assert_msg(isnan(got[i]), "%08x became %a", bits[i % 5], (double)got[i]);
    }
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("storage");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, NULL, arrays_end);
    tcase_add_loop_test(all, bf16_is_the_nearest, 0, SHAPES - (test_small() ? 2 : 0));
    tcase_add_loop_test(all, fp16_is_the_nearest, 0, SHAPES - (test_small() ? 2 : 0));
    tcase_add_test(all, what_is_no_number_stays_so);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
