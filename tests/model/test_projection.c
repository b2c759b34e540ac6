// Projections: orthogonal blocks, norms as asked for, unbiased where the page says so, and decided by
// the request alone.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/projection.h"
#include "support/suite.h"

static const pf_projection_kind blocked[] = {PF_PROJECTION_ORTHOGONAL, PF_PROJECTION_HADAMARD, PF_PROJECTION_GIVENS};

static float *draw(const pf_projection_request *request)
{
    float *w = calloc((size_t)request->num_features * (size_t)request->head_size, sizeof *w);
    double *scratch = calloc(pf_projection_scratch(request->head_size), sizeof *scratch);
    pf_projection_draw(w, request, scratch);
    free(scratch);
    return w;
}

static double dot(const float *a, const float *b, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

// Rows are rounded to float, so products of rows of norm sqrt(E) are off by E * 2^-24 at most; the
// twin, one number moved by 1e-4 of the norm, is not within that.
static bool rows_are_orthogonal(const float *w, int M, int E)
{
    for (int first = 0; first < M; first += E)
        for (int i = first; i < first + E && i < M; i++)
            for (int j = first; j < i; j++) {
                const double product = dot(w + i * E, w + j * E, E);
                const double norms = sqrt(dot(w + i * E, w + i * E, E) * dot(w + j * E, w + j * E, E));
                if (fabs(product) > norms * 4e-7) return false;
            }
    return true;
}

START_TEST(blocks_are_orthogonal_and_rows_have_their_norm)
{
    static const int sizes[] = {2, 8, 64, 128};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const int E = sizes[s], M = 2 * E + E / 2;
        pf_projection_request request = {M, E, blocked[_i], PF_ROW_NORM_SQRT, 5, 1, 0};
        float *w = draw(&request);
        ck_assert(rows_are_orthogonal(w, M, E));
        for (int i = 0; i < M; i++) ck_assert(fabs(dot(w + i * E, w + i * E, E) / E - 1) < 1e-6);
        w[E + 1] += (float)(1e-4 * sqrt(E)); // the twin
        ck_assert(!rows_are_orthogonal(w, M, E));
        free(w);
        request.row_norm = PF_ROW_NORM_CHI;
        w = draw(&request);
        ck_assert(rows_are_orthogonal(w, M, E));
        ck_assert(fabs(dot(w, w, E) / E - 1) > 1e-6); // not all of one length
        free(w);
    }
}
END_TEST

START_TEST(odd_head_sizes_are_drawn)
{
    for (int E = 1; E <= 13; E += 3) {
        const pf_projection_request request = {20, E, _i ? PF_PROJECTION_GIVENS : PF_PROJECTION_ORTHOGONAL,
                                               PF_ROW_NORM_SQRT, 5, 1, 0};
        float *w = draw(&request);
        ck_assert(rows_are_orthogonal(w, 20, E));
        for (int i = 0; i < 20; i++) ck_assert(fabs(dot(w + i * E, w + i * E, E) / E - 1) < 1e-6);
        free(w);
    }
}
END_TEST

// E[w w^T] = 1 and E|w|^2 = E, within five standard errors, for rows drawn in many draws; a twin with
// rows 5 % too long must not pass. Without the sign rule the first coordinates would all be negative.
static bool has_gaussian_moments(pf_projection_kind kind, float scale)
{
    enum { E = 8, M = 16, DRAWS = 500 };
    double mean[E] = {0}, square[E] = {0};
    for (uint64_t n = 0; n < DRAWS; n++) {
        const pf_projection_request request = {M, E, kind, PF_ROW_NORM_CHI, 7, 0, n};
        float *w = draw(&request);
        for (int i = 0; i < M; i++)
            for (int e = 0; e < E; e++) {
                mean[e] += (double)(scale * w[i * E + e]);
                square[e] += (double)(scale * w[i * E + e]) * (double)(scale * w[i * E + e]);
            }
        free(w);
    }
    const double count = M * DRAWS; // orthogonal rows vary less together than independent ones
    for (int e = 0; e < E; e++) {
        if (fabs(mean[e] / count) > 5 / sqrt(count)) return false;
        if (fabs(square[e] / count - 1) > 5 * sqrt(2 / count)) return false;
    }
    return true;
}

START_TEST(orthogonal_and_iid_rows_have_the_moments_of_gaussians)
{
    ck_assert(has_gaussian_moments(PF_PROJECTION_ORTHOGONAL, 1));
    ck_assert(has_gaussian_moments(PF_PROJECTION_IID, 1));
    ck_assert(!has_gaussian_moments(PF_PROJECTION_ORTHOGONAL, 1.05f));
}
END_TEST

// FAVOR+'s features estimate exp(x.y) without bias: mean over draws within five standard errors,
// and a twin with the norms of SMREG's rows (all sqrt(E)) shows the bias that the page names.
static double relative_error_of_softmax(pf_row_norm row_norm, double *standard_error)
{
    enum { E = 8, M = 8, DRAWS = 20000 };
    double x[E], y[E], sum = 0, squares = 0, exponent = 0;
    for (int e = 0; e < E; e++) {
        x[e] = 0.6 * cos(e);
        y[e] = 0.6 * sin(2 * e + 1);
        exponent += x[e] * y[e];
    }
    for (uint64_t n = 0; n < DRAWS; n++) {
        const pf_projection_request request = {M, E, PF_PROJECTION_ORTHOGONAL, row_norm, 11, 0, n};
        float *w = draw(&request);
        double estimate = 0;
        for (int m = 0; m < M; m++) {
            double u = 0;
            for (int e = 0; e < E; e++) u += (double)w[m * E + e] * (x[e] + y[e]) - (x[e] * x[e] + y[e] * y[e]) / 2;
            estimate += exp(u) / M;
        }
        free(w);
        sum += estimate;
        squares += estimate * estimate;
    }
    const double mean = sum / DRAWS;
    *standard_error = sqrt((squares / DRAWS - mean * mean) / DRAWS) / exp(exponent);
    return mean / exp(exponent) - 1;
}

