// performer approx: how well FAVOR estimates softmax attention.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/approx_report.h"
#include "tools/commands.h"
#include "tools/device.h"
#include "tools/output.h"
#include "tools/report.h"
#include "tools/stream.h"

typedef struct approx_options {
    pf_common common;
    pf_stream_flags stream; // of a model; batch_tokens is --tokens
    const char *output, *row_norm;
    pf_integers features;
    pf_texts kernels, projections;
    int64_t draws, length, head_size, stream_features;
    pf_texts scales;
    double oprf_s;
    bool causal, length_given, head_size_given, tokens_given, stream_given;
} approx_options;

#define AT(field) offsetof(approx_options, field)

static const pf_option table[] = {
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "DIR",
     .required = true,
     .at = AT(output),
     .help = "new or empty directory for the tables and pictures"},
    {.name = "features",
     .type = PF_OPTION_INTEGERS,
     .value = "M,M,...",
     .low = 1,
     .high = PF_MAX_FEATURES,
     .fallback = "16,32,64,128,256,512,1024",
     .at = AT(features),
     .help = "numbers of random features, rows of the projection"},
    {.name = "draws",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 1,
     .high = 1000000,
     .fallback = "15",
     .at = AT(draws),
     .help = "draws of the projection that means and deviations are taken over"},
    {.name = "kernel",
     .type = PF_OPTION_TEXTS,
     .value = "NAME",
     .at = AT(kernels),
     .help = "estimator of softmax attention; give it several times, all four by default"},
    {.name = "projection",
     .type = PF_OPTION_TEXTS,
     .value = "NAME",
     .at = AT(projections),
     .help = "orthogonal, iid, hadamard or givens; several times, the first two by default"},
    {.name = "row-norm",
     .type = PF_OPTION_CHOICE,
     .value = "WHAT",
     .choices = "chi|sqrt",
     .fallback = "chi",
     .at = AT(row_norm),
     .help = "norms of the projection's rows: chi (unbiased) or sqrt (regularised)"},
    {.name = "oprf-s",
     .type = PF_OPTION_NUMBER,
     .value = "S",
     .low = 1e-30,
     .high = 1e30,
     .at = AT(oprf_s),
     .help = "constant of softmax_oprf, by default what queries and keys ask for"},
    {.name = "length",
     .type = PF_OPTION_INTEGER,
     .value = "L",
     .low = 1,
     .high = PF_MAX_POSITIONS,
     .fallback = "4096",
     .at = AT(length),
     .given_at = AT(length_given),
     .help = "tokens of the random tensors"},
    {.name = "head-size",
     .type = PF_OPTION_INTEGER,
     .value = "E",
     .low = 1,
     .high = PF_MAX_HEAD_SIZE,
     .fallback = "16",
     .at = AT(head_size),
     .given_at = AT(head_size_given),
     .help = "numbers of a head of the random tensors"},
    {.name = "scale",
     .type = PF_OPTION_TEXTS,
     .value = "S",
     .at = AT(scales),
     .help = "standard deviation of random queries and keys; several times, 0.5 and 1 by default"},
    {.name = "causal",
     .type = PF_OPTION_FLAG,
     .at = AT(causal),
     .help = "random tensors: tokens see those before"},
    {.name = "tokens",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 1,
     .high = INT32_MAX,
     .fallback = "4096",
     .at = AT(stream.batch_tokens),
     .given_at = AT(tokens_given),
     .help = "with MODEL: of the first sequences, as many as have so many tokens together (always one)"},
    {.name = "stream-features",
     .type = PF_OPTION_INTEGER,
     .value = "M",
     .low = 0,
     .high = PF_MAX_FEATURES,
     .fallback = "256",
     .at = AT(stream_features),
     .given_at = AT(stream_given),
     .help = "with MODEL: features when the attention of all layers, or one, is replaced; 0 leaves that out"},
    {.name = "long",
     .type = PF_OPTION_CHOICE,
     .value = "WHAT",
     .choices = "crop|window|error",
     .fallback = "crop",
     .at = AT(stream.long_sequences),
     .help = "with MODEL: sequences longer than it allows: first tokens, consecutive windows, or an error"},
    PF_SETTINGS_ROW(AT(stream)),
    {0},
};

