// The history of a run as numbers that can be drawn: in units that fit, and no more points than a picture
// shows.
#ifndef TOOLS_HISTORY_H
#define TOOLS_HISTORY_H

#include "performer/run.h"
#include "tools/plot.h"

typedef struct pf_unit {
    double size;      // how many of the plain ones are one of these
    const char *name; // "million tokens"
} pf_unit;

// The largest unit of which `most` is at least one, of time at least five.
pf_unit pf_unit_of_tokens(double most);
pf_unit pf_unit_of_seconds(double most);

typedef struct pf_history {
    int n_steps; // points, each the mean of as many steps as it takes
    double *tokens, *seconds, *loss,
        *speed;     // of all tokens and seconds up to there, in units; speed: tokens/s
    double *smooth; // loss, means over neighbours
    int n_evaluations;
    double *valid_tokens, *valid_seconds, *valid_loss, *valid_perplexity;
    pf_unit token_unit, second_unit;
    double *memory;
} pf_history;

// Errors: PF_ERROR_FAILED.
pf_status pf_history_create(const pf_run *run, pf_history *out);
void pf_history_free(pf_history *history);

// Seconds that the first `step` steps took, without evaluations and checkpoints. A step counts three times
// the median at most: compiling kernels, or a machine that slept, says nothing of a method. `scratch`:
// [run->n_steps].
double pf_run_step_seconds(const pf_run *run, int64_t step, double *scratch);

#endif
