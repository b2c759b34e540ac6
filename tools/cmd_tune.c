// performer tune: the fastest matrix products for a model on this device, measured and kept.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "performer/model_directory.h"
#include "performer/tune.h"
#include "tools/commands.h"
#include "tools/device.h"
#include "tools/output.h"
#include "tools/report.h"

typedef struct tune_options {
    pf_common common;
    const char *preset, *config;
    pf_texts settings;
    int64_t rows;
    bool preset_given, json;
} tune_options;

#define AT(field) offsetof(tune_options, field)

static const pf_option table[] = {
    {.name = "preset",
     .type = PF_OPTION_TEXT,
     .value = "NAME",
     .fallback = "tiny",
     .at = AT(preset),
     .given_at = AT(preset_given),
     .help = "tune for a built-in configuration (performer train --help lists them)"},
    {.name = "config",
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(config),
     .help = "tune for a configuration file; a run's config.json is one"},
    {.name = "set",
     .type = PF_OPTION_TEXTS,
     .value = "KEY=VALUE",
     .at = AT(settings),
     .help = "set one key of the configuration, as in --set intermediate_size=1024"},
    {.name = "rows",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .high = 1 << 20,
     .at = AT(rows),
     .help = "tokens of a batch to measure with (default: train.micro_batch_tokens, from 256 to 4096)"},
    {.name = "json", .type = PF_OPTION_FLAG, .at = AT(json), .help = "print JSON, an object a line"},
    {0},
};

static pf_status read_config(const tune_options *o, struct pf_config *config)
{
    const bool has_model = o->common.n_operands == 1;
    if (has_model + o->preset_given + (o->config != NULL) > 1)
        return pf_tool_fail(PF_ERROR_USAGE, "tune: MODEL, --preset and --config each name a model; give one");
    pf_status status = PF_OK;
    pf_config_default(config);
    if (has_model) {
        pf_model_info *info = NULL;
        status = pf_model_info_read(o->common.operands[0], &info);
        if (status == PF_OK) *config = info->config;
        if (status == PF_OK) pf_model_info_free(info);
    } else if (o->config)
        status = pf_config_read_file(config, o->config, PF_CONFIG_USER);
    else
        status = pf_config_preset(config, o->preset);
    for (int i = 0; i < o->settings.count && status == PF_OK; i++)
        status = pf_config_set(config, o->settings.item[i]);
    return status == PF_OK ? pf_config_finish(config, PF_CONFIG_USER) : status;
}

// Seconds of all these products in a training step.
static double step_s(const pf_tune_result *r, double gflops)
{
    return 2e-9 * r->m * r->n * r->k * r->times / gflops;
}

static void print_row(pf_output *out, const pf_tune_result *r)
{
    char gain[16] = "";
    if (r->is_better) snprintf(gain, sizeof gain, "%+.0f %%", 100 * (r->gflops / r->built_in_gflops - 1));
    pf_output_print(out, "%-4s %6d %6d %6d %5d %9.0f %9.0f %7s  %s", r->kind, r->m, r->n, r->k, r->times,
                    r->built_in_gflops, r->gflops, gain, r->is_better ? r->best : "as built in");
    if (r->wrong) pf_output_print(out, "; %d of %d gave wrong results", r->wrong, r->tried);
    if (r->refused) pf_output_print(out, "; %d of %d were refused by the device", r->refused, r->tried);
    pf_output_print(out, "\n");
}

static void print_json(pf_output *out, const pf_device_info *info, const pf_tune_result *r)
{
    pf_output_print(out, "{\"suite\": \"tune\", \"device\": ");
    pf_output_json_text(out, info->name, strlen(info->name));
    pf_output_print(out, ", \"driver\": ");
    pf_output_json_text(out, info->driver, strlen(info->driver));
    pf_output_print(out, ", \"transpose\": \"%s\", \"m\": %d, \"n\": %d, \"k\": %d, \"times\": %d, ", r->kind,
                    r->m, r->n, r->k, r->times);
    pf_output_print(out,
                    "\"built_in\": \"%s\", \"built_in_gflops\": %.6g, \"best\": \"%s\", \"gflops\": %.6g, ",
                    r->built_in, r->built_in_gflops, r->best, r->gflops);
    pf_output_print(out, "\"tried\": %d, \"wrong\": %d, \"refused\": %d}\n", r->tried, r->wrong, r->refused);
}

static pf_status measure(const tune_options *o, const pf_device *device, pf_tune *tune, pf_output *out)
{
    double before = 0, after = 0;
    if (!o->json)
        pf_output_print(out, "%-4s %6s %6s %6s %5s %9s %9s %7s  %s\n", "kind", "m", "n", "k", "times",
                        "GFLOP/s", "best", "gain", "provider and tiles");
    for (int i = 0; i < pf_tune_count(tune); i++) {
        pf_tune_result r;
        pf_say(&o->common, "product %d of %d%s", i + 1, pf_tune_count(tune),
               i ? "" : "; the first compiles the candidates");
        const pf_status status = pf_tune_run(tune, i, &r);
        if (status != PF_OK) return status;
        if (o->json)
            print_json(out, pf_device_describe(device), &r);
        else
            print_row(out, &r);
        before += step_s(&r, r.built_in_gflops), after += step_s(&r, r.gflops);
    }
    if (!o->json)
        pf_output_print(out, "matrix products of a training step: %.1f ms, tuned %.1f ms (%+.1f %%)\n",
                        1e3 * before, 1e3 * after, 100 * (after / before - 1));
    return PF_OK;
}

static pf_status run_on(const tune_options *o, const struct pf_config *config, pf_device *device)
{
    pf_tune *tune = NULL;
    pf_output *out = NULL;
    char *path = NULL;
    pf_status status = pf_tune_open(device, config, (int)o->rows, &tune);
    if (status == PF_OK) status = pf_output_open(NULL, &out);
    if (status == PF_OK) status = measure(o, device, tune, out);
    if (status == PF_OK) status = pf_tune_save(tune, &path);
    if (status == PF_OK) pf_say(&o->common, "kept in %s", path);
    pf_release(path);
    pf_tune_close(tune);
    if (status == PF_OK) return pf_output_commit(out);
    pf_output_discard(out);
    return status;
}

static pf_status run(void *options)
{
    const tune_options *o = options;
    struct pf_config config;
    pf_device *device = NULL;
    pf_status status = read_config(o, &config);
    if (status == PF_OK) status = pf_tool_device_open(&o->common, &device);
    if (status != PF_OK) return status;
    return pf_tool_device_close(&o->common, device, run_on(o, &config, device));
}

const pf_command pf_command_tune = {
    .name = "tune",
    .summary = "finds the fastest matrix products for a model on this device",
    .operands = "[MODEL]",
    .details = "Times the providers of matrix products (our own kernels and CLBlast) and the tiles of our "
               "own kernels on each "
               "product of the model's training step, forward (nt) and backward (nn, tn). A candidate whose "
               "results are not "
               "those of the built-in choice is out; one that beats it by 3 % or more is kept, in a text "
               "file beside the "
               "compiled kernels (PERFORMER_CACHE, ~/.cache/performer). Later runs on this device, driver "
               "and number of cores "
               "use it; remove the file to go back. Products of other models that are in it stay. Choices go "
               "by the model's "
               "sizes, never by the batch; our own kernels give the same bits with any tiles.",
    .example = "performer tune run\n"
               "performer tune --preset base --device gpu\n"
               "performer tune --config run/config.json --set train.micro_batch_tokens=2048",
    .options = table,
    .options_bytes = sizeof(tune_options),
    .min_operands = 0,
    .max_operands = 1,
    .run = run,
};
