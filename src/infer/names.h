// Names for tensors: a repeated id becomes "id#2", "id#3", …, and no two are ever the same.
#ifndef PF_INFER_NAMES_H
#define PF_INFER_NAMES_H

#include "base/text.h"
#include "data/hash_set.h"

typedef struct pf_name_count {
    pf_digest digest; // of the id; all zeros: free
    uint64_t count;   // names that were made of it
} pf_name_count;

// 24 bytes an id, in a table that is at most 3/4 full. Zero-initialise it.
typedef struct pf_names {
    pf_name_count *slots;
    size_t capacity, count;
} pf_names;

// Sets `name` to one that was not given before. Errors: PF_ERROR_FAILED.
pf_status pf_names_make(pf_names *names, const char *id, size_t length, pf_text *name);
void pf_names_free(pf_names *names);

#endif
