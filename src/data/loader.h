// The batches of training steps. A step is a function of (corpus, options, step number, cursor)
// alone, so a run that is resumed, prefetches or cuts its steps otherwise sees the same data.
#ifndef PF_DATA_LOADER_H
#define PF_DATA_LOADER_H

#include <stdbool.h>

#include "base/status.h"
#include "data/labels.h"
#include "data/mask.h"
#include "performer/batch.h"

typedef struct pf_loader_options {
    bool is_causal;        // clm; else mlm
    bool shuffle;          // a new order each epoch; else file order, and `crop_random` has no say:
                           //     every sequence is cut to its first tokens (docs/training.md)
    bool crop_random;      // the window of a long sequence is drawn in each step; else the first one
    bool concat;           // packing: windows of max_length from the stream of all tokens
    bool prefetch;         // prepare the next step in a thread; the same steps either way
    uint64_t max_length;   // tokens of a window, begin and end counted
    uint64_t batch_tokens; // of a step: sequences are taken until the next would exceed it, one at least
    uint64_t micro_batch_tokens;    // rows of a micro-batch, at least the longest window
    uint64_t micro_batch_sequences; // sequences of a micro-batch, at least 1
    uint64_t seed, shuffle_seed;
    pf_masking masking; // mlm
    const pf_labels *labels; // of the corpus: targets are these, nothing is masked, no packing; NULL: none
    const struct pf_task_config *task; // with labels
} pf_loader_options;

// Lent until the loader's next call.
typedef struct pf_step {
    uint64_t step;                             // from 1
    uint64_t cursor;                           // where the step after it begins: what a checkpoint keeps
    uint64_t n_sequences, n_tokens, n_targets; // of all micro-batches
    size_t n_micro;
    const pf_batch *micro; // [n_micro]; `number` is the place in the step, from 0
} pf_step;

typedef struct pf_loader pf_loader;

// At step 1, cursor 0. `corpus` is lent and must outlive *out. Errors: PF_ERROR_USAGE for limits
// that hold no window; PF_ERROR_FAILED.
pf_status pf_loader_create(const pf_corpus *corpus, const pf_loader_options *options, pf_loader **out);
void pf_loader_free(pf_loader *loader);

// The next step will be number `step`, beginning at `cursor`: what pf_step said for the step before.
void pf_loader_seek(pf_loader *loader, uint64_t step, uint64_t cursor);

// Cannot fail, needs no memory, never ends.
const pf_step *pf_loader_next(pf_loader *loader);

#endif
