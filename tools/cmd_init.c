// performer init: writes a fresh model directory.
#include <inttypes.h>
#include <stdio.h>

#include "performer/config.h"
#include "performer/model_directory.h"
#include "tools/commands.h"
#include "tools/output.h"

typedef struct init_options {
    pf_common common;
    const char *config, *preset, *output;
    pf_texts set;
} init_options;

#define AT(field) offsetof(init_options, field)

static const pf_option table[] = {
    {.name = "config",
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(config),
     .help = "JSON file of keys"},
    {.name = "preset",
     .type = PF_OPTION_TEXT,
     .value = "NAME",
     .at = AT(preset),
     .help = "a built-in configuration (below)"},
    {.name = "set",
     .type = PF_OPTION_TEXTS,
     .value = "KEY=VALUE",
     .at = AT(set),
     .help = "put a key on top, as in attention.kernel=softmax"},
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "DIR",
     .required = true,
     .at = AT(output),
     .help = "new or empty directory for the model"},
    {0},
};

static void print_presets(FILE *out)
{
    fprintf(out, "\nPresets:\n");
    for (int i = 0; pf_preset_name(i); i++)
        fprintf(out, "  %-14s %s\n", pf_preset_name(i), pf_preset_summary(i));
}

static pf_status configure(const init_options *options, struct pf_config *config)
{
    pf_config_default(config);
    if (!options->config == !options->preset) {
        return pf_tool_fail(PF_ERROR_USAGE, "init: give either --config FILE or --preset NAME");
    }
    pf_status status = options->preset ? pf_config_preset(config, options->preset)
                                       : pf_config_read_file(config, options->config, PF_CONFIG_USER);
    for (int i = 0; status == PF_OK && i < options->set.count; i++)
        status = pf_config_set(config, options->set.item[i]);
    return status == PF_OK ? pf_config_finish(config, PF_CONFIG_USER) : status;
}

static pf_status run(void *given)
{
    const init_options *options = given;
    static struct pf_config config;
    pf_output_directory *directory = NULL;
    char source[256];
    pf_status status = configure(options, &config);
    if (status == PF_OK) status = pf_output_directory_open(options->output, &directory);
    if (status != PF_OK) return status;
    snprintf(source, sizeof source, "init: %s %.150s, seed %" PRId64,
             options->preset ? "preset" : "configuration",
             options->preset ? options->preset : options->config, options->common.seed);
    status = pf_model_init_directory(&config, (uint64_t)options->common.seed, source,
                                     pf_output_staging(directory));
    if (status == PF_OK) return pf_output_directory_commit(directory);
    pf_output_directory_discard(directory);
    return status;
}

const pf_command pf_command_init = {
    .name = "init",
    .summary = "write a fresh model directory",
    .operands = "",
    .details = "The weights depend on the configuration and the seed alone.",
    .example = "performer init --preset tiny --set attention.kernel=softmax --seed 1 -o model",
    .options = table,
    .options_bytes = sizeof(init_options),
    .more_help = print_presets,
    .run = run,
};
