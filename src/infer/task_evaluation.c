// Predictions held against a user's labels: figures and their bootstrap intervals. See performer/evaluate.h.
//
// Intervals: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentiles). Sequences
// are drawn, not residues: those of one protein are no independent witnesses.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"
#include "data/labels.h"
#include "data/metrics.h"
#include "performer/evaluate.h"

enum {
    SAMPLES = 1000,
    LEAST_SAMPLES = 100,       // fewer say nothing of the outer 2.5 %
    MOST_DRAWN = 10 * 1000000, // labels in all samples: some seconds
    MOST_FIGURES = 16,         // of pf_task_metric
};

// Labels and what was said, flat.
typedef struct rows {
    double *value;   // [count,C] as in pf_prediction
    float *output;   // [count,C] the same as pf_answers wants it
    double *label;   // [count] of a regression
    int32_t *target; // [count] of classes
    int32_t *choice; // [count]
    size_t value_capacity, output_capacity, label_capacity, target_capacity, choice_capacity, count;
} rows;

struct pf_task_evaluation {
    const struct pf_task_config *task;
    pf_task_evaluation_options options;
    pf_label_table *table;
    size_t C;
    rows all, drawn; // drawn: one bootstrap sample
    size_t *start;   // [n_sequences+1] rows of each sequence
    size_t start_capacity, n_sequences;
    uint64_t unlabelled;
    uint64_t *confusion;
};

static void free_rows(rows *r)
{
    pf_free(r->value);
    pf_free(r->output);
    pf_free(r->label);
    pf_free(r->target);
    pf_free(r->choice);
}

static pf_status open_all(pf_task_evaluation *e)
{
    void *memory = NULL;
    PF_CHECK(e->task->type != PF_TASK_NONE, PF_ERROR_USAGE,
             "labels are for a model with a head for them, this is a language model");
    PF_TRY(pf_grow((void **)&e->start, &e->start_capacity, 1, sizeof *e->start, "sequences"));
    e->start[0] = 0;
    PF_TRY(pf_alloc(&memory, e->C * e->C, sizeof *e->confusion, "confusion matrix"));
    e->confusion = memory;
    return pf_label_table_read(e->options.labels, e->options.column, &e->table);
}

pf_status pf_task_evaluation_open(const struct pf_config *config, const pf_task_evaluation_options *options,
                                  pf_task_evaluation **out)
{
    void *memory = NULL;
    *out = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_task_evaluation), "evaluation"));
    pf_task_evaluation *e = memory;
    e->task = &config->task;
    e->options = *options;
    e->C = (size_t)pf_config_outputs(config);
    const pf_status status = open_all(e);
    if (status == PF_OK)
        *out = e;
    else
        pf_task_evaluation_close(e);
    return status;
}

void pf_task_evaluation_close(pf_task_evaluation *e)
{
    if (!e) return;
    pf_label_table_free(e->table);
    free_rows(&e->all);
    free_rows(&e->drawn);
    pf_free(e->start);
    pf_free(e->confusion);
    pf_free(e);
}

// --- gathering ----------------------------------------------------------------------------------

static pf_status make_room(rows *r, size_t count, size_t C)
{
    PF_TRY(pf_grow((void **)&r->value, &r->value_capacity, count * C, sizeof *r->value, "predictions"));
    PF_TRY(pf_grow((void **)&r->output, &r->output_capacity, count * C, sizeof *r->output, "predictions"));
    PF_TRY(pf_grow((void **)&r->label, &r->label_capacity, count, sizeof *r->label, "labels"));
    PF_TRY(pf_grow((void **)&r->target, &r->target_capacity, count, sizeof *r->target, "labels"));
    return pf_grow((void **)&r->choice, &r->choice_capacity, count, sizeof *r->choice, "predictions");
}

// Figures are made of logits; finite ones also where a probability is too small for any number.
static float as_logit(double probability)
{
    return (float)log(probability > 1e-300 ? probability : 1e-300);
}

// Row `row` of a prediction, whose label is this.
static pf_status add_row(pf_task_evaluation *e, const pf_prediction *p, uint64_t row, int32_t target,
                         double label)
{
    rows *r = &e->all;
    const double *value = p->value + row * e->C;
    const bool has_classes = e->task->type == PF_TASK_CLASSIFICATION;
    PF_TRY(make_room(r, r->count + 1, e->C));
    memcpy(r->value + r->count * e->C, value, e->C * sizeof *value);
    for (size_t c = 0; c < e->C; c++)
        r->output[r->count * e->C + c] = has_classes ? as_logit(value[c]) : (float)value[c];
    r->label[r->count] = label;
    r->target[r->count] = target;
    r->choice[r->count++] = has_classes ? p->choice[row] : 0;
    return PF_OK;
}

