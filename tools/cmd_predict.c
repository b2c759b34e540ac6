// performer predict: what a trained head says about sequences or their residues.
#include <inttypes.h>
#include <string.h>

#include "performer/predict.h"
#include "tools/commands.h"
#include "tools/device.h"
#include "tools/output.h"
#include "tools/report.h"
#include "tools/stop.h"
#include "tools/stream.h"
#include "tools/task_report.h"

typedef struct predict_options {
    pf_common common;
    pf_stream_flags stream;
    pf_label_flags labels;
    const char *output, *positive, *json;
    double threshold;
    bool resume;
} predict_options;

#define AT(field) offsetof(predict_options, field)

static const pf_option table[] = {
    {.name = "threshold",
     .type = PF_OPTION_NUMBER,
     .value = "P",
     .low = 1e-12,
     .high = 1,
     .at = AT(threshold),
     .help = "of two classes, predict the positive one where its probability is at least P; by default the "
             "likelier"},
    {.name = "positive",
     .type = PF_OPTION_TEXT,
     .value = "CLASS",
     .at = AT(positive),
     .help = "which of two classes is the positive one; by default the second"},
    PF_LABEL_ROWS(AT(labels)),
    {.name = "json",
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(json),
     .help = "with --labels: write the figures to FILE as JSON"},
    PF_OUTPUT_ROW(AT(output)),
    PF_RESUME_ROW(AT(resume)),
    PF_STREAM_ROWS(AT(stream)),
    {0},
};

static void print_header(pf_output *out, const struct pf_task_config *task)
{
    pf_output_print(out, task->level == PF_TASK_RESIDUE ? "id\tposition\tresidue\tprediction"
                                                        : "id\tlength\tprediction");
    for (int c = 0; c < task->n_classes; c++) {
        pf_output_print(out, "\t");
        pf_output_plain_text(out, task->class_name[c], strlen(task->class_name[c]));
    }
    pf_output_print(out, "\n");
}

// What is predicted, and of classes their probabilities.
static void print_values(pf_output *out, const struct pf_task_config *task, const pf_prediction *p,
                         uint64_t row)
{
    if (task->type == PF_TASK_REGRESSION) {
        pf_output_print(out, "\t%.9g\n", p->value[row]);
        return;
    }
    const char *name = task->class_name[p->choice[row]];
    pf_output_print(out, "\t");
    pf_output_plain_text(out, name, strlen(name));
    for (int c = 0; c < task->n_classes; c++)
        pf_output_print(out, "\t%.9g", p->value[row * (uint64_t)task->n_classes + (uint64_t)c]);
    pf_output_print(out, "\n");
}

static void print_prediction(pf_output *out, const struct pf_task_config *task, const pf_prediction *p)
{
    for (uint64_t row = 0; row < p->n_rows; row++) {
        pf_output_plain_text(out, p->id, p->id_length);
        if (p->residue)
            pf_output_print(out, "\t%" PRIu64 "\t%c", row + 1, p->residue[row]);
        else
            pf_output_print(out, "\t%" PRIu64, p->length);
        print_values(out, task, p, row);
    }
}

// What is open while predictions are made.
typedef struct job {
    const predict_options *o;
    pf_model *model;
    pf_predict *predict;
    pf_task_evaluation *evaluation; // NULL: without labels
    pf_output *out;
} job;

static pf_status take_predictions(job *j, const pf_prediction *predictions, size_t count, uint64_t *residues)
{
    for (size_t i = 0; i < count; i++) {
        print_prediction(j->out, &pf_model_config(j->model)->task, &predictions[i]);
        *residues += predictions[i].length;
    }
    return j->evaluation ? pf_task_evaluation_add(j->evaluation, predictions, count) : PF_OK;
}

static pf_status run_steps(job *j)
{
    const pf_common *common = &j->o->common;
    const double began = pf_tool_seconds();
    const bool has_progress = j->o->output != NULL; // else the table itself may be on the terminal
    const pf_prediction *predictions;
    uint64_t sequences = 0, residues = 0;
    size_t count;
    pf_status status = PF_OK;
    const char *warning;
    print_header(j->out, &pf_model_config(j->model)->task);
    while (status == PF_OK && !pf_output_failed(j->out)) {
        status = pf_predict_step(j->predict, &predictions, &count);
        if (status == PF_OK) status = take_predictions(j, predictions, count, &residues);
        if (status != PF_OK || !has_progress) continue;
        sequences += count;
        pf_tool_print_progress(common, sequences, residues + 2 * sequences, pf_tool_seconds() - began);
    }
    if (has_progress) pf_tool_end_progress(common);
    for (size_t i = 0; (warning = pf_predict_warning(j->predict, i)); i++) pf_warn(common, "%s", warning);
    return status == PF_END ? PF_OK : status;
}

// The number of the class that --positive names.
static pf_status find_positive(const predict_options *o, const struct pf_task_config *task, int32_t *out)
{
    *out = 1;
    if (!o->positive || task->type == PF_TASK_NONE)
        return PF_OK; // a language model is refused by its own words
    if (task->n_classes != 2)
        return pf_tool_fail(PF_ERROR_USAGE, "--positive is for a model of two classes, this one has %d",
                            task->n_classes);
    for (int c = 0; c < 2; c++) {
        *out = c;
        if (strcmp(task->class_name[c], o->positive) == 0) return PF_OK;
    }
    return pf_tool_fail(PF_ERROR_USAGE, "--positive %.64s: the classes are %s and %s", o->positive,
                        task->class_name[0], task->class_name[1]);
}

