// performer report: a run as one page of HTML that opens anywhere.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/commands.h"
#include "tools/device.h"
#include "tools/fasta_input.h"
#include "tools/output.h"
#include "tools/report_page.h"
#include "tools/stream.h"

typedef struct report_options {
    pf_common common;
    pf_texts fasta, train;
    const char *output, *learning_curve, *approximation, *maps;
    bool baseline, no_evaluation;
} report_options;

#define AT(field) offsetof(report_options, field)

static const pf_option table[] = {
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(output),
     .required = true,
     .help = "the page; FILE is replaced once all is done"},
    {.name = "fasta",
     .type = PF_OPTION_FILES,
     .value = "FASTA...",
     .at = AT(fasta),
     .help = "sequences for the results by letter and length; by default the run's validation files"},
    {.name = "no-eval",
     .type = PF_OPTION_FLAG,
     .at = AT(no_evaluation),
     .help = "leave these results out; needs no device"},
    {.name = "baseline",
     .type = PF_OPTION_FLAG,
     .at = AT(baseline),
     .help = "measure n-grams too, fitted on --train"},
    {.name = "train",
     .type = PF_OPTION_FILES,
     .value = "FASTA...",
     .at = AT(train),
     .help = "sequences for --baseline; by default the run's training files"},
    {.name = "approx",
     .type = PF_OPTION_TEXT,
     .value = "DIR",
     .at = AT(approximation),
     .help = "show what performer approx wrote there"},
    {.name = "maps",
     .type = PF_OPTION_TEXT,
     .value = "DIR",
     .at = AT(maps),
     .help = "show what performer attention-map wrote there"},
    {.name = "learning-curve",
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(learning_curve),
     .help = "write the learning curve as an SVG file of its own too"},
    {0},
};

static bool has_stdin(const char *const *files, int count)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(files[i], "-")) return true;
    return false;
}

// Looks whether a run's files are there, and are what they were.
static pf_data_state look_at(const pf_common *common, const pf_run_files *files, pf_data_facts *facts)
{
    if (files->count == 0) return PF_DATA_NONE;
    if (has_stdin((const char *const *)files->file, files->count)) return PF_DATA_GONE;
    if (pf_data_describe((const char *const *)files->file, files->count, facts) != PF_OK) {
        pf_warn(common, "%s", pf_error_message());
        return PF_DATA_GONE;
    }
    return strcmp(facts->fingerprint, files->fingerprint) == 0 ? PF_DATA_SAME : PF_DATA_CHANGED;
}

static const char *why_not_measured(const report_options *o, const pf_report *r)
{
    if (o->no_evaluation) return "Not measured: --no-eval was given.";
    if (r->run->checkpoint_step < 0) return "Not measured: the run has no checkpoint yet.";
    if (r->run->config.task.type != PF_TASK_NONE)
        return "Not measured: the model has a head for labels; performer eval with --labels measures it on "
               "others.";
    if (o->fasta.count) return NULL;
    switch (r->valid_state) {
    case PF_DATA_SAME:
        return NULL;
    case PF_DATA_NONE:
        return "Not measured: the run has no validation data; give sequences with --fasta.";
    case PF_DATA_CHANGED:
        return "Not measured: the validation files hold other sequences now; give sequences with --fasta.";
    default:
        return "Not measured: the validation files are not there now; give sequences with --fasta.";
    }
}

// What the baselines are fitted on.
static pf_status choose_training(const report_options *o, const pf_report *r, pf_evaluate_options *out)
{
    if (!o->baseline) return PF_OK;
    if (o->train.count) {
        out->train_files = (const char *const *)o->train.item;
        out->n_train_files = o->train.count;
    } else if (r->train_state == PF_DATA_SAME) {
        out->train_files = (const char *const *)r->run->train.file;
        out->n_train_files = r->run->train.count;
    } else {
        return pf_tool_fail(
            PF_ERROR_USAGE,
            "report: --baseline counts letters in the run's training files, and these are not "
            "there as they were; give --train FASTA...");
    }
    return PF_OK;
}

static pf_status evaluate(const report_options *o, const pf_report *r, pf_evaluate_result *result)
{
    pf_evaluate_options options = {
        .files = r->result_files,
        .n_files = r->n_result_files,
        .seed = (uint64_t)(o->common.seed_given ? o->common.seed
                                                : r->run->config.train.seed), // masks as in training
        .groups = true,
    };
    pf_device *device = NULL;
    pf_model *model = NULL;
    char *warnings = NULL;
    pf_status status = choose_training(o, r, &options);
    if (status == PF_OK) status = pf_tool_device_open(&o->common, &device);
    if (status != PF_OK) return status;
    status = pf_tool_model_open(&o->common, &(pf_stream_flags){0}, device, (pf_model_options){0}, &model);
    if (status == PF_OK) status = pf_evaluate(model, &options, result, &warnings);
    pf_tool_warn_lines(&o->common, warnings);
    pf_model_close(model);
    return pf_tool_device_close(&o->common, device, status);
}

