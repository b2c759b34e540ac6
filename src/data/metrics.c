// Figures of merit. See metrics.h.
#include "data/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

// --- ranks --------------------------------------------------------------------------------------

typedef struct ranked {
    double value;
    size_t place;
} ranked;

static int compare(const void *a, const void *b)
{
    const double left = ((const ranked *)a)->value, right = ((const ranked *)b)->value;
    return (left > right) - (left < right);
}

// rank[i] = the place of value[i] from 1, equal values share their mean. `scratch`: [count].
static void rank_values(const double *value, size_t count, ranked *scratch, double *rank)
{
    for (size_t i = 0; i < count; i++) scratch[i] = (ranked){value[i], i};
    qsort(scratch, count, sizeof *scratch, compare);
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && scratch[end].value == scratch[first].value;) end++;
        for (size_t i = first; i < end; i++) rank[scratch[i].place] = 0.5 * (double)(first + 1 + end);
    }
}

// --- regression ---------------------------------------------------------------------------------

// NaN where one of them is constant.
static double correlate(const double *x, const double *y, size_t count)
{
    double mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < count; i++) {
        mean_x += (x[i] - mean_x) / (double)(i + 1);
        mean_y += (y[i] - mean_y) / (double)(i + 1);
    }
    for (size_t i = 0; i < count; i++) {
        const double a = x[i] - mean_x, b = y[i] - mean_y;
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx) / sqrt(yy) : (double)NAN;
}

static bool is_constant(const double *value, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (value[i] != value[0]) return false;
    return true;
}

static void measure_errors(const double *label, const double *said, size_t count, pf_task_metrics *m)
{
    double mean = 0, squares = 0, deviations = 0, errors = 0;
    for (size_t i = 0; i < count; i++) mean += (label[i] - mean) / (double)(i + 1);
    for (size_t i = 0; i < count; i++) {
        squares += (said[i] - label[i]) * (said[i] - label[i]);
        deviations += (label[i] - mean) * (label[i] - mean);
        errors += fabs(said[i] - label[i]);
    }
    m->r2 = 1 - squares / deviations;
    m->rmse = sqrt(squares / (double)count);
    m->mae = errors / (double)count;
}

pf_status pf_measure_regression(const pf_answers *a, pf_task_metrics *out)
{
    PF_CHECK(a->count > 0, PF_ERROR_INPUT, "no label to measure predictions by");
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, a->count, 3 * sizeof(double) + sizeof(ranked), "ranks of predictions"));
    ranked *scratch = memory;
    double *said = (double *)(scratch + a->count), *label_rank = said + a->count,
           *said_rank = label_rank + a->count;
    for (size_t i = 0; i < a->count; i++) said[i] = a->mean + a->deviation * (double)a->output[i];
    pf_task_metrics m = {.type = PF_TASK_REGRESSION, .count = a->count};
    measure_errors(a->label, said, a->count, &m);
    rank_values(a->label, a->count, scratch, label_rank);
    rank_values(said, a->count, scratch, said_rank);
    m.pearson = m.spearman = (double)NAN;
    if (is_constant(a->label, a->count)) {
        m.undefined = "all labels are the same";
        m.r2 = (double)NAN;
    } else if (is_constant(said, a->count)) {
        m.undefined = "all predictions are the same";
    } else {
        m.pearson = correlate(a->label, said, a->count);
        m.spearman = correlate(label_rank, said_rank, a->count);
    }
    *out = m;
    pf_free(memory);
    return PF_OK;
}

// --- classification -----------------------------------------------------------------------------

static int best_class(const float *logit, int C)
{
    int best = 0;
    for (int c = 1; c < C; c++)
        if (logit[c] > logit[best]) best = c;
    return best;
}

static double log_of_sum(const float *logit, int C)
{
    const double most = (double)logit[best_class(logit, C)];
    double sum = 0;
    for (int c = 0; c < C; c++) sum += exp((double)logit[c] - most);
    return most + log(sum);
}

// Sums over the confusion matrix: hits, rows (labels) and columns (predictions).
typedef struct margins {
    double hits, labels[PF_MAX_CLASSES], answers[PF_MAX_CLASSES], diagonal[PF_MAX_CLASSES];
} margins;

static void sum_margins(const pf_answers *a, uint64_t *confusion, margins *s)
{
    memset(s, 0, sizeof *s);
    if (confusion) memset(confusion, 0, (size_t)a->n_outputs * (size_t)a->n_outputs * sizeof *confusion);
    for (size_t i = 0; i < a->count; i++) {
        const int label = a->target[i], said = best_class(a->output + i * (size_t)a->n_outputs, a->n_outputs);
        s->labels[label]++;
        s->answers[said]++;
        if (label == said) s->hits++, s->diagonal[label]++;
        if (confusion) confusion[(size_t)label * (size_t)a->n_outputs + (size_t)said]++;
    }
}

// Gorodkin 2004, equation 8, in sums over rows and columns.
static double correlate_classes(const margins *s, double count, int C)
{
    double agreed = s->hits * count, label_squares = count * count, answer_squares = count * count;
    for (int c = 0; c < C; c++) {
        agreed -= s->labels[c] * s->answers[c];
        label_squares -= s->labels[c] * s->labels[c];
        answer_squares -= s->answers[c] * s->answers[c];
    }
    return label_squares > 0 && answer_squares > 0 ? agreed / sqrt(label_squares) / sqrt(answer_squares)
                                                   : (double)NAN;
}

