// A block of positions holds the rows that were asked for, wherever it begins, and makes none twice.
#include <math.h>

#include "ops/position_table.h"
#include "support/device.h"
#include "support/suite.h"

enum { WIDTH = 3, ROOM = 3000 };

static int made; // rows

static void make_rows(float *rows, int first, int count, int width, const double *frequencies)
{
    made += count;
    ck_assert_double_eq(frequencies[0], 1);
    ck_assert_double_eq_tol(frequencies[1], pow(10000, -2.0 / WIDTH), 1e-15);
    for (int p = 0; p < count; p++)
        for (int i = 0; i < width; i++) rows[p * width + i] = (float)((first + p) * 10 + i);
}

static void expect(pf_position_table *table, int first, int count)
{
    must(pf_position_table_reach(table, first, count));
    ck_assert_int_le(table->first, first);
    ck_assert_int_ge(table->first + table->count, first + count);
    static float rows[ROOM * WIDTH];
    must(pf_buffer_read(table->buffer, 0, rows, sizeof rows));
    for (int p = first; p < first + count; p++)
        for (int i = 0; i < WIDTH; i++) ck_assert_int_eq((int)rows[(p - table->first) * WIDTH + i], p * 10 + i);
}

START_TEST(rows_are_those_of_the_positions)
{
    pf_position_table table = {0};
    must(pf_position_table_create(test_device(), ROOM, WIDTH, make_rows, NULL, &table));
    made = 0;
    expect(&table, 0, 5);
    expect(&table, 0, 1500);
    expect(&table, 700, 20);
    ck_assert_int_le(made, 2 * 1024); // what is there is not made again, and little ahead
    expect(&table, 1000000, 1);
    const int before = made;
    for (int p = 1000001; p < 1000500; p++) expect(&table, p, 1); // token by token
    ck_assert_int_eq(made, before);
    expect(&table, 1000001, ROOM);
    expect(&table, 3, ROOM);
    ck_assert_int_eq(pf_position_table_reach(&table, 0, ROOM + 1), PF_ERROR_USAGE);
    pf_position_table_free(&table);
}
END_TEST

// Why rows come from the host in double: the product of a position and a frequency in float32 is no angle.
START_TEST(a_float_is_no_angle_at_a_million)
{
    const double frequency = pow(10000, -2.0 / 64);
    double worst = 0;
    for (int p = 1000000; p < 1000100; p++)
        worst = fmax(worst, fabs(sin(p * frequency) - (double)sinf((float)p * (float)frequency)));
    ck_assert_double_gt(worst, 1e-2);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("position table");
    TCase *all = tcase_create("all");
    tcase_add_test(all, rows_are_those_of_the_positions);
    tcase_add_test(all, a_float_is_no_angle_at_a_million);
    suite_add_tcase(s, all);
    return s;
}