// The labels of a sequence or of all its residues, those that the model did not see left out.
static pf_status read_labels(pf_task_evaluation *e, const pf_prediction *p, pf_label_reader *reader)
{
    const bool by_residue = e->task->level == PF_TASK_RESIDUE;
    uint64_t row = 0;
    pf_status status;
    int32_t target;
    double label = 0;
    for (; (status = pf_label_reader_next(reader, &target, &label)) == PF_OK; row++)
        if (target != PF_NO_TARGET && row < p->n_rows) PF_TRY(add_row(e, p, row, target, label));
    if (status != PF_END) return status;
    PF_CHECK(!by_residue || row == 0 || row == p->length, PF_ERROR_INPUT, "%llu labels for %llu residues",
             (unsigned long long)row, (unsigned long long)p->length);
    return PF_OK;
}

static pf_status add_prediction(pf_task_evaluation *e, const pf_prediction *p)
{
    char quoted[PF_QUOTE_BYTES];
    const pf_label_row *row = pf_label_table_find(e->table, p->id, p->id_length);
    const size_t before = e->all.count;
    pf_label_reader reader;
    if (row) {
        pf_label_reader_start(&reader, e->table, row, e->task);
        PF_TRY(pf_context(read_labels(e, p, &reader), "%s: line %zu, \"%s\"", e->table->path, row->line,
                          pf_quote(quoted, p->id, p->id_length)));
    }
    if (e->all.count == before) {
        e->unlabelled++;
        return PF_OK;
    }
    PF_TRY(
        pf_grow((void **)&e->start, &e->start_capacity, e->n_sequences + 2, sizeof *e->start, "sequences"));
    e->start[++e->n_sequences] = e->all.count;
    return PF_OK;
}

pf_status pf_task_evaluation_add(pf_task_evaluation *e, const pf_prediction *predictions, size_t count)
{
    for (size_t i = 0; i < count; i++) PF_TRY(add_prediction(e, &predictions[i]));
    return PF_OK;
}

// --- figures ------------------------------------------------------------------------------------

// With a threshold the class that was chosen need not be the likeliest: figures of choices are taken from
// these, those of probabilities stay.
static pf_status measure_choices(const pf_task_evaluation *e, rows *r, uint64_t *confusion,
                                 pf_task_metrics *m)
{
    pf_task_metrics chosen;
    for (size_t i = 0; i < r->count; i++)
        for (size_t c = 0; c < e->C; c++) r->output[i * e->C + c] = r->choice[i] == (int32_t)c;
    PF_TRY(pf_measure_classification(
        &(pf_answers){.count = r->count, .n_outputs = (int)e->C, .target = r->target, .output = r->output},
        confusion, &chosen));
    chosen.auc = m->auc;
    chosen.log_loss = m->log_loss;
    *m = chosen;
    for (size_t i = 0; i < r->count * e->C; i++) r->output[i] = as_logit(r->value[i]);
    return PF_OK;
}

static pf_status measure(const pf_task_evaluation *e, rows *r, uint64_t *confusion, pf_task_metrics *out)
{
    const pf_answers answers = {.count = r->count,
                                .n_outputs = (int)e->C,
                                .target = r->target,
                                .label = r->label,
                                .output = r->output,
                                .deviation = 1};
    if (e->task->type == PF_TASK_REGRESSION) return pf_measure_regression(&answers, out);
    PF_TRY(pf_measure_classification(&answers, confusion, out));
    return e->options.has_threshold ? measure_choices(e, r, confusion, out) : PF_OK;
}

