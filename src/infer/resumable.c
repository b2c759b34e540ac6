// Work that may be killed and goes on. See resumable.h.
#include "infer/resumable.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"

static pf_status partial_path(const char *output, char **out)
{
    pf_text text = {0};
    const pf_status status = pf_text_add(&text, "%s.partial", output);
    if (status == PF_OK)
        *out = text.data;
    else
        pf_text_free(&text);
    return status;
}

bool pf_stream_is_done(const char *output)
{
    char *path = NULL, *manifest = NULL;
    bool is_done = false;
    if (pf_is_directory(output)) {
        if (pf_join_path(&path, output, "parts.partial") == PF_OK &&
            pf_join_path(&manifest, output, "manifest.json") == PF_OK)
            is_done = pf_exists(manifest) && !pf_exists(path);
    } else if (partial_path(output, &path) == PF_OK) {
        is_done = pf_exists(output) && !pf_exists(path);
    }
    pf_free(path);
    pf_free(manifest);
    return is_done;
}

pf_status pf_resumable_open(pf_resumable *work, const char *output, pf_provenance *made_of, bool resume)
{
    pf_digest key;
    work->made_of = made_of;
    PF_TRY(pf_copy_text(&work->output, output));
    PF_TRY(partial_path(output, &work->path));
    PF_TRY(pf_provenance_key(made_of, &key));
    return pf_journal_open(work->path, key, resume, &work->journal);
}

void pf_resumable_close(pf_resumable *work)
{
    pf_journal_close(work->journal);
    pf_free(work->output);
    pf_free(work->path);
    *work = (pf_resumable){0};
}

pf_status pf_resumable_next(pf_resumable *work, pf_pieces *pieces, pf_record *record, pf_journal_entry *entry)
{
    pf_record got;
    PF_TRY(pf_journal_next(work->journal, entry));
    pf_status status = pf_pieces_skip(pieces, &got);
    if (status != PF_OK && status != PF_END) return status;
    pf_digest content = {{0}};
    if (status == PF_OK) content = pf_digest_of(got.residue, got.n_residues);
    PF_CHECK(status == PF_OK && strcmp(got.name, entry->name) == 0 &&
                 memcmp(&content, &entry->content, sizeof content) == 0,
             PF_ERROR_USAGE,
             "%s was begun with other sequences; give the same files, or start anew without --resume",
             work->path);
    if (record) *record = got;
    return pf_provenance_add(work->made_of, &got, content);
}

pf_status pf_resumable_add(pf_resumable *work, const pf_record *record, const float *numbers, size_t count)
{
    const pf_digest content = pf_digest_of(record->residue, record->n_residues);
    PF_TRY(pf_provenance_add(work->made_of, record, content));
    return pf_journal_append(work->journal, &(pf_journal_entry){
                                                .name = record->name,
                                                .name_length = record->name_length,
                                                .content = content,
                                                .numbers = numbers,
                                                .count = count,
                                            });
}

pf_status pf_resumable_flush(pf_resumable *work)
{
    return pf_journal_flush(work->journal);
}

pf_status pf_resumable_stop(pf_resumable *work)
{
    if (!work->journal) return pf_fail(PF_INTERRUPTED, "stopped");
    PF_TRY(pf_journal_sync(work->journal));
    return pf_fail(PF_INTERRUPTED, "stopped; %llu sequences are kept in %s, go on with --resume",
                   (unsigned long long)work->made_of->n_sequences, work->path);
}

pf_status pf_resumable_finish(pf_resumable *work)
{
    PF_TRY(pf_provenance_write(work->output, work->made_of));
    return pf_journal_remove(work->journal);
}
