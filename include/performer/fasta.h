// Proteins, one at a time, from FASTA text: plain, gzip, standard input or text in memory.
//
// What is accepted, repaired with a count, or refused is listed in tests/golden/fasta/README.md.
// Memory is that of the longest record, and some 40 bytes per record for counting repeated ids, which can be left out.
#ifndef PERFORMER_FASTA_H
#define PERFORMER_FASTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "performer/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// The letters that a sequence can have, in the order of pf_fasta_statistics.letters.
#define PF_FASTA_LETTERS "ACDEFGHIKLMNPQRSTVWYBOUXZ"
enum { PF_FASTA_LETTER_COUNT = 25, PF_FASTA_DESCRIPTION_BYTES = 65536 };

typedef struct pf_fasta_options {
    bool keep_masks; // '*' stays '*', the mask token; else dropped at the end, X elsewhere. Default false
    uint64_t most_residues; // in one sequence; more is an error. Default (and 0): 2^31 - 1
    bool any_ids;           // repeated ids are not counted: memory does not grow with the number of records
} pf_fasta_options;

// One sequence. Lent by the reader until its next call.
typedef struct pf_fasta_record {
    const char *id;          // the header's first word: never empty, NUL-terminated, any bytes but NUL
    const char *description; // what follows it, up to the first ^A; NUL-terminated, at most 64 KiB
    const char *sequence;    // letters of PF_FASTA_LETTERS ('*' with keep_masks), NUL-terminated
    size_t id_length, description_length;
    size_t length;   // residues, at least 1
    uint64_t number; // among the records with residues, from 1
    uint64_t line;   // of the header, from 1
} pf_fasta_record;

// What has been read so far; complete once pf_fasta_next has returned PF_END.
typedef struct pf_fasta_statistics {
    uint64_t records, residues; // those that were handed out
    uint64_t shortest, longest; // residues; 0 before the first record
    uint64_t letters[PF_FASTA_LETTER_COUNT];
    uint64_t lower_case;    // letters that were raised
    uint64_t stops_dropped; // '*' at the end of a sequence
    uint64_t replaced;      // residues that became X
    uint64_t masks;         // '*' kept as the mask token (keep_masks only)
    uint64_t empty;         // records without residues, skipped
    uint64_t duplicate_ids; // records whose id an earlier one has (0 with any_ids)
    const char *longest_id; // NUL-terminated, owned by the reader; "" before the first record
} pf_fasta_statistics;

typedef struct pf_fasta pf_fasta;

// Opens `path`, "-" for standard input. `options` may be NULL. Gzip is known by its first bytes.
// Errors: PF_ERROR_INPUT with the path: not there, a directory, another format (named).
PF_API pf_status pf_fasta_open(const char *path, const pf_fasta_options *options, pf_fasta **out);

// The same from text in memory, which is copied; messages call it "text".
PF_API pf_status pf_fasta_open_text(const char *text, size_t bytes, const pf_fasta_options *options,
                                    pf_fasta **out);

// The next record with residues; PF_END after the last. Errors: PF_ERROR_INPUT with path, line and
// reason, also for an input without any sequence. After an error only pf_fasta_close is of use.
PF_API pf_status pf_fasta_next(pf_fasta *fasta, pf_fasta_record *record);

PF_API void pf_fasta_close(pf_fasta *fasta);

PF_API const pf_fasta_statistics *pf_fasta_get_statistics(const pf_fasta *fasta);

// Things the user should know though the input is good; each a line of text that names the input.
// They may grow with every call of pf_fasta_next and are complete at PF_END.
PF_API size_t pf_fasta_warning_count(const pf_fasta *fasta);
PF_API const char *pf_fasta_get_warning(const pf_fasta *fasta, size_t index);

#ifdef __cplusplus
}
#endif
#endif
