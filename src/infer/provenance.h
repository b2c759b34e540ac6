// What results were made of, for who finds them later, --resume among them: FILE.manifest.json beside a file,
// DIR/manifest.json in a directory.
#ifndef PF_INFER_PROVENANCE_H
#define PF_INFER_PROVENANCE_H

#include "base/text.h"
#include "data/hash_set.h"
#include "infer/pieces.h"

typedef struct pf_provenance {
    const char *format; // of the manifest: "performer-embeddings-1"
    pf_digest model;    // pf_model_digest
    pf_digest input;    // of the sequences' names and residues, in their order
    pf_text options;    // "pool mean, long crop, ...": all that decides numbers beside the model
    uint64_t n_sequences;
} pf_provenance; // zero-initialise it

void pf_provenance_free(pf_provenance *made_of);

// "long crop, shard 1/1", behind what is in `options` already.
pf_status pf_provenance_add_stream(pf_provenance *made_of, const pf_stream_options *stream);

// Of model and options: two runs of one key may share what is finished.
pf_status pf_provenance_key(const pf_provenance *made_of, pf_digest *out);

// One more sequence; `content` is the digest of its residues. Errors: PF_ERROR_FAILED.
pf_status pf_provenance_add(pf_provenance *made_of, const pf_record *record, pf_digest content);

// `"sequences": 4, "model": "…", "input": "…", "options": "…"`, lines of a JSON object.
pf_status pf_provenance_add_json(pf_text *json, const pf_provenance *made_of);

// Written once the file `output` stands. Errors: PF_ERROR_FAILED.
pf_status pf_provenance_write(const char *output, const pf_provenance *made_of);

// The rest of `pieces` is passed over, and what is now known compared with the manifest of `output`, a file
// or a directory that is there already. Errors: PF_ERROR_USAGE naming what differs, PF_ERROR_INPUT for a
// manifest that cannot be read. Without one nothing is known: PF_ERROR_USAGE if it `must` be there.
pf_status pf_provenance_compare(const char *output, pf_provenance *made_of, pf_pieces *pieces, bool must);

#endif
