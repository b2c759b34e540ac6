// performer bench: how fast this device is on the work of a model, and whether linear attention pays on it.
#include <stdlib.h>
#include <string.h>

#include "tools/bench.h"
#include "tools/bench_suite.h"
#include "tools/commands.h"
#include "tools/device.h"
#include "tools/output.h"
#include "tools/report.h"

typedef struct bench_options {
    pf_common common;
    pf_texts fasta, settings;
    const char *suite, *shapes, *kernels, *preset, *config, *output;
    pf_integers lengths;
    int64_t repeat;
    double seconds;
    bool suite_given, shapes_given, kernels_given, output_given, repeat_given, seconds_given;
    bool causal, json;
} bench_options;

#define AT(field) offsetof(bench_options, field)

static const pf_option table[] = {
    {.name = "suite",
     .type = PF_OPTION_CHOICE,
     .value = "SUITE",
     .choices = "device|matmul|attention|model|profile|all",
     .fallback = "all",
     .at = AT(suite),
     .given_at = AT(suite_given),
     .help = "what to measure: the device's peaks, matrix products of a layer, one attention layer, the "
             "whole model, "
             "a training step kernel by kernel"},
    {.name = "lengths",
     .type = PF_OPTION_INTEGERS,
     .value = "L,L,...",
     .low = 1,
     .high = 1 << 20,
     .at = AT(lengths),
     .help = "lengths for attention alone, 512 to 16384 if not given; with --fasta those to look for the "
             "break-even "
             "at, 128 to 8192"},
    {.name = "shapes",
     .type = PF_OPTION_TEXT,
     .value = "BxL,BxL,...",
     .fallback = "8x512,4x1024,1x4096,1x8192",
     .at = AT(shapes),
     .given_at = AT(shapes_given),
     .help = "sequences and their length for the model; the profile is that of the first"},
    {.name = "kernel",
     .type = PF_OPTION_TEXT,
     .value = "K,K,...",
     .at = AT(kernels),
     .given_at = AT(kernels_given),
     .help = "kinds of attention: FAVOR's kernels or exact; relu,softmax,exact (the model: relu,exact) if "
             "not given"},
    {.name = "causal", .type = PF_OPTION_FLAG, .at = AT(causal), .help = "causal attention, causal models"},
    {.name = "repeat",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 1,
     .high = 1000,
     .fallback = "5",
     .at = AT(repeat),
     .given_at = AT(repeat_given),
     .help = "rounds to take medians over; what takes long sits some out"},
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "DIR",
     .at = AT(output),
     .given_at = AT(output_given),
     .help = "write attention.tsv, model.tsv and plots of cost against length too; new or empty"},
    {.name = "fasta",
     .type = PF_OPTION_FILES,
     .value = "FASTA...",
     .at = AT(fasta),
     .help = "in place of the suites: whether linear attention pays for the proteins of a file, at their own "
             "lengths"},
    {.name = "preset",
     .type = PF_OPTION_TEXT,
     .value = "NAME",
     .at = AT(preset),
     .help = "the model: a built-in configuration (performer train --help lists them); six layers of 512, "
             "tiny with "
             "--fasta, if not given"},
    {.name = "config",
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(config),
     .help = "the model: a configuration file; a run's config.json is one"},
    {.name = "set",
     .type = PF_OPTION_TEXTS,
     .value = "KEY=VALUE",
     .at = AT(settings),
     .help = "set one key of the configuration, as in --set compute.matmul=tile"},
    {.name = "seconds",
     .type = PF_OPTION_NUMBER,
     .value = "S",
     .low = 0,
     .high = 3600,
     .fallback = "3",
     .at = AT(seconds),
     .given_at = AT(seconds_given),
     .help = "with --fasta: of training steps for each measurement, at least five steps"},
    {.name = "json", .type = PF_OPTION_FLAG, .at = AT(json), .help = "print JSON, an object a line"},
    {0},
};

// ---- with --fasta ----

static pf_status run_fasta(const bench_options *o)
{
    static const int64_t usual[] = {128, 256, 512, 1024, 2048, 4096, 8192};
    if (o->suite_given || o->shapes_given || o->kernels_given || o->output_given || o->repeat_given ||
        o->causal)
        return pf_tool_fail(PF_ERROR_USAGE,
                            "bench --fasta takes no --suite, --shapes, --kernel, --causal, --repeat "
                            "and -o: it measures on the file's own sequences");
    int64_t lengths[sizeof usual / sizeof *usual];
    memcpy(lengths, usual, sizeof usual);
    const pf_integers fallback = {lengths, sizeof usual / sizeof *usual};
    pf_bench bench = {
        .common = &o->common,
        .preset = o->config   ? NULL
                  : o->preset ? o->preset
                              : "tiny",
        .config_file = o->config,
        .settings = o->settings.item,
        .n_settings = o->settings.count,
        .files = o->fasta.item,
        .n_files = o->fasta.count,
        .seconds = o->seconds,
    };
    return pf_bench_fasta(&bench, o->lengths.count ? &o->lengths : &fallback, o->json);
}

