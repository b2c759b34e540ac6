// Embeddings of millions of sequences as a directory of parts with an index, made one part after the other:
//
//   DIR/part-00000.safetensors …   as many sequences each, the last one fewer
//   DIR/index.tsv                  where each sequence is: number in the input, id, length, part, row or
//   tensor DIR/manifest.json              written last: digests of model and input, options, SHA-256 of all
//   these files
//
// Nothing grows with the input: ids are held for one part, the index is written as records pass by. While it
// is being made there are DIR/parts.partial, a journal of the finished parts, and the work file of the part
// at hand.
#ifndef PF_INFER_EMBED_PARTS_H
#define PF_INFER_EMBED_PARTS_H

#include "infer/embed_output.h"
#include "infer/resumable.h"

typedef struct pf_embed_parts_options {
    const char *directory;
    const char *ending; // ".npz"
    uint64_t size;      // sequences of a part
    const pf_embed_shape *shape;
    pf_provenance *made_of; // knows model and options; lent
    bool resume;
} pf_embed_parts_options;

typedef struct pf_embed_parts pf_embed_parts;

// With `resume` what is finished is checked and passed over in `pieces`; a part that is missing is made
// again, and all behind it. Errors: PF_ERROR_USAGE (a directory in use, other sequences, options or another
// model), PF_ERROR_INPUT (a part that is not what was written), PF_ERROR_FAILED.
pf_status pf_embed_parts_open(const pf_embed_parts_options *options, pf_pieces *pieces, pf_embed_parts **out);
void pf_embed_parts_close(pf_embed_parts *parts); // what is finished stays; NULL is fine

pf_status pf_embed_parts_add(pf_embed_parts *parts, const pf_record *record, const float *numbers,
                             size_t count);
pf_status pf_embed_parts_stop(pf_embed_parts *parts); // keeps all and returns PF_INTERRUPTED
pf_status pf_embed_parts_finish(pf_embed_parts *parts);

#endif