// Sequences drawn with replacement, with all their rows.
static pf_status draw(pf_task_evaluation *e, size_t sample)
{
    rows *to = &e->drawn;
    const rows *from = &e->all;
    to->count = 0;
    for (size_t i = 0; i < e->n_sequences; i++) {
        const size_t s =
            (size_t)pf_random_below(e->n_sequences, e->options.seed, PF_RANDOM_BOOTSTRAP, sample, i);
        const size_t first = e->start[s], count = e->start[s + 1] - first;
        PF_TRY(make_room(to, to->count + count, e->C));
        memcpy(to->value + to->count * e->C, from->value + first * e->C, count * e->C * sizeof *to->value);
        memcpy(to->output + to->count * e->C, from->output + first * e->C, count * e->C * sizeof *to->output);
        memcpy(to->label + to->count, from->label + first, count * sizeof *to->label);
        memcpy(to->target + to->count, from->target + first, count * sizeof *to->target);
        memcpy(to->choice + to->count, from->choice + first, count * sizeof *to->choice);
        to->count += count;
    }
    return PF_OK;
}

static int compare(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

// The percentiles of each figure over the samples in which it has a meaning.
static void take_percentiles(double *figure, size_t samples, pf_task_result *out)
{
    const char *name;
    double value;
    out->low = out->high = out->metrics;
    for (int i = 0; (name = pf_task_metric(&out->metrics, i, &value)); i++) {
        double *values = figure + (size_t)i * samples;
        size_t count = 0;
        for (size_t s = 0; s < samples; s++)
            if (isfinite(values[s])) values[count++] = values[s];
        qsort(values, count, sizeof *values, compare);
        const bool has = count >= LEAST_SAMPLES && isfinite(value);
        pf_task_metric_set(&out->low, name, has ? values[count * 25 / 1000] : (double)NAN);
        pf_task_metric_set(&out->high, name, has ? values[count - 1 - count * 25 / 1000] : (double)NAN);
    }
}

static pf_status make_intervals(pf_task_evaluation *e, pf_task_result *out)
{
    const size_t affordable = MOST_DRAWN / e->all.count,
                 samples = affordable < SAMPLES ? affordable : SAMPLES;
    void *memory = NULL;
    pf_status status = PF_OK;
    if (e->n_sequences < 2 || samples < LEAST_SAMPLES) return PF_OK;
    PF_TRY(pf_alloc(&memory, samples * MOST_FIGURES, sizeof(double), "bootstrap samples"));
    double *figure = memory;
    for (size_t s = 0; s < samples && status == PF_OK; s++) {
        pf_task_metrics m;
        double value;
        status = draw(e, s);
        if (status == PF_OK) status = measure(e, &e->drawn, NULL, &m);
        for (int i = 0; status == PF_OK && i < MOST_FIGURES && pf_task_metric(&m, i, &value); i++)
            figure[(size_t)i * samples + s] = value;
    }
    if (status == PF_OK) take_percentiles(figure, samples, out);
    out->has_intervals = status == PF_OK;
    pf_free(memory);
    return status;
}

// Labels of records that are elsewhere are of interest only where some are missing here: one file may serve
// all splits.
static pf_status gather_warnings(const pf_task_evaluation *e, pf_text *warnings)
{
    if (e->unlabelled == 0) return PF_OK;
    PF_TRY(pf_text_add(warnings, "%s: no label for %llu of %llu sequences, which do not count\n",
                       e->table->path, (unsigned long long)e->unlabelled,
                       (unsigned long long)(e->unlabelled + e->n_sequences)));
    PF_TRY(pf_label_table_warn_unused(e->table, warnings));
    warnings->data[--warnings->length] = '\0'; // no line break behind the last
    return PF_OK;
}

pf_status pf_task_evaluation_finish(pf_task_evaluation *e, pf_task_result *out, char **warnings)
{
    const bool has_classes = e->task->type == PF_TASK_CLASSIFICATION;
    pf_task_result result = {.sequences = e->n_sequences, .unlabelled = e->unlabelled};
    pf_text text = {0};
    PF_CHECK(e->all.count > 0, PF_ERROR_INPUT,
             "%s: no label for any of %llu sequences; ids are in the first column", e->table->path,
             (unsigned long long)e->unlabelled);
    PF_TRY(measure(e, &e->all, e->confusion, &result.metrics));
    PF_TRY(make_intervals(e, &result));
    result.value = e->all.value;
    result.target = has_classes ? e->all.target : NULL;
    result.confusion = has_classes ? e->confusion : NULL;
    result.label = has_classes ? NULL : e->all.label;
    const pf_status status = gather_warnings(e, &text);
    if (status == PF_OK) *out = result;
    if (status == PF_OK && warnings)
        *warnings = text.data;
    else
        pf_text_free(&text);
    return status;
}
