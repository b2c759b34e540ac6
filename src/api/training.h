// What the files of a training run share. For src/api/training*.c only.
#ifndef PF_API_TRAINING_H
#define PF_API_TRAINING_H

#include <stdio.h>

#include "base/text.h"
#include "data/corpus.h"
#include "data/evaluation.h"
#include "data/loader.h"
#include "infer/task_answers.h"
#include "model/performer.h"
#include "performer/train.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

struct pf_training {
    pf_device *device;
    struct pf_config config;
    char *run, *init;
    bool resume;      // the run was there already
    bool rehearsal;   // nothing is written
    char *checkpoint; // to resume from; NULL: a fresh start
    pf_training_state state;
    pf_model_arrays *host;    // staging for checkpoints, initial values
    pf_corpus *train, *valid; // valid NULL: none
    pf_labels *train_labels, *valid_labels; // of a task, else NULL
    pf_task_answers answers;
    pf_loader *loader;
    pf_evaluation *evaluation;
    pf_model *model;
    pf_trainer *trainer;
    pf_memory_plan plan;
    double *draw_scratch; // for redrawing projections
    FILE *metrics;
    int lock; // keeps other processes out of the run; -1: none
    float class_weight[PF_MAX_CLASSES]; // with train.class_weights
    bool is_saved;             // the state as it is stands in a checkpoint
    double started_s, clock_s; // monotonic: of this process's training; earlier seconds in state.seconds
    const volatile sig_atomic_t *stop;
    pf_text *warnings;
    size_t n_warnings, warnings_capacity;
};

// The configuration from preset or file, init, resumed run and settings, in this order; and which checkpoint
// to go on from. Fills config, checkpoint, resume.
pf_status pf_training_configure(pf_training *t, const pf_training_options *options);

// Values to start from into t->host: the checkpoint's, those of the given model, or fresh ones.
pf_status pf_training_load_start(pf_training *t);

// Labels of the sequences, and what the task takes from them: classes, mean and deviation.
pf_status pf_training_load_labels(pf_training *t, const pf_training_options *options);
// Gives the model what train.class_weights asks for.
pf_status pf_training_weigh_classes(pf_training *t);

// Whether `now` is what the run began with. Errors: PF_ERROR_USAGE, naming `what`.
pf_status pf_training_check_same(const pf_training *t, const char *what, const char *before, const char *now);

pf_status pf_training_warn(pf_training *t, const char *text);

// Seconds on a clock that only goes forward.
double pf_monotonic_s(void);

// metrics.jsonl: opened for appending, with lines past `step` cut off.
pf_status pf_training_open_metrics(pf_training *t);
pf_status pf_training_log_step(pf_training *t, const pf_training_report *report);
pf_status pf_training_log_evaluation(pf_training *t, const pf_training_report *report);
pf_status pf_training_sync_metrics(pf_training *t);

// Writes a checkpoint of the state as it is, unless that was done.
pf_status pf_training_save(pf_training *t);

// Loss and metrics over all of the validation data.
pf_status pf_training_evaluate(pf_training *t, pf_training_report *report);

// The report's evaluation is done: is it the best? Whether the run keeps its best checkpoint, and whether it has
// waited long enough for a better one.
void pf_training_note_evaluation(pf_training *t, const pf_training_report *report);
bool pf_training_keeps_best(const pf_training *t);
bool pf_training_is_out_of_patience(const pf_training *t);

// Model limits for this configuration and data.
pf_model_limits pf_training_limits(const pf_training *t);

#endif
