// performer logits: per-token logits of sequences into a file of tensors.
#include "performer/logits.h"

#include "tools/commands.h"
#include "tools/device.h"
#include "tools/report.h"
#include "tools/stop.h"
#include "tools/stream.h"

typedef struct logits_options {
    pf_common common;
    pf_stream_flags stream;
    const char *output;
    bool resume;
} logits_options;

static const pf_option table[] = {
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = offsetof(logits_options, output),
     .required = true,
     .help = "FILE.safetensors or FILE.npz, replaced once all is done"},
    PF_RESUME_ROW(offsetof(logits_options, resume)),
    PF_STREAM_ROWS(offsetof(logits_options, stream)),
    {0},
};

static pf_status run_steps(const pf_common *common, pf_logits *logits)
{
    const double began = pf_tool_seconds();
    pf_progress progress;
    pf_status status;
    const char *warning;
    while ((status = pf_logits_step(logits, &progress)) == PF_OK)
        pf_tool_print_progress(common, progress.sequences, progress.tokens, pf_tool_seconds() - began);
    pf_tool_end_progress(common);
    for (size_t i = 0; (warning = pf_logits_warning(logits, i)); i++) pf_warn(common, "%s", warning);
    return status == PF_END ? PF_OK : status;
}

static pf_status write_logits(const logits_options *o, pf_device *device)
{
    pf_logits_options options = {
        .output = o->output,
        .resume = o->resume,
        .stop = o->resume ? pf_tool_catch_stop() : NULL,
    };
    pf_model *model = NULL;
    pf_logits *logits = NULL;
    pf_status status = pf_tool_stream(&o->common, &o->stream, &options.stream);
    if (status == PF_OK)
        status = pf_tool_model_open(&o->common, &o->stream, device, (pf_model_options){0}, &model);
    if (status == PF_OK) status = pf_logits_open(model, &options, &logits);
    if (status == PF_OK) status = run_steps(&o->common, logits);
    pf_logits_close(logits);
    pf_model_close(model);
    return status;
}

static pf_status run(void *options)
{
    const logits_options *o = options;
    pf_device *device = NULL;
    if (o->resume && pf_stream_is_done(o->output)) pf_tell(&o->common, "%s is there already", o->output);
    const pf_status status = pf_tool_device_open(&o->common, &device);
    if (status != PF_OK) return status;
    return pf_tool_device_close(&o->common, device, write_logits(o, device));
}

const pf_command pf_command_logits = {
    .name = "logits",
    .summary = "write what a model says about every token of sequences",
    .operands = "MODEL FASTA...",
    .details =
        "Each sequence becomes a tensor [length + 2, 29] under its id, rows of begin and end included; a "
        "repeated id becomes id#2, id#3, and so on. Columns are the tokens ACDEFGHIKLMNPQRSTVWYBOUXZ, begin, "
        "end, pad, mask. '*' in a sequence is the mask token.\n"
        "With --resume finished sequences wait in FILE.partial, and FILE.manifest.json says what FILE was "
        "made of: a "
        "run that was killed goes on and ends with the same bytes.",
    .example = "performer logits run proteins.fasta -o logits.npz --resume\n"
               "performer logits run - -o masked.safetensors <masked.fasta",
    .options = table,
    .options_bytes = sizeof(logits_options),
    .min_operands = 2,
    .max_operands = -1,
    .run = run,
};
