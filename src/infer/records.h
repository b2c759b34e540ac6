// The records of FASTA files one after the other, as tokens: what `logits`, `embed` and `score` run over.
#ifndef PF_INFER_RECORDS_H
#define PF_INFER_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "performer/stream.h"

typedef struct pf_records_options {
    pf_stream_options stream;
    uint64_t longest;  // tokens of a sequence that the model allows
    bool keep_masks;   // '*' is the mask token
    bool unique_names; // `name` is unique: repeated ids become id#2, id#3, … over all shards
    uint64_t
        names_span; // and unique only among so many of the input's records, which then are forgotten; 0: all
} pf_records_options;

// Lent until the next call of pf_records_next.
typedef struct pf_record {
    const char *name; // the id; NUL-terminated
    size_t name_length;
    size_t id_length;       // of the name: without the "#2" that makes it unique
    uint64_t number;        // from 1 over all files, whatever the shard
    const uint8_t *residue; // [n_residues] tokens
    uint64_t n_residues;    // all of them
    uint64_t n_tokens;      // that the model is to see: begin, residues, end, or as many as a crop leaves
} pf_record;

typedef struct pf_records pf_records;

// Every file is looked at before the first is read. Errors: PF_ERROR_USAGE, PF_ERROR_INPUT.
pf_status pf_records_open(const pf_records_options *options, pf_records **out);
void pf_records_close(pf_records *records);

// PF_END after the last. Errors: PF_ERROR_INPUT, also for a sequence that is too long with PF_LONG_ERROR.
pf_status pf_records_next(pf_records *records, pf_record *out);

// i-th warning so far, complete at PF_END; NULL behind the last.
const char *pf_records_warning(const pf_records *records, size_t i);

#endif
