// What a model with a head for labels says about labelled sequences, gathered batch by batch.
#ifndef PF_INFER_TASK_ANSWERS_H
#define PF_INFER_TASK_ANSWERS_H

#include "data/metrics.h"
#include "model/performer.h"

typedef struct pf_task_answers {
    size_t count;
    int32_t *target;
    double *label;
    float *output, *logits; // of labelled rows; of a batch
    size_t target_capacity, label_capacity, output_capacity, logits_capacity;
} pf_task_answers; // zero-initialise it; count 0 empties it

void pf_task_answers_free(pf_task_answers *answers);

// Adds the labelled rows of the batch that the last forward pass was of; before its loss. Waits.
pf_status pf_task_answers_add(pf_task_answers *answers, pf_model *model, const pf_batch *batch);

// `confusion`: [C,C] or NULL; see data/metrics.h. Errors: PF_ERROR_INPUT without a label.
pf_status pf_task_answers_measure(const pf_task_answers *answers, const struct pf_task_config *task,
                                  uint64_t *confusion, pf_task_metrics *out);

// Log loss of a classification with a weight for each class [C]; after one answer at least.
double pf_task_answers_loss(const pf_task_answers *answers, const struct pf_task_config *task,
                            const float *weight);

#endif
