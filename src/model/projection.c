// Drawing projections. See projection.h. Blocks of E rows, each an orthonormal matrix (Haar
// distributed, or nearly so), the last one cut; then the rows get their norms.
#include "model/projection.h"

#include <math.h>
#include <string.h>

#include "base/random.h"

// Parts of a draw's stream of numbers, each with 2^40 places.
enum { PART_GAUSSIANS, PART_NORMS, PART_SIGNS, PART_ROTATIONS };

static uint64_t place(uint64_t part, uint64_t index)
{
    return part << 40 | index;
}

static uint64_t stream(const pf_projection_request *request)
{
    return request->draw << 16 | request->layer;
}

static double gaussian(const pf_projection_request *request, uint64_t part, uint64_t index)
{
    return pf_random_normal(request->seed, PF_RANDOM_PROJECTION, stream(request), place(part, index));
}

size_t pf_projection_scratch(int head_size)
{
    return (size_t)head_size * (size_t)head_size;
}

// Gram-Schmidt on the rows of a Gaussian matrix: the triangular factor has a positive diagonal, and
// with that sign rule the result is Haar distributed (Mezzadri 2007, arXiv:math-ph/0609050, section
// 4). Each row is freed of the others twice, which leaves it orthogonal to rounding (Giraud et al.
// 2005).
static void haar_block(double *x, const pf_projection_request *request, uint64_t block)
{
    const size_t E = (size_t)request->head_size;
    for (size_t i = 0; i < E * E; i++) x[i] = gaussian(request, PART_GAUSSIANS, block * E * E + i);
    for (size_t i = 0; i < E; i++) {
        double *row = x + i * E;
        for (size_t done = 0; done < 2 * i; done++) {
            const double *other = x + done % i * E;
            double product = 0;
            for (size_t e = 0; e < E; e++) product += row[e] * other[e];
            for (size_t e = 0; e < E; e++) row[e] -= product * other[e];
        }
        double square = 0;
        for (size_t e = 0; e < E; e++) square += row[e] * row[e];
        const double scale = 1 / sqrt(square);
        for (size_t e = 0; e < E; e++) row[e] *= scale;
    }
}

static void identity(double *x, size_t E)
{
    memset(x, 0, E * E * sizeof *x);
    for (size_t i = 0; i < E; i++) x[i * E + i] = 1;
}

// x = H x / sqrt(E), the Hadamard matrix applied to all columns by the fast transform.
static void hadamard_transform(double *x, size_t E)
{
    for (size_t half = 1; half < E; half *= 2) {
        for (size_t i = 0; i < E; i++) {
            if (i & half) continue;
            for (size_t e = 0; e < E; e++) {
                const double a = x[i * E + e], b = x[(i + half) * E + e];
                x[i * E + e] = a + b;
                x[(i + half) * E + e] = a - b;
            }
        }
    }
    const double scale = 1 / sqrt((double)E);
    for (size_t i = 0; i < E * E; i++) x[i] *= scale;
}

// (H D3)(H D2)(H D1), D random signs (Andoni et al. 2015, arXiv:1509.02897). Biased by less than 1 % at E = 8, along an
// axis only, and by less for larger E (tests/model/test_projection.c).
//
// The block is drawn by the fast transform and then used as the dense matrix that every kernel takes. Its product with
// a row could be a fast transform there too: 3 M log2 E additions and sign changes instead of M E multiply-adds, at
// E = 64 18 M against 64 M, at E = 128 21 M against 128 M. That does not pay. A token and head cost 2 M E multiply-adds
// for W x and W y, 2 M (E+1) for the state and its use, and 2 M exponentials of about 15 operations: at E = 64, M = 256
// 33 k + 33 k + 8 k operations, of which the transform would save 22 k at most. But the dense product runs at the
// device's multiply-add rate from register tiles, while a butterfly of two additions loads and stores both its numbers,
// 3 log2(E) times or, by groups of eight in registers, log2(E) times: half of that is lost again. What is left, 15 % of
// attention, is 2 % of a token's 3.1 M multiply-adds in a layer of width 512 (8 heads) - for a second text of every
// kernel, and for the one projection that is not quite Haar.
static void hadamard_block(double *x, const pf_projection_request *request, uint64_t block)
{
    const size_t E = (size_t)request->head_size;
    identity(x, E);
    for (uint64_t factor = 0; factor < 3; factor++) {
        for (size_t i = 0; i < E; i++) {
            const uint64_t index = place(PART_SIGNS, (block * 3 + factor) * E + i);
            if (pf_random_word(request->seed, PF_RANDOM_PROJECTION, stream(request), index) >> 31 == 0) continue;
            for (size_t e = 0; e < E; e++) x[i * E + e] = -x[i * E + e];
        }
        hadamard_transform(x, E);
    }
}

