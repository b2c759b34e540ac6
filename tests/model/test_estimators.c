// The theory of random features, checked by drawing projections: FAVOR's estimates of exp(x.y) have the mean
// and the mean squared error that the papers derive, for every softmax kernel and projection. The features
// are those of the reference that the device is held against (ref/favor_ref.h), so theory, reference and
// device are one chain.
//
//   z = x + y, D = x - y, SM = exp(x.y), n = |x|^2 + |y|^2; mean squared errors of M independent rows:
//     positive       e^(2|z|^2 - n) (1 - e^-|z|^2) / M                      Choromanski et al. 2021, lemma 2
//     hyperbolic     that times (1 - e^-|z|^2) / 2                          lemma 2
//     trigonometric  e^n (1 - e^-|D|^2)^2 / 2M                              lemma 2
//     OPRF           ((1-4a)^E (1-8a)^(-E/2) e^(2(1-4a)/(1-8a)|z|^2 - n) - SM^2) / M     Likhosherstov et al.
//     2022
//   M <= E orthogonal rows have less, by (1 - 1/M) e^-n G(|z|^2) for the positive three (OPRF too: its factor
//   exp(2a|w|^2) depends on norms, which are independent) and (1 - 1/M) e^n G(-|D|^2) for trigonometric
//   features:
//     G(t) = sum_{a,b>=1} (t/2)^(a+b) / (a! b!) (1 - mu(a) mu(b) / mu(a+b)),  mu(a) = E (E+2) ... (E+2a-2)
//   from equation 74 of Choromanski et al. (appendix F). Errors are small here (|z|^2 below 1) because
//   estimates of larger ones have tails that no number of draws fills.
//
// Numbers are drawn from fixed seeds. What is measured lies within five standard errors of its value, a
// chance of 1 in a million each; the twin of each check, a value that is a little wrong, must not.
#include <math.h>
#include <stdlib.h>

#include "model/projection.h"
#include "ref/favor_ref.h"
#include "support/suite.h"

enum { E = 8, SIGMAS = 5 };

static const pf_favor_kernel kernels[] = {PF_FAVOR_SOFTMAX, PF_FAVOR_SOFTMAX_HYPERBOLIC,
                                          PF_FAVOR_SOFTMAX_TRIG, PF_FAVOR_SOFTMAX_OPRF};
enum { KERNELS = 4 };
static const double oprf_s = 2; // not the optimum for these x and y: the formula holds for any

// A query and a key, and what the formulas take of them.
typedef struct pair {
    float q[E], k[E];
    double n, z2, d2, sm;
} pair;

// x.y is about `score`; |x|^2 + |y|^2 about 0.8.
static pair make_pair(double score)
{
    pair p = {.n = 0};
    for (int e = 0; e < E; e++) {
        const double x = cos(e + 1), y = score * 2 * x + sqrt(1 - 4 * score * score) * sin(e + 1);
        p.q[e] = (float)(x / 2.8 *
                         pow(E, 0.25)); // |cos| and |sin| of 1 .. 8 have norm 2 and are nearly orthogonal
        p.k[e] = (float)(y / 3.2 * pow(E, 0.25));
    }
    for (int e = 0; e < E; e++) { // what floats made of them
        const double x = (double)p.q[e] * pow(E, -0.25), y = (double)p.k[e] * pow(E, -0.25);
        p.n += x * x + y * y;
        p.z2 += (x + y) * (x + y);
        p.d2 += (x - y) * (x - y);
    }
    p.sm = exp((p.z2 - p.n) / 2);
    return p;
}

// phi(x).phi(y): attention of one token to itself, not divided, with values 1.
static double estimate(const pair *p, pf_favor_kernel kernel, const float *w, int M)
{
    static const float ones[E] = {1, 1, 1, 1, 1, 1, 1, 1};
    const favor_ref call = {.tokens = 1,
                            .head_size = E,
                            .n_features = M,
                            .stride = E,
                            .kernel = kernel,
                            .oprf_s = oprf_s,
                            .q = p->q,
                            .k = p->k,
                            .v = ones,
                            .w = w};
    double o[E];
    favor_ref_run(&call, o, NULL, NULL, NULL);
    return o[0];
}

