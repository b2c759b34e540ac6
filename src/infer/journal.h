// Finished records in a file that grows: what a killed run leaves for the next one. An entry counts only if
// all of it is there; what follows the last whole one is cut off.
#ifndef PF_INFER_JOURNAL_H
#define PF_INFER_JOURNAL_H

#include <stdbool.h>

#include "base/status.h"
#include "data/hash_set.h"

typedef struct pf_journal_entry {
    const char *name; // NUL-terminated
    size_t name_length;
    pf_digest content; // of what the numbers were made of
    const float *numbers;
    uint64_t count;
} pf_journal_entry;

typedef struct pf_journal pf_journal;

// `key` says what the entries mean; with `resume` a file of another key is PF_ERROR_USAGE. Without `resume`,
// or where there is no file, one begins with the first entry. Errors: PF_ERROR_FAILED.
pf_status pf_journal_open(const char *path, pf_digest key, bool resume, pf_journal **out);
void pf_journal_close(pf_journal *journal); // the file stays; NULL is fine

pf_status pf_journal_append(pf_journal *journal, const pf_journal_entry *entry);
pf_status pf_journal_flush(pf_journal *journal); // what was appended survives the process
pf_status pf_journal_sync(pf_journal *journal);  // and a power cut

// Reading back from the first entry; lent until the next call. PF_END behind the last whole one. Appending
// goes on from where reading came to.
pf_status pf_journal_rewind(pf_journal *journal);
pf_status pf_journal_next(pf_journal *journal, pf_journal_entry *out);

pf_status pf_journal_remove(pf_journal *journal); // the file; fine if it is not there

#endif
