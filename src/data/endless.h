// The sequences of a corpus as an endless list: epoch after epoch, in file order or shuffled anew
// each time. A place in it is one number, so a checkpoint needs no more than that.
#ifndef PF_DATA_ENDLESS_H
#define PF_DATA_ENDLESS_H

#include <stdbool.h>

#include "base/status.h"
#include "data/corpus.h"

// Read it, don't change it.
typedef struct pf_endless {
    const pf_corpus *corpus;
    uint64_t seed;
    uint64_t epoch;  // from 0
    size_t place;    // in the epoch
    uint64_t offset; // tokens of the sequence there that were taken already (packing only)
    uint32_t *order; // [n_sequences] of this epoch; NULL: file order
} pf_endless;

// A list at its first sequence; `corpus` is lent. Errors: PF_ERROR_FAILED; PF_ERROR_INPUT beyond
// 2^32 - 1 sequences.
pf_status pf_endless_create(pf_endless *list, const pf_corpus *corpus, bool shuffle, uint64_t seed);
void pf_endless_free(pf_endless *list);

// The sequence at the list's place.
size_t pf_endless_sequence(const pf_endless *list);
void pf_endless_advance(pf_endless *list);

// Goes to where `count` sequences have been taken.
void pf_endless_seek(pf_endless *list, uint64_t count);
// Goes to where `count` tokens have been taken, begin and end counted.
void pf_endless_seek_tokens(pf_endless *list, uint64_t count);

// Takes the next `count` tokens of the stream of all sequences.
void pf_endless_take_tokens(pf_endless *list, size_t count, int32_t *token);

#endif
