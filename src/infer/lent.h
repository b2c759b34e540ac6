// Results of a step in memory, lent to the caller until the next step, where no output file is wanted. A
// record's numbers may come in pieces over several steps; only complete records are shown.
#ifndef PF_INFER_LENT_H
#define PF_INFER_LENT_H

#include "infer/records.h"
#include "performer/logits.h"

typedef struct pf_lent {
    float *number; // of the records shown, then of the one that is not complete
    size_t capacity, count;
    size_t first; // of the record that is not complete
    pf_sequence_result *result;
    size_t results_capacity, n_results;
} pf_lent;

void pf_lent_free(pf_lent *lent);

// Forgets what was shown.
void pf_lent_begin_step(pf_lent *lent);

// More numbers of the record that is not complete. Errors: PF_ERROR_FAILED.
pf_status pf_lent_add(pf_lent *lent, const float *numbers, size_t count);

// It is complete. `record` stays until the next step. Errors: PF_ERROR_FAILED.
pf_status pf_lent_finish(pf_lent *lent, const pf_record *record, uint64_t n_rows);

// To be called once all of a step is there: where it lies is final only then.
void pf_lent_end_step(pf_lent *lent);

#endif
