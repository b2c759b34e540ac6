// A directory of parts. See embed_parts.h.
//
// A part is finished in this order: its file, its entry in parts.partial, the removal of its work file.
// Wherever that is cut off, the next run finds either the entry or the work file. The index is a function of
// the input and is written anew by each run.
#include "infer/embed_parts.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "infer/embed_index.h"

enum { PART_NAME_BYTES = 48 };

// Of a finished part, in parts.partial as numbers of its entry; the entry's `content` is the input's digest
// so far.
typedef struct part_facts {
    uint64_t bytes, n_sequences;
    char sha256[72];
} part_facts;

struct pf_embed_parts {
    pf_embed_parts_options options;
    char *directory;
    int lock;
    pf_journal *finished; // parts.partial: an empty entry, then one for each part
    uint64_t n_finished;
    pf_resumable part; // the one at hand; without a journal there is none
    uint64_t n_in_part;
    bool is_complete; // the last part that is finished is not full: nothing may follow
    pf_embed_index index;
};

static void part_name(const pf_embed_parts *p, uint64_t i, char out[PART_NAME_BYTES])
{
    snprintf(out, PART_NAME_BYTES, "part-%05" PRIu64 "%s", i, p->options.ending);
}

static pf_status part_path(const pf_embed_parts *p, uint64_t i, char **out)
{
    char name[PART_NAME_BYTES];
    part_name(p, i, name);
    return pf_join_path(out, p->directory, name);
}

// A record of part `i`.
static pf_status add_to_index(pf_embed_parts *p, const pf_record *record, uint64_t i, uint64_t row)
{
    char part[PART_NAME_BYTES];
    part_name(p, i, part);
    return pf_embed_index_add(&p->index, record, part, row);
}

// --- parts --------------------------------------------------------------------------------------

static pf_status open_part(pf_embed_parts *p, bool resume)
{
    char *path = NULL;
    PF_TRY(part_path(p, p->n_finished, &path));
    const pf_status status = pf_resumable_open(&p->part, path, p->options.made_of, resume);
    pf_free(path);
    p->n_in_part = 0;
    return status;
}

static pf_status note_finished(pf_embed_parts *p, const part_facts *facts)
{
    char name[PART_NAME_BYTES];
    float numbers[sizeof *facts / sizeof(float)];
    part_name(p, p->n_finished, name);
    memcpy(numbers, facts, sizeof *facts);
    PF_TRY(pf_journal_append(p->finished, &(pf_journal_entry){
                                              .name = name,
                                              .name_length = strlen(name),
                                              .content = p->options.made_of->input,
                                              .numbers = numbers,
                                              .count = sizeof numbers / sizeof *numbers,
                                          }));
    return pf_journal_sync(p->finished);
}

static pf_status finish_part(pf_embed_parts *p)
{
    part_facts facts = {.n_sequences = p->n_in_part};
    PF_TRY(pf_journal_sync(p->part.journal));
    PF_TRY(pf_embed_write_output(p->part.output, p->options.shape, p->part.journal));
    PF_TRY(pf_file_sha256(p->part.output, facts.sha256, &facts.bytes));
    PF_TRY(note_finished(p, &facts));
    PF_TRY(pf_journal_remove(p->part.journal));
    pf_resumable_close(&p->part);
    p->n_finished++;
    p->n_in_part = 0;
    return PF_OK;
}

pf_status pf_embed_parts_add(pf_embed_parts *p, const pf_record *record, const float *numbers, size_t count)
{
    PF_CHECK(!p->is_complete, PF_ERROR_USAGE,
             "%s was begun with other sequences; give the same files, or start anew in another directory",
             p->directory);
    if (!p->part.journal) PF_TRY(open_part(p, false));
    PF_TRY(pf_resumable_add(&p->part, record, numbers, count));
    PF_TRY(add_to_index(p, record, p->n_finished, p->n_in_part++));
    return p->n_in_part == p->options.size ? finish_part(p) : PF_OK;
}

pf_status pf_embed_parts_stop(pf_embed_parts *p)
{
    if (p->part.journal) PF_TRY(pf_journal_sync(p->part.journal));
    return pf_fail(PF_INTERRUPTED, "stopped; %" PRIu64 " sequences are kept in %s, go on with --resume",
                   p->options.made_of->n_sequences, p->directory);
}

// --- going on -----------------------------------------------------------------------------------

// The empty entry in front, so that the file is there from the beginning. Reading is behind it then.
static pf_status mark(pf_journal *journal)
{
    pf_journal_entry entry;
    pf_status status = pf_journal_next(journal, &entry);
    if (status != PF_END) return status;
    PF_TRY(pf_journal_append(journal, &(pf_journal_entry){.name = ""}));
    return pf_journal_sync(journal);
}

