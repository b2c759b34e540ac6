// All sequences of some FASTA files in memory, a byte for each residue: what training and evaluation
// draw from. Sequences without residues are left out by the reader.
#ifndef PF_DATA_CORPUS_H
#define PF_DATA_CORPUS_H

#include <stdbool.h>

#include "base/text.h"

enum { PF_FINGERPRINT_BYTES = 65 };

// Read it, don't change it.
typedef struct pf_corpus {
    size_t n_sequences;
    uint64_t n_residues, longest;           // longest: residues of the longest sequence
    uint64_t *start;                        // [n_sequences + 1] first residue of each sequence
    uint8_t *residue;                       // [n_residues] tokens
    char fingerprint[PF_FINGERPRINT_BYTES]; // SHA-256 over lengths and tokens in order, as hex
    pf_text *warnings;                      // [n_warnings] what the readers had to say
    size_t n_warnings;
    size_t start_capacity, residue_capacity, warnings_capacity; // of the arrays while they grow
    bool has_names;
    pf_text names;       // with pf_corpus_load_named: first words of the headers, each with a NUL behind it
    uint64_t *name;      // [n_sequences] where each begins
    size_t name_capacity;
} pf_corpus;

// Reads `n_paths` files ("-": standard input) one behind the other. Errors: the reader's, of the
// first file that has one; PF_ERROR_USAGE without a path; PF_ERROR_FAILED.
pf_status pf_corpus_load(const char *const *paths, size_t n_paths, pf_corpus **out);
// The same, with the records' names kept.
pf_status pf_corpus_load_named(const char *const *paths, size_t n_paths, pf_corpus **out);
void pf_corpus_free(pf_corpus *corpus);

// NUL-terminated; of a corpus that has names.
const char *pf_corpus_name(const pf_corpus *corpus, size_t sequence);

// Drops the sequences for which `keep` [n_sequences] is false. The fingerprint stays that of the files.
void pf_corpus_keep(pf_corpus *corpus, const bool *keep);

// Tokens of a sequence, begin and end counted.
uint64_t pf_corpus_length(const pf_corpus *corpus, size_t sequence);

// token[0 .. count-1] = tokens first .. first+count-1 of begin, residues, end.
void pf_corpus_tokens(const pf_corpus *corpus, size_t sequence, uint64_t first, size_t count, int32_t *token);

#endif
