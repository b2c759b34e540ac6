// A small model with weights in which mistakes show, and a batch of three sequences for it.
#ifndef TESTS_MODEL_SUBJECT_H
#define TESTS_MODEL_SUBJECT_H

#include "model/performer.h"

enum { SUBJECT_SEQUENCES = 3, SUBJECT_ROWS = 60 };

typedef struct subject {
    pf_model *model;
    const pf_parameters *params;
    float *trained;
} subject;

// Two layers of two heads without dropout, then `settings` up to the first that is NULL. The same weights for the same shapes.
subject subject_create(const char *const *settings, int n_settings, bool training);
void subject_free(subject *s);

// Fails unless after a batch the gradient of every tensor is that of the loss; the model is made for training.
void subject_check_gradients(const subject *s, const pf_batch *batch);

typedef struct subject_rows {
    int32_t start[SUBJECT_SEQUENCES + 1], token[SUBJECT_ROWS], target[SUBJECT_ROWS];
    uint64_t number[SUBJECT_SEQUENCES];
    pf_batch batch;
} subject_rows;

// Sequences of 17, 1 and 29 tokens, or only the one that is asked for (below 0: all); with masks for models that look at them.
void subject_rows_fill(subject_rows *r, int only, bool has_masks);

#endif