// ---- suites ----

static unsigned suites_of(const char *name)
{
    static const struct {
        const char *name;
        unsigned suites;
    } known[] = {{"device", PF_SUITE_DEVICE},       {"matmul", PF_SUITE_MATMUL},
                 {"attention", PF_SUITE_ATTENTION}, {"model", PF_SUITE_MODEL},
                 {"profile", PF_SUITE_PROFILE},     {"all", PF_SUITE_ALL}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0) return known[i].suites;
    return 0;
}

static pf_status read_shapes(const char *text, pf_suite_request *r)
{
    for (const char *at = text; *at;) {
        long batch = 0, length = 0;
        int used = 0;
        const bool is_shape = sscanf(at, "%9ldx%9ld%n", &batch, &length, &used) == 2 && batch >= 1 &&
                              length >= 1 && length <= 1 << 20 && batch <= (1 << 24) / length &&
                              (at[used] == ',' || at[used] == 0);
        if (!is_shape || r->n_shapes == PF_MOST_BENCH_SHAPES)
            return pf_tool_fail(
                PF_ERROR_USAGE,
                "--shapes %s: expected at most %d of the form 4x1024, sequences times tokens, together "
                "at most %d tokens",
                text, PF_MOST_BENCH_SHAPES, 1 << 24);
        r->shapes[r->n_shapes++] = (pf_bench_shape){(int32_t)batch, (int32_t)length};
        at += used + (at[used] == ',');
    }
    return r->n_shapes ? PF_OK : pf_tool_fail(PF_ERROR_USAGE, "--shapes without a shape");
}

static pf_status read_kernels(const char *text, pf_bench_kernel *out, int *count)
{
    char name[64];
    for (const char *at = text; *count == 0 || *at;) {
        const size_t length = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        if (*count == PF_MOST_BENCH_KERNELS)
            return pf_tool_fail(PF_ERROR_USAGE, "--kernel: at most %d kernels", PF_MOST_BENCH_KERNELS);
        pf_bench_kernel *kernel = &out[(*count)++];
        kernel->is_exact = strcmp(name, "exact") == 0;
        const pf_status status = kernel->is_exact ? PF_OK : pf_favor_kernel_read(name, &kernel->kernel);
        if (status != PF_OK) return status;
        at += length + (at[length] == ',');
    }
    return PF_OK;
}

static pf_status read_lengths(const pf_integers *lengths, pf_suite_request *r)
{
    static const int64_t usual[] = {512, 1024, 2048, 4096, 8192, 16384};
    const int64_t *from = lengths->count ? lengths->item : usual;
    r->n_lengths = lengths->count ? lengths->count : (int)(sizeof usual / sizeof *usual);
    if (r->n_lengths > PF_MOST_BENCH_SHAPES)
        return pf_tool_fail(PF_ERROR_USAGE, "--lengths: %d of them, at most %d", r->n_lengths,
                            PF_MOST_BENCH_SHAPES);
    for (int i = 0; i < r->n_lengths; i++) {
        if (i > 0 && from[i] <= from[i - 1])
            return pf_tool_fail(PF_ERROR_USAGE, "--lengths: %lld after %lld; give them rising",
                                (long long)from[i], (long long)from[i - 1]);
        r->lengths[i] = from[i];
    }
    return PF_OK;
}

// The model of those who gave none: that of tests/peers.
static const char usual_model[] =
    "{\"hidden_size\": 512, \"num_hidden_layers\": 6, \"num_attention_heads\": 8, \"intermediate_size\": "
    "1024, "
    "\"max_position_embeddings\": 1024, \"hidden_dropout\": 0, \"attention\": {\"num_features\": 256}}";

static pf_status read_model(const bench_options *o, pf_suite_request *r)
{
    struct pf_config finished;
    pf_config_default(&r->config);
    pf_status status = o->config   ? pf_config_read_file(&r->config, o->config, PF_CONFIG_USER)
                       : o->preset ? pf_config_preset(&r->config, o->preset)
                                   : pf_config_read(&r->config, usual_model, strlen(usual_model),
                                                    "the model of bench", PF_CONFIG_USER);
    for (int i = 0; i < o->settings.count && status == PF_OK; i++)
        status = pf_config_set(&r->config, o->settings.item[i]);
    if (status == PF_OK) status = pf_suite_config(r, r->model_kernels[0], r->shapes[0].length, &finished);
    return status;
}

