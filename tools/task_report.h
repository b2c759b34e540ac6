// What `predict` and `eval` say of a task model beside labels: options, a table, JSON, a picture.
#ifndef TOOLS_TASK_REPORT_H
#define TOOLS_TASK_REPORT_H

#include "performer/evaluate.h"
#include "tools/options.h"
#include "tools/output.h"

typedef struct pf_label_flags {
    const char *labels, *column, *plot;
} pf_label_flags;

// Rows of an option table; `flags` is the place of a pf_label_flags in the command's options.
#define PF_LABEL_ROWS(flags)                                                                                 \
    {.name = "labels",                                                                                       \
     .type = PF_OPTION_TEXT,                                                                                 \
     .value = "TSV",                                                                                         \
     .at = (flags) + offsetof(pf_label_flags, labels),                                                       \
     .help = "hold a task model's predictions against these: a table with a header row, ids in the first "   \
             "column"},                                                                                      \
        {.name = "label-column",                                                                             \
         .type = PF_OPTION_TEXT,                                                                             \
         .value = "NAME",                                                                                    \
         .at = (flags) + offsetof(pf_label_flags, column),                                                   \
         .help = "the column of --labels that holds them; by default the second of two"},                    \
    {                                                                                                        \
        .name = "plot", .type = PF_OPTION_TEXT, .value = "FILE",                                             \
        .at = (flags) + offsetof(pf_label_flags, plot),                                                      \
        .help = "with --labels: an SVG, of classes their ROC curves, of values predictions against labels"   \
    }

// The others go with --labels. Errors: PF_ERROR_USAGE.
pf_status pf_label_flags_check(const pf_label_flags *flags);

// Reads the labels, so that what is wrong with them is known before the device computes.
pf_status pf_label_flags_open(const pf_common *common, const pf_label_flags *flags, const pf_model *model,
                              bool has_threshold, pf_task_evaluation **out);

// Measures, and prints warnings.
pf_status pf_task_report_finish(const pf_common *common, pf_task_evaluation *evaluation, pf_task_result *out);

// To the file `path`, NULL: stdout.
pf_status pf_task_report_write(const char *path, bool as_json, const struct pf_task_config *task,
                               const pf_task_result *result);
// An SVG; nothing where `path` is NULL.
pf_status pf_task_plot(const char *path, const struct pf_task_config *task, const pf_task_result *result);

#endif
