// Principal components by subspace iteration: a block of directions is multiplied by the covariance and made
// orthonormal again until its largest variances stand still (Golub and Van Loan, Matrix Computations, 8.2.4).
// A block wider than the two that are wanted converges by the gap to the ninth variance, not to the third.
// See pca.h.
#include "tools/pca.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report.h"

enum { BLOCK = 8, MOST_ROUNDS = 500, SWEEPS = 30 };
#define STILL 1e-13 // of the variance: far below what a picture shows

typedef struct space {
    int64_t width;
    int block;          // directions, at most `width`
    double *mean;       // [width]
    double *covariance; // [width,width]
    double *direction;  // [block,width], orthonormal rows
    double *image;      // [block,width], their products with the covariance
} space;

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void find_mean(space *s, const float *rows, int64_t n)
{
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < s->width; i++) s->mean[i] += (double)rows[r * s->width + i];
    for (int64_t i = 0; i < s->width; i++) s->mean[i] /= (double)n;
}

// Without the division by n: only shares and directions are wanted.
static void find_covariance(space *s, const float *rows, int64_t n, double *centred)
{
    const int64_t w = s->width;
    for (int64_t r = 0; r < n; r++) {
        for (int64_t i = 0; i < w; i++) centred[i] = (double)rows[r * w + i] - s->mean[i];
        for (int64_t i = 0; i < w; i++) {
            double *to = s->covariance + i * w;
            for (int64_t j = 0; j <= i; j++) to[j] += centred[i] * centred[j];
        }
    }
    for (int64_t i = 0; i < w; i++)
        for (int64_t j = 0; j < i; j++) s->covariance[j * w + i] = s->covariance[i * w + j];
}

// Gram and Schmidt's, twice over for accuracy. What vanishes is left as zeros.
static void make_orthonormal(space *s)
{
    for (int k = 0; k < s->block; k++) {
        double *v = s->direction + k * s->width;
        const double before = sqrt(dot(v, v, s->width));
        for (int again = 0; again < 2; again++)
            for (int p = 0; p < k; p++) {
                const double *other = s->direction + p * s->width;
                const double along = dot(v, other, s->width);
                for (int64_t i = 0; i < s->width; i++) v[i] -= along * other[i];
            }
        const double length = sqrt(dot(v, v, s->width));
        const double scale = length > 1e-14 * before ? 1 / length : 0;
        for (int64_t i = 0; i < s->width; i++) v[i] *= scale;
    }
}

static void multiply(space *s)
{
    for (int k = 0; k < s->block; k++)
        for (int64_t i = 0; i < s->width; i++)
            s->image[k * s->width + i] =
                dot(s->covariance + i * s->width, s->direction + k * s->width, s->width);
}

// Turns rows and columns p and q of a symmetric matrix so that their common element becomes 0, and the rows
// of `basis` with them (Jacobi).
static void rotate(double a[BLOCK][BLOCK], double basis[BLOCK][BLOCK], int n, int p, int q)
{
    if (a[p][q] == 0) return;
    const double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
    const double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
    const double c = 1 / sqrt(t * t + 1), sine = t * c;
    for (int i = 0; i < n; i++) {
        const double at_p = a[i][p], at_q = a[i][q];
        a[i][p] = c * at_p - sine * at_q, a[i][q] = sine * at_p + c * at_q;
    }
    for (int i = 0; i < n; i++) {
        const double at_p = a[p][i], at_q = a[q][i], b_p = basis[p][i], b_q = basis[q][i];
        a[p][i] = c * at_p - sine * at_q, a[q][i] = sine * at_p + c * at_q;
        basis[p][i] = c * b_p - sine * b_q, basis[q][i] = sine * b_p + c * b_q;
    }
}

