// How alike amino acids are to a model's attention, measured over a set of sequences in three ways.
//
// With a_ij the weight that residue i gives to residue j in head h (heads of all chosen layers, together n),
// x_i its amino acid, begin and end left out:
//
//   w_h(X,Y)  what X gives to Y: the sum of a_ij over all pairs i, j with x_i = X, x_j = Y of all sequences
//   c_h(X,Y)  the same by chance: were who gives and who gets independent in each head and sequence, that is
//             (all that X gives) (all that Y gets) / (all that is given), summed over sequences
//
//   received  of Y: its share p_h(Y) = sum_X w_h(X,Y) / sum_X,Z w_h(X,Z) of each head's attention. The similarity
//             of Y and Z is the Pearson correlation of p(Y) and p(Z) over heads (Vig et al. 2020,
//             arXiv:2006.15222, section 4.1; they count weights above 0.3, but FAVOR spreads its weights more
//             evenly, so here all count by their size).
//   given     of X: what it prefers, l_h(X,Z) = log2 w_h(X,Z) / c_h(X,Z). The similarity of X and Y is
//             the Pearson correlation of l(X,.) and l(Y,.) over heads and letters Z other than X and Y.
//   pairs     log2 of w(X,Y) / c(X,Y), both summed over heads; mean of both directions. It is BLOSUM's
//             own formula, with attention in the place of aligned pairs.
#ifndef PERFORMER_SIMILARITY_H
#define PERFORMER_SIMILARITY_H

#include "performer/attention_map.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PF_SIMILARITY_LETTERS = 20 };

// The letters of rows and columns.
#define PF_AMINO_ACID_LETTERS "ACDEFGHIKLMNPQRSTVWY"

typedef struct pf_similarity_options {
    pf_stream_options stream;
    pf_head_choice choice;
} pf_similarity_options;

typedef struct pf_letter_matrix {
    double at[PF_SIMILARITY_LETTERS][PF_SIMILARITY_LETTERS];
} pf_letter_matrix;

// NaN where a number is not defined: a letter that does not occur, fewer than 3 heads, weights below 0.
typedef struct pf_similarity_result {
    uint64_t sequences, residues;
    int n_heads;               // n
    pf_letter_matrix received; // all symmetric; 1 on the diagonal,
    pf_letter_matrix given;    //     of this, too
    pf_letter_matrix pairs;
} pf_similarity_result;

typedef struct pf_similarity pf_similarity;

// `model` must have been opened with `probe`. Errors: PF_ERROR_USAGE, PF_ERROR_INPUT.
PF_API pf_status pf_similarity_open(pf_model *model, const pf_similarity_options *options,
                                    pf_similarity **out);
PF_API void pf_similarity_close(pf_similarity *similarity); // NULL is fine; before the model is closed

// One batch. PF_END: all is done. Errors: PF_ERROR_INPUT, PF_ERROR_DEVICE, PF_ERROR_FAILED.
PF_API pf_status pf_similarity_step(pf_similarity *similarity, uint64_t *sequences, uint64_t *tokens);

// Of what was seen so far. Errors: PF_ERROR_FAILED.
PF_API pf_status pf_similarity_get(const pf_similarity *similarity, pf_similarity_result *out);

// i-th warning so far, complete at PF_END; NULL behind the last.
PF_API const char *pf_similarity_warning(const pf_similarity *similarity, size_t i);

// BLOSUM62 in half bits (Henikoff and Henikoff 1992, doi:10.1073/pnas.89.22.10915), the table that NCBI
// distributes.
PF_API void pf_blosum62(pf_letter_matrix *out);

// How two matrices agree over the pairs of different letters (row < column) that are finite
// in both.
typedef struct pf_agreement {
    double pearson, spearman; // ties: mean ranks; NaN where they are not defined
    double p; // how often Pearson would be as high were letters shared out by chance: of 10,000 relabellings
    int pairs;
} pf_agreement;

PF_API void pf_similarity_compare(const pf_letter_matrix *a, const pf_letter_matrix *b, pf_agreement *out);

#ifdef __cplusplus
}
#endif
#endif