// A mean and its standard error.
typedef struct measured {
    double value, error;
} measured;

static measured mean_of(double sum, double squares, double count)
{
    const double mean = sum / count;
    return (measured){mean, sqrt((squares / count - mean * mean) / count)};
}

static bool agrees(measured m, double value)
{
    return fabs(m.value - value) < SIGMAS * m.error;
}

typedef struct sample {
    measured mean, mse; // of phi(x).phi(y), and around SM
} sample;

static void draw_samples(const pair *p, pf_projection_request request, int draws, sample out[KERNELS])
{
    double sums[KERNELS][4] = {{0}}, scratch[E * E];
    float *w = calloc((size_t)request.num_features * E, sizeof *w);
    for (int n = 0; n < draws; n++) {
        request.draw = (uint64_t)n;
        pf_projection_draw(w, &request, scratch);
        for (int k = 0; k < KERNELS; k++) {
            const double error = estimate(p, kernels[k], w, request.num_features) - p->sm,
                         square = error * error;
            const double powers[] = {error, square, square * square};
            for (int i = 0; i < 3; i++) sums[k][i] += powers[i];
        }
    }
    for (int k = 0; k < KERNELS; k++) {
        out[k].mean = mean_of(sums[k][0], sums[k][1], draws);
        out[k].mean.value += p->sm;
        out[k].mse = mean_of(sums[k][1], sums[k][2], draws);
    }
    free(w);
}

static pf_projection_request request_of(pf_projection_kind kind, int M)
{
    return (pf_projection_request){
        .num_features = M, .head_size = E, .kind = kind, .row_norm = PF_ROW_NORM_CHI, .seed = 2021};
}

// ---- the formulas ----

static double oprf_a(double e, double s)
{
    const double rho = (sqrt((2 * s + e) * (2 * s + e) + 8 * e * s) - (2 * s + e)) / (4 * s);
    return (1 - 1 / rho) / 8;
}

// E[(phi(x).phi(y))^2] of one row of OPRF, times e^n.
static double oprf_second_moment(double e, double s, double z2)
{
    const double a = oprf_a(e, s);
    return pow(1 - 4 * a, e) * pow(1 - 8 * a, -e / 2) * exp(2 * (1 - 4 * a) / (1 - 8 * a) * z2);
}

static double mse_of_independent_rows(const pair *p, pf_favor_kernel kernel, int M)
{
    const double positive = exp(2 * p->z2 - p->n) * (1 - exp(-p->z2)) / M;
    const double loss = 1 - exp(-p->d2);
    switch (kernel) {
    case PF_FAVOR_SOFTMAX:
        return positive;
    case PF_FAVOR_SOFTMAX_HYPERBOLIC:
        return positive * (1 - exp(-p->z2)) / 2;
    case PF_FAVOR_SOFTMAX_TRIG:
        return exp(p->n) * loss * loss / (2 * M);
    default:
        return (oprf_second_moment(E, oprf_s, p->z2) * exp(-p->n) - p->sm * p->sm) / M;
    }
}

static double mu(int a)
{
    double product = 1;
    for (int i = 0; i < a; i++) product *= E + 2 * i;
    return product;
}

static double gap_series(double t)
{
    double sum = 0;
    for (int a = 1; a < 24; a++)
        for (int b = 1; b < 24; b++)
            sum += pow(t / 2, a + b) / tgamma(a + 1) / tgamma(b + 1) * (1 - mu(a) * mu(b) / mu(a + b));
    return sum;
}

// By how much the error of M <= E orthogonal rows is smaller.
static double gap_of_orthogonal_rows(const pair *p, pf_favor_kernel kernel, int M)
{
    const bool is_trig = kernel == PF_FAVOR_SOFTMAX_TRIG;
    return (1 - 1.0 / M) * (is_trig ? exp(p->n) * gap_series(-p->d2) : exp(-p->n) * gap_series(p->z2));
}

// ---- the tests ----

