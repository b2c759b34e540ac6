// performer train: trains a model, with a progress bar; can be killed and resumed.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "performer/train.h"
#include "tools/commands.h"
#include "tools/device.h"
#include "tools/report.h"
#include "tools/stop.h"

typedef struct train_options {
    pf_common common;
    const char *preset, *config, *init, *run;
    const char *task, *labels, *label_column, *label_level;
    pf_texts train, valid, settings;
    bool resume, dry_run;
} train_options;

#define AT(field) offsetof(train_options, field)

static const pf_option table[] = {
    {.name = "preset",
     .type = PF_OPTION_TEXT,
     .value = "NAME",
     .at = AT(preset),
     .help = "a built-in configuration (below)"},
    {.name = "config",
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(config),
     .help = "a configuration file; a run's config.json is one"},
    {.name = "init",
     .type = PF_OPTION_TEXT,
     .value = "MODEL",
     .at = AT(init),
     .help = "start from this model's keys and weights; --set may change keys that leave the trained tensors "
             "as they "
             "are, attention.* among them"},
    {.name = "train",
     .type = PF_OPTION_FILES,
     .value = "FASTA...",
     .at = AT(train),
     .help = "sequences to learn from"},
    {.name = "valid",
     .type = PF_OPTION_FILES,
     .value = "FASTA...",
     .at = AT(valid),
     .help = "sequences to evaluate on as training goes"},
    {.name = "task",
     .type = PF_OPTION_CHOICE,
     .value = "TASK",
     .choices = "regression|classification",
     .at = AT(task),
     .help = "learn to answer --labels with a new head in place of the language model's"},
    {.name = "labels",
     .type = PF_OPTION_TEXT,
     .value = "TSV",
     .at = AT(labels),
     .help =
         "a header line, then names of records (the first word of their headers) and labels; an empty label "
         "is none"},
    {.name = "label-column",
     .type = PF_OPTION_TEXT,
     .value = "NAME",
     .at = AT(label_column),
     .help = "the labels' column, where there are more than two"},
    {.name = "label-level",
     .type = PF_OPTION_CHOICE,
     .value = "LEVEL",
     .choices = "sequence|residue",
     .at = AT(label_level),
     .help =
         "what has a label (default: sequence). Of residues: a character each, '.' and '-' none, or names or "
         "numbers with commas"},
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "RUN",
     .at = AT(run),
     .required = true,
     .help = "the run directory: new or empty, unless --resume"},
    {.name = "set",
     .type = PF_OPTION_TEXTS,
     .value = "KEY=VALUE",
     .at = AT(settings),
     .help = "set one key of the configuration, as in --set train.steps=2000"},
    {.name = "resume",
     .type = PF_OPTION_FLAG,
     .at = AT(resume),
     .help = "go on from the newest complete checkpoint, start where there is none"},
    {.name = "dry-run",
     .type = PF_OPTION_FLAG,
     .at = AT(dry_run),
     .help = "print the memory plan and the effective configuration, and end"},
    {0},
};

static void print_bytes(const char *what, uint64_t bytes)
{
    fprintf(stderr, "  %-12s %10.1f MB\n", what, (double)bytes / 1e6);
}

static void print_kept(const pf_memory_plan *plan)
{
    fprintf(stderr, "    of these %.1f MB are kept for the backward pass", (double)plan->kept_bytes / 1e6);
    if (plan->segment > 0)
        fprintf(stderr, ", %d layer%s at once", (int)plan->segment, plan->segment > 1 ? "s" : "");
    if (plan->kept_bytes < plan->kept_plain_bytes)
        fprintf(stderr, " (%.1f MB without train.recompute and compute.storage)",
                (double)plan->kept_plain_bytes / 1e6);
    fputc('\n', stderr);
}

