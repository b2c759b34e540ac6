// The FASTA reader: records one by one, counts, warnings. See performer/fasta.h.
#include "performer/fasta.h"

#include <string.h>

#include "base/memory.h"
#include "data/alphabet.h"
#include "data/fasta_parse.h"
#include "data/hash_set.h"

// Proteins of this many residues have more than five letters; what does not is probably DNA.
enum { NUCLEOTIDE_SAMPLE = 10000, NUCLEOTIDE_LEAST = 20, NUCLEOTIDE_PERCENT = 95 };

struct pf_fasta {
    pf_fasta_input *input;
    pf_fasta_parser parser;
    pf_fasta_statistics statistics;
    pf_text path; // as it is shown
    pf_text longest_id;
    pf_hash_set ids;
    bool any_ids;
    uint64_t sampled, nucleotides; // of the first NUCLEOTIDE_SAMPLE residues
    bool is_done, has_failed;
    pf_text *warnings;
    size_t n_warnings, warnings_capacity;
};

#define PASS_ON(fasta, call)                                                                                 \
    do {                                                                                                     \
        const pf_status passed_ = (call);                                                                    \
        if (passed_ != PF_OK) return fail_in(fasta, passed_);                                                \
    } while (0)

// Puts the path in front of the message: "PATH: line N: ...".
static pf_status fail_in(pf_fasta *fasta, pf_status status)
{
    if (status != PF_END) fasta->has_failed = true;
    return pf_context(status, "%s", fasta->path.data);
}

// Starts a warning with the path; the text follows by pf_text_add to *out.
static pf_status begin_warning(pf_fasta *fasta, pf_text **out)
{
    PF_TRY(pf_grow((void **)&fasta->warnings, &fasta->warnings_capacity, fasta->n_warnings + 1,
                   sizeof(pf_text), "list of warnings"));
    pf_text *text = &fasta->warnings[fasta->n_warnings];
    PF_TRY(pf_text_add(text, "%s: ", fasta->path.data));
    fasta->n_warnings++;
    *out = text;
    return PF_OK;
}

static pf_status warn(pf_fasta *fasta, const char *reason)
{
    pf_text *text;
    PF_TRY(begin_warning(fasta, &text));
    return pf_text_add(text, "%s", reason);
}

static pf_status warn_if_nucleotides(pf_fasta *fasta)
{
    if (fasta->sampled < NUCLEOTIDE_LEAST) return PF_OK;
    if (fasta->nucleotides * 100 < fasta->sampled * NUCLEOTIDE_PERCENT) return PF_OK;
    return warn(fasta, "this looks like DNA or RNA, not protein: nearly all letters are A, C, G, T, U or N");
}

// Warnings that need the whole input.
static pf_status warn_at_end(pf_fasta *fasta)
{
    pf_text *text;
    if (fasta->statistics.empty) {
        PF_TRY(begin_warning(fasta, &text));
        PF_TRY(pf_text_add(text, "skipped %llu empty record%s (a header without residues)",
                           (unsigned long long)fasta->statistics.empty,
                           fasta->statistics.empty > 1 ? "s" : ""));
    }
    if (fasta->parser.cut_descriptions) {
        PF_TRY(begin_warning(fasta, &text));
        PF_TRY(pf_text_add(text, "cut %llu description%s to 64 KiB, the first in line %llu",
                           (unsigned long long)fasta->parser.cut_descriptions,
                           fasta->parser.cut_descriptions > 1 ? "s" : "",
                           (unsigned long long)fasta->parser.first_cut_line));
    }
    if (pf_fasta_input_has_garbage(fasta->input))
        PF_TRY(warn(fasta, "ignored what follows after the gzip data (trailing garbage)"));
    if (pf_fasta_input_lacks_end_block(fasta->input))
        PF_TRY(warn(fasta, "blocked gzip (BGZF) without its end marker: the file may be truncated"));
    return fasta->sampled < NUCLEOTIDE_SAMPLE ? warn_if_nucleotides(fasta) : PF_OK;
}

// Where the bytes come from: a path, or text in memory.
typedef struct source {
    const char *path, *text;
    size_t bytes;
} source;

static pf_status open_input(pf_fasta *fasta, source from)
{
    const bool is_stdin = from.path && strcmp(from.path, "-") == 0;
    PF_TRY(pf_text_add_path(&fasta->path, !from.path ? "text" : is_stdin ? "standard input" : from.path));
    if (!from.path) return pf_fasta_input_open_text(from.text, from.bytes, &fasta->input);
    PASS_ON(fasta, pf_fasta_input_open(from.path, &fasta->input));
    return PF_OK;
}

static pf_status start(pf_fasta *fasta, source from, const pf_fasta_options *options)
{
    enum { MOST_RESIDUES = 2147483647 };
    PF_TRY(pf_text_add(&fasta->longest_id, "%s", ""));
    fasta->any_ids = options && options->any_ids;
    fasta->parser.keep_masks = options && options->keep_masks;
    fasta->parser.most_residues =
        options && options->most_residues ? options->most_residues : (uint64_t)MOST_RESIDUES;
    fasta->statistics.longest_id = fasta->longest_id.data;
    PF_TRY(open_input(fasta, from));
    fasta->parser.input = fasta->input;
    bool had_mark;
    PASS_ON(fasta, pf_fasta_parse_start(&fasta->parser, &had_mark));
    return had_mark ? warn(fasta, "skipped a UTF-8 byte order mark (BOM)") : PF_OK;
}

