// What letters say about the next one without a model: n-grams of orders 1 to 6 with Witten-Bell's
// interpolation, the baselines that a protein language model has to beat.
//
//   p(c|h) = (n(hc) + t(h) p(c|h')) / (n(h) + t(h))
//
// h: the order - 1 letters before c, fewer where the sequence begins; n: counts in the training
// data, n(h) the sum of n(hc); t(h): different letters seen after h; h': h without its first
// letter; below the unigram 1/20.
//
// Source: Witten and Bell 1991, IEEE Trans. Inf. Theory 37(4), method C; interpolated as in Chen and
// Goodman 1998, TR-10-98, section 2.5.
#ifndef PF_DATA_NGRAM_H
#define PF_DATA_NGRAM_H

#include "data/alphabet.h"
#include "data/evaluation.h"

enum { PF_NGRAM_ORDERS = 6 };

typedef struct pf_ngram pf_ngram;

// Counts the letters of `corpus`, which is not needed afterwards. 82 MB, and 8 bytes for each
// different run of six letters. Errors: PF_ERROR_FAILED.
pf_status pf_ngram_create(const pf_corpus *corpus, pf_ngram **out);
void pf_ngram_free(pf_ngram *ngram);

// p[k-1][c] = probability, at order k, that residue[place] is c, from the residues before it.
void pf_ngram_predict(const pf_ngram *ngram, const uint8_t *residue, uint64_t place,
                      double p[PF_NGRAM_ORDERS][PF_RESIDUES]);

typedef struct pf_ngram_score {
    uint64_t n_targets;                                            // residue targets
    double perplexity[PF_NGRAM_ORDERS], accuracy[PF_NGRAM_ORDERS]; // of order 1 .. 6
    int best;                                                      // the order of lowest perplexity
} pf_ngram_score;

// Scores the residue targets that an evaluation of `corpus` with these options has. Errors:
// PF_ERROR_INPUT without a target, PF_ERROR_USAGE, PF_ERROR_FAILED.
pf_status pf_ngram_evaluate(const pf_ngram *ngram, const pf_corpus *corpus,
                            const pf_evaluation_options *options, pf_ngram_score *score);

#endif
