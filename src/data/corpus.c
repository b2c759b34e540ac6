// FASTA files as tokens in memory. See corpus.h.
#include "data/corpus.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "data/alphabet.h"
#include "performer/fasta.h"

static pf_status add_name(pf_corpus *corpus, const pf_fasta_record *record)
{
    const size_t n = corpus->n_sequences;
    if (!corpus->has_names) return PF_OK;
    PF_TRY(pf_grow((void **)&corpus->name, &corpus->name_capacity, n + 1, sizeof *corpus->name, "names"));
    corpus->name[n] = corpus->names.length;
    return pf_text_add_bytes(&corpus->names, record->id, record->id_length + 1);
}

static pf_status add_sequence(pf_corpus *corpus, const pf_fasta_record *record)
{
    PF_TRY(add_name(corpus, record));
    const size_t n = corpus->n_sequences;
    PF_TRY(
        pf_grow((void **)&corpus->start, &corpus->start_capacity, n + 2, sizeof(uint64_t), "sequence table"));
    PF_TRY(pf_grow((void **)&corpus->residue, &corpus->residue_capacity,
                   (size_t)corpus->n_residues + record->length, 1, "sequences"));
    pf_alphabet_encode(corpus->residue + corpus->n_residues, record->sequence, record->length);
    corpus->n_residues += record->length;
    corpus->n_sequences = n + 1;
    corpus->start[n + 1] = corpus->n_residues;
    if (record->length > corpus->longest) corpus->longest = record->length;
    return PF_OK;
}

static pf_status keep_warnings(pf_corpus *corpus, const pf_fasta *fasta)
{
    const size_t count = pf_fasta_warning_count(fasta);
    PF_TRY(pf_grow((void **)&corpus->warnings, &corpus->warnings_capacity, corpus->n_warnings + count,
                   sizeof(pf_text), "list of warnings"));
    for (size_t i = 0; i < count; i++)
        PF_TRY(pf_text_add(&corpus->warnings[corpus->n_warnings++], "%s", pf_fasta_get_warning(fasta, i)));
    return PF_OK;
}

static pf_status add_file(pf_corpus *corpus, const char *path)
{
    pf_fasta *fasta = NULL;
    pf_fasta_record record;
    PF_TRY(pf_fasta_open(path, NULL, &fasta));
    pf_status status;
    while ((status = pf_fasta_next(fasta, &record)) == PF_OK) {
        status = add_sequence(corpus, &record);
        if (status != PF_OK) break;
    }
    if (status == PF_END) status = keep_warnings(corpus, fasta);
    pf_fasta_close(fasta);
    return status;
}

static void take_fingerprint(pf_corpus *corpus)
{
    struct sha256_ctx context;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&context);
    for (size_t i = 0; i < corpus->n_sequences; i++) {
        const uint64_t length = corpus->start[i + 1] - corpus->start[i];
        uint8_t bytes[8];
        for (int b = 0; b < 8; b++) bytes[b] = (uint8_t)(length >> 8 * b);
        sha256_update(&context, sizeof bytes, bytes);
        sha256_update(&context, (size_t)length, corpus->residue + corpus->start[i]);
    }
    sha256_digest(&context, sizeof digest, digest);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++) snprintf(corpus->fingerprint + 2 * i, 3, "%02x", digest[i]);
}

static pf_status load(const char *const *paths, size_t n_paths, bool has_names, pf_corpus **out)
{
    PF_CHECK(n_paths > 0, PF_ERROR_USAGE, "no FASTA file given");
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_corpus), "corpus"));
    pf_corpus *corpus = memory;
    corpus->has_names = has_names;
    pf_status status = PF_OK;
    for (size_t i = 0; i < n_paths; i++) PF_TRY_OR(done, add_file(corpus, paths[i]));
    take_fingerprint(corpus);
    *out = corpus;
done:
    if (status != PF_OK) pf_corpus_free(corpus);
    return status;
}

pf_status pf_corpus_load(const char *const *paths, size_t n_paths, pf_corpus **out)
{
    return load(paths, n_paths, false, out);
}

pf_status pf_corpus_load_named(const char *const *paths, size_t n_paths, pf_corpus **out)
{
    return load(paths, n_paths, true, out);
}

void pf_corpus_free(pf_corpus *corpus)
{
    if (!corpus) return;
    for (size_t i = 0; i < corpus->warnings_capacity; i++) pf_text_free(&corpus->warnings[i]);
    pf_free(corpus->warnings);
    pf_free(corpus->start);
    pf_free(corpus->residue);
    pf_text_free(&corpus->names);
    pf_free(corpus->name);
    pf_free(corpus);
}

const char *pf_corpus_name(const pf_corpus *corpus, size_t sequence)
{
    return corpus->names.data + corpus->name[sequence];
}

void pf_corpus_keep(pf_corpus *corpus, const bool *keep)
{
    size_t kept = 0;
    uint64_t first = 0; // of the sequence that is looked at; start[kept] may be written over it
    corpus->longest = 0;
    for (size_t i = 0; i < corpus->n_sequences; i++) {
        const uint64_t end = corpus->start[i + 1], length = end - first;
        if (keep[i]) {
            memmove(corpus->residue + corpus->start[kept], corpus->residue + first, (size_t)length);
            if (corpus->has_names) corpus->name[kept] = corpus->name[i];
            corpus->start[kept + 1] = corpus->start[kept] + length;
            if (length > corpus->longest) corpus->longest = length;
            kept++;
        }
        first = end;
    }
    corpus->n_sequences = kept;
    corpus->n_residues = corpus->start[kept];
}

uint64_t pf_corpus_length(const pf_corpus *corpus, size_t sequence)
{
    return corpus->start[sequence + 1] - corpus->start[sequence] + 2;
}

void pf_corpus_tokens(const pf_corpus *corpus, size_t sequence, uint64_t first, size_t count, int32_t *token)
{
    const uint64_t start = corpus->start[sequence];
    pf_alphabet_window(token, corpus->residue + start, corpus->start[sequence + 1] - start, first, count);
}