static void print_plan(const pf_memory_plan *plan)
{
    fprintf(stderr, "memory on the device, %lld parameters", (long long)plan->parameters);
    if (plan->frozen_parameters)
        fprintf(stderr, " beside %lld that stay", (long long)plan->frozen_parameters);
    fprintf(stderr, ":\n");
    print_bytes("weights", plan->weights_bytes);
    print_bytes("gradients", plan->gradient_bytes);
    print_bytes("optimiser", plan->optimizer_bytes);
    print_bytes("activations", plan->activation_bytes);
    print_kept(plan);
    print_bytes("scratch", plan->scratch_bytes);
    print_bytes("total", plan->total_bytes);
}

static void print_bar(const pf_training_report *r, int64_t steps, double seconds_per_step)
{
    enum { WIDTH = 24 };
    char bar[WIDTH + 1];
    const int done = (int)(WIDTH * r->step / steps);
    memset(bar, '.', WIDTH);
    memset(bar, '#', (size_t)done);
    bar[WIDTH] = '\0';
    const long left = (long)((double)(steps - r->step) * seconds_per_step + 0.5);
    fprintf(stderr, "\r[%s] step %lld/%lld  ", bar, (long long)r->step, (long long)steps);
    fprintf(stderr, "loss %.4f  %.0f tokens/s  %ld:%02ld left ", r->loss, r->tokens_per_s, left / 60,
            left % 60);
}

static void print_evaluation(const pf_training_report *r, bool is_terminal)
{
    enum { FIGURES = 4 }; // the first ones say most
    const char *name;
    double value;
    fprintf(stderr, "%sstep %lld: validation loss %.4f", is_terminal ? "\r\033[K" : "", (long long)r->step,
            r->valid_loss);
    for (int i = 0; i < FIGURES && (name = pf_task_metric(&r->valid_metrics, i, &value)); i++)
        isfinite(value) ? fprintf(stderr, ", %s %.4f", name, value) : fprintf(stderr, ", %s -", name);
    if (r->valid_metrics.type == PF_TASK_NONE)
        fprintf(stderr, ", perplexity %.3f, accuracy %.2f %%", r->valid_perplexity, 100 * r->valid_accuracy);
    else if (r->valid_metrics.undefined)
        fprintf(stderr, " (%s)", r->valid_metrics.undefined);
    fputc('\n', stderr);
}

static void print_step(const train_options *o, const pf_training_report *r, int64_t steps,
                       double seconds_per_step)
{
    if (o->common.quiet) return;
    const bool is_terminal = isatty(STDERR_FILENO) != 0;
    if (r->tokens == 0) {
        // no step was taken, an evaluation that was still due was made
    } else if (is_terminal) {
        print_bar(r, steps, seconds_per_step);
    } else if (r->step == 1 || r->step % 50 == 0 || r->step == steps) {
        fprintf(stderr, "step %lld/%lld: loss %.4f, %.0f tokens/s\n", (long long)r->step, (long long)steps,
                r->loss, r->tokens_per_s);
    }
    if (r->evaluated) print_evaluation(r, is_terminal);
}

static void print_end(const train_options *o, const pf_training *training)
{
    const pf_training_best best = pf_training_get_best(training);
    if (best.has_ended)
        fprintf(stderr, "stopped at step %lld: %lld evaluations without a better loss (train.patience)\n",
                (long long)pf_training_steps_done(training), (long long)best.evaluations_since);
    if (best.step > 0)
        fprintf(stderr, "best: step %lld, validation loss %.4f; %s means this one (%s/best)\n",
                (long long)best.step, best.loss, o->run, o->run);
}

static pf_status run_steps(const train_options *o, pf_training *training)
{
    const int64_t steps = pf_training_config(training)->train.steps;
    double pace = 0; // seconds a step, smoothed
    pf_training_report report = {0};
    pf_status status;
    while ((status = pf_training_step(training, &report)) == PF_OK) {
        // After --resume the first report may be of an evaluation alone.
        const double seconds = report.tokens > 0 ? (double)report.tokens / report.tokens_per_s : pace;
        pace = pace > 0 ? 0.9 * pace + 0.1 * seconds : seconds;
        print_step(o, &report, steps, pace);
    }
    if (!o->common.quiet && isatty(STDERR_FILENO)) fputc('\n', stderr);
    if (status == PF_END && !o->common.quiet) print_end(o, training);
    return status == PF_END ? PF_OK : status;
}