// A product of E ceil(ln E) rotations, each of a random plane of two axes by a random angle (Choromanski et al. 2021,
// appendix B.2). Orthogonal, but not Haar: estimates are low by 0.5 to 1 % in most directions, and high for z along an
// axis, by 6 % at E = 8, 24 % at 16 and 100 % at 64 (|z|^2 = 1.5), since a row that few rotations have mixed points
// there. In a model z seldom lies along an axis; orthogonal is the safe choice.
static void givens_block(double *x, const pf_projection_request *request, uint64_t block)
{
    const size_t E = (size_t)request->head_size;
    const uint64_t rotations = E * (uint64_t)ceil(log((double)E));
    const uint64_t seed = request->seed, step = stream(request);
    identity(x, E);
    for (uint64_t n = 0; n < rotations; n++) {
        const uint64_t index = place(PART_ROTATIONS, (block * rotations + n) * 3);
        const size_t i = (size_t)pf_random_below(E, seed, PF_RANDOM_PROJECTION, step, index);
        size_t j = (size_t)pf_random_below(E - 1, seed, PF_RANDOM_PROJECTION, step, index + 1);
        j += j >= i;
        const double angle = 6.283185307179586 * pf_random_uniform(seed, PF_RANDOM_PROJECTION, step, index + 2);
        const double c = cos(angle), s = sin(angle);
        for (size_t e = 0; e < E; e++) {
            const double a = x[i * E + e], b = x[j * E + e];
            x[i * E + e] = c * a - s * b;
            x[j * E + e] = s * a + c * b;
        }
    }
}

// Chi: as long as a Gaussian vector, so that features are unbiased; sqrt: all of the mean's length.
static double row_norm(const pf_projection_request *request, size_t row)
{
    const size_t E = (size_t)request->head_size;
    if (request->row_norm == PF_ROW_NORM_SQRT) return sqrt((double)E);
    double square = 0;
    for (size_t e = 0; e < E; e++) {
        const double x = gaussian(request, PART_NORMS, row * E + e);
        square += x * x;
    }
    return sqrt(square);
}

void pf_projection_draw(float *out, const pf_projection_request *request, double *scratch)
{
    const size_t M = (size_t)request->num_features, E = (size_t)request->head_size;
    if (request->kind == PF_PROJECTION_IID) {
        for (size_t i = 0; i < M * E; i++) out[i] = (float)gaussian(request, PART_GAUSSIANS, i);
        return;
    }
    for (size_t first = 0; first < M; first += E) {
        const uint64_t block = first / E;
        if (request->kind == PF_PROJECTION_HADAMARD) hadamard_block(scratch, request, block);
        else if (request->kind == PF_PROJECTION_GIVENS) givens_block(scratch, request, block);
        else haar_block(scratch, request, block);
        for (size_t i = 0; i < E && first + i < M; i++) {
            const double norm = row_norm(request, first + i);
            for (size_t e = 0; e < E; e++) out[(first + i) * E + e] = (float)(norm * scratch[i * E + e]);
        }
    }
}
