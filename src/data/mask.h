// What a model is asked: which tokens it must say, and what it sees in their place.
//
// Every residue is chosen on its own by Philox words that are keyed by its logical place (the
// sequence's number, the position in the window), never by where it lies in a batch: micro-batches,
// threads and order change nothing. Words are compared as integers, so no rounding decides.
//
// Source: Devlin et al. 2019, arXiv:1810.04805, section 3.1 (masked language model).
#ifndef PF_DATA_MASK_H
#define PF_DATA_MASK_H

#include <stddef.h>
#include <stdint.h>

typedef struct pf_masking {
    double fraction; // of the residues that become targets; default 0.15
    double mask;     // of these: become the mask token; default 0.8
    double random;   // become one of the 20 amino acids; default 0.1
    double keep;     // stay; default 0.1. mask + random + keep = 1
} pf_masking;

pf_masking pf_masking_default(void);

// The place of a sequence in the streams of random numbers.
typedef struct pf_mask_key {
    uint64_t seed;
    uint64_t step;   // training step from 1; 0 in evaluation
    uint64_t number; // of the sequence in the step; in evaluation its place in the input, from 0
} pf_mask_key;

// Masked language model, training: chosen residues of token[0 .. length-1] become targets and are
// replaced as `masking` says. Returns the number of targets.
int32_t pf_mask_training(const pf_masking *masking, pf_mask_key key, int32_t *token, int32_t *target,
                         size_t length);

// Masked language model, evaluation: 15 % of the residues, each replaced by the mask token.
// Depends on the seed, `number` and the position only.
int32_t pf_mask_evaluation(uint64_t seed, uint64_t number, int32_t *token, int32_t *target, size_t length);

// Causal language model: target[t] = token[t+1], the last row has none.
int32_t pf_mask_causal(const int32_t *token, int32_t *target, size_t length);

#endif
