// A batch of sequences: plain data, the only thing that the data side hands to the model.
//
// Sequences lie behind each other without pads: N rows in all, sequence b in rows
// start[b] .. start[b+1]-1. There is no padding to skip, mask or pay for.
#ifndef PERFORMER_BATCH_H
#define PERFORMER_BATCH_H

#include <stddef.h>
#include <stdint.h>

enum {
    PF_NO_TARGET = -1,
    PF_RESIDUE_TOKENS = 25, // tokens 0 .. 24 are residues, the others begin, end, pad and mask
};

typedef struct pf_batch {
    int32_t n_sequences;     // B
    int32_t n_rows;          // N
    int32_t n_targets;       // rows whose target is not PF_NO_TARGET
    int32_t longest;         // tokens of the longest sequence
    const int32_t *start;    // [B+1] first row of each sequence; start[B] = N
    const int32_t *token;    // [N] what the model sees, 0 .. 28
    const int32_t *target;   // [N] what it should say, or PF_NO_TARGET; of a task the class. Tasks on sequences have
                             //     theirs at each sequence's first row
    const float *value;      // [N] regression: label in standard units, NaN for none, at the same rows, and target
                             //     says 0 where there is one; else NULL
    const uint64_t *number;  // [B] each sequence's place in the step (training) or input (use):
                             //     keys dropout, so that micro-batches change nothing
} pf_batch;

#endif
