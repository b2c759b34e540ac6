// Alphabets of imported models. Batches always hold the 29 tokens of this program (data/alphabet.h); a model
// with an alphabet of its own says what these are there, and the way onto the device translates.
#ifndef PF_MODEL_VOCABULARY_H
#define PF_MODEL_VOCABULARY_H

#include "base/status.h"
#include "performer/config.h"

// Tokens of batches by what they mean; data/alphabet.h has the same numbers.
enum { PF_BATCH_TOKENS = 29, PF_BATCH_BEGIN = 25, PF_BATCH_END = 26, PF_BATCH_PAD = 27, PF_BATCH_MASK = 28 };

typedef struct pf_vocabulary {
    int32_t
        number[PF_BATCH_TOKENS]; // the model's number of each token of batches; -1: none (pad, mask of clm)
    int32_t first_residue, last_residue; // of the model's numbers: all residues, none of the others
} pf_vocabulary;

// Whether the configuration's tokens are enough for proteins: as many as vocab_size says, every amino acid,
// begin, end, and for masked models mask. A letter among B O U X Z that is missing counts as X, or as the
// unknown token. Errors: `code`.
pf_status pf_vocabulary_check(const struct pf_config *config, pf_status code);

// Of a finished configuration.
pf_vocabulary pf_vocabulary_of(const struct pf_config *config);

#endif
