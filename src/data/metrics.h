// Predictions beside labels, in double. What the figures are: performer/metrics.h.
//
// Sources: Gorodkin 2004, Comput. Biol. Chem. 28:367 (correlation of two K-class assignments); Hanley and
// McNeil 1982, Radiology 143:29 (AUC as the share of pairs in the right order, ties a half); Brodersen et al.
// 2010, ICPR (balanced accuracy).
#ifndef PF_DATA_METRICS_H
#define PF_DATA_METRICS_H

#include <stddef.h>

#include "base/status.h"
#include "performer/metrics.h"

// What was said of `count` labelled things.
typedef struct pf_answers {
    size_t count;
    int n_outputs;          // C of classification, 1 of regression
    const int32_t *target;  // [count] classification: classes
    const double *label;    // [count] regression: labels in their own units
    const float *output;    // [count,n_outputs] logits; of a regression (prediction - mean) / deviation
    double mean, deviation; // of a regression
} pf_answers;

// Errors: PF_ERROR_FAILED; PF_ERROR_INPUT without an answer.
pf_status pf_measure_regression(const pf_answers *answers, pf_task_metrics *out);
// `confusion`, [C,C] or NULL: how often label i was answered with class j.
pf_status pf_measure_classification(const pf_answers *answers, uint64_t *confusion, pf_task_metrics *out);

// Log loss with a weight for each class [C]: sum of weight times loss over the sum of weights. count > 0.
double pf_weighted_log_loss(const pf_answers *answers, const float *weight);

#endif