static void check(pf_favor_kernel kernel, const char *what, measured m, double value, double wrong)
{
    ck_assert_msg(agrees(m, value), "%s, %s: %.6g +- %.2g, expected %.6g", pf_favor_kernel_name(kernel), what,
                  m.value, m.error, value);
    ck_assert_msg(!agrees(m, wrong), "%s, %s: %.6g +- %.2g does not tell %.6g from %.6g",
                  pf_favor_kernel_name(kernel), what, m.value, m.error, value, wrong);
}

static const double scores[] = {0.1, -0.2};

// Twins: a mean off by 2 %, an error off by 20 %.
START_TEST(independent_rows_are_unbiased_with_the_error_of_the_lemmas)
{
    const pair p = make_pair(scores[_i]);
    sample s[KERNELS];
    draw_samples(&p, request_of(PF_PROJECTION_IID, 8), 100000, s);
    for (int k = 0; k < KERNELS; k++) {
        const double mse = mse_of_independent_rows(&p, kernels[k], 8);
        check(kernels[k], "mean", s[k].mean, p.sm, 1.02 * p.sm);
        check(kernels[k], "error", s[k].mse, mse, 1.2 * mse);
        check(kernels[k], "error", s[k].mse, mse, 0.8 * mse);
    }
}
END_TEST

// Twins: the same mean, and the error of independent rows; where the gap is large also a gap off by 20 %.
START_TEST(orthogonal_rows_are_unbiased_with_less_error_by_the_exact_gap)
{
    const pair p = make_pair(scores[_i]);
    sample s[KERNELS];
    draw_samples(&p, request_of(PF_PROJECTION_ORTHOGONAL, 8), 100000, s);
    for (int k = 0; k < KERNELS; k++) {
        const double mse = mse_of_independent_rows(&p, kernels[k], 8),
                     gap = gap_of_orthogonal_rows(&p, kernels[k], 8);
        check(kernels[k], "mean", s[k].mean, p.sm, 1.02 * p.sm);
        check(kernels[k], "error", s[k].mse, mse - gap, mse);
        if (gap > 0.4 * mse) check(kernels[k], "error", s[k].mse, mse - gap, mse - 0.8 * gap);
    }
}
END_TEST

// Fewer rows than a block, and two blocks, which are independent: half the error of one. Twins: the formula
// for one block of M rows, though there is none for M > E; no gap.
START_TEST(the_gap_follows_the_number_of_rows)
{
    const pair p = make_pair(-0.2);
    const int k = 1; // hyperbolic: more than half of its error goes
    sample s[KERNELS];
    const double gap = gap_of_orthogonal_rows(&p, kernels[k], 8);
    draw_samples(&p, request_of(PF_PROJECTION_ORTHOGONAL, 16), 60000, s);
    const double block = mse_of_independent_rows(&p, kernels[k], 8) - gap;
    check(kernels[k], "two blocks", s[k].mse, block / 2,
          mse_of_independent_rows(&p, kernels[k], 16) - gap_of_orthogonal_rows(&p, kernels[k], 16));
    draw_samples(&p, request_of(PF_PROJECTION_ORTHOGONAL, 3), 60000, s);
    const double mse = mse_of_independent_rows(&p, kernels[k], 3),
                 three = gap_of_orthogonal_rows(&p, kernels[k], 3);
    check(kernels[k], "three rows", s[k].mse, mse - three, mse);
}
END_TEST

// Rows of norm sqrt(E) estimate the regularised kernel SMREG <= SM: SMREG/SM = e^-w sum_k w^k/k! E^k/mu(k),
// w = |z|^2/2 (Choromanski et al. 2021, theorem 1 and appendix F.3). Twin: SM.
START_TEST(rows_of_one_norm_estimate_the_regularised_kernel)
{
    const pair p = make_pair(0.1);
    pf_projection_request request = request_of(PF_PROJECTION_ORTHOGONAL, 8);
    sample s[KERNELS];
    double ratio = 0;
    for (int k = 0; k < 24; k++)
        ratio += exp(-p.z2 / 2) * pow(p.z2 / 2, k) / tgamma(k + 1) * pow(E, k) / mu(k);
    request.row_norm = PF_ROW_NORM_SQRT;
    draw_samples(&p, request, 60000, s);
    ck_assert(ratio < 1);
    check(kernels[0], "SMREG", s[0].mean, ratio * p.sm, p.sm);
    check(kernels[1], "SMREG", s[1].mean, ratio * p.sm, p.sm);
}
END_TEST

