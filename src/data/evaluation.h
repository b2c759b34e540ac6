// Every sequence of a corpus once, in order, as batches: what `eval` and the evaluations of a
// training run measure over. The same sequences, masks and targets for every limit of the batches.
#ifndef PF_DATA_EVALUATION_H
#define PF_DATA_EVALUATION_H

#include <stdbool.h>

#include "base/status.h"
#include "data/labels.h"
#include "performer/batch.h"

typedef struct pf_evaluation_options {
    bool is_causal;          // clm: every token but the first is a target; else 15 % of the residues, masked
    uint64_t max_length;     // tokens; of a longer sequence the first ones
    uint64_t most_rows;      // of a batch; at least max_length, or the longest sequence if that is shorter
    uint64_t most_sequences; // of a batch
    uint64_t seed;           // of the masks
    const pf_labels *labels; // of the corpus: targets are these, and nothing is masked; NULL: none
    const struct pf_task_config *task; // with labels
} pf_evaluation_options;

typedef struct pf_evaluation pf_evaluation;

// `corpus` is lent and must outlive *out. Errors: PF_ERROR_USAGE for limits that hold no sequence,
// PF_ERROR_FAILED.
pf_status pf_evaluation_create(const pf_corpus *corpus, const pf_evaluation_options *options,
                               pf_evaluation **out);
void pf_evaluation_free(pf_evaluation *evaluation);

// Lends the next batch until the next call; its `number` is the place in the corpus. PF_END after
// the last. Needs no memory.
pf_status pf_evaluation_next(pf_evaluation *evaluation, const pf_batch **batch);

void pf_evaluation_rewind(pf_evaluation *evaluation);

#endif