// Whether the file of entry `i` is there; if so it must be what was written.
static pf_status check_part(const pf_embed_parts *p, uint64_t i, const part_facts *facts, bool *is_there)
{
    char *path = NULL, sha256[65];
    uint64_t bytes;
    PF_TRY(part_path(p, i, &path));
    pf_status status = PF_OK;
    *is_there = pf_exists(path);
    if (*is_there) status = pf_file_sha256(path, sha256, &bytes);
    if (status == PF_OK && *is_there && strcmp(sha256, facts->sha256) != 0)
        status = pf_fail(PF_ERROR_INPUT,
                         "%s: is not what was written (its SHA-256 is %.12s…, was %.12s…); remove it, and "
                         "--resume makes it and all behind it again",
                         path, sha256, facts->sha256);
    pf_free(path);
    return status;
}

static pf_status next_finished(pf_embed_parts *p, pf_journal_entry *entry, part_facts *facts)
{
    PF_TRY(pf_journal_next(p->finished, entry));
    PF_CHECK(entry->count * sizeof(float) == sizeof *facts, PF_ERROR_INPUT,
             "%s/parts.partial: an entry that is no part; start anew in another directory", p->directory);
    memcpy(facts, entry->numbers, sizeof *facts);
    facts->sha256[sizeof facts->sha256 - 1] = 0;
    return PF_OK;
}

// Parts from the first on whose files are there. Reading stands in front of the first then.
static pf_status count_finished(pf_embed_parts *p, uint64_t *count)
{
    pf_journal_entry entry;
    part_facts facts;
    bool is_there = true;
    pf_status status = PF_OK;
    for (*count = 0; status == PF_OK; ++*count) {
        status = next_finished(p, &entry, &facts);
        if (status == PF_OK) status = check_part(p, *count, &facts, &is_there);
        if (status != PF_OK || !is_there) break;
    }
    if (status != PF_OK && status != PF_END) return status;
    PF_TRY(pf_journal_rewind(p->finished));
    return mark(p->finished);
}

static pf_status pass_over_part(pf_embed_parts *p, pf_pieces *pieces)
{
    pf_journal_entry entry;
    part_facts facts;
    pf_record record;
    pf_status status = next_finished(p, &entry, &facts);
    PF_CHECK(status != PF_END, PF_ERROR_INPUT, "%s/parts.partial: changed while it was read", p->directory);
    PF_TRY(status);
    for (uint64_t i = 0; i < facts.n_sequences && status == PF_OK; i++) {
        status = pf_pieces_skip(pieces, &record);
        if (status == PF_OK)
            status = pf_provenance_add(p->options.made_of, &record,
                                       pf_digest_of(record.residue, record.n_residues));
        if (status == PF_OK) status = add_to_index(p, &record, p->n_finished, i);
    }
    if (status != PF_OK && status != PF_END) return status;
    PF_CHECK(status == PF_OK && memcmp(&p->options.made_of->input, &entry.content, sizeof entry.content) == 0,
             PF_ERROR_USAGE,
             "%s/%s was made of other sequences; give the same files, or start anew in another directory",
             p->directory, entry.name);
    p->is_complete = facts.n_sequences < p->options.size;
    p->n_finished++;
    return PF_OK;
}

// The work file of a part that is finished: the run ended before it could be removed.
static pf_status remove_leftover(const pf_embed_parts *p)
{
    pf_text work = {0};
    char *path = NULL;
    pf_status status;
    if (p->n_finished == 0) return PF_OK;
    PF_TRY_OR(done, part_path(p, p->n_finished - 1, &path));
    PF_TRY_OR(done, pf_text_add(&work, "%s.partial", path));
    if (unlink(work.data) != 0 && errno != ENOENT)
        status = pf_fail(PF_ERROR_FAILED, "%s: cannot be removed: %s", work.data, strerror(errno));
done:
    pf_text_free(&work);
    pf_free(path);
    return status;
}

static pf_status resume(pf_embed_parts *p, pf_pieces *pieces)
{
    uint64_t count;
    pf_journal_entry entry;
    pf_record record;
    PF_TRY(count_finished(p, &count));
    while (p->n_finished < count) PF_TRY(pass_over_part(p, pieces));
    PF_TRY(remove_leftover(p));
    while (!p->is_complete) {
        pf_status status;
        PF_TRY(open_part(p, true));
        while ((status = pf_resumable_next(&p->part, pieces, &record, &entry)) == PF_OK)
            PF_TRY(add_to_index(p, &record, p->n_finished, p->n_in_part++));
        if (status != PF_END) return status;
        if (p->n_in_part < p->options.size) return PF_OK;
        PF_TRY(finish_part(p));
    }
    return PF_OK;
}

// --- opening ------------------------------------------------------------------------------------

// Files in the making that a killed run left; `other` is a name that is none of ours, "" if there is none.
static pf_status look_around(const pf_embed_parts *p, bool clean, char other[256])
{
    DIR *folder = opendir(p->directory);
    PF_CHECK(folder, PF_ERROR_FAILED, "%s: cannot be opened: %s", p->directory, strerror(errno));
    other[0] = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        const char *name = entry->d_name;
        const bool is_ours = strncmp(name, "part-", 5) == 0 || strncmp(name, "index.tsv", 9) == 0 ||
                             strncmp(name, "manifest.json", 13) == 0;
        if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
        if (clean && is_ours && strstr(name, ".tmp-"))
            unlinkat(dirfd(folder), name, 0);
        else
            snprintf(other, 256, "%s", name);
    }
    closedir(folder);
    return PF_OK;
}

