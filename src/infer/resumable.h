// Work that may be killed at any moment and goes on: finished records lie in FILE.partial until FILE stands.
// What `embed`, `logits` and `score` share.
//
//   pf_resumable_open, then pf_resumable_next until PF_END: what an earlier run had finished
//   pf_resumable_add for each record that is finished now
//   the output is written, then pf_resumable_finish
#ifndef PF_INFER_RESUMABLE_H
#define PF_INFER_RESUMABLE_H

#include "infer/journal.h"
#include "infer/provenance.h"

typedef struct pf_resumable {
    char *output, *path; // FILE, FILE.partial
    pf_journal *journal; // NULL: nothing is kept
    pf_provenance *made_of;
} pf_resumable; // zero-initialise it

// `made_of` knows model and options, gets the sequences and is lent. Errors: PF_ERROR_USAGE for a
// FILE.partial of another model or other options.
pf_status pf_resumable_open(pf_resumable *work, const char *output, pf_provenance *made_of, bool resume);
void pf_resumable_close(pf_resumable *work); // FILE.partial stays

// The next finished record; it must be the input's next. Both are lent until the next call; `record` may be
// NULL. PF_END behind the last: appending goes on from there. Errors: PF_ERROR_USAGE for other sequences.
pf_status pf_resumable_next(pf_resumable *work, pf_pieces *pieces, pf_record *record,
                            pf_journal_entry *entry);

pf_status pf_resumable_add(pf_resumable *work, const pf_record *record, const float *numbers, size_t count);

// What was added survives the end of this process.
pf_status pf_resumable_flush(pf_resumable *work);

// Keeps all and returns PF_INTERRUPTED; `work` may be one without a journal.
pf_status pf_resumable_stop(pf_resumable *work);

// FILE stands: writes its manifest, removes FILE.partial.
pf_status pf_resumable_finish(pf_resumable *work);

#endif
