// Shared by the commands that run a model over sequences. See stream.h.
#include "tools/stream.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/fasta_input.h"
#include "tools/report.h"

// "I/N" with 1 <= I <= N.
static pf_status read_shard(const char *text, pf_stream_options *out)
{
    char first[32] = "";
    const pf_option number = {.type = PF_OPTION_INTEGER, .low = 1, .high = 1e15};
    const char *slash = strchr(text, '/');
    const size_t length = slash ? (size_t)(slash - text) : 0;
    if (slash && length < sizeof first) {
        memcpy(first, text, length);
        if (pf_option_read(&number, "--shard", first, &out->shard) == PF_OK &&
            pf_option_read(&number, "--shard", slash + 1, &out->n_shards) == PF_OK &&
            out->shard <= out->n_shards)
            return PF_OK;
    }
    return pf_tool_fail(PF_ERROR_USAGE, "--shard: '%.80s'; write I/N with I from 1 to N, as in 1/8", text);
}

pf_status pf_tool_stream(const pf_common *common, const pf_stream_flags *flags, pf_stream_options *out)
{
    *out = (pf_stream_options){.files = common->operands + 1, .n_files = common->n_operands - 1};
    if (flags->long_sequences && !strcmp(flags->long_sequences, "window"))
        out->long_sequences = PF_LONG_WINDOW;
    if (flags->long_sequences && !strcmp(flags->long_sequences, "error")) out->long_sequences = PF_LONG_ERROR;
    const pf_status status = flags->shard ? read_shard(flags->shard, out) : PF_OK;
    return status == PF_OK ? pf_check_stdin_once(out->files, out->n_files) : status;
}

void pf_tool_warn_lines(const pf_common *common, char *lines)
{
    char *rest = lines;
    for (const char *line; lines && (line = strsep(&rest, "\n"));) pf_warn(common, "%s", line);
    pf_release(lines);
}

pf_status pf_tool_model_open(const pf_common *common, const pf_stream_flags *flags, pf_device *device,
                             pf_model_options options, pf_model **out)
{
    char *warnings = NULL;
    options.settings = (const char *const *)flags->settings.item;
    options.n_settings = flags->settings.count;
    options.batch_tokens = flags->batch_tokens;
    const pf_status status = pf_model_open(device, common->operands[0], &options, out, &warnings);
    pf_tool_warn_lines(common, warnings);
    return status;
}

void pf_tool_print_progress(const pf_common *common, uint64_t sequences, uint64_t tokens, double seconds)
{
    if (common->quiet || !isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r%" PRIu64 " sequences, %" PRIu64 " tokens, %.0f tokens/s ", sequences, tokens,
            seconds > 0 ? (double)tokens / seconds : 0.0);
}

void pf_tool_end_progress(const pf_common *common)
{
    if (!common->quiet && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
}

double pf_tool_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
