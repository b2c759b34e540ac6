// The arms of an ablation over their seeds: means and deviations of what was measured, and the files and
// plots made of them. For tools/ablate_*.c only.
#ifndef TOOLS_ABLATE_GROUPS_H
#define TOOLS_ABLATE_GROUPS_H

#include "tools/ablate.h"
#include "tools/history.h"
#include "tools/output.h"
#include "tools/plot.h"

// Over the seeds of an arm; deviation 0 for one seed.
typedef struct pf_statistic {
    double mean, deviation;
    int count;
} pf_statistic;

// One more value; then, once, what they come to: deviation holds a sum of squares until it is finished.
void pf_statistic_add(pf_statistic *s, double value);
pf_statistic pf_statistic_finish(pf_statistic s);

// A point of an arm's validation curve. `point` counts evaluations; an arm that starts from a model has one
// more in front, before the first step.
typedef struct pf_arm_point {
    pf_statistic loss, perplexity, accuracy, tokens, seconds;
    int64_t step;
} pf_arm_point;

typedef struct pf_arm_group {
    const pf_arm *first;
    int n_seeds, n_failed, n_points;
    const char *failure; // of the first seed that failed
    pf_arm_point *point;
} pf_arm_group;

typedef struct pf_arm_groups {
    pf_arm_group *group;
    int count;
} pf_arm_groups;

// Errors: PF_ERROR_FAILED.
pf_status pf_arm_groups_create(const pf_ablation *ablation, pf_arm_groups *out);
void pf_arm_groups_free(pf_arm_groups *groups);

// DIR/NAME, a picture.
pf_status pf_ablation_write_picture(const pf_ablation *ablation, const char *name, const pf_plot *plot);

// DIR/NAME.
pf_status pf_ablation_open_file(const pf_ablation *ablation, const char *name, pf_output **out);

// Every point of every curve, as DIR/curves.tsv.
pf_status pf_ablation_write_curves(const pf_ablation *ablation, const pf_arm_groups *groups);

// A table into DIR/NAME, or on stdout where `name` is NULL.
pf_status pf_ablation_write_table(const pf_ablation *ablation, const char *name, const pf_arm_groups *groups,
                                  void (*print)(pf_output *out, const pf_arm_groups *groups));

// Columns that the longest label takes, of tables for people.
int pf_ablation_label_width(const pf_arm_groups *groups);

// "finite", or how many seeds were not and why.
void pf_ablation_print_failure(pf_output *out, const pf_arm_group *group);

// Validation loss against tokens or seconds, as DIR/NAME; dashed without renormalisation.
typedef struct pf_ablation_plot {
    const char *name, *title;
    bool by_time;
} pf_ablation_plot;

pf_status pf_ablation_plot_losses(const pf_ablation *ablation, const pf_arm_groups *groups,
                                  const pf_ablation_plot *plot);

#endif
