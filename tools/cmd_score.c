// performer score: how likely a model finds sequences.
#include "performer/score.h"

#include <string.h>

#include "tools/commands.h"
#include "tools/device.h"
#include "tools/output.h"
#include "tools/report.h"
#include "tools/stop.h"
#include "tools/stream.h"

typedef struct score_options {
    pf_common common;
    pf_stream_flags stream;
    int64_t stride;
    const char *output;
    bool resume;
} score_options;

#define AT(field) offsetof(score_options, field)

static const pf_option table[] = {
    {.name = "stride",
     .type = PF_OPTION_INTEGER,
     .value = "S",
     .low = 1,
     .high = INT32_MAX,
     .at = AT(stride),
     .help = "mask every S-th residue together, S passes for a sequence; by default each residue alone"},
    PF_OUTPUT_ROW(AT(output)),
    PF_RESUME_ROW(AT(resume)),
    PF_STREAM_ROWS(AT(stream)),
    {0},
};

static void print_results(pf_output *out, const pf_score_result *results, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const pf_score_result *r = &results[i];
        pf_output_plain_text(out, r->id, r->id_length);
        pf_output_print(out, "\t%llu\t%.9g\t%.6g\n", (unsigned long long)r->length, r->log_likelihood,
                        r->perplexity);
    }
}

static pf_status run_steps(const pf_common *common, pf_score *score, pf_output *out)
{
    const pf_score_result *results;
    size_t count;
    pf_status status = PF_OK;
    const char *warning;
    pf_output_print(out, "id\tlength\tlog_likelihood\tperplexity\n");
    while (!pf_output_failed(out) && (status = pf_score_step(score, &results, &count)) == PF_OK)
        print_results(out, results, count);
    for (size_t i = 0; (warning = pf_score_warning(score, i)); i++) pf_warn(common, "%s", warning);
    return status == PF_END ? PF_OK : status;
}

static pf_status write_table(const score_options *o, pf_score *score)
{
    pf_output *out;
    pf_status status = pf_output_open(o->output, &out);
    if (status == PF_OK) status = run_steps(&o->common, score, out);
    if (status == PF_OK) {
        status = pf_output_commit(out);
        out = NULL;
    }
    pf_output_discard(out);
    return status == PF_OK ? pf_score_finish(score) : status;
}

static pf_status write_scores(const score_options *o, pf_device *device)
{
    const bool is_done = o->resume && pf_stream_is_done(o->output);
    pf_score_options options = {.stride = o->stride, .resume = o->resume};
    pf_model *model = NULL;
    pf_score *score = NULL;
    if (o->resume) {
        options.output = o->output;
        options.stop = pf_tool_catch_stop();
    }
    pf_status status = pf_tool_stream(&o->common, &o->stream, &options.stream);
    if (status == PF_OK)
        status = pf_tool_model_open(&o->common, &o->stream, device, (pf_model_options){.row_losses = true},
                                    &model);
    if (status == PF_OK) status = pf_score_open(model, &options, &score);
    if (status == PF_OK && is_done)
        pf_tell(&o->common, "%s is there already", o->output);
    else if (status == PF_OK)
        status = write_table(o, score);
    pf_score_close(score);
    pf_model_close(model);
    return status;
}

static pf_status run(void *options)
{
    const score_options *o = options;
    pf_device *device = NULL;
    if (o->resume && (!o->output || !strcmp(o->output, "-")))
        return pf_tool_fail(PF_ERROR_USAGE, "--resume needs a file to go on with; give -o FILE");
    const pf_status status = pf_tool_device_open(&o->common, &device);
    if (status != PF_OK) return status;
    return pf_tool_device_close(&o->common, device, write_scores(o, device));
}

const pf_command pf_command_score = {
    .name = "score",
    .summary = "score how likely a model finds sequences",
    .operands = "MODEL FASTA...",
    .details = "Prints a table with a header row: id, length, log_likelihood, perplexity; natural "
               "logarithms, residues "
               "only. A masked model (mlm) gives the pseudo-log-likelihood, each residue masked alone, which "
               "takes as many "
               "passes as there are residues; --stride 8 takes eight. A causal model (clm) gives the "
               "log-likelihood.\n"
               "With --resume finished sequences wait in FILE.partial, and FILE.manifest.json says what FILE "
               "was made "
               "of: a run that was killed goes on and ends with the same bytes.",
    .example = "performer score run proteins.fasta -o scores.tsv\n"
               "performer score run proteins.fasta --stride 8 -o scores.tsv --resume",
    .options = table,
    .options_bytes = sizeof(score_options),
    .min_operands = 2,
    .max_operands = -1,
    .run = run,
};
