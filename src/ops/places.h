// Where each row of a batch stands: its position in its sequence and its sequence's number. Positions
// feed position tables and rotary angles; both together key dropout, so that how sequences are
// batched changes nothing.
#ifndef PF_OPS_PLACES_H
#define PF_OPS_PLACES_H

#include <stdint.h>

#include "performer/batch.h"

// uint4 in the kernels, in this order.
typedef struct pf_place {
    uint32_t position;                // 0, 1, … from the sequence's first token
    uint32_t number_low, number_high; // pf_batch.number
    uint32_t zero;
} pf_place;

// Places of the rows of a batch; `places` has room for n_rows. Upload them as they are.
void pf_places_fill(pf_place *places, const pf_batch *batch);

#endif
