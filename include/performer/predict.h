// What a model with a task head (task.type) says about sequences, or about each of their residues: values in
// the units of the labels that it was trained on, or probabilities of classes.
//
// Sequences longer than the model allows: PF_LONG_CROP sees their first tokens. With PF_LONG_WINDOW a task on
// residues has those of all windows in a row; one on sequences has the mean of the windows' values or
// probabilities, each counting with its residues.
#ifndef PERFORMER_PREDICT_H
#define PERFORMER_PREDICT_H

#include <signal.h>
#include <stddef.h>

#include "performer/model.h"
#include "performer/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_predict_options {
    pf_stream_options stream;
    double threshold; // of two classes `positive` is predicted where its probability is at least this; 0: the
                      // likelier
    int32_t positive; // number of that class
    const char *output; // the file that the caller makes of the results: what is finished is kept beside it,
                        // in FILE.partial, for a run that is killed; NULL: nothing is
    bool resume; // begins with what is kept; a FILE that is complete must be what would be made now
    const volatile sig_atomic_t *stop; // becomes non-zero when the run should save and end; NULL: never
} pf_predict_options;

// Of one sequence, C as pf_config_outputs has it.
typedef struct pf_prediction {
    const char *id;
    size_t id_length;
    uint64_t length;       // residues of the sequence
    uint64_t n_rows;       // 1, or of a task on residues those that the model saw
    const char *residue;   // [n_rows] letters of a task on residues, else NULL
    const double *value;   // [n_rows,C] probabilities; of a regression [n_rows]
    const int32_t *choice; // [n_rows] number of the class that is predicted; of a regression NULL
} pf_prediction;

typedef struct pf_predict pf_predict;

// Errors: PF_ERROR_USAGE (a language model; a threshold where there are not two classes; a FILE.partial or
// FILE of another model, other options or sequences), PF_ERROR_INPUT.
PF_API pf_status pf_predict_open(pf_model *model, const pf_predict_options *options, pf_predict **out);
PF_API void pf_predict_close(pf_predict *predict); // NULL is fine; before the model is closed

// One batch: the sequences that it completed, in the order of the input, lent until the next call. PF_END:
// all is done, at once where FILE is complete already (pf_stream_is_done). PF_INTERRUPTED: `stop`; all that
// is finished is kept. Errors: PF_ERROR_INPUT, PF_ERROR_DEVICE, PF_ERROR_FAILED, PF_ERROR_NUMERICAL for an
// output that is not finite.
PF_API pf_status pf_predict_step(pf_predict *predict, const pf_prediction **predictions,
                                 size_t *n_predictions);

// The caller's FILE stands: writes FILE.manifest.json, which says what it was made of, and removes
// FILE.partial.
PF_API pf_status pf_predict_finish(pf_predict *predict);

// i-th warning so far, complete at PF_END; NULL behind the last.
PF_API const char *pf_predict_warning(const pf_predict *predict, size_t i);

#ifdef __cplusplus
}
#endif
#endif