static pf_status open_job(job *j, pf_device *device)
{
    const predict_options *o = j->o;
    pf_predict_options options = {.threshold = o->threshold, .resume = o->resume};
    if (o->resume) {
        options.output = o->output;
        options.stop = pf_tool_catch_stop();
    }
    pf_status status = pf_tool_stream(&o->common, &o->stream, &options.stream);
    if (status == PF_OK)
        status = pf_tool_model_open(&o->common, &o->stream, device, (pf_model_options){0}, &j->model);
    if (status == PF_OK) status = find_positive(o, &pf_model_config(j->model)->task, &options.positive);
    if (status == PF_OK) status = pf_predict_open(j->model, &options, &j->predict);
    if (status == PF_OK)
        status = pf_label_flags_open(&o->common, &o->labels, j->model, o->threshold > 0, &j->evaluation);
    return status;
}

// To --json, else to stdout, where the predictions are not.
static pf_status write_figures(const job *j, const pf_task_result *result)
{
    const struct pf_task_config *task = &pf_model_config(j->model)->task;
    const pf_status status = pf_task_report_write(j->o->json, j->o->json != NULL, task, result);
    return status == PF_OK ? pf_task_plot(j->o->labels.plot, task, result) : status;
}

static pf_status write_table(job *j, pf_task_result *result)
{
    pf_status status = pf_output_open(j->o->output, &j->out);
    if (status == PF_OK) status = run_steps(j);
    if (status == PF_OK && j->evaluation)
        status = pf_task_report_finish(&j->o->common, j->evaluation, result);
    if (status == PF_OK) {
        status = pf_output_commit(j->out);
        j->out = NULL;
    }
    pf_output_discard(j->out);
    return status == PF_OK ? pf_predict_finish(j->predict) : status;
}

static pf_status write_predictions(const predict_options *o, pf_device *device)
{
    const bool is_done = o->resume && pf_stream_is_done(o->output);
    job j = {.o = o};
    pf_task_result result;
    pf_status status = open_job(&j, device);
    if (status == PF_OK && is_done)
        pf_tell(&o->common, "%s is there already", o->output);
    else if (status == PF_OK)
        status = write_table(&j, &result);
    if (status == PF_OK && j.evaluation) status = write_figures(&j, &result);
    pf_task_evaluation_close(j.evaluation);
    pf_predict_close(j.predict);
    pf_model_close(j.model);
    return status;
}

static pf_status check(const predict_options *o)
{
    if (o->json && !o->labels.labels)
        return pf_tool_fail(PF_ERROR_USAGE, "--json is for the figures of --labels TSV: give these too");
    const bool is_stdout = !o->output || !strcmp(o->output, "-");
    if (o->labels.labels && is_stdout && !o->json)
        return pf_tool_fail(PF_ERROR_USAGE,
                            "--labels prints figures where the predictions go: give these a file with -o, "
                            "or the figures one with --json");
    if (o->resume && is_stdout)
        return pf_tool_fail(PF_ERROR_USAGE, "--resume needs a file to go on with; give -o FILE");
    if (o->resume && o->labels.labels)
        return pf_tool_fail(PF_ERROR_USAGE,
                            "--resume predicts once, --labels measures each time: leave out one; "
                            "performer eval MODEL FASTA... --labels TSV measures, too");
    return pf_label_flags_check(&o->labels);
}

static pf_status run(void *given)
{
    const predict_options *o = given;
    pf_device *device = NULL;
    pf_status status = check(o);
    if (status == PF_OK) status = pf_tool_device_open(&o->common, &device);
    if (status != PF_OK) return status;
    return pf_tool_device_close(&o->common, device, write_predictions(o, device));
}

const pf_command pf_command_predict = {
    .name = "predict",
    .summary = "predict a user's labels for sequences or residues",
    .operands = "MODEL FASTA...",
    .details =
        "MODEL has a head for labels: `performer train --task classification --labels TSV` makes one.\n"
        "Prints a table with a header row: id, length, prediction, and of classes a column for each\n"
        "with its probability. A model of residues has a line for each residue: id, position (from 1),\n"
        "residue, prediction and probabilities. Of a regression the prediction is in the labels'\n"
        "units. Sequences longer than the model allows are cut; with --long window a sequence's\n"
        "prediction is the mean over its windows, each counting with its residues.\n"
        "With --labels the predictions are measured: correlations and errors of a regression; of\n"
        "classes accuracy, MCC, AUC and more, and the confusion matrix. Each figure has a 95 %\n"
        "interval, by samples of the sequences.",
    .example = "performer predict run proteins.fasta -o predictions.tsv\n"
               "performer predict run proteins.fasta --threshold 0.9 --positive secreted\n"
               "performer predict run test.fasta -o predictions.tsv --labels labels.tsv --plot roc.svg\n"
               "performer predict run proteins.fasta.gz --shard 3/8 -o part3.tsv",
    .options = table,
    .options_bytes = sizeof(predict_options),
    .min_operands = 2,
    .max_operands = -1,
    .run = run,
};
