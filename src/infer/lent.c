// Results that stay in memory for a step. See lent.h.
#include "infer/lent.h"

#include <string.h>

#include "base/memory.h"

void pf_lent_free(pf_lent *lent)
{
    pf_free(lent->number);
    pf_free(lent->result);
    *lent = (pf_lent){0};
}

void pf_lent_begin_step(pf_lent *lent)
{
    const size_t left = lent->count - lent->first;
    if (lent->first > 0 && left > 0)
        memmove(lent->number, lent->number + lent->first, left * sizeof *lent->number);
    lent->count = left;
    lent->first = 0;
    lent->n_results = 0;
}

pf_status pf_lent_add(pf_lent *lent, const float *numbers, size_t count)
{
    PF_TRY(pf_grow((void **)&lent->number, &lent->capacity, lent->count + count + 1, sizeof *lent->number,
                   "results"));
    if (count > 0) memcpy(lent->number + lent->count, numbers, count * sizeof *numbers);
    lent->count += count;
    return PF_OK;
}

pf_status pf_lent_finish(pf_lent *lent, const pf_record *record, uint64_t n_rows)
{
    PF_TRY(pf_grow((void **)&lent->result, &lent->results_capacity, lent->n_results + 1, sizeof *lent->result,
                   "list of results"));
    lent->result[lent->n_results++] = (pf_sequence_result){
        .id = record->name,
        .id_length = record->name_length,
        .n_rows = n_rows,
        .count = lent->count - lent->first,
    };
    lent->first = lent->count;
    return PF_OK;
}

void pf_lent_end_step(pf_lent *lent)
{
    const float *at = lent->number;
    for (size_t i = 0; i < lent->n_results; i++) {
        lent->result[i].values = at;
        at += lent->result[i].count;
    }
}
