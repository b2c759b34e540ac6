// performer export: a model directory in the form that another program reads.
#include <string.h>

#include "performer/import.h"
#include "tools/commands.h"
#include "tools/output.h"

typedef struct export_options {
    pf_common common;
    const char *output, *format;
} export_options;

#define AT(field) offsetof(export_options, field)

static const pf_option table[] = {
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "DIR",
     .required = true,
     .at = AT(output),
     .help = "new or empty directory"},
    {.name = "format",
     .type = PF_OPTION_CHOICE,
     .choices = "esm|performer|peft",
     .fallback = "esm",
     .at = AT(format),
     .help = "esm is EsmForMaskedLM of Hugging Face; performer a plain model directory, also of a run; peft its "
             "adapters alone"},
    {0},
};

typedef pf_status writer(const char *model, const char *directory);

static writer *to(const char *format)
{
    if (strcmp(format, "esm") == 0) return pf_export_esm;
    return strcmp(format, "peft") == 0 ? pf_export_peft : pf_export_performer;
}

static pf_status run(void *given)
{
    const export_options *options = given;
    pf_output_directory *directory = NULL;
    pf_status status = pf_output_directory_open(options->output, &directory);
    if (status != PF_OK) return status;
    const char *model = options->common.operands[0], *staging = pf_output_staging(directory);
    status = to(options->format)(model, staging);
    if (status == PF_OK) return pf_output_directory_commit(directory);
    pf_output_directory_discard(directory);
    return status;
}

const pf_command pf_command_export = {
    .name = "export",
    .summary = "write a model as another program reads it",
    .operands = "MODEL",
    .details = "Importing what was written gives the same model directory, to the byte. A model that the "
               "format has no "
               "words for is refused,\nand the key is named. Low-rank adapters are merged into the weights "
               "that they belong to.",
    .example = "performer export run -o esm-again --format esm",
    .options = table,
    .options_bytes = sizeof(export_options),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
