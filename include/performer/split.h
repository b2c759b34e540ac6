// Sharing out sequences between training, validation and test, one record at a time.
//
// The share of a sequence is decided by SHA-256 of its letters alone, or of its cluster's
// representative: the first 64 bits, as a fraction of 2^64, below `valid` is validation, below
// valid + test is test. So it is the same in every file, order and run, and data added later moves
// nothing. A seed other than 0 puts a random number of that hash in the fraction's place: other parts, for
// repeating an experiment, that follow the same rules. Only copies depend on the order: of equal sequences the first one is kept.
#ifndef PERFORMER_SPLIT_H
#define PERFORMER_SPLIT_H

#include "performer/fasta.h"
#include "performer/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_split_options {
    double valid, test;   // shares of the whole, valid + test < 1; default 0.05 each
    const char *clusters; // NULL, or a TSV of representative and member ids as `mmseqs easy-cluster`
                          //     writes it (gzip too): members go where their representative goes
    uint64_t seed;        // 0: the hash itself decides
} pf_split_options;

PF_API pf_split_options pf_split_default(void);

typedef enum pf_split_part {
    PF_SPLIT_TRAIN,
    PF_SPLIT_VALID,
    PF_SPLIT_TEST,
    PF_SPLIT_COPY, // an equal sequence came before: to be dropped
} pf_split_part;

typedef struct pf_split pf_split;

// `options` are needed during the call only. Errors: PF_ERROR_USAGE for impossible shares;
// PF_ERROR_INPUT for a cluster file that cannot be read or is wrong, with its line.
PF_API pf_status pf_split_create(const pf_split_options *options, pf_split **out);
PF_API void pf_split_free(pf_split *split);

// Where `record` belongs. Clusters know it by its id, or by the part of it between bars that MMseqs2
// keeps ("P69905" of "sp|P69905|HBA_HUMAN"). Errors: PF_ERROR_INPUT when it is in no cluster.
PF_API pf_status pf_split_next(pf_split *split, const pf_fasta_record *record, pf_split_part *part);

#ifdef __cplusplus
}
#endif
#endif
