// Which residues of a protein touch each other, read from a model's attention (Rao et al. 2021, "Transformer
// protein language models are unsupervised structure learners", doi 10.1101/2020.12.15.422761).
//
// The map of each head, ends left out, is made symmetric, S = A + A^T, and corrected for what its rows and
// columns have anyway, S_ij - S_i. S_.j / S_.. . A model that carries ESM's regression (contact_head in its
// configuration) weighs the heads by it: probabilities. For other models the score is the mean over all
// heads: higher is likelier, no more.
#ifndef PERFORMER_CONTACTS_H
#define PERFORMER_CONTACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "performer/model.h"
#include "performer/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_contacts_options {
    pf_stream_options stream; // of long_sequences: crop or error
    const char *directory;    // exists; gets NAME.npy [n,n] float32 for each sequence; NULL: no files
} pf_contacts_options;

// Of one sequence, lent until the next call.
typedef struct pf_contact_map {
    const char *name; // of its file, without the ending
    const char *id;
    size_t id_length;
    int32_t length;       // n: residues that the model saw
    const char *residues; // [n] letters, NUL-terminated
    const float *score;   // [n,n] symmetric
    bool is_probability;
} pf_contact_map;

typedef struct pf_contacts pf_contacts;

// `model` must have been opened with `probe`. Errors: as pf_attention_maps_open.
PF_API pf_status pf_contacts_open(pf_model *model, const pf_contacts_options *options, pf_contacts **out);
PF_API void pf_contacts_close(pf_contacts *contacts); // NULL is fine; before the model is closed

// The next sequence; its file stands then. PF_END: all is done. Errors: as pf_attention_maps_next.
PF_API pf_status pf_contacts_next(pf_contacts *contacts, pf_contact_map *out);

// i-th warning so far, complete at PF_END; NULL behind the last.
PF_API const char *pf_contacts_warning(const pf_contacts *contacts, size_t i);

#ifdef __cplusplus
}
#endif
#endif
