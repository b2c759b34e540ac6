// DIR/index.tsv: where each sequence of a directory of parts is, in the order of the input. Columns:
//
//   record  number in the input, from 1 over all files, whatever the shard
//   id      as in the input; control characters as \xHH
//   length  residues of the sequence
//   part    file in the directory
//   row     from 0, of the part's matrix `embeddings`; without pooling instead
//   tensor  its name in the part: the id, where it is repeated within the part id#2, id#3, …
#ifndef PF_INFER_EMBED_INDEX_H
#define PF_INFER_EMBED_INDEX_H

#include "base/file.h"
#include "base/text.h"
#include "infer/records.h"

typedef struct pf_embed_index {
    pf_writer *file;
    bool pooled;
    pf_text rows; // not written yet
} pf_embed_index; // zero-initialise it

pf_status pf_embed_index_open(pf_embed_index *index, const char *directory, bool pooled);
pf_status pf_embed_index_add(pf_embed_index *index, const pf_record *record, const char *part, uint64_t row);
// The file stands from here on. `sha256` has 65 bytes.
pf_status pf_embed_index_commit(pf_embed_index *index, char *sha256, uint64_t *bytes);
void pf_embed_index_close(pf_embed_index *index);

#endif