static pf_status measure(const report_options *o, pf_report *r, pf_evaluate_result *result)
{
    r->result_reason = why_not_measured(o, r);
    if (r->result_reason) {
        if (!o->no_evaluation) pf_warn(&o->common, "%s", r->result_reason);
        return PF_OK;
    }
    r->is_own_valid = o->fasta.count == 0;
    r->result_files =
        r->is_own_valid ? (const char *const *)r->run->valid.file : (const char *const *)o->fasta.item;
    r->n_result_files = r->is_own_valid ? r->run->valid.count : o->fasta.count;
    const pf_status status = evaluate(o, r, result);
    if (status == PF_OK) r->result = result;
    return status;
}

static pf_status write_page(FILE *out, const pf_report *r)
{
    char title[200];
    snprintf(title, sizeof title, "Training run %.120s", r->name);
    pf_page_begin(out, title);
    pf_report_facts(out, r);
    pf_report_learning(out, r);
    pf_report_results(out, r);
    pf_report_speed(out, r);
    pf_status status = pf_report_directory(out, "Approximation error", r->approximation,
                                           "Not asked for: performer approx measures how near FAVOR comes to "
                                           "exact attention; its directory goes here with --approx.");
    if (status == PF_OK)
        status = pf_report_directory(out, "Attention maps", r->maps,
                                     "Not asked for: performer attention-map shows where the heads look; its "
                                     "directory goes here with --maps.");
    pf_page_end(out);
    return status;
}

static pf_status write_curve(FILE *out, const pf_report *r)
{
    pf_report_learning_curve(out, r, pf_plot_write);
    return PF_OK;
}

// Writes to memory first, so that a page that fails half-way replaces nothing.
static pf_status write_file(const char *path, const pf_report *r,
                            pf_status (*write)(FILE *out, const pf_report *r))
{
    char *text = NULL;
    size_t size = 0;
    pf_output *output = NULL;
    FILE *memory = open_memstream(&text, &size);
    if (!memory) return pf_tool_fail(PF_ERROR_FAILED, "%s: %s", path, strerror(errno));
    pf_status status = write(memory, r);
    if (fclose(memory) != 0 && status == PF_OK)
        status = pf_tool_fail(PF_ERROR_FAILED, "%s: %s", path, strerror(errno));
    if (status == PF_OK) status = pf_output_open(path, &output);
    if (status == PF_OK) {
        pf_output_write(output, text, size);
        status = pf_output_commit(output);
    }
    free(text);
    return status;
}

static bool has_file(const char *directory, const char *name)
{
    char *path = NULL;
    const bool is_there = asprintf(&path, "%s/%s", directory, name) >= 0 && access(path, F_OK) == 0;
    free(path);
    return is_there;
}

// What people call the run: the last part of its path.
static char *name_of(const char *path)
{
    char *whole = realpath(path, NULL);
    char *name = strdup(whole && strrchr(whole, '/') ? strrchr(whole, '/') + 1 : path);
    free(whole);
    return name;
}

static pf_status make(const report_options *o, pf_report *r)
{
    pf_evaluate_result result;
    r->has_failed_step = has_file(o->common.operands[0], "failed-step.json");
    r->train_state = look_at(&o->common, &r->run->train, &r->train);
    r->valid_state = look_at(&o->common, &r->run->valid, &r->valid);
    pf_status status = pf_history_create(r->run, &r->history);
    if (status == PF_OK) status = measure(o, r, &result);
    if (status == PF_OK) status = write_file(o->output, r, write_page);
    if (status == PF_OK && o->learning_curve) status = write_file(o->learning_curve, r, write_curve);
    pf_history_free(&r->history);
    return status;
}

static pf_status run(void *given)
{
    const report_options *o = given;
    pf_run *run = NULL;
    if (o->train.count && !o->baseline)
        return pf_tool_fail(PF_ERROR_USAGE, "report: --train is for --baseline; give both");
    if (o->no_evaluation && (o->baseline || o->fasta.count))
        return pf_tool_fail(PF_ERROR_USAGE,
                            "report: --no-eval leaves out what --fasta and --baseline ask for");
    if (has_stdin((const char *const *)o->fasta.item, o->fasta.count) ||
        has_stdin((const char *const *)o->train.item, o->train.count))
        return pf_tool_fail(PF_ERROR_USAGE, "report: standard input cannot be named in a page; give files");
    pf_status status = pf_run_read(o->common.operands[0], &run);
    if (status != PF_OK) return status;
    char *name = name_of(o->common.operands[0]);
    pf_report report = {
        .name = name ? name : "", .run = run, .approximation = o->approximation, .maps = o->maps};
    status = make(o, &report);
    free(name);
    pf_run_free(run);
    return status;
}

const pf_command pf_command_report = {
    .name = "report",
    .summary = "show a training run as one page: data, learning curves, results, speed",
    .operands = "RUN",
    .details = "One HTML file with pictures inside, for any browser, without a network. The results by "
               "letter and by\n"
               "length are those of the newest checkpoint, measured as eval does.",
    .example = "performer report run -o report.html\n"
               "performer report run --baseline -o report.html\n"
               "performer report run --fasta test.fasta --approx approx --maps maps -o report.html",
    .options = table,
    .options_bytes = sizeof(report_options),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
