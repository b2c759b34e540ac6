// Receiver operating characteristics. See roc_plot.h.
#include "tools/roc_plot.h"

#include <math.h>
#include <stdlib.h>

#include "tools/plot.h"
#include "tools/report.h"

typedef struct scored {
    double score;
    bool is_positive;
} scored;

// Shares of the others and of the class above each threshold, corners only.
typedef struct characteristic {
    double *x, *y;
    int count;
    double area;
    char *name;
} characteristic;

static int compare(const void *a, const void *b)
{
    const double left = ((const scored *)a)->score, right = ((const scored *)b)->score;
    return (left < right) - (left > right);
}

static scored *sorted(const pf_roc *roc, int of, int64_t *count)
{
    scored *all = malloc(((size_t)roc->n + 1) * sizeof *all);
    *count = 0;
    for (int64_t i = 0; all && i < roc->n; i++)
        if (roc->label[i] >= 0)
            all[(*count)++] = (scored){roc->score[i * roc->n_classes + of], roc->label[i] == of};
    if (all) qsort(all, (size_t)*count, sizeof *all, compare);
    return all;
}

// A point in line with the two before it takes the place of the last one.
static void add_point(characteristic *c, double x, double y)
{
    const int n = c->count;
    if (n > 1 && ((c->x[n - 2] == x && c->x[n - 1] == x) || (c->y[n - 2] == y && c->y[n - 1] == y)))
        c->count--;
    c->x[c->count] = x;
    c->y[c->count++] = y;
}

// Those of one score pass the threshold together: between them the curve is a slope, and the area counts
// half.
static void trace(const scored *all, int64_t count, characteristic *c)
{
    int64_t positives = 0, found = 0, mistaken = 0;
    double area = 0;
    for (int64_t i = 0; i < count; i++) positives += all[i].is_positive;
    const double p = (double)positives, n = (double)(count - positives);
    c->count = 0;
    c->area = (double)NAN;
    if (positives == 0 || positives == count) return;
    add_point(c, 0, 0);
    for (int64_t i = 0; i < count;) {
        const int64_t found_before = found, mistaken_before = mistaken;
        const double score = all[i].score;
        for (; i < count && all[i].score == score; i++) all[i].is_positive ? found++ : mistaken++;
        area += (double)(mistaken - mistaken_before) * ((double)(found + found_before) / 2);
        add_point(c, (double)mistaken / n, (double)found / p);
    }
    c->area = area / (p * n);
}

static void free_characteristic(characteristic *c)
{
    free(c->x);
    free(c->y);
    free(c->name);
}

static pf_status make(const pf_roc *roc, int of, characteristic *c)
{
    int64_t count;
    scored *all = sorted(roc, of, &count);
    c->x = malloc(((size_t)count + 2) * sizeof *c->x);
    c->y = malloc(((size_t)count + 2) * sizeof *c->y);
    const bool fits = all && c->x && c->y;
    if (fits) trace(all, count, c);
    free(all);
    return fits ? PF_OK : pf_tool_fail(PF_ERROR_FAILED, "out of memory");
}

pf_status pf_roc_area(const pf_roc *roc, int of, double *area)
{
    characteristic c = {0};
    const pf_status status = make(roc, of, &c);
    if (status == PF_OK) *area = c.area;
    free_characteristic(&c);
    return status;
}

static pf_status name_curve(const pf_roc *roc, int of, characteristic *c)
{
    const int length = isnan(c->area) ? asprintf(&c->name, "%s: none, or no others", roc->class_name[of])
                                      : asprintf(&c->name, "%s: AUC %.3f", roc->class_name[of], c->area);
    if (length >= 0) return PF_OK;
    c->name = NULL;
    return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
}

pf_status pf_roc_plot_write(FILE *out, const pf_roc *roc)
{
    static const double ends[] = {0, 1};
    const int first = roc->n_classes == 2 ? 1 : 0, n = roc->n_classes - first;
    characteristic *made = calloc((size_t)n + 1, sizeof *made);
    pf_plot_curve *curve = calloc((size_t)n + 1, sizeof *curve);
    pf_status status = made && curve ? PF_OK : pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    for (int i = 0; status == PF_OK && i < n; i++) {
        status = make(roc, first + i, &made[i]);
        if (status == PF_OK) status = name_curve(roc, first + i, &made[i]);
        curve[i] = (pf_plot_curve){.name = made[i].name,
                                   .x = made[i].x,
                                   .y = made[i].y,
                                   .count = made[i].count,
                                   .has_no_marks = true};
    }
    if (status == PF_OK) {
        curve[n] = (pf_plot_curve){.x = ends, .y = ends, .count = 2, .is_dashed = true};
        pf_plot_write(out, &(pf_plot){.title = roc->title,
                                      .note = roc->note,
                                      .x_label = "false positive rate: others that are taken for the class",
                                      .y_label = "true positive rate: of the class, found",
                                      .y_low = -0.02,
                                      .y_high = 1.02,
                                      .curves = curve,
                                      .n_curves = n + 1});
    }
    for (int i = 0; made && i < n; i++) free_characteristic(&made[i]);
    free(made);
    free(curve);
    return status;
}
