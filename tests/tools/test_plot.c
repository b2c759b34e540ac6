// Pictures hold what they were given: every point at its place, gaps where there is no number, foreign text escaped.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"
#include "tools/plot.h"

static char *drawn;
static size_t drawn_bytes;

static void show(const pf_plot *plot, const pf_plot_matrix *matrix)
{
    FILE *out = open_memstream(&drawn, &drawn_bytes);
    ck_assert_ptr_nonnull(out);
    if (plot) pf_plot_write(out, plot);
    if (matrix) pf_plot_matrix_write(out, matrix);
    fclose(out);
}

static void clear(void)
{
    free(drawn);
    drawn = NULL;
}

static int count(const char *what)
{
    int n = 0;
    for (const char *at = drawn; (at = strstr(at, what)); at++) n++;
    return n;
}

START_TEST(points_stand_where_their_values_are)
{
    static const double x[] = {1, 10, 100}, y[] = {0.1, 0.01, 0.001};
    const pf_plot_curve curve = {.name = "error", .x = x, .y = y, .count = 3};
    show(&(pf_plot){.title = "t", .log_x = true, .log_y = true, .curves = &curve, .n_curves = 1}, NULL);
    ck_assert_int_eq(count("<circle"), 3);
    double px[3], py[3];
    const char *at = drawn;
    for (int i = 0; i < 3; i++) {
        at = strstr(at + 1, "<circle");
        ck_assert_int_eq(sscanf(at, "<circle cx=\"%lf\" cy=\"%lf\"", &px[i], &py[i]), 2);
    }
    // Powers of ten are equally far apart on both axes; pixels are printed with one digit behind the point.
    ck_assert(fabs((px[1] - px[0]) - (px[2] - px[1])) < 0.21 && px[1] - px[0] > 100);
    ck_assert(fabs((py[1] - py[0]) - (py[2] - py[1])) < 0.21 && py[1] - py[0] > 50); // downwards
    clear();
}
END_TEST

START_TEST(what_is_no_number_is_a_gap)
{
    static const double x[] = {0, 1, 2, 3, 4}, y[] = {1, 2, (double)NAN, 3, (double)INFINITY};
    const pf_plot_curve curve = {.name = "a", .x = x, .y = y, .count = 5};
    show(&(pf_plot){.curves = &curve, .n_curves = 1}, NULL);
    ck_assert_int_eq(count("<circle"), 3);
    ck_assert_int_eq(count("nan") + count("inf"), 0);
    clear();
    const pf_plot_curve none = {.name = "b", .x = x, .y = y + 2, .count = 1};
    show(&(pf_plot){.curves = &none, .n_curves = 1}, NULL);
    ck_assert_int_eq(count("no numbers to show"), 1);
    clear();
}
END_TEST

START_TEST(foreign_text_cannot_leave_its_place)
{
    static const double x[] = {1, 2};
    const pf_plot_curve curve = {.name = "<script>\n&\"", .x = x, .y = x, .count = 2};
    show(&(pf_plot){.title = "</title><b>", .curves = &curve, .n_curves = 1}, NULL);
    ck_assert_int_eq(count("<script") + count("<b>"), 0);
    ck_assert_int_eq(count("&lt;script&gt; &amp;&quot;"), 1);
    clear();
}
END_TEST

START_TEST(names_do_not_lie_on_each_other)
{
    enum { CURVES = 12 };
    static const double x[] = {1, 2}, y[] = {5, 5};
    pf_plot_curve curves[CURVES];
    for (int i = 0; i < CURVES; i++) curves[i] = (pf_plot_curve){.name = "name", .x = x, .y = y, .count = 2};
    show(&(pf_plot){.curves = curves, .n_curves = CURVES}, NULL);
    double last = -100;
    int n = 0;
    for (const char *end = drawn; (end = strstr(end + 1, ">name<")); n++) {
        const char *begin = end;
        while (strncmp(begin, "<text", 5) != 0) begin--;
        double at = 0;
        ck_assert_int_eq(sscanf(strstr(begin, "y=\"") + 3, "%lf", &at), 1);
        ck_assert(at - last >= 15);
        last = at;
    }
    ck_assert_int_eq(n, CURVES);
    clear();
}
END_TEST

// The picture of a matrix is a PNG; more numbers than it has pixels are shown as means.
START_TEST(a_matrix_of_any_size_has_one_picture)
{
    static const int sizes[] = {1, 20, 513, 3000};
    const int size = sizes[_i];
    double *value = calloc((size_t)size * 7, sizeof *value);
    for (int i = 0; i < size * 7; i++) value[i] = i % 11 ? i : (double)NAN;
    show(NULL, &(pf_plot_matrix){.title = "m", .value = value, .rows = size, .columns = 7, .is_signed = _i & 1});
    ck_assert_int_eq(count("data:image/png;base64,iVBORw0KGgo"), 1);
    ck_assert_int_eq(count("</svg>"), 1);
    double width = 0, height = 0;
    ck_assert_int_eq(sscanf(strstr(strstr(drawn, "<image"), "width="), "width=\"%lf\" height=\"%lf", &width, &height), 2);
    const double longer = fmax(width, height);
    ck_assert(longer >= 256 && longer <= 512);
    free(value);
    clear();
}
END_TEST

// A cloud's points are all there, whatever their number, and its name is in the legend.
START_TEST(a_cloud_has_all_its_points)
{
    static const int sizes[] = {1, 31, 32, 33, 7000};
    const int size = sizes[_i];
    double *x = calloc((size_t)size, sizeof *x), *y = calloc((size_t)size, sizeof *y);
    for (int i = 0; i < size; i++) x[i] = i % 83, y[i] = i % 89;
    y[0] = size > 1 ? (double)NAN : 0;
    const pf_plot_curve clouds[] = {{.name = "one", .x = x, .y = y, .count = size, .is_cloud = true},
                                    {.name = "two", .x = x, .y = y, .count = size, .is_cloud = true}};
    show(&(pf_plot){.curves = clouds, .n_curves = 2}, NULL);
    ck_assert_int_eq(count("h0"), 2 * (size > 1 ? size - 1 : 1) + 2); // and the legend's
    ck_assert_int_eq(count(">one<") + count(">two<"), 2);
    ck_assert_int_eq(count("nan"), 0);
    free(x);
    free(y);
    clear();
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("plot");
    TCase *cases = tcase_create("plot");
    tcase_add_test(cases, points_stand_where_their_values_are);
    tcase_add_test(cases, what_is_no_number_is_a_gap);
    tcase_add_test(cases, foreign_text_cannot_leave_its_place);
    tcase_add_test(cases, names_do_not_lie_on_each_other);
    tcase_add_loop_test(cases, a_cloud_has_all_its_points, 0, 5);
    tcase_add_loop_test(cases, a_matrix_of_any_size_has_one_picture, 0, 4);
    suite_add_tcase(s, cases);
    return s;
}