static pf_status check(const approx_options *o)
{
    const bool is_model = o->common.n_operands > 0;
    const char *random_only = o->length_given       ? "--length"
                              : o->head_size_given  ? "--head-size"
                              : o->scales.count > 0 ? "--scale"
                              : o->causal           ? "--causal"
                                                    : NULL;
    const char *model_only = o->tokens_given            ? "--tokens"
                             : o->stream_given          ? "--stream-features"
                             : o->stream.settings.count ? "--set"
                                                        : NULL;
    if (is_model && o->common.n_operands == 1)
        return pf_tool_fail(PF_ERROR_USAGE,
                            "approx: a model needs sequences to look at; write: performer approx "
                            "MODEL FASTA... -o DIR");
    if (is_model && random_only)
        return pf_tool_fail(PF_ERROR_USAGE, "approx: %s is for random tensors, a model brings its own",
                            random_only);
    if (!is_model && model_only)
        return pf_tool_fail(PF_ERROR_USAGE, "approx: %s is for a model; give MODEL FASTA... or leave it out",
                            model_only);
    return pf_output_directory_check(o->output);
}

static pf_status read_projection(const char *name, pf_projection_kind *out)
{
    for (int kind = PF_PROJECTION_ORTHOGONAL; kind < PF_PROJECTION_NONE; kind++)
        if (!strcmp(name, pf_approx_projection_name((pf_projection_kind)kind))) {
            *out = (pf_projection_kind)kind;
            return PF_OK;
        }
    return pf_tool_fail(PF_ERROR_USAGE, "--projection: '%.80s'; expected orthogonal, iid, hadamard or givens",
                        name);
}

static pf_status read_scales(const approx_options *o, pf_approx_options *out)
{
    const pf_option number = {.type = PF_OPTION_NUMBER, .low = 1e-6, .high = 1e6};
    pf_status status = PF_OK;
    if (o->scales.count > 0) out->n_scales = o->scales.count;
    for (int i = 0; i < o->scales.count && status == PF_OK; i++)
        status = pf_option_read(&number, "--scale", o->scales.item[i], &out->scale[i]);
    return status;
}

static pf_status read_options(const approx_options *o, pf_approx_options *out)
{
    pf_status status = PF_OK;
    pf_approx_default(out);
    if (o->features.count > PF_APPROX_MOST || o->kernels.count > PF_APPROX_MOST ||
        o->projections.count > PF_APPROX_MOST || o->scales.count > PF_APPROX_MOST)
        return pf_tool_fail(PF_ERROR_USAGE,
                            "approx: at most %d numbers of features, kernels, projections or scales",
                            PF_APPROX_MOST);
    out->n_features = o->features.count;
    for (int i = 0; i < o->features.count; i++) out->features[i] = (int32_t)o->features.item[i];
    if (o->kernels.count > 0) out->n_kernels = o->kernels.count;
    for (int i = 0; i < o->kernels.count && status == PF_OK; i++)
        status = pf_favor_kernel_read(o->kernels.item[i], &out->kernel[i]);
    if (o->projections.count > 0) out->n_projections = o->projections.count;
    for (int i = 0; i < o->projections.count && status == PF_OK; i++)
        status = read_projection(o->projections.item[i], &out->projection[i]);
    out->row_norm = strcmp(o->row_norm, "sqrt") ? PF_ROW_NORM_CHI : PF_ROW_NORM_SQRT;
    out->draws = (int32_t)o->draws;
    out->seed = (uint64_t)o->common.seed;
    out->oprf_s = o->oprf_s;
    out->length = (int32_t)o->length;
    out->head_size = (int32_t)o->head_size;
    out->causal = o->causal;
    out->stream_features = (int32_t)o->stream_features;
    return status == PF_OK ? read_scales(o, out) : status;
}

static pf_status keep_rows(pf_approx_table *t, const pf_approx_row *rows, int n_rows)
{
    if (t->count + (size_t)n_rows > t->capacity) {
        const size_t capacity = 2 * t->capacity + (size_t)n_rows;
        pf_approx_row *larger = realloc(t->row, capacity * sizeof *larger);
        if (!larger) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
        t->row = larger;
        t->capacity = capacity;
    }
    memcpy(t->row + t->count, rows, (size_t)n_rows * sizeof *rows);
    t->count += (size_t)n_rows;
    return PF_OK;
}

static void print_progress(const pf_common *common, int step, const pf_approx_table *t, double seconds)
{
    if (common->quiet || !isatty(STDERR_FILENO)) return;
    const pf_approx_row *row = &t->row[t->count - 1];
    fprintf(stderr, "\r\033[K%d of %d estimators, %s %s M %d, %.0f s ", step, t->size.steps,
            pf_favor_kernel_name(row->kernel), pf_approx_projection_name(row->projection), row->n_features,
            seconds);
}

