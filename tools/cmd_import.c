// performer import: a model of another program becomes a model directory.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "performer/import.h"
#include "tools/commands.h"
#include "tools/output.h"
#include "tools/stream.h"

typedef struct import_options {
    pf_common common;
    const char *output, *tokens, *attention, *kernel;
    int64_t num_features;
    bool num_features_given;
    pf_texts set;
} import_options;

#define AT(field) offsetof(import_options, field)

static const pf_option table[] = {
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "DIR",
     .required = true,
     .at = AT(output),
     .help = "new or empty directory for the model"},
    {.name = "attention",
     .type = PF_OPTION_CHOICE,
     .choices = "softmax|favor",
     .at = AT(attention),
     .help = "other attention with the same weights; favor draws random features from --seed"},
    {.name = "kernel",
     .type = PF_OPTION_TEXT,
     .value = "NAME",
     .at = AT(kernel),
     .help = "feature map of FAVOR"},
    {.name = "num-features",
     .type = PF_OPTION_INTEGER,
     .value = "M",
     .low = 1,
     .high = 65536,
     .at = AT(num_features),
     .given_at = AT(num_features_given),
     .help = "random features of FAVOR"},
    {.name = "tokens",
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(tokens),
     .help = "the model's tokens, one a line in the order of their numbers, in place of its vocab.txt"},
    {.name = "set",
     .type = PF_OPTION_TEXTS,
     .value = "KEY=VALUE",
     .at = AT(set),
     .help = "put a key on top, as in max_position_embeddings=4096 for rotary positions"},
    {0},
};

// The options as settings, in front of --set.
static pf_status run_import(const import_options *options, const char *directory, char **notes)
{
    char attention[64], kernel[128], features[64];
    const char **settings = calloc((size_t)options->set.count + 3, sizeof *settings);
    int count = 0;
    if (!settings) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    snprintf(attention, sizeof attention, "attention.type=%s", options->attention ? options->attention : "");
    snprintf(kernel, sizeof kernel, "attention.kernel=%.100s", options->kernel ? options->kernel : "");
    snprintf(features, sizeof features, "attention.num_features=%" PRId64, options->num_features);
    if (options->attention) settings[count++] = attention;
    if (options->kernel) settings[count++] = kernel;
    if (options->num_features_given) settings[count++] = features;
    for (int i = 0; i < options->set.count; i++) settings[count++] = options->set.item[i];
    const pf_import_options import = {
        .settings = settings,
        .n_settings = count,
        .tokens = options->tokens,
        .seed = (uint64_t)options->common.seed,
    };
    const pf_status status = pf_import(options->common.operands[0], &import, directory, notes);
    free(settings);
    return status;
}

static pf_status run(void *given)
{
    const import_options *options = given;
    pf_output_directory *directory = NULL;
    char *notes = NULL;
    pf_status status = pf_output_directory_open(options->output, &directory);
    if (status != PF_OK) return status;
    status = run_import(options, pf_output_staging(directory), &notes);
    if (status == PF_OK) {
        status = pf_output_directory_commit(directory);
        pf_tool_warn_lines(&options->common, notes); // and releases them
    } else {
        pf_output_directory_discard(directory);
    }
    return status;
}

const pf_command pf_command_import = {
    .name = "import",
    .summary = "make a model directory of a model of another program",
    .operands = "SOURCE",
    .details = "SOURCE is a directory as Hugging Face has it, in its cache or elsewhere (config.json with "
               "model.safetensors "
               "or the files of\nmodel.safetensors.index.json), of ESM-2, ESM-1b, ESM-1v or BERT (ProtBert); "
               "or a .safetensors "
               "file with the state dict of a\nPerformerLM of performer-pytorch, with --tokens. "
               "tools/to-safetensors makes "
               "such files of .bin and .pt.",
    .example = "performer import ~/esm2_t6_8M_UR50D -o esm2\n"
               "performer import ~/prot_bert -o favor --attention favor --kernel softmax --num-features 256",
    .options = table,
    .options_bytes = sizeof(import_options),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
