// Places of rows. See places.h.
#include "ops/places.h"

void pf_places_fill(pf_place *places, const pf_batch *batch)
{
    for (int32_t b = 0; b < batch->n_sequences; b++)
        for (int32_t n = batch->start[b]; n < batch->start[b + 1]; n++)
            places[n] = (pf_place){(uint32_t)(n - batch->start[b]), (uint32_t)batch->number[b],
                                   (uint32_t)(batch->number[b] >> 32), 0};
}
