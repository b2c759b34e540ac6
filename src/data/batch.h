// Makes a pf_batch: sequence behind sequence, in room that is taken once.
#ifndef PF_DATA_BATCH_H
#define PF_DATA_BATCH_H

#include <stdbool.h>

#include "base/status.h"
#include "performer/batch.h"

typedef struct pf_batch_builder {
    pf_batch batch; // what has been added; points into the arrays below
    uint64_t most_rows, most_sequences;
    int32_t *start, *token, *target;
    uint64_t *number;
} pf_batch_builder;

// An empty batch with room for 1 .. 2^31 - 1 rows and sequences. Errors: PF_ERROR_USAGE, PF_ERROR_FAILED.
pf_status pf_batch_builder_create(pf_batch_builder *builder, uint64_t most_rows, uint64_t most_sequences);
void pf_batch_builder_free(pf_batch_builder *builder);

void pf_batch_builder_clear(pf_batch_builder *builder);

// Whether a sequence of `length` tokens still fits.
bool pf_batch_builder_fits(const pf_batch_builder *builder, uint64_t length);

// Adds a sequence that fits; returns its first row. The caller fills token[row ..] and may set
// target[row ..] (no targets until then) and add to batch.n_targets.
int32_t pf_batch_builder_add(pf_batch_builder *builder, uint64_t length, uint64_t number);

#endif
