// FILE.manifest.json beside a file of embeddings: what it was made of, for who finds it later, --resume among
// them.
#ifndef PF_INFER_EMBED_MANIFEST_H
#define PF_INFER_EMBED_MANIFEST_H

#include "base/text.h"
#include "infer/journal.h"

typedef struct pf_embed_facts {
    pf_digest model; // pf_model_digest
    pf_digest input; // of the sequences' names and residues, in their order
    pf_text options; // "pool mean, long crop, ...": all that decides numbers beside the model
    uint64_t n_sequences;
} pf_embed_facts;

// One more sequence; `content` is the digest of its residues. Errors: PF_ERROR_FAILED.
pf_status pf_embed_facts_add(pf_embed_facts *facts, const char *name, size_t length, pf_digest content);

// Written once `output` stands. Errors: PF_ERROR_FAILED.
pf_status pf_embed_manifest_write(const char *output, const pf_embed_facts *facts);

// Compares the manifest of `output` with `facts`; fine where there is none. Errors: PF_ERROR_USAGE naming
// what differs, PF_ERROR_INPUT for a manifest that cannot be read.
pf_status pf_embed_manifest_compare(const char *output, const pf_embed_facts *facts);

#endif