START_TEST(softmax_features_are_unbiased)
{
    double standard_error = 0;
    const double error = relative_error_of_softmax(PF_ROW_NORM_CHI, &standard_error);
    ck_assert_msg(fabs(error) < 5 * standard_error, "%g, standard error %g", error, standard_error);
    const double biased = relative_error_of_softmax(PF_ROW_NORM_SQRT, &standard_error);
    ck_assert_msg(fabs(biased) > 5 * standard_error, "%g, standard error %g", biased, standard_error);
}
END_TEST

// Mean of cosh(w.z) over e^(|z|^2/2), less 1: the bias of hyperbolic features, |z|^2 = 1.5.
static double relative_bias(pf_projection_kind kind, int E, bool along_an_axis, double *standard_error)
{
    enum { DRAWS = 40000, MOST = 16 };
    double z[MOST], norm = 0, sum = 0, squares = 0;
    for (int e = 0; e < E; e++) z[e] = along_an_axis ? e == 0 : cos(e + 1) + 0.3;
    for (int e = 0; e < E; e++) norm += z[e] * z[e];
    for (uint64_t n = 0; n < DRAWS; n++) {
        const pf_projection_request request = {E, E, kind, PF_ROW_NORM_CHI, 13, 0, n};
        float *w = draw(&request);
        double estimate = 0;
        for (int m = 0; m < E; m++) {
            double u = 0;
            for (int e = 0; e < E; e++) u += (double)w[m * E + e] * z[e] * sqrt(1.5 / norm);
            estimate += cosh(u) / E / exp(0.75);
        }
        free(w);
        sum += estimate;
        squares += estimate * estimate;
    }
    *standard_error = sqrt((squares / DRAWS - sum / DRAWS * (sum / DRAWS)) / DRAWS);
    return sum / DRAWS - 1;
}

// What is known of the two that are only nearly Haar, measured once in 400,000 draws (E 16: 150,000) to 0.0007 (0.002):
// Hadamard blocks are off along an axis only; Givens blocks by little in most directions and by much along an axis,
// where a row that few rotations have mixed stays close to it. The twin: no bias, which holds for orthogonal blocks and
// in none of the biased cases.
START_TEST(hadamard_and_givens_have_the_bias_that_was_measured)
{
    static const struct {
        pf_projection_kind kind;
        int head_size;
        bool along_an_axis;
        double bias;
    } cases[] = {
        {PF_PROJECTION_ORTHOGONAL, 8, false, 0},    {PF_PROJECTION_ORTHOGONAL, 8, true, 0},
        {PF_PROJECTION_HADAMARD, 8, false, 0},      {PF_PROJECTION_HADAMARD, 8, true, -0.0082},
        {PF_PROJECTION_GIVENS, 8, false, -0.0051},  {PF_PROJECTION_GIVENS, 8, true, 0.0598},
        {PF_PROJECTION_GIVENS, 16, false, -0.0116}, {PF_PROJECTION_GIVENS, 16, true, 0.2359},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double error = 0;
        const double bias = relative_bias(cases[i].kind, cases[i].head_size, cases[i].along_an_axis, &error);
        ck_assert_msg(fabs(bias - cases[i].bias) < 4 * error, "case %zu: bias %g, standard error %g", i, bias, error);
        if (i > 2) ck_assert_msg(fabs(bias) > 2.5 * error, "case %zu: bias %g, standard error %g", i, bias, error);
    }
}
END_TEST

START_TEST(a_draw_depends_on_its_request_alone)
{
    const pf_projection_request request = {20, 8, PF_PROJECTION_ORTHOGONAL, PF_ROW_NORM_CHI, 3, 2, 1};
    pf_projection_request others[] = {request, request, request, request};
    others[0].seed++;
    others[1].layer++;
    others[2].draw++;
    others[3].num_features = 12;
    float *w = draw(&request), *again = draw(&request);
    ck_assert_mem_eq(w, again, 160 * sizeof *w);
    free(again);
    for (int i = 0; i < 3; i++) {
        again = draw(&others[i]);
        ck_assert_mem_ne(w, again, 8 * sizeof *w);
        free(again);
    }
    again = draw(&others[3]); // fewer features are the first of more
    ck_assert_mem_eq(w, again, 96 * sizeof *w);
    free(again);
    free(w);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("projection");
    TCase *cases = tcase_create("projection");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, blocks_are_orthogonal_and_rows_have_their_norm, 0, 3);
    tcase_add_loop_test(cases, odd_head_sizes_are_drawn, 0, 2);
    tcase_add_test(cases, orthogonal_and_iid_rows_have_the_moments_of_gaussians);
    tcase_add_test(cases, softmax_features_are_unbiased);
    tcase_add_test(cases, hadamard_and_givens_have_the_bias_that_was_measured);
    tcase_add_test(cases, a_draw_depends_on_its_request_alone);
    suite_add_tcase(suite, cases);
    return suite;
}
