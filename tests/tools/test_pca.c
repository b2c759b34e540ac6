// The plane of largest spread is found, with its shares, the same way round every time.
#include "tools/pca.h"

#include <math.h>
#include <stdint.h>

#include "support/suite.h"

enum { N = 400, WIDTH = 20 };

// Points around a centre whose coordinates along orthogonal directions, the rows of a Householder reflection, have
// deviations that fall by `ratio`.
static void make(float *rows, double ratio, double direction[WIDTH][WIDTH])
{
    double v[WIDTH], length = 0;
    uint64_t state = 7;
    for (int i = 0; i < WIDTH; i++) v[i] = sin(3.0 * i + 1), length += v[i] * v[i];
    for (int i = 0; i < WIDTH; i++)
        for (int j = 0; j < WIDTH; j++) direction[i][j] = (i == j) - 2 * v[i] * v[j] / length;
    for (int r = 0; r < N; r++) {
        double along[WIDTH];
        for (int k = 0; k < WIDTH; k++) {
            state = state * 6364136223846793005ULL + 1442695040888963407ULL;
            along[k] = ((double)(state >> 40) / (1 << 24) - 0.5) * pow(ratio, k);
        }
        for (int i = 0; i < WIDTH; i++) {
            double sum = 5 + i;
            for (int k = 0; k < WIDTH; k++) sum += along[k] * direction[k][i];
            rows[r * WIDTH + i] = (float)sum;
        }
    }
}

// The variance of the rows along a direction, as a share of all of it.
static double share_along(const float *rows, const double *direction)
{
    double mean[WIDTH] = {0}, all = 0, along = 0;
    for (int r = 0; r < N; r++)
        for (int i = 0; i < WIDTH; i++) mean[i] += (double)rows[r * WIDTH + i] / N;
    for (int r = 0; r < N; r++) {
        double sum = 0;
        for (int i = 0; i < WIDTH; i++) {
            const double d = (double)rows[r * WIDTH + i] - mean[i];
            all += d * d;
            sum += d * direction[i];
        }
        along += sum * sum;
    }
    return along / all;
}

START_TEST(the_plane_carries_more_than_any_other)
{
    static float rows[N * WIDTH];
    static double x[N], y[N], direction[WIDTH][WIDTH];
    static const double ratios[] = {0.5, 0.9, 0.99};
    double share[2], xx = 0, yy = 0, xy = 0, sum_x = 0;
    make(rows, ratios[_i], direction);
    ck_assert_int_eq(pf_pca_plane(rows, N, WIDTH, x, y, share), PF_OK);
    ck_assert(share[0] >= share[1] && share[1] > 0 && share[0] + share[1] <= 1);
    for (int k = 0; k < WIDTH; k++) ck_assert(share_along(rows, direction[k]) <= share[0] + 1e-9);
    for (int i = 0; i < N; i++) xx += x[i] * x[i], yy += y[i] * y[i], xy += x[i] * y[i], sum_x += x[i];
    ck_assert(fabs(yy / xx - share[1] / share[0]) < 1e-6);
    ck_assert(fabs(xy) < 1e-6 * xx);           // components are not correlated
    ck_assert(fabs(sum_x) < 1e-6 * sqrt(xx));  // about the mean
}
END_TEST

START_TEST(a_known_plane_is_found)
{
    static float rows[N * WIDTH];
    static double x[N], y[N], direction[WIDTH][WIDTH];
    double share[2], xa = 0, xx = 0, aa = 0, other = 0, bb = 0, a = 0, b = 0;
    make(rows, 0.1, direction);
    ck_assert_int_eq(pf_pca_plane(rows, N, WIDTH, x, y, share), PF_OK);
    ck_assert(share[0] > 0.98 && share[1] > 0.005 && share[1] < 0.02); // variances fall by 100
    for (int i = 0; i < N; i++) {
        double along = 0, beside = 0;
        for (int j = 0; j < WIDTH; j++) {
            along += ((double)rows[i * WIDTH + j] - 5 - j) * direction[0][j];
            beside += ((double)rows[i * WIDTH + j] - 5 - j) * direction[2][j];
        }
        xa += x[i] * along, xx += x[i] * x[i], aa += along * along, a += along / N;
        other += x[i] * beside, bb += beside * beside, b += beside / N;
    }
    aa -= N * a * a, bb -= N * b * b;
    // Samples of 400 correlate by chance by about 1/20, and the spread beside is a hundredth: a turn of 1/2000.
    ck_assert(fabs(xa) / sqrt(xx * aa) > 0.998);
    ck_assert(fabs(other) / sqrt(xx * bb) < 0.3); // a direction that is another one is told apart
}
END_TEST

START_TEST(signs_do_not_depend_on_the_rows_order)
{
    static float rows[N * WIDTH], turned[N * WIDTH];
    static double x[N], y[N], again_x[N], again_y[N], direction[WIDTH][WIDTH];
    double share[2], off = 0;
    make(rows, 0.8, direction);
    for (int r = 0; r < N; r++)
        for (int i = 0; i < WIDTH; i++) turned[r * WIDTH + i] = rows[(N - 1 - r) * WIDTH + i];
    ck_assert_int_eq(pf_pca_plane(rows, N, WIDTH, x, y, share), PF_OK);
    ck_assert_int_eq(pf_pca_plane(turned, N, WIDTH, again_x, again_y, share), PF_OK);
    for (int r = 0; r < N; r++) off = fmax(off, fabs(x[r] - again_x[N - 1 - r]) + fabs(y[r] - again_y[N - 1 - r]));
    ck_assert(off < 1e-5); // variances stand still to 1e-13, directions to its root
}
END_TEST

START_TEST(points_without_spread_have_a_picture_too)
{
    static const float same[] = {1, 2, 3, 1, 2, 3}, line[] = {1, 2, 4};
    double x[3], y[3], share[2];
    ck_assert_int_eq(pf_pca_plane(same, 2, 3, x, y, share), PF_OK);
    ck_assert(share[0] == 0 && x[0] == 0 && x[1] == 0 && y[1] == 0);
    ck_assert_int_eq(pf_pca_plane(line, 3, 1, x, y, share), PF_OK); // one dimension
    ck_assert(fabs(share[0] - 1) < 1e-12 && share[1] == 0 && fabs(x[2] - x[0] - 3) < 1e-12 && y[2] == 0);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("pca");
    TCase *t = tcase_create("pca");
    tcase_add_loop_test(t, the_plane_carries_more_than_any_other, 0, 3);
    tcase_add_test(t, a_known_plane_is_found);
    tcase_add_test(t, signs_do_not_depend_on_the_rows_order);
    tcase_add_test(t, points_without_spread_have_a_picture_too);
    suite_add_tcase(s, t);
    return s;
}
