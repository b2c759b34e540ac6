// Checkpoints of a run: a model directory with the optimiser's moments and the state of training beside it,
// complete or not there. Recipe: written into a hidden directory, each file synced, the manifest last, then
// renamed; only then older ones are dropped.
#ifndef PF_TRAIN_CHECKPOINT_H
#define PF_TRAIN_CHECKPOINT_H

#include "model/files.h"
#include "train/trainer.h"

// What resuming needs besides the tensors: state.json. Zero-initialise; pf_training_state_free.
typedef struct pf_training_state {
    int64_t step;                        // optimiser steps done
    uint64_t cursor;                     // where the next step begins in the data
    double seconds;                      // of training so far
    bool evaluation_due;                 // an evaluation after `step` was not finished
    char train_data[65], valid_data[65]; // fingerprints of the sequences; "" without any
    char **train_files, **valid_files;   // as they were given
    size_t n_train_files, n_valid_files;
    char device[128], driver[128];
    char *labels_file, *label_column;        // of a task; NULL: none, the file's only column
    char train_labels[65], valid_labels[65]; // their fingerprints
    int64_t best_step;                       // of the least validation loss so far; 0: none was kept
    double best_loss;
    int64_t evaluations_since_best;
} pf_training_state;

void pf_training_state_free(pf_training_state *state);

// Writes RUN/checkpoints/step-NNNNNNNNNNNN, points RUN/latest to it and RUN/best to that of best_step, and
// drops all but the newest `keep` and the best. Errors: PF_ERROR_FAILED; older checkpoints are as they were.
typedef struct pf_checkpoint {
    const pf_model_arrays *arrays; // configuration and weights
    const pf_trainer *trainer;     // the optimiser's moments, which pass through the host a tensor at a time
    const pf_training_state *state;
} pf_checkpoint;

// Points RUN/best to the checkpoint of best_step, if there is one.
pf_status pf_checkpoint_point_to_best(const char *run, const pf_training_state *state);

pf_status pf_checkpoint_save(const char *run, const pf_checkpoint *checkpoint, int64_t keep);

// Errors: PF_ERROR_INPUT naming file and key or tensor.
pf_status pf_checkpoint_read_state(const char *checkpoint, pf_training_state *out);
pf_status pf_checkpoint_read_moments(const char *checkpoint, const pf_parameters *parameters,
                                     pf_trainer *trainer);

#endif
