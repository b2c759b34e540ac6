// FASTA records as tokens: shards, names, and sequences that are too long. See records.h.
#include "infer/records.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "data/alphabet.h"
#include "infer/names.h"
#include "performer/fasta.h"

// Of a tensor: a zip archive's names have two bytes for their length, and "#2" and ".npy" follow.
enum { LONGEST_NAME = 60000 };

struct pf_records {
    pf_records_options options;
    char **paths;
    int next_path;
    char *text;        // behind the files, or NULL
    bool text_is_read; // or is being read
    pf_fasta *fasta;   // of the file that is being read, or NULL
    uint64_t number;   // of the record read last, from 1 over all files
    pf_names names;
    pf_text name;
    size_t id_length; // of the name
    uint8_t *residue;
    size_t residue_capacity;
    uint64_t n_cropped;
    bool at_end;
    pf_text *warnings;
    size_t n_warnings, warnings_capacity;
};

static pf_status warn(pf_records *r, const char *text)
{
    PF_TRY(pf_grow((void **)&r->warnings, &r->warnings_capacity, r->n_warnings + 1, sizeof *r->warnings,
                   "warnings"));
    PF_TRY(pf_text_add(&r->warnings[r->n_warnings], "%s", text));
    r->n_warnings++;
    return PF_OK;
}

static pf_status open_file(const pf_records *r, const char *path, pf_fasta **out)
{
    const pf_fasta_options options = {.keep_masks = r->options.keep_masks, .any_ids = true};
    return pf_fasta_open(path, &options, out);
}

static pf_status open_text(const pf_records *r, pf_fasta **out)
{
    const pf_fasta_options options = {.keep_masks = r->options.keep_masks, .any_ids = true};
    return pf_fasta_open_text(r->text, r->options.stream.text_bytes, &options, out);
}

// A file that is not there should be known before hours of work on those in front of it.
static pf_status check_files(const pf_records *r, const pf_stream_options *stream)
{
    for (int i = 0; i < stream->n_files; i++) {
        if (strcmp(stream->files[i], "-") == 0) continue;
        pf_fasta *fasta = NULL;
        PF_TRY(open_file(r, stream->files[i], &fasta));
        pf_fasta_close(fasta);
    }
    return PF_OK;
}

static pf_status copy_options(pf_records *r, const pf_records_options *options)
{
    const pf_stream_options *stream = &options->stream;
    void *memory = NULL;
    r->options = *options;
    PF_TRY(pf_alloc(&memory, (size_t)stream->n_files, sizeof(char *), "file names"));
    r->paths = memory;
    for (int i = 0; i < stream->n_files; i++) PF_TRY(pf_copy_text(&r->paths[i], stream->files[i]));
    if (stream->text) {
        PF_TRY(pf_alloc(&memory, stream->text_bytes + 1, 1, "FASTA text"));
        r->text = memcpy(memory, stream->text, stream->text_bytes);
    }
    return check_files(r, stream);
}

pf_status pf_records_open(const pf_records_options *options, pf_records **out)
{
    const pf_stream_options *stream = &options->stream;
    const bool all = stream->shard == 0 && stream->n_shards == 0;
    PF_CHECK(stream->n_files > 0 || stream->text, PF_ERROR_USAGE, "no FASTA file given");
    PF_CHECK(all || (stream->shard >= 1 && stream->shard <= stream->n_shards), PF_ERROR_USAGE,
             "shard %lld of %lld: shards are counted from 1", (long long)stream->shard,
             (long long)stream->n_shards);
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_records), "reader of records"));
    pf_records *r = memory;
    const pf_status status = copy_options(r, options);
    if (status == PF_OK)
        *out = r;
    else
        pf_records_close(r);
    return status;
}

void pf_records_close(pf_records *r)
{
    if (!r) return;
    pf_fasta_close(r->fasta);
    for (int i = 0; r->paths && i < r->options.stream.n_files; i++) pf_free(r->paths[i]);
    pf_free(r->paths);
    pf_free(r->text);
    for (size_t i = 0; i < r->n_warnings; i++) pf_text_free(&r->warnings[i]);
    pf_free(r->warnings);
    pf_names_free(&r->names);
    pf_text_free(&r->name);
    pf_free(r->residue);
    pf_free(r);
}

static pf_status close_file(pf_records *r)
{
    for (size_t i = 0; i < pf_fasta_warning_count(r->fasta); i++)
        PF_TRY(warn(r, pf_fasta_get_warning(r->fasta, i)));
    pf_fasta_close(r->fasta);
    r->fasta = NULL;
    return PF_OK;
}

