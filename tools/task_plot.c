// Pictures of task models beside labels: ROC curves of classes, predictions against labels of values. See
// task_report.h.
#include <math.h>
#include <stdlib.h>

#include "tools/plot.h"
#include "tools/roc_plot.h"
#include "tools/task_report.h"

enum { MOST_POINTS = 20000 }; // of a cloud; more are thinned out evenly

static pf_status plot_classes(FILE *out, const struct pf_task_config *task, const pf_task_result *r,
                              const char *note)
{
    const char *names[PF_MAX_CLASSES];
    for (int c = 0; c < task->n_classes; c++) names[c] = task->class_name[c];
    return pf_roc_plot_write(out, &(pf_roc){.title = "Receiver operating characteristic",
                                            .note = note,
                                            .score = r->value,
                                            .label = r->target,
                                            .n = (int64_t)r->metrics.count,
                                            .n_classes = task->n_classes,
                                            .class_name = names});
}

static pf_status plot_values(FILE *out, const pf_task_result *r, const char *note)
{
    const size_t count = (size_t)r->metrics.count, step = (count + MOST_POINTS - 1) / MOST_POINTS;
    double *x = malloc(2 * (count / step + 1) * sizeof *x), ends[2] = {(double)INFINITY, -(double)INFINITY};
    if (!x) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    double *y = x + count / step + 1;
    int n = 0;
    for (size_t i = 0; i < count; i += step, n++) {
        x[n] = r->label[i];
        y[n] = r->value[i];
        if (x[n] < ends[0]) ends[0] = x[n];
        if (x[n] > ends[1]) ends[1] = x[n];
    }
    const pf_plot_curve curves[] = {
        {.x = x, .y = y, .count = n, .is_cloud = true},
        {.name = "equal", .x = ends, .y = ends, .count = 2, .is_dashed = true, .has_no_marks = true}};
    pf_plot_write(out, &(pf_plot){.title = "Predictions against labels",
                                  .note = note,
                                  .x_label = "label",
                                  .y_label = "prediction",
                                  .curves = curves,
                                  .n_curves = 2});
    free(x);
    return PF_OK;
}

pf_status pf_task_plot(const char *path, const struct pf_task_config *task, const pf_task_result *r)
{
    const pf_task_metrics *m = &r->metrics;
    const bool has_classes = task->type == PF_TASK_CLASSIFICATION;
    const char *const of = task->level == PF_TASK_RESIDUE ? "residues" : "sequences";
    char note[160];
    pf_output *out = NULL;
    if (!path) return PF_OK;
    if (has_classes)
        snprintf(note, sizeof note, "%llu %s; balanced accuracy %.3f, MCC %.3f", (unsigned long long)m->count,
                 of, m->balanced_accuracy, m->mcc);
    else
        snprintf(note, sizeof note, "%llu %s; Spearman %.3f, Pearson %.3f, R2 %.3f",
                 (unsigned long long)m->count, of, m->spearman, m->pearson, m->r2);
    pf_status status = pf_output_open(path, &out);
    if (status != PF_OK) return status;
    status = has_classes ? plot_classes(pf_output_stream(out), task, r, note)
                         : plot_values(pf_output_stream(out), r, note);
    if (status == PF_OK) return pf_output_commit(out);
    pf_output_discard(out);
    return status;
}