static pf_status open_finished(pf_embed_parts *p)
{
    char *path = NULL, other[256];
    pf_digest key;
    pf_status status;
    PF_TRY_OR(done, pf_join_path(&path, p->directory, "parts.partial"));
    PF_TRY_OR(done, pf_provenance_key(p->options.made_of, &key));
    const bool resumes = p->options.resume && pf_exists(path);
    PF_TRY_OR(done, look_around(p, resumes, other));
    if (!resumes && *other) {
        status = pf_fail(PF_ERROR_USAGE,
                         "%s: is not empty (it holds '%.80s')%s; -o takes a directory that is new or empty",
                         p->directory, other, p->options.resume ? " and nothing to go on from" : "");
        goto done;
    }
    PF_TRY_OR(done, pf_journal_open(path, key, resumes, &p->finished));
    PF_TRY_OR(done, mark(p->finished));
    p->options.resume = resumes;
done:
    pf_free(path);
    return status;
}

static pf_status open_all(pf_embed_parts *p, pf_pieces *pieces)
{
    PF_TRY(pf_copy_text(&p->directory, p->options.directory));
    PF_CHECK(!pf_exists(p->directory) || pf_is_directory(p->directory), PF_ERROR_USAGE,
             "%s: is a file; parts need a directory that is new or empty", p->directory);
    PF_TRY(pf_make_directory(p->directory));
    PF_TRY(pf_lock_directory(p->directory, &p->lock));
    PF_TRY(open_finished(p));
    PF_TRY(pf_embed_index_open(&p->index, p->directory, p->options.shape->pooled));
    return p->options.resume ? resume(p, pieces) : PF_OK;
}

pf_status pf_embed_parts_open(const pf_embed_parts_options *options, pf_pieces *pieces, pf_embed_parts **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_embed_parts), "parts"));
    pf_embed_parts *p = memory;
    p->options = *options;
    p->lock = -1;
    const pf_status status = open_all(p, pieces);
    if (status == PF_OK)
        *out = p;
    else
        pf_embed_parts_close(p);
    return status;
}

void pf_embed_parts_close(pf_embed_parts *p)
{
    if (!p) return;
    pf_resumable_close(&p->part);
    pf_journal_close(p->finished);
    pf_embed_index_close(&p->index);
    pf_unlock_directory(p->lock);
    pf_free(p->directory);
    pf_free(p);
}

// --- the end ------------------------------------------------------------------------------------

static pf_status add_file(pf_text *json, const char *name, const part_facts *facts)
{
    PF_TRY(pf_text_add(json, "    {\"name\": \"%s\", \"bytes\": %" PRIu64 ", \"sha256\": \"%s\"", name,
                       facts->bytes, facts->sha256));
    return facts->n_sequences ? pf_text_add(json, ", \"sequences\": %" PRIu64 "},\n", facts->n_sequences)
                              : pf_text_add(json, "}\n");
}

static pf_status list_files(pf_embed_parts *p, pf_text *json, const part_facts *index)
{
    pf_journal_entry entry;
    part_facts facts;
    pf_status status;
    PF_TRY(pf_journal_rewind(p->finished));
    PF_TRY(pf_journal_next(p->finished, &entry));
    PF_TRY(pf_text_add(json, "  \"files\": [\n"));
    while ((status = next_finished(p, &entry, &facts)) == PF_OK) PF_TRY(add_file(json, entry.name, &facts));
    if (status != PF_END) return status;
    PF_TRY(add_file(json, "index.tsv", index));
    return pf_text_add(json, "  ]\n}\n");
}

static pf_status write_manifest(pf_embed_parts *p, const part_facts *index)
{
    pf_text json = {0};
    char *path = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_join_path(&path, p->directory, "manifest.json"));
    PF_TRY_OR(done, pf_text_add(&json, "{\n  \"format\": \"%s\",\n", p->options.made_of->format));
    PF_TRY_OR(done, pf_provenance_add_json(&json, p->options.made_of));
    PF_TRY_OR(done, pf_text_add(&json, ",\n"));
    PF_TRY_OR(done, list_files(p, &json, index));
    PF_TRY_OR(done, pf_write_file(path, json.data, json.length, NULL));
done:
    pf_free(path);
    pf_text_free(&json);
    return status;
}

pf_status pf_embed_parts_finish(pf_embed_parts *p)
{
    part_facts index = {0};
    if (p->n_in_part > 0) PF_TRY(finish_part(p));
    PF_TRY(pf_embed_index_commit(&p->index, index.sha256, &index.bytes));
    PF_TRY(write_manifest(p, &index));
    return pf_journal_remove(p->finished);
}