static pf_status run_steps(const approx_options *o, pf_approx *approx, pf_approx_table *t)
{
    const double began = pf_tool_seconds();
    const pf_approx_row *rows = NULL;
    const char *warning;
    int n_rows = 0;
    pf_status status;
    t->size = pf_approx_describe(approx);
    for (size_t i = 0; (warning = pf_approx_warning(approx, i)); i++) pf_warn(&o->common, "%s", warning);
    if (t->is_model)
        pf_say(&o->common, "%d layers of %d heads of %d, %d sequences of %d tokens", t->size.layers,
               t->size.heads, t->size.head_size, t->size.sequences, t->size.tokens);
    for (int step = 1; (status = pf_approx_step(approx, &rows, &n_rows)) == PF_OK; step++) {
        status = keep_rows(t, rows, n_rows);
        if (status != PF_OK) break;
        print_progress(&o->common, step, t, pf_tool_seconds() - began);
    }
    pf_tool_end_progress(&o->common);
    pf_tell(&o->common, "%d estimators, %d draws each, in %.1f s", t->size.steps, t->options.draws,
            pf_tool_seconds() - began);
    return status == PF_END ? PF_OK : status;
}

static pf_status study(const approx_options *o, pf_device *device, pf_approx_table *t)
{
    pf_stream_options stream;
    pf_model *model = NULL;
    pf_approx *approx = NULL;
    pf_status status = PF_OK;
    t->is_model = o->common.n_operands > 0;
    if (t->is_model) {
        status = pf_tool_stream(&o->common, &o->stream, &stream);
        if (status == PF_OK)
            status = pf_tool_model_open(&o->common, &o->stream, device, (pf_model_options){0}, &model);
        if (status == PF_OK) status = pf_approx_open_model(model, &stream, &t->options, &approx);
    } else {
        status = pf_approx_open(device, &t->options, &approx);
    }
    if (status == PF_OK) status = run_steps(o, approx, t);
    pf_approx_close(approx);
    pf_model_close(model);
    return status;
}

static pf_status save(const approx_options *o, const pf_approx_table *t)
{
    pf_output_directory *directory = NULL;
    pf_status status = pf_output_directory_open(o->output, &directory);
    if (status != PF_OK) return status;
    status = pf_approx_write_tables(t, pf_output_staging(directory));
    if (status == PF_OK) status = pf_approx_write_plots(t, pf_output_staging(directory));
    if (status == PF_OK) return pf_output_directory_commit(directory);
    pf_output_directory_discard(directory);
    return status;
}

static pf_status run(void *options)
{
    const approx_options *o = options;
    pf_approx_table t = {0};
    pf_device *device = NULL;
    pf_status status = check(o);
    if (status == PF_OK) status = read_options(o, &t.options);
    if (status == PF_OK) status = pf_tool_device_open(&o->common, &device);
    if (status != PF_OK) return status;
    status = pf_tool_device_close(&o->common, device, study(o, device, &t));
    if (status == PF_OK) status = save(o, &t);
    if (status == PF_OK) pf_approx_print_verdict(stdout, &t);
    free(t.row);
    return status;
}

const pf_command pf_command_approx = {
    .name = "approx",
    .summary = "how well random features estimate softmax attention",
    .operands = "[MODEL FASTA...]",
    .details =
        "The paper's approximation study: the error of FAVOR's attention output against exact attention, "
        "for\n"
        "feature maps, projections and numbers of features, mean and standard deviation over draws. Without "
        "a\n"
        "model on random tensors: q, k and v of independent normal numbers, one head. With one, on the "
        "queries,\n"
        "keys and values of each of its layers, all heads together and all attending to the whole sequence; "
        "and\n"
        "with the attention of all layers replaced at once, the residual stream and the logits against those "
        "of\n"
        "exact attention with the same weights; and with that of one layer after the other, which says where "
        "exact\n"
        "attention is worth keeping (kernel and projection: the first ones).\n"
        "DIR gets attention.tsv; for random tensors attention-scale-S.svg (mean squared error), for a model\n"
        "attention.svg and layers.svg (relative error), stream.tsv, stream.svg and alone.svg (one layer). The verdict on stdout "
        "says which\n"
        "of the papers' orderings the numbers show; 'clearly' is by more than two standard errors.",
    .example = "performer approx -o study\n"
               "performer approx --scale 0.5 --kernel softmax --projection orthogonal --projection hadamard "
               "-o study\n"
               "performer approx run proteins.fasta --features 64,256 --draws 5 -o study",
    .options = table,
    .options_bytes = sizeof(approx_options),
    .min_operands = 0,
    .max_operands = -1,
    .run = run,
};