// Where s is |z|^2, OPRF's variance is this part of that of positive features (E 64); twin: any other s has
// more.
START_TEST(oprf_has_its_least_variance_where_s_is_the_size_of_the_pair)
{
    static const double sizes[] = {1, 2, 4, 8, 16}, parts[] = {.954, .878, .660, .249, .0124};
    for (int i = 0; i < 5; i++) {
        const double s = sizes[i], positive = exp(2 * s) - exp(s), best = oprf_second_moment(64, s, s);
        ck_assert(fabs((best - exp(s)) / positive / parts[i] - 1) < 0.005); // of three digits
        ck_assert(oprf_second_moment(64, s * 1.1, s) > best && oprf_second_moment(64, s * 0.9, s) > best);
    }
}
END_TEST

// Directions of a Haar block: traces of Haar matrices have the moments 0, 1, 0, 3 of a Gaussian (Diaconis and
// Shahshahani 1994), and E exp(w.e1) is e^(1/2) for each row. Twin: the first row's first number made
// negative, as a Householder QR without the sign rule leaves it (Mezzadri 2007): E exp is 0.523 there.
START_TEST(orthogonal_blocks_are_haar)
{
    enum { DRAWS = 20000 };
    double trace[4][2] = {{0}}, row[E][2] = {{0}}, broken[2] = {0}, broken_trace[2] = {0}, scratch[E * E];
    for (int n = 0; n < DRAWS; n++) {
        float w[E * E];
        pf_projection_request request = request_of(PF_PROJECTION_ORTHOGONAL, E);
        request.draw = (uint64_t)n;
        pf_projection_draw(w, &request, scratch);
        double t = 0;
        for (int i = 0; i < E; i++) {
            double norm = 0;
            for (int e = 0; e < E; e++) norm += (double)w[i * E + e] * (double)w[i * E + e];
            t += (double)w[i * E + i] / sqrt(norm);
            const double x = exp((double)w[i * E]);
            row[i][0] += x, row[i][1] += x * x;
            if (i > 0) continue;
            const double wrong = exp(-fabs((double)w[0])), wrong_t = -2 * fmax((double)w[0], 0) / sqrt(norm);
            broken[0] += wrong, broken[1] += wrong * wrong;
            broken_trace[0] += wrong_t, broken_trace[1] += wrong_t * wrong_t;
        }
        for (int i = 0; i < 4; i++) trace[i][0] += pow(t, i + 1), trace[i][1] += pow(t, 2 * i + 2);
    }
    static const double moments[] = {0, 1, 0, 3};
    for (int i = 0; i < 4; i++) ck_assert(agrees(mean_of(trace[i][0], trace[i][1], DRAWS), moments[i]));
    for (int i = 0; i < E; i++) ck_assert(agrees(mean_of(row[i][0], row[i][1], DRAWS), exp(0.5)));
    ck_assert(agrees(mean_of(broken[0], broken[1], DRAWS), exp(0.5) * erfc(sqrt(0.5)))); // 0.523
    ck_assert(!agrees(mean_of(broken_trace[0], broken_trace[1], DRAWS), 0));
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("estimators");
    TCase *cases = tcase_create("estimators");
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, independent_rows_are_unbiased_with_the_error_of_the_lemmas, 0, 2);
    tcase_add_loop_test(cases, orthogonal_rows_are_unbiased_with_less_error_by_the_exact_gap, 0, 2);
    tcase_add_test(cases, the_gap_follows_the_number_of_rows);
    tcase_add_test(cases, rows_of_one_norm_estimate_the_regularised_kernel);
    tcase_add_test(cases, oprf_has_its_least_variance_where_s_is_the_size_of_the_pair);
    tcase_add_test(cases, orthogonal_blocks_are_haar);
    suite_add_tcase(suite, cases);
    return suite;
}