static pf_status read_request(const bench_options *o, pf_suite_request *r)
{
    *r = (pf_suite_request){
        .common = &o->common,
        .suites = suites_of(o->suite),
        .causal = o->causal,
        .rounds = {.repeats = (int)o->repeat, .most_seconds = 4},
        .output = o->output,
        .json = o->json,
    };
    pf_status status = read_shapes(o->shapes, r);
    if (status == PF_OK)
        status = read_kernels(o->kernels_given ? o->kernels : "relu,softmax,exact", r->attention_kernels,
                              &r->n_attention_kernels);
    if (status == PF_OK)
        status =
            read_kernels(o->kernels_given ? o->kernels : "relu,exact", r->model_kernels, &r->n_model_kernels);
    if (status == PF_OK) status = read_lengths(&o->lengths, r);
    if (status == PF_OK) status = read_model(o, r);
    if (status != PF_OK || !o->output) return status;
    if (!(r->suites & (PF_SUITE_ATTENTION | PF_SUITE_MODEL)))
        return pf_tool_fail(PF_ERROR_USAGE,
                            "-o is for the suites attention and model: others have no length to plot");
    return pf_output_directory_check(o->output);
}

static pf_status write_files(const pf_suite_request *r, const pf_bench_rows *rows)
{
    pf_output_directory *directory = NULL;
    pf_status status = pf_output_directory_open(r->output, &directory);
    if (status != PF_OK) return status;
    status = pf_rows_write(r, rows, pf_output_staging(directory));
    if (status == PF_OK) return pf_output_directory_commit(directory);
    pf_output_directory_discard(directory);
    return status;
}

static pf_status measure(const pf_suite_request *r, pf_output *out)
{
    pf_bench_rows rows = {0};
    pf_device *device = NULL;
    pf_status status = pf_tool_device_open(&r->common[0], &device);
    if (status != PF_OK) return status;
    status = pf_suite_measure(r, device, out, &rows);
    if (status == PF_OK) pf_print_rows(r, out, pf_device_describe(device), &rows);
    status = pf_tool_device_close(r->common, device, status);
    if (status == PF_OK && r->output) status = write_files(r, &rows);
    if (status == PF_OK && r->suites & PF_SUITE_PROFILE) status = pf_suite_profile(r, out);
    free(rows.row);
    return status;
}

static pf_status run(void *options)
{
    const bench_options *o = options;
    pf_output *out = NULL;
    if (o->preset && o->config)
        return pf_tool_fail(PF_ERROR_USAGE, "bench: --preset and --config are two models; give one");
    if (o->fasta.count) return run_fasta(o);
    if (o->seconds_given)
        return pf_tool_fail(PF_ERROR_USAGE, "--seconds is for --fasta; suites take --repeat");
    pf_suite_request *request = calloc(1, sizeof *request);
    if (!request) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    pf_status status = read_request(o, request);
    if (status == PF_OK) status = pf_output_open(NULL, &out);
    if (status == PF_OK) status = measure(request, out);
    free(request);
    if (status == PF_OK) return pf_output_commit(out);
    pf_output_discard(out);
    return status;
}

const pf_command pf_command_bench = {
    .name = "bench",
    .summary = "how fast this device is, and whether linear attention pays on it",
    .operands = "",
    .details = "Measures the device's peaks; the matrix products of a layer; one attention layer, FAVOR and "
               "exact, by length; "
               "training and forward passes of the whole model; and a training step kernel by kernel. What "
               "is compared is "
               "measured in turn in the same rounds. Times are medians of finished work, compilation and the "
               "first run left "
               "out. GFLOP/s count what the method needs: FAVOR 2LH(2EM + 2M(E+1)), three times that with "
               "the backward pass; "
               "exact 4LLEH, half of it if causal, three and a half times with the backward pass.\n\n"
               "With --fasta it trains the model for a few seconds with exact attention, with FAVOR in all "
               "heads, and with "
               "some heads exact within a window (hybrid: the configuration's attention.local_heads, or half "
               "of all): on "
               "windows of rising length, until FAVOR is ahead, and on the file's own sequences, cut to the "
               "model's longest "
               "as in training. Prints tokens/s, device memory, the break-even length of this model on this "
               "device, the share "
               "of residues beyond it, and a verdict.",
    .example = "performer bench\n"
               "performer bench --suite attention --lengths 1024,4096,16384 --kernel relu,exact -o speeds\n"
               "performer bench --suite model --shapes 4x1024,1x8192 --json\n"
               "performer bench --fasta proteins.fasta.gz\n"
               "performer bench --fasta titins.fasta --preset small --set max_position_embeddings=8192 --set "
               "train.max_length=8192",
    .options = table,
    .options_bytes = sizeof(bench_options),
    .run = run,
};