// What is to be said once everything was read.
static pf_status finish(pf_records *r)
{
    if (!r->at_end && r->n_cropped > 0) {
        pf_text text = {0};
        pf_status status = pf_text_add(
            &text,
            "%llu sequence%s longer than the model's %llu tokens (begin and end counted): only their "
            "first tokens were used; --long window takes all of them, --long error refuses",
            (unsigned long long)r->n_cropped, r->n_cropped == 1 ? " is" : "s are",
            (unsigned long long)r->options.longest);
        if (status == PF_OK) status = warn(r, text.data);
        pf_text_free(&text);
        PF_TRY(status);
    }
    r->at_end = true;
    return PF_END;
}

// Files in their order, then the text; none behind the last.
static pf_status open_next(pf_records *r)
{
    if (r->next_path < r->options.stream.n_files) {
        PF_TRY(open_file(r, r->paths[r->next_path], &r->fasta));
        r->next_path++;
    } else if (r->text && !r->text_is_read) {
        PF_TRY(open_text(r, &r->fasta));
        r->text_is_read = true;
    }
    return PF_OK;
}

// The next record of whatever file it is in.
static pf_status read_next(pf_records *r, pf_fasta_record *record)
{
    for (;;) {
        if (!r->fasta) {
            PF_TRY(open_next(r));
            if (!r->fasta) return finish(r);
        }
        const pf_status status = pf_fasta_next(r->fasta, record);
        if (status == PF_OK) r->number++;
        if (status != PF_END) return status;
        PF_TRY(close_file(r));
    }
}

static bool in_shard(const pf_records *r)
{
    const pf_stream_options *s = &r->options.stream;
    return s->n_shards == 0 || (r->number - 1) % (uint64_t)s->n_shards == (uint64_t)s->shard - 1;
}

// Names of tensors are text in files of UTF-8. Bytes that are not are replaced here, before names are made
// unique, and not by who writes them.
static void make_utf8(pf_text *id)
{
    for (size_t i = 0; i < id->length;) {
        const size_t taken = pf_utf8_length((const unsigned char *)id->data + i, id->length - i);
        if (taken == 0) id->data[i] = '_';
        i += taken ? taken : 1;
    }
}

static pf_status make_name(pf_records *r, const pf_fasta_record *record)
{
    r->name.length = 0;
    r->id_length = record->id_length;
    if (!r->options.unique_names) return pf_text_add_bytes(&r->name, record->id, record->id_length);
    pf_text id = {0};
    if (r->options.names_span && (r->number - 1) % r->options.names_span == 0) pf_names_free(&r->names);
    size_t length = record->id_length < LONGEST_NAME ? record->id_length : LONGEST_NAME;
    while (length < record->id_length && ((unsigned char)record->id[length] & 0xc0) == 0x80)
        length--; // not within a character
    pf_status status = pf_text_add_bytes(&id, record->id, length);
    if (status == PF_OK) make_utf8(&id);
    if (status == PF_OK) status = pf_names_make(&r->names, id.data, id.length, &r->name);
    r->id_length = id.length;
    pf_text_free(&id);
    return status;
}

static pf_status check_length(pf_records *r, const pf_fasta_record *record, uint64_t *n_tokens)
{
    char quoted[PF_QUOTE_BYTES];
    const uint64_t longest = r->options.longest;
    *n_tokens = record->length + 2;
    if (*n_tokens <= longest || r->options.stream.long_sequences == PF_LONG_WINDOW) return PF_OK;
    PF_CHECK(
        r->options.stream.long_sequences == PF_LONG_CROP, PF_ERROR_INPUT,
        "%s: line %llu, record \"%s\": %zu residues and two ends, the model takes %llu tokens; --long crop "
        "takes the first, --long window all of them",
        r->text_is_read ? "text" : r->paths[r->next_path - 1], (unsigned long long)record->line,
        pf_quote(quoted, record->id, record->id_length), record->length, (unsigned long long)longest);
    *n_tokens = longest;
    r->n_cropped++;
    return PF_OK;
}

pf_status pf_records_next(pf_records *r, pf_record *out)
{
    pf_fasta_record record;
    pf_record got = {0};
    do {
        PF_TRY(read_next(r, &record));
        if (r->options.unique_names || in_shard(r)) PF_TRY(make_name(r, &record));
    } while (!in_shard(r));
    PF_TRY(check_length(r, &record, &got.n_tokens));
    PF_TRY(pf_grow((void **)&r->residue, &r->residue_capacity, record.length, 1, "sequence"));
    pf_alphabet_encode(r->residue, record.sequence, record.length);
    got.name = r->name.data;
    got.name_length = r->name.length;
    got.id_length = r->id_length;
    got.number = r->number;
    got.residue = r->residue;
    got.n_residues = record.length;
    *out = got;
    return PF_OK;
}

const char *pf_records_warning(const pf_records *r, size_t i)
{
    return i < r->n_warnings ? r->warnings[i].data : NULL;
}
