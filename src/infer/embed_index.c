// The index of a directory of parts, row by row. See embed_index.h.
#include "infer/embed_index.h"

#include <inttypes.h>

#include "base/memory.h"

enum { BLOCK_BYTES = 1 << 16 };

pf_status pf_embed_index_open(pf_embed_index *index, const char *directory, bool pooled)
{
    char *path = NULL;
    index->pooled = pooled;
    PF_TRY(pf_join_path(&path, directory, "index.tsv"));
    const pf_status status = pf_writer_open(path, &index->file);
    pf_free(path);
    PF_TRY(status);
    return pf_text_add(&index->rows, "record\tid\tlength\tpart\t%s\n", pooled ? "row" : "tensor");
}

static pf_status write_rows(pf_embed_index *index)
{
    PF_TRY(pf_writer_write(index->file, index->rows.data, index->rows.length));
    index->rows.length = 0;
    return PF_OK;
}

pf_status pf_embed_index_add(pf_embed_index *index, const pf_record *record, const char *part, uint64_t row)
{
    pf_text *rows = &index->rows;
    PF_TRY(pf_text_add(rows, "%" PRIu64 "\t", record->number));
    PF_TRY(pf_text_add_shown(rows, record->name, record->id_length));
    PF_TRY(pf_text_add(rows, "\t%" PRIu64 "\t%s\t", record->n_residues, part));
    if (index->pooled)
        PF_TRY(pf_text_add(rows, "%" PRIu64, row));
    else
        PF_TRY(pf_text_add_shown(rows, record->name, record->name_length));
    PF_TRY(pf_text_add(rows, "\n"));
    return rows->length < BLOCK_BYTES ? PF_OK : write_rows(index);
}

pf_status pf_embed_index_commit(pf_embed_index *index, char *sha256, uint64_t *bytes)
{
    PF_TRY(write_rows(index));
    pf_writer *file = index->file;
    *bytes = pf_writer_bytes(file);
    index->file = NULL;
    return pf_writer_commit(file, sha256);
}

void pf_embed_index_close(pf_embed_index *index)
{
    pf_writer_discard(index->file);
    pf_text_free(&index->rows);
    *index = (pf_embed_index){0};
}
