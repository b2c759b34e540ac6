// Labels of a corpus's sequences or residues, as targets of a head.
//
// A label is a text of the table (label_table.h): of a sequence a class's name or a number; of its residues a
// character each ('.' and '-': none), or names or numbers separated by commas (an empty one and "nan": none).
// An empty label is none.
#ifndef PF_DATA_LABELS_H
#define PF_DATA_LABELS_H

#include "data/corpus.h"
#include "data/label_table.h"
#include "performer/batch.h"
#include "performer/config.h"

// Read it, don't change it.
typedef struct pf_labels {
    pf_task_type type;
    pf_task_level level;
    size_t count;    // sequences, or residues, of the corpus
    int32_t *target; // [count] class; of a regression 0; PF_NO_TARGET without a label
    double *value;   // [count] of a regression, NaN without a label; else NULL
    uint64_t n_labelled;
    double mean, deviation; // of a regression's labels here; deviation is 0 where all are the same
    char fingerprint[PF_FINGERPRINT_BYTES]; // SHA-256 over targets and values in order, as hex
} pf_labels;

// The classes of the records of `corpus`, in the order of their bytes, into task->class_name. Errors:
// PF_ERROR_INPUT for fewer than two, too many or one with too long a name.
pf_status pf_labels_classes(pf_label_table *table, const pf_corpus *corpus, struct pf_task_config *task);

// The labels of a corpus that has names; `task` says type, level and classes. Records without one leave the
// corpus, which is a line in `warnings`. `what` names the corpus in messages: "training". Errors:
// PF_ERROR_INPUT naming file, line and label: a class that is not among the task's, what is no number,
// residues' labels in another number than residues; no record with a label. PF_ERROR_FAILED.
typedef struct pf_labels_call {
    pf_label_table *table;
    const struct pf_task_config *task;
    pf_corpus *corpus;
    const char *what;
    pf_text *warnings;
} pf_labels_call;
pf_status pf_labels_attach(const pf_labels_call *call, pf_labels **out);
void pf_labels_free(pf_labels *labels);

// One label: reads as pf_labels_attach does. For readers that go through files without a corpus.
typedef struct pf_label_reader {
    const pf_label_table *table;
    const pf_label_row *row;
    const struct pf_task_config *task;
    const char *at, *end; // what has not been read
    bool by_character, is_done;
} pf_label_reader;

void pf_label_reader_start(pf_label_reader *reader, const pf_label_table *table, const pf_label_row *row,
                           const struct pf_task_config *task);
// The next one: a class into *target, or a number into *value and 0 into *target; PF_NO_TARGET where there is
// none. PF_END behind the last. Errors: PF_ERROR_INPUT.
pf_status pf_label_reader_next(pf_label_reader *reader, int32_t *target, double *value);

// The labels of a window of a sequence, `first` its first token, begin and end counted: target and, of a
// regression, value in standard units (NaN: none) of `length` rows. Returns how many there are.
typedef struct pf_label_window {
    size_t sequence;
    uint64_t first;
    size_t length;
} pf_label_window;
int32_t pf_labels_window(const pf_labels *labels, const pf_corpus *corpus, const struct pf_task_config *task,
                         pf_label_window window, int32_t *target, float *value);

#endif