// The variances along the best directions within the block, largest first, and what combines them.
static void solve_block(const space *s, double variance[BLOCK], double basis[BLOCK][BLOCK])
{
    double a[BLOCK][BLOCK] = {{0}};
    const int n = s->block;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            a[i][j] = dot(s->direction + i * s->width, s->image + j * s->width, s->width);
            basis[i][j] = i == j;
        }
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) rotate(a, basis, n, p, q);
    for (int i = 0; i < n; i++) variance[i] = a[i][i];
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++)
            if (variance[j] > variance[i]) {
                double kept[BLOCK];
                const double v = variance[i];
                variance[i] = variance[j], variance[j] = v;
                memcpy(kept, basis[i], sizeof kept);
                memcpy(basis[i], basis[j], sizeof kept);
                memcpy(basis[j], kept, sizeof kept);
            }
}

// to[k] = sum of basis[k][j] from[j], over rows.
static void combine(const space *s, double basis[BLOCK][BLOCK], const double *from, double *to)
{
    for (int k = 0; k < s->block; k++)
        for (int64_t i = 0; i < s->width; i++) {
            double sum = 0;
            for (int j = 0; j < s->block; j++) sum += basis[k][j] * from[j * s->width + i];
            to[k * s->width + i] = sum;
        }
}

static void iterate(space *s, double variance[BLOCK], double *spare)
{
    double basis[BLOCK][BLOCK], last[2] = {-1, -1};
    uint64_t state = 1;
    for (int64_t i = 0; i < s->block * s->width; i++) {
        state = state * UINT64_C(6364136223846793005) +
                UINT64_C(1442695040888963407); // Knuth's MMIX: any start serves
        s->direction[i] = (double)(state >> 40) / (1 << 24) - 0.5;
    }
    make_orthonormal(s);
    for (int round = 0; round < MOST_ROUNDS; round++) {
        multiply(s);
        solve_block(s, variance, basis);
        const int second = s->block > 1 ? 1 : 0;
        const bool is_still = fabs(variance[0] - last[0]) <= STILL * variance[0] &&
                              fabs(variance[second] - last[1]) <= STILL * variance[0];
        last[0] = variance[0], last[1] = variance[second];
        combine(s, basis, is_still || round + 1 == MOST_ROUNDS ? s->direction : s->image, spare);
        memcpy(s->direction, spare, (size_t)(s->block * s->width) * sizeof *spare);
        if (is_still) return;
        make_orthonormal(s);
    }
}

static void choose_sign(double *direction, int64_t width)
{
    int64_t largest = 0;
    for (int64_t i = 1; i < width; i++)
        if (fabs(direction[i]) > fabs(direction[largest])) largest = i;
    if (direction[largest] < 0)
        for (int64_t i = 0; i < width; i++) direction[i] = -direction[i];
}

static void project(space *s, int k, const float *rows, int64_t n, double *to)
{
    double *direction = s->direction + k * s->width;
    if (k < s->block) choose_sign(direction, s->width);
    for (int64_t r = 0; r < n; r++) {
        to[r] = 0;
        for (int64_t i = 0; k < s->block && i < s->width; i++)
            to[r] += ((double)rows[r * s->width + i] - s->mean[i]) * direction[i];
    }
}

pf_status pf_pca_plane(const float *rows, int64_t n, int64_t width, double *x, double *y, double share[2])
{
    const size_t w = (size_t)width;
    space s = {.width = width, .block = width < BLOCK ? (int)width : BLOCK};
    s.mean = calloc(w + 1, sizeof *s.mean);
    s.covariance = calloc(w * w + 1, sizeof *s.covariance);
    s.direction = calloc(3 * BLOCK * w + 1, sizeof *s.direction);
    if (!s.mean || !s.covariance || !s.direction || n < 1) {
        free(s.mean), free(s.covariance), free(s.direction);
        return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    }
    s.image = s.direction + BLOCK * w;
    double variance[BLOCK] = {0}, total = 0;
    find_mean(&s, rows, n);
    find_covariance(&s, rows, n, s.image);
    for (int64_t i = 0; i < width; i++) total += s.covariance[i * width + i];
    iterate(&s, variance, s.image + BLOCK * w);
    for (int k = 0; k < 2; k++) {
        share[k] = total > 0 && k < s.block ? fmax(variance[k], 0) / total : 0;
        project(&s, k, rows, n, k ? y : x);
    }
    free(s.mean), free(s.covariance), free(s.direction);
    return PF_OK;
}
