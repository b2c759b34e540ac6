// How well a head answers: figures of merit of predictions beside labels.
//
// A figure that has no meaning for the data (a correlation with predictions that are all the same, an AUC
// where one class alone occurs) is NaN, in JSON null, and `undefined` says why.
#ifndef PERFORMER_METRICS_H
#define PERFORMER_METRICS_H

#include <stdint.h>

#include "performer/config.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_task_metrics {
    pf_task_type type;
    uint64_t count; // labelled sequences or residues
    // Regression, in the labels' units. Ties have their average rank; r2 = 1 - sum of squared errors / sum of
    // squared deviations from the labels' mean.
    double spearman, pearson, r2, rmse, mae;
    // Classification. Balanced accuracy: mean recall of the classes that occur among the labels. Macro F1:
    // mean over the classes that occur among labels or predictions. MCC: Gorodkin's for any number of
    // classes. AUC: of the second class against the first; with more classes the mean of each against the
    // rest. Log loss: nats.
    double accuracy, balanced_accuracy, macro_f1, mcc, auc, log_loss;
    const char *undefined; // why a figure is NaN, NULL: none is
} pf_task_metrics;

// The figures of metrics->type by name, in an order for tables: name and value of the i-th, NULL behind the
// last.
PF_API const char *pf_task_metric(const pf_task_metrics *metrics, int i, double *value);
// Sets the figure of that name; false: there is none.
PF_API bool pf_task_metric_set(pf_task_metrics *metrics, const char *name, double value);

#ifdef __cplusplus
}
#endif
#endif
