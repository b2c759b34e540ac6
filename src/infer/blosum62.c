// BLOSUM62, and how a matrix agrees with another. See performer/similarity.h.
#include "performer/similarity.h"

#include <math.h>
#include <stdlib.h>

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

static double correlation(const double *x, const double *y, int count)
{
    double x_mean = 0, y_mean = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < count; i++) x_mean += x[i] / count, y_mean += y[i] / count;
    for (int i = 0; i < count; i++) {
        const double dx = x[i] - x_mean, dy = y[i] - y_mean;
        xx += dx * dx, yy += dy * dy, xy += dx * dy;
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : (double)NAN;
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

enum { MOST_PAIRS = PF_SIMILARITY_LETTERS * (PF_SIMILARITY_LETTERS - 1) / 2 };

void pf_similarity_compare(const pf_letter_matrix *a, const pf_letter_matrix *b, pf_agreement *out)
{
    double x[MOST_PAIRS], y[MOST_PAIRS], x_rank[MOST_PAIRS], y_rank[MOST_PAIRS];
    int count = 0;
    for (int i = 0; i < PF_SIMILARITY_LETTERS; i++)
        for (int j = i + 1; j < PF_SIMILARITY_LETTERS; j++) {
            if (!isfinite(a->at[i][j]) || !isfinite(b->at[i][j])) continue;
            x[count] = a->at[i][j];
            y[count++] = b->at[i][j];
        }
    rank(x_rank, x, count);
    rank(y_rank, y, count);
    *out = (pf_agreement){correlation(x, y, count), correlation(x_rank, y_rank, count), count};
}
