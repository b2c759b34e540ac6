// Substitutions as people write them: A42G is a G in the place of the A at position 42.
#ifndef PF_INFER_MUTATION_H
#define PF_INFER_MUTATION_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct pf_substitution {
    uint64_t index;   // of the residue, from 0
    uint8_t from, to; // tokens
} pf_substitution;

// What substitutions are read against.
typedef struct pf_mutation_context {
    const char *name; // of the wild type
    size_t name_length;
    const uint8_t *residue; // [n_residues] tokens
    uint64_t n_residues;
    int64_t first_position; // the number of the first residue
} pf_mutation_context;

// Reads the first substitution of `*text`, and moves `*text` behind it and the colon that follows; `*text` is
// at its NUL after the last. Errors: PF_ERROR_INPUT; `*text` stays.
pf_status pf_read_substitution(const pf_mutation_context *context, const char **text, pf_substitution *out);

#endif