static void measure_margins(const margins *s, double count, int C, pf_task_metrics *m)
{
    int n_labels = 0, n_seen = 0, n_answers = 0;
    double recalls = 0, f1 = 0;
    for (int c = 0; c < C; c++) {
        n_answers += s->answers[c] > 0;
        if (s->labels[c] > 0) n_labels++, recalls += s->diagonal[c] / s->labels[c];
        if (s->labels[c] + s->answers[c] > 0)
            n_seen++, f1 += 2 * s->diagonal[c] / (s->labels[c] + s->answers[c]);
    }
    m->accuracy = s->hits / count;
    m->balanced_accuracy = recalls / n_labels;
    m->macro_f1 = f1 / n_seen;
    m->mcc = correlate_classes(s, count, C);
    if (n_labels == 1)
        m->undefined = "all labels are of one class";
    else if (n_answers == 1)
        m->undefined = "all predictions are of one class";
}

// Of class c against the rest: the share of pairs whose positive has the larger score. NaN without either.
static double area(const pf_answers *a, int c, const double *rank)
{
    double positives = 0, sum = 0;
    for (size_t i = 0; i < a->count; i++)
        if (a->target[i] == c) positives++, sum += rank[i];
    const double negatives = (double)a->count - positives;
    return positives > 0 && negatives > 0 ? (sum - 0.5 * positives * (positives + 1)) / positives / negatives
                                          : (double)NAN;
}

static double mean_area(const pf_answers *a, const double *log_sum, double *score, ranked *scratch)
{
    const int C = a->n_outputs;
    double sum = 0, n = 0;
    for (int c = C == 2 ? 1 : 0; c < C; c++) {
        for (size_t i = 0; i < a->count; i++) {
            const float *logit = a->output + i * (size_t)C;
            score[i] = C == 2 ? (double)logit[1] - (double)logit[0] : (double)logit[c] - log_sum[i];
        }
        rank_values(score, a->count, scratch, score);
        const double one = area(a, c, score);
        if (isfinite(one)) n++, sum += one;
    }
    return n > 0 ? sum / n : (double)NAN;
}

pf_status pf_measure_classification(const pf_answers *a, uint64_t *confusion, pf_task_metrics *out)
{
    PF_CHECK(a->count > 0, PF_ERROR_INPUT, "no label to measure predictions by");
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, a->count, 2 * sizeof(double) + sizeof(ranked), "ranks of predictions"));
    ranked *scratch = memory;
    double *log_sum = (double *)(scratch + a->count), *score = log_sum + a->count;
    pf_task_metrics m = {.type = PF_TASK_CLASSIFICATION, .count = a->count};
    margins sums;
    for (size_t i = 0; i < a->count; i++) {
        const float *logit = a->output + i * (size_t)a->n_outputs;
        log_sum[i] = log_of_sum(logit, a->n_outputs);
        m.log_loss += (log_sum[i] - (double)logit[a->target[i]]) / (double)a->count;
    }
    sum_margins(a, confusion, &sums);
    measure_margins(&sums, (double)a->count, a->n_outputs, &m);
    m.auc = mean_area(a, log_sum, score, scratch);
    *out = m;
    pf_free(memory);
    return PF_OK;
}

double pf_weighted_log_loss(const pf_answers *a, const float *weight)
{
    double sum = 0, weights = 0;
    for (size_t i = 0; i < a->count; i++) {
        const float *logit = a->output + i * (size_t)a->n_outputs;
        const double w = weight[a->target[i]];
        sum += w * (log_of_sum(logit, a->n_outputs) - (double)logit[a->target[i]]);
        weights += w;
    }
    return sum / weights;
}

// --- by name ------------------------------------------------------------------------------------

static const struct {
    pf_task_type type;
    const char *name;
    size_t at;
} figures[] = {
    {PF_TASK_REGRESSION, "spearman", offsetof(pf_task_metrics, spearman)},
    {PF_TASK_REGRESSION, "pearson", offsetof(pf_task_metrics, pearson)},
    {PF_TASK_REGRESSION, "r2", offsetof(pf_task_metrics, r2)},
    {PF_TASK_REGRESSION, "rmse", offsetof(pf_task_metrics, rmse)},
    {PF_TASK_REGRESSION, "mae", offsetof(pf_task_metrics, mae)},
    {PF_TASK_CLASSIFICATION, "accuracy", offsetof(pf_task_metrics, accuracy)},
    {PF_TASK_CLASSIFICATION, "balanced_accuracy", offsetof(pf_task_metrics, balanced_accuracy)},
    {PF_TASK_CLASSIFICATION, "mcc", offsetof(pf_task_metrics, mcc)},
    {PF_TASK_CLASSIFICATION, "auc", offsetof(pf_task_metrics, auc)},
    {PF_TASK_CLASSIFICATION, "macro_f1", offsetof(pf_task_metrics, macro_f1)},
    {PF_TASK_CLASSIFICATION, "log_loss", offsetof(pf_task_metrics, log_loss)},
};

const char *pf_task_metric(const pf_task_metrics *metrics, int i, double *value)
{
    for (size_t f = 0; f < sizeof figures / sizeof *figures; f++) {
        if (figures[f].type != metrics->type || i-- > 0) continue;
        memcpy(value, (const char *)metrics + figures[f].at, sizeof *value);
        return figures[f].name;
    }
    return NULL;
}

bool pf_task_metric_set(pf_task_metrics *metrics, const char *name, double value)
{
    for (size_t f = 0; f < sizeof figures / sizeof *figures; f++) {
        if (figures[f].type != metrics->type || strcmp(figures[f].name, name) != 0) continue;
        memcpy((char *)metrics + figures[f].at, &value, sizeof value);
        return true;
    }
    return false;
}