static void print_start(const train_options *o, pf_device *device, const pf_training *training)
{
    const char *warning;
    for (int i = 0; (warning = pf_training_warning(training, i)); i++) pf_warn(&o->common, "%s", warning);
    if (o->common.quiet) return;
    fprintf(stderr, "device: %s (%s)\n", pf_device_describe(device)->name,
            pf_device_describe(device)->platform);
    print_plan(pf_training_plan(training));
    if (pf_training_steps_done(training) > 0)
        fprintf(stderr, "going on after step %lld\n", (long long)pf_training_steps_done(training));
}

static pf_status dry_run(pf_device *device, const pf_training_options *options)
{
    char *config = NULL;
    pf_memory_plan plan;
    const pf_status status = pf_training_dry_run(device, options, &config, &plan);
    if (status != PF_OK) return status;
    print_plan(&plan);
    printf("%s\n", config);
    pf_release(config);
    return PF_OK;
}

static pf_status train(const train_options *o, pf_device *device, const volatile sig_atomic_t *stop)
{
    const pf_training_options options = {
        .run = o->run,
        .resume = o->resume,
        .preset = o->preset,
        .config_file = o->config,
        .init = o->init,
        .settings = (const char *const *)o->settings.item,
        .n_settings = o->settings.count,
        .seed = o->common.seed_given ? o->common.seed : -1,
        .train_files = (const char *const *)o->train.item,
        .n_train_files = o->train.count,
        .valid_files = (const char *const *)o->valid.item,
        .n_valid_files = o->valid.count,
        .task = o->task,
        .label_level = o->label_level,
        .labels = o->labels,
        .label_column = o->label_column,
        .stop = stop,
    };
    if (o->dry_run) return dry_run(device, &options);
    pf_training *training = NULL;
    pf_status status = pf_training_open(device, &options, &training);
    if (status != PF_OK) return status;
    print_start(o, device, training);
    status = run_steps(o, training);
    if (!o->common.quiet && !o->common.verbose)
        pf_tool_print_memory(device); // verbose: when the device is closed
    pf_training_close(training);
    return status;
}

static pf_status run(void *options)
{
    const train_options *o = options;
    pf_device *device = NULL;
    const volatile sig_atomic_t *stop = pf_tool_catch_stop();
    const pf_status status = pf_tool_device_open(&o->common, &device);
    if (status != PF_OK) return status;
    return pf_tool_device_close(&o->common, device, train(o, device, stop));
}

static void list_presets(FILE *out)
{
    fprintf(out, "\nPresets:\n");
    for (int i = 0; pf_preset_name(i); i++)
        fprintf(out, "  %-8s %s\n", pf_preset_name(i), pf_preset_summary(i));
    char *keys = NULL;
    if (pf_config_help(&keys) != PF_OK) return;
    fprintf(out, "\nKeys of --config and --set:\n%s", keys);
    pf_release(keys);
}

const pf_command pf_command_train = {
    .name = "train",
    .summary = "train a model on protein sequences",
    .operands = "",
    .details =
        "Without --preset, --config and --init a run that is resumed goes on with its own configuration and "
        "files.\n"
        "SIGINT and SIGTERM save a checkpoint and end with exit code 5; --resume goes on with the same bits.",
    .example =
        "performer train --preset tiny --train train.fasta --valid valid.fasta -o run\n"
        "performer train --resume -o run\n"
        "performer train --init run --task classification --labels labels.tsv --train train.fasta --valid "
        "valid.fasta -o head",
    .options = table,
    .options_bytes = sizeof(train_options),
    .more_help = list_presets,
    .run = run,
};
