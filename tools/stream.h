// What the commands that run a model over a stream of sequences share: their options, opening the model,
// warnings.
#ifndef TOOLS_STREAM_H
#define TOOLS_STREAM_H


#include "performer/model.h"
#include "performer/stream.h"
#include "tools/options.h"

typedef struct pf_stream_flags {
    const char *shard, *long_sequences;
    int64_t batch_tokens;
    pf_texts settings;
} pf_stream_flags;

// Rows of an option table; `flags` is the place of a pf_stream_flags in the command's options.
#define PF_SETTINGS_ROW(flags)                                                                               \
    {                                                                                                        \
        .name = "set", .type = PF_OPTION_TEXTS, .value = "KEY=VALUE",                                        \
        .at = (flags) + offsetof(pf_stream_flags, settings),                                                 \
        .help = "set a compute key, as in --set compute.matmul=tile"                                         \
    }
#define PF_STREAM_ROWS(flags)                                                                                \
    {.name = "shard",                                                                                        \
     .type = PF_OPTION_TEXT,                                                                                 \
     .value = "I/N",                                                                                         \
     .at = (flags) + offsetof(pf_stream_flags, shard),                                                       \
     .help = "only records I, I+N, ... counted from 1, for job arrays"},                                     \
        {.name = "batch-tokens",                                                                             \
         .type = PF_OPTION_INTEGER,                                                                          \
         .value = "N",                                                                                       \
         .low = 1,                                                                                           \
         .high = INT32_MAX,                                                                                  \
         .at = (flags) + offsetof(pf_stream_flags, batch_tokens),                                            \
         .help = "most tokens computed at once; by default what the device's memory suggests. A causal "     \
                 "model takes a longer sequence in chunks, one that sees both sides takes it whole"},        \
        {.name = "long",                                                                                     \
         .type = PF_OPTION_CHOICE,                                                                           \
         .value = "WHAT",                                                                                    \
         .choices = "crop|window|error",                                                                     \
         .fallback = "crop",                                                                                 \
         .at = (flags) + offsetof(pf_stream_flags, long_sequences),                                          \
         .help = "sequences longer than the model allows: first tokens, consecutive windows, or an error"},  \
        PF_SETTINGS_ROW(flags)

// `resume` is the place of a bool.
#define PF_RESUME_ROW(resume)                                                                                \
    {                                                                                                        \
        .name = "resume", .type = PF_OPTION_FLAG, .at = (resume),                                            \
        .help = "go on where a run that was killed stopped; start where there is nothing"                    \
    }

// Operands are MODEL FASTA...: the stream of those files. `files` stay where they are. Errors:
// PF_ERROR_USAGE.
pf_status pf_tool_stream(const pf_common *common, const pf_stream_flags *flags, pf_stream_options *out);

// Opens the first operand with `options`, of which settings and batch_tokens come from `flags`, and prints
// its warnings.
pf_status pf_tool_model_open(const pf_common *common, const pf_stream_flags *flags, pf_device *device,
                             pf_model_options options, pf_model **out);

// Prints the library's warnings, a line each, and releases them; NULL is fine.
void pf_tool_warn_lines(const pf_common *common, char *lines);

// How far a command has come, on a terminal and with --verbose.
void pf_tool_print_progress(const pf_common *common, uint64_t sequences, uint64_t tokens, double seconds);
// Ends the line that the above writes.
void pf_tool_end_progress(const pf_common *common);

double pf_tool_seconds(void); // on a clock that only goes forward

#endif
