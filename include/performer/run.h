// What a run directory says about itself: its configuration, its history, the data it learnt from. Needs no device.
#ifndef PERFORMER_RUN_H
#define PERFORMER_RUN_H

#include <stdint.h>

#include "performer/metrics.h"

#ifdef __cplusplus
extern "C" {
#endif

// Sequences as training sees them.
typedef struct pf_data_facts {
    uint64_t sequences, residues, longest; // longest: residues of the longest sequence
    char fingerprint[65];                  // SHA-256 over lengths and residues in order, as hex
} pf_data_facts;

// Reads the files, all of them into memory. Errors: PF_ERROR_INPUT.
PF_API pf_status pf_data_describe(const char *const *files, int n_files, pf_data_facts *out);

typedef struct pf_run_step {
    int64_t step, tokens; // tokens: of this step, padding not counted
    double loss, learning_rate, grad_norm, tokens_per_s, time_s;
} pf_run_step;

typedef struct pf_run_evaluation {
    int64_t step, tokens_so_far;
    double time_s; // of the step before it
    double loss, perplexity, accuracy;
    pf_task_metrics metrics; // of a task, which has no perplexity; else type PF_TASK_NONE
} pf_run_evaluation;

typedef struct pf_run_files {
    char **file; // as they were given to training
    int count;
    char fingerprint[65]; // of pf_data_describe; "" without files
} pf_run_files;

// All of it is owned by this struct.
typedef struct pf_run {
    struct pf_config config; // effective
    char *config_text;       // as JSON, every key
    int64_t parameters;      // trained numbers
    pf_run_step *step;
    int n_steps;
    pf_run_evaluation *evaluation;
    int n_evaluations;
    int64_t tokens; // of all steps
    // Of the newest complete checkpoint; before the first: -1, no files, "".
    int64_t checkpoint_step;
    pf_run_files train, valid;
    char device[128], driver[128];
} pf_run;

// A run that is still going on can be read too: a last line that is not complete is left out. Errors: PF_ERROR_INPUT
// naming the file and line.
PF_API pf_status pf_run_read(const char *path, pf_run **out);
PF_API void pf_run_free(pf_run *run); // NULL is fine

#ifdef __cplusplus
}
#endif
#endif
