// Reports of task models beside labels. See task_report.h.
#include "tools/task_report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "tools/report.h"
#include "tools/stream.h"

enum { MOST_CLASSES_SHOWN = 12 }; // columns of a confusion matrix that fit a terminal

static const char *const types[] = {"none", "regression", "classification"};
static const char *const levels[] = {"sequence", "residue"};

pf_status pf_label_flags_check(const pf_label_flags *flags)
{
    if (flags->labels || (!flags->column && !flags->plot)) return PF_OK;
    return pf_tool_fail(PF_ERROR_USAGE, "%s goes with --labels TSV: give these too",
                        flags->column ? "--label-column" : "--plot");
}

pf_status pf_label_flags_open(const pf_common *common, const pf_label_flags *flags, const pf_model *model,
                              bool has_threshold, pf_task_evaluation **out)
{
    const pf_task_evaluation_options options = {.labels = flags->labels,
                                                .column = flags->column,
                                                .seed = (uint64_t)common->seed,
                                                .has_threshold = has_threshold};
    if (!flags->labels) return PF_OK;
    return pf_task_evaluation_open(pf_model_config(model), &options, out);
}

pf_status pf_task_report_finish(const pf_common *common, pf_task_evaluation *evaluation, pf_task_result *out)
{
    char *warnings = NULL;
    const pf_status status = pf_task_evaluation_finish(evaluation, out, &warnings);
    if (status == PF_OK) pf_tool_warn_lines(common, warnings);
    return status;
}

// --- the table ----------------------------------------------------------------------------------

static void print_figure(pf_output *out, const char *name, double value, const double *interval)
{
    char words[32];
    snprintf(words, sizeof words, "%s", name);
    for (char *c = words; *c; c++)
        if (*c == '_') *c = ' ';
    pf_output_print(out, "%-18s", words);
    if (isnan(value))
        pf_output_print(out, " %10s\n", "-");
    else if (interval && isfinite(interval[0]))
        pf_output_print(out, " %10.4f  %.4f to %.4f\n", value, interval[0], interval[1]);
    else
        pf_output_print(out, " %10.4f\n", value);
}

static void print_confusion(pf_output *out, const struct pf_task_config *task, const uint64_t *confusion)
{
    const int C = task->n_classes;
    pf_output_print(out, "\n%-18s", "label \\ predicted");
    for (int c = 0; c < C; c++) pf_output_print(out, " %10.10s", task->class_name[c]);
    for (int label = 0; label < C; label++) {
        pf_output_print(out, "\n%-18.18s", task->class_name[label]);
        for (int c = 0; c < C; c++) pf_output_print(out, " %10" PRIu64, confusion[label * C + c]);
    }
    pf_output_print(out, "\n");
}

static void print_table(pf_output *out, const struct pf_task_config *task, const pf_task_result *r)
{
    const char *name;
    double value;
    pf_output_print(out, "%-18s %10s, %s\n", "task", types[task->type], levels[task->level]);
    pf_output_print(out, "%-18s %10" PRIu64, "sequences", r->sequences);
    if (r->unlabelled) pf_output_print(out, "  %" PRIu64 " more have no label", r->unlabelled);
    pf_output_print(out, "\n%-18s %10" PRIu64 "%s\n", "labels", r->metrics.count,
                    r->has_intervals ? "  behind the figures: 95 % bootstrap intervals over sequences" : "");
    for (int i = 0; (name = pf_task_metric(&r->metrics, i, &value)); i++) {
        double interval[2] = {0};
        pf_task_metric(&r->low, i, &interval[0]);
        pf_task_metric(&r->high, i, &interval[1]);
        print_figure(out, name, value, r->has_intervals ? interval : NULL);
    }
    if (r->metrics.undefined) pf_output_print(out, "-: %s\n", r->metrics.undefined);
    if (r->confusion && task->n_classes <= MOST_CLASSES_SHOWN) print_confusion(out, task, r->confusion);
}

// --- JSON ---------------------------------------------------------------------------------------

static void print_number(pf_output *out, double value)
{
    if (isfinite(value))
        pf_output_print(out, "%.17g", value);
    else
        pf_output_print(out, "null");
}

static void print_intervals(pf_output *out, const pf_task_result *r)
{
    const char *name;
    double low, high;
    pf_output_print(out, ",\n \"intervals\": {");
    for (int i = 0; (name = pf_task_metric(&r->low, i, &low)); i++) {
        pf_task_metric(&r->high, i, &high);
        pf_output_print(out, "%s\"%s\": [", i ? ", " : "", name);
        print_number(out, low);
        pf_output_print(out, ", ");
        print_number(out, high);
        pf_output_print(out, "]");
    }
    pf_output_print(out, "}");
}

static void print_classes(pf_output *out, const struct pf_task_config *task, const uint64_t *confusion)
{
    const int C = task->n_classes;
    pf_output_print(out, ",\n \"classes\": [");
    for (int c = 0; c < C; c++) {
        pf_output_print(out, c ? ", " : "");
        pf_output_json_text(out, task->class_name[c], strlen(task->class_name[c]));
    }
    pf_output_print(out, "],\n \"confusion\": [");
    for (int i = 0; i < C * C; i++)
        pf_output_print(out, "%s%" PRIu64 "%s",
                        i % C ? ", "
                        : i   ? ", ["
                              : "[",
                        confusion[i], i % C == C - 1 ? "]" : "");
    pf_output_print(out, "]");
}

static void print_json(pf_output *out, const struct pf_task_config *task, const pf_task_result *r)
{
    const char *name;
    double value;
    pf_output_print(out,
                    "{\"task\": \"%s\", \"level\": \"%s\", \"sequences\": %" PRIu64
                    ", \"unlabelled\": %" PRIu64 ", \"labels\": %" PRIu64,
                    types[task->type], levels[task->level], r->sequences, r->unlabelled, r->metrics.count);
    for (int i = 0; (name = pf_task_metric(&r->metrics, i, &value)); i++) {
        pf_output_print(out, ", \"%s\": ", name);
        print_number(out, value);
    }
    if (r->has_intervals) print_intervals(out, r);
    if (r->confusion) print_classes(out, task, r->confusion);
    pf_output_print(out, "}\n");
}

pf_status pf_task_report_write(const char *path, bool as_json, const struct pf_task_config *task,
                               const pf_task_result *result)
{
    pf_output *out;
    const pf_status status = pf_output_open(path, &out);
    if (status != PF_OK) return status;
    if (as_json)
        print_json(out, task, result);
    else
        print_table(out, task, result);
    return pf_output_commit(out);
}
