// Training: a run directory that grows step by step, survives being killed, and goes on where it
// stopped with the same bits.
//
//   RUN/config.json      complete and effective
//   RUN/metrics.jsonl    a line per step and per evaluation
//   RUN/checkpoints/step-000000001000/{config.json,model.safetensors,optimizer.safetensors,state.json,manifest.json}
//   RUN/latest           name of the newest complete checkpoint
//   RUN/best             name of the checkpoint of least validation loss: with train.patience, and of tasks
#ifndef PERFORMER_TRAIN_H
#define PERFORMER_TRAIN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "performer/config.h"
#include "performer/device.h"
#include "performer/metrics.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_training pf_training;

typedef struct pf_training_options {
    const char *run;    // directory: new or empty, unless `resume`
    bool resume;        // go on where something is, start where nothing is
    const char *preset; // with `config_file` and `init` where the configuration comes from: see README
    const char *config_file;
    const char *init;            // MODEL whose keys and weights to start from, or NULL
    const char *const *settings; // "key=value", put on top in order
    int n_settings;
    int64_t seed; // of everything random; below 0: not given
    const char *const *train_files;
    int n_train_files;
    const char *const *valid_files;
    int n_valid_files;
    // A head for labels (docs/heads.md); NULL: not given.
    const char *task, *label_level; // "regression" or "classification"; "sequence" or "residue"
    const char *labels, *label_column; // TSV; one of its columns
    bool rehearsal;                    // for measuring: takes steps and writes nothing; `run` may be NULL
    const volatile sig_atomic_t *stop; // becomes non-zero when the run should save and end; NULL: never
} pf_training_options;

// Device memory by purpose, known before anything is allocated.
typedef struct pf_memory_plan {
    uint64_t weights_bytes, gradient_bytes, optimizer_bytes, activation_bytes, scratch_bytes, total_bytes;
    int64_t parameters, frozen_parameters; // numbers that are trained, and that adapters leave as they are
    // Of the activations those that wait for the backward pass, and what these would be without
    // train.recompute and compute.storage.
    uint64_t kept_bytes, kept_plain_bytes;
    int32_t segment; // layers that are computed again together; 0: none are
} pf_memory_plan;

typedef struct pf_training_report {
    int64_t step, tokens; // tokens of this step
    double loss, grad_norm, learning_rate;
    double tokens_per_s, time_s; // time: seconds of training so far, earlier processes included
    bool evaluated;              // an evaluation followed this step:
    double valid_loss, valid_perplexity, valid_accuracy;
    pf_task_metrics valid_metrics; // of a task, else type PF_TASK_NONE; perplexity is 0 there
    bool saved; // a checkpoint followed this step
} pf_training_report;

// The effective configuration, the data, the model on the device; with `resume` from the newest
// complete checkpoint. Nothing is written before everything has been checked.
// Errors: PF_ERROR_USAGE (configuration, a run directory in use, a key that differs from the run's),
// PF_ERROR_INPUT (data, checkpoint), PF_ERROR_DEVICE.
PF_API pf_status pf_training_open(pf_device *device, const pf_training_options *options, pf_training **out);

// One optimiser step, and what is due after it. PF_END: all steps were done and saved, or train.patience is at
// its end (pf_training_get_best says so). PF_INTERRUPTED: `stop`
// or the time limit; everything is saved. PF_ERROR_NUMERICAL: loss or gradient not finite; the update was not
// made, the message names the tensor, and RUN/failed-step.json holds the batch.
PF_API pf_status pf_training_step(pf_training *training, pf_training_report *report);

PF_API void pf_training_close(pf_training *training);

// Facts of an open run, valid until it is closed.
PF_API const struct pf_config *pf_training_config(const pf_training *training);
PF_API const pf_memory_plan *pf_training_plan(const pf_training *training);
PF_API int64_t pf_training_steps_done(const pf_training *training);
// i-th warning of opening (checkpoints passed over, records skipped); NULL behind the last.
PF_API const char *pf_training_warning(const pf_training *training, int i);

// The evaluation of least loss, of which a checkpoint is kept: of tasks, and with train.patience.
typedef struct pf_training_best {
    int64_t step; // 0: there was none
    double loss;
    int64_t evaluations_since;
    bool has_ended; // the run, as train.patience evaluations were no better
} pf_training_best;

PF_API pf_training_best pf_training_get_best(const pf_training *training);

// What `open` would do: the effective configuration (release with pf_release) and the plan.
PF_API pf_status pf_training_dry_run(pf_device *device, const pf_training_options *options, char **config,
                                     pf_memory_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
