// One training step's tokens, targets and micro-batches in buffers that are made once.
#ifndef PF_DATA_LOADER_STEP_H
#define PF_DATA_LOADER_STEP_H

#include "data/endless.h"
#include "data/loader.h"

typedef struct pf_step_buffer {
    pf_step step;
    int32_t *token, *target; // of the step, sequence behind sequence
    float *value;            // labels of a regression, else NULL
    int32_t *start;          // of all micro-batches, one array behind the other
    int32_t *length;         // of each sequence of the step
    uint64_t *number;
    pf_batch *micro;
} pf_step_buffer;

// Room for any step that `options` allow. Errors: PF_ERROR_FAILED.
pf_status pf_step_buffer_create(pf_step_buffer *buffer, const pf_corpus *corpus,
                                const pf_loader_options *options);
void pf_step_buffer_free(pf_step_buffer *buffer);

// Fills `buffer` with step number `step` from the list's place, which moves on.
void pf_step_buffer_fill(pf_step_buffer *buffer, pf_endless *list, const pf_loader_options *options,
                         uint64_t step, uint64_t cursor);

#endif