static pf_status open_source(source from, const pf_fasta_options *options, pf_fasta **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_fasta), "FASTA reader"));
    pf_fasta *fasta = memory;
    const pf_status status = start(fasta, from, options);
    if (status == PF_OK)
        *out = fasta;
    else
        pf_fasta_close(fasta);
    return status;
}

pf_status pf_fasta_open(const char *path, const pf_fasta_options *options, pf_fasta **out)
{
    PF_CHECK(path && out, PF_ERROR_USAGE, "pf_fasta_open: path and out are needed");
    return open_source((source){.path = path}, options, out);
}

pf_status pf_fasta_open_text(const char *text, size_t bytes, const pf_fasta_options *options, pf_fasta **out)
{
    PF_CHECK(text && out, PF_ERROR_USAGE, "pf_fasta_open_text: text and out are needed");
    return open_source((source){.text = text, .bytes = bytes}, options, out);
}

void pf_fasta_close(pf_fasta *fasta)
{
    if (!fasta) return;
    pf_fasta_parse_free(&fasta->parser);
    pf_fasta_input_close(fasta->input);
    pf_hash_set_free(&fasta->ids);
    for (size_t i = 0; i < fasta->warnings_capacity; i++) pf_text_free(&fasta->warnings[i]);
    pf_free(fasta->warnings);
    pf_text_free(&fasta->longest_id);
    pf_text_free(&fasta->path);
    pf_free(fasta);
}

static pf_status sample_nucleotides(pf_fasta *fasta)
{
    const pf_text *sequence = &fasta->parser.sequence;
    if (fasta->sampled >= NUCLEOTIDE_SAMPLE) return PF_OK;
    for (size_t i = 0; i < sequence->length && fasta->sampled < NUCLEOTIDE_SAMPLE; i++) {
        fasta->nucleotides += memchr("ACGTUN", sequence->data[i], 6) != NULL;
        fasta->sampled++;
    }
    return fasta->sampled < NUCLEOTIDE_SAMPLE ? PF_OK : warn_if_nucleotides(fasta);
}

// Enters the parser's record into the statistics.
static pf_status count_record(pf_fasta *fasta)
{
    pf_fasta_statistics *counts = &fasta->statistics;
    const pf_text *id = &fasta->parser.id, *sequence = &fasta->parser.sequence;
    bool was_there = false;
    if (!fasta->any_ids) PF_TRY(pf_hash_set_add(&fasta->ids, pf_digest_of(id->data, id->length), &was_there));
    counts->duplicate_ids += was_there;
    if (sequence->length > counts->longest) {
        fasta->longest_id.length = 0;
        PF_TRY(pf_text_add_bytes(&fasta->longest_id, id->data, id->length));
        counts->longest_id = fasta->longest_id.data;
        counts->longest = sequence->length;
    }
    if (counts->records == 0 || sequence->length < counts->shortest) counts->shortest = sequence->length;
    counts->records++;
    counts->residues += sequence->length;
    uint64_t seen[256] = {0};
    for (size_t i = 0; i < sequence->length; i++) seen[(unsigned char)sequence->data[i]]++;
    for (int i = 0; i < PF_FASTA_LETTER_COUNT; i++)
        counts->letters[i] += seen[(unsigned char)PF_FASTA_LETTERS[i]];
    return sample_nucleotides(fasta);
}

// Takes over what the parser counts.
static void update_statistics(pf_fasta *fasta)
{
    fasta->statistics.lower_case = fasta->parser.lower_case;
    fasta->statistics.stops_dropped = fasta->parser.stops_dropped;
    fasta->statistics.replaced = fasta->parser.replaced;
    fasta->statistics.masks = fasta->parser.masks;
}

static pf_status finish(pf_fasta *fasta)
{
    if (!fasta->is_done) {
        fasta->is_done = true;
        update_statistics(fasta);
        PASS_ON(fasta, warn_at_end(fasta));
    }
    if (fasta->statistics.records) return PF_END;
    return fail_in(fasta,
                   pf_fail(PF_ERROR_INPUT, "no sequences: %s",
                           fasta->statistics.empty ? "no record has a residue" : "no header in the input"));
}

pf_status pf_fasta_next(pf_fasta *fasta, pf_fasta_record *record)
{
    PF_CHECK(fasta && record, PF_ERROR_USAGE, "pf_fasta_next: a reader and a record are needed");
    PF_CHECK(!fasta->has_failed, PF_ERROR_USAGE, "%s: reading goes on after an error", fasta->path.data);
    for (;;) {
        const pf_status status = fasta->is_done ? PF_END : pf_fasta_parse_record(&fasta->parser);
        if (status == PF_END) return finish(fasta);
        PASS_ON(fasta, status);
        if (fasta->parser.sequence.length) break;
        fasta->statistics.empty++;
    }
    PASS_ON(fasta, count_record(fasta));
    update_statistics(fasta);
    const pf_fasta_parser *parser = &fasta->parser;
    *record = (pf_fasta_record){.id = parser->id.data,
                                .description = parser->description.data,
                                .sequence = parser->sequence.data,
                                .id_length = parser->id.length,
                                .description_length = parser->description.length,
                                .length = parser->sequence.length,
                                .number = fasta->statistics.records,
                                .line = parser->header_line};
    return PF_OK;
}

const pf_fasta_statistics *pf_fasta_get_statistics(const pf_fasta *fasta)
{
    return &fasta->statistics;
}

size_t pf_fasta_warning_count(const pf_fasta *fasta)
{
    return fasta->n_warnings;
}

const char *pf_fasta_get_warning(const pf_fasta *fasta, size_t index)
{
    return index < fasta->n_warnings ? fasta->warnings[index].data : "";
}
