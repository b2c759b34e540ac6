// Turns batches into progress: one optimiser step over the micro-batches of a step (gradient
// accumulation), and evaluation. Owns the optimiser's moments, lends the model.
#ifndef PF_TRAIN_TRAINER_H
#define PF_TRAIN_TRAINER_H

#include "model/performer.h"
#include "performer/batch.h"

typedef struct pf_trainer pf_trainer;

// `model` must have been made for training and outlive the trainer. The moments start at 0.
pf_status pf_trainer_create(pf_model *model, pf_trainer **out);
void pf_trainer_free(pf_trainer *trainer);

typedef struct pf_trainer_step_call {
    const pf_batch *micro; // [n_micro] the batches of the step
    size_t n_micro;
    uint64_t n_targets; // of all of them: the loss is the mean over these
    int64_t step;       // 1, 2, …
    double learning_rate;
} pf_trainer_step_call;

typedef struct pf_trainer_result {
    double loss, grad_norm; // before the update and before clipping
} pf_trainer_result;

// Forward, backward and update. Waits once, at the end. Errors: PF_ERROR_NUMERICAL when the loss or
// a gradient is not finite, naming the first such tensor: nothing was updated.
pf_status pf_trainer_step(pf_trainer *trainer, const pf_trainer_step_call *call, pf_trainer_result *out);

// The optimiser's state, in the layout of the parameters: `count` numbers of a moment from `first` on.
typedef enum pf_moment { PF_MOMENT_M, PF_MOMENT_V } pf_moment;
typedef struct pf_moment_range {
    pf_moment moment;
    size_t first, count;
} pf_moment_range;

pf_status pf_trainer_upload(pf_trainer *trainer, pf_moment_range range, const float *numbers);
pf_status pf_trainer_download(const pf_trainer *trainer, pf_moment_range range, float *numbers);

#endif
