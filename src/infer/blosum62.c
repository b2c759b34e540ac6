// BLOSUM62, and how a matrix agrees with another. See performer/similarity.h.
#include "performer/similarity.h"

#include <math.h>

#include "base/random.h"
#include "infer/correlation.h"

// Half bits; the lower triangle in the order A R N D C Q E G H I L K M F P S T W Y V, as NCBI prints it.
static const signed char table[] = {
    4,                                                                             // A
    -1, 5,                                                                         // R
    -2, 0,  6,                                                                     // N
    -2, -2, 1,  6,                                                                 // D
    0,  -3, -3, -3, 9,                                                             // C
    -1, 1,  0,  0,  -3, 5,                                                         // Q
    -1, 0,  0,  2,  -4, 2,  5,                                                     // E
    0,  -2, 0,  -1, -3, -2, -2, 6,                                                 // G
    -2, 0,  1,  -1, -3, 0,  0,  -2, 8,                                             // H
    -1, -3, -3, -3, -1, -3, -3, -4, -3, 4,                                         // I
    -1, -2, -3, -4, -1, -2, -3, -4, -3, 2,  4,                                     // L
    -1, 2,  0,  -1, -3, 1,  1,  -2, -1, -3, -2, 5,                                 // K
    -1, -1, -2, -3, -1, 0,  -2, -3, -2, 1,  2,  -1, 5,                             // M
    -2, -3, -3, -3, -2, -3, -3, -3, -1, 0,  0,  -3, 0,  6,                         // F
    -1, -2, -2, -1, -3, -1, -1, -2, -2, -3, -3, -1, -2, -4, 7,                     // P
    1,  -1, 1,  0,  -1, 0,  0,  0,  -1, -2, -2, 0,  -1, -2, -1, 4,                 // S
    0,  -1, 0,  -1, -1, -1, -1, -2, -2, -1, -1, -1, -1, -2, -1, 1,  5,             // T
    -3, -3, -4, -4, -2, -2, -3, -2, -2, -3, -2, -3, -1, 1,  -4, -3, -2, 11,        // W
    -2, -2, -2, -3, -2, -1, -2, -3, 2,  -1, -1, -2, -1, 3,  -3, -2, -2, 2,  7,     // Y
    0,  -3, -3, -3, -1, -2, -2, -3, -3, 3,  1,  -2, 1,  -1, -2, -2, 0,  -3, -1, 4, // V
};

// Where the letters of PF_AMINO_ACID_LETTERS stand in it.
static const unsigned char place[PF_SIMILARITY_LETTERS] = {0,  4, 3,  6, 13, 7,  8,  9,  11, 10,
                                                           12, 2, 14, 5, 1,  15, 16, 19, 17, 18};

void pf_blosum62(pf_letter_matrix *out)
{
    for (int i = 0; i < PF_SIMILARITY_LETTERS; i++)
        for (int j = 0; j <= i; j++) {
            const int a = place[i] > place[j] ? place[i] : place[j], b = place[i] + place[j] - a;
            out->at[i][j] = out->at[j][i] = table[a * (a + 1) / 2 + b];
        }
}

// Ranks from 1; equal numbers share the mean of theirs.
static void rank(double *out, const double *x, int count)
{
    for (int i = 0; i < count; i++) {
        int below = 0, equal = 0;
        for (int j = 0; j < count; j++) below += x[j] < x[i], equal += x[j] == x[i];
        out[i] = below + (equal + 1) / 2.0;
    }
}

enum {
    LETTERS = PF_SIMILARITY_LETTERS,
    MOST_PAIRS = LETTERS * (LETTERS - 1) / 2,
    RELABELLINGS = 9999,
    RELABELLING_TENSOR = 62, // of the random numbers for studies: these are the same in every run
};

// The pairs that are known of both, `a` with its letters in this order.
static int gather(const pf_letter_matrix *a, const int *order, const pf_letter_matrix *b, double *x,
                  double *y)
{
    int count = 0;
    for (int i = 0; i < LETTERS; i++)
        for (int j = i + 1; j < LETTERS; j++) {
            const double of_a = a->at[order[i]][order[j]], of_b = b->at[i][j];
            if (!isfinite(of_a) || !isfinite(of_b)) continue;
            x[count] = of_a;
            y[count++] = of_b;
        }
    return count;
}

// Pairs share letters, so they are no 190 independent points: what counts is how often chance agrees as well
// when the letters change places (Mantel 1967).
static double chance(const pf_letter_matrix *a, const pf_letter_matrix *b, double agreement)
{
    double x[MOST_PAIRS], y[MOST_PAIRS];
    int order[LETTERS], as_good = 1;
    if (!isfinite(agreement)) return (double)NAN;
    for (int i = 0; i < LETTERS; i++) order[i] = i;
    for (uint64_t n = 0; n < RELABELLINGS; n++) {
        for (uint64_t i = LETTERS - 1; i > 0; i--) {
            const uint64_t j =
                pf_random_below(i + 1, 0, PF_RANDOM_STUDY, RELABELLING_TENSOR, n * LETTERS + i);
            const int swapped = order[i];
            order[i] = order[j];
            order[j] = swapped;
        }
        as_good += pf_correlation(x, y, gather(a, order, b, x, y)) >= agreement;
    }
    return (double)as_good / (RELABELLINGS + 1);
}

void pf_similarity_compare(const pf_letter_matrix *a, const pf_letter_matrix *b, pf_agreement *out)
{
    double x[MOST_PAIRS], y[MOST_PAIRS], x_rank[MOST_PAIRS], y_rank[MOST_PAIRS];
    int in_order[LETTERS];
    for (int i = 0; i < LETTERS; i++) in_order[i] = i;
    const int count = gather(a, in_order, b, x, y);
    const double pearson = pf_correlation(x, y, count);
    rank(x_rank, x, count);
    rank(y_rank, y, count);
    *out = (pf_agreement){pearson, pf_correlation(x_rank, y_rank, count), chance(a, b, pearson), count};
}
