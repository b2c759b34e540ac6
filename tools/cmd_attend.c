// performer attend: one attention layer on NumPy files.
#include <inttypes.h>
#include <string.h>

#include "performer/attention.h"
#include "tools/commands.h"
#include "tools/device.h"
#include "tools/output.h"
#include "tools/report.h"

typedef struct attend_options {
    pf_common common;
    const char *query, *key, *value, *kernel, *projection, *output, *gradient, *gradient_output;
    int64_t num_features, window;
    pf_integers lengths;
    double epsilon, oprf_s;
    bool causal, exact, no_renormalize;
    bool kernel_given, features_given, window_given, epsilon_given, oprf_given;
} attend_options;

#define AT(field) offsetof(attend_options, field)
#define FILE_ROW(option_name, field, is_required, text)                                                      \
    {                                                                                                        \
        .name = (option_name), .type = PF_OPTION_TEXT, .value = "FILE", .at = AT(field),                     \
        .required = (is_required), .help = (text)                                                            \
    }

static const pf_option table[] = {
    FILE_ROW("query", query, true, "queries, .npy of [B,H,L,E] or [L,E], float32 or float64 in C order"),
    FILE_ROW("key", key, true, "keys, of the same shape"),
    FILE_ROW("value", value, true, "values, of the same shape"),
    {.name = "kernel",
     .type = PF_OPTION_TEXT,
     .value = "NAME",
     .fallback = "relu",
     .at = AT(kernel),
     .given_at = AT(kernel_given),
     .help = "feature map of FAVOR"},
    {.name = "projection",
     .type = PF_OPTION_TEXT,
     .value = "FILE|none",
     .at = AT(projection),
     .help = "projection matrix, .npy of [M,E], or none (not with softmax kernels)"},
    {.name = "num-features",
     .type = PF_OPTION_INTEGER,
     .value = "M",
     .low = 1,
     .high = PF_MAX_FEATURES,
     .fallback = "256",
     .at = AT(num_features),
     .given_at = AT(features_given),
     .help = "orthogonal features drawn from the seed"},
    {.name = "causal",
     .type = PF_OPTION_FLAG,
     .at = AT(causal),
     .help = "a token sees itself and those before it"},
    {.name = "lengths",
     .type = PF_OPTION_INTEGERS,
     .value = "N,N,...",
     .at = AT(lengths),
     .help = "real tokens of each batch entry; the rows behind them are padding"},
    {.name = "epsilon",
     .type = PF_OPTION_NUMBER,
     .value = "E",
     .low = 0,
     .high = 1e30,
     .fallback = "1e-3",
     .at = AT(epsilon),
     .given_at = AT(epsilon_given),
     .help = "added to each feature (softmax kernels do not use it)"},
    {.name = "oprf-s",
     .type = PF_OPTION_NUMBER,
     .value = "S",
     .low = 1e-30,
     .high = 1e30,
     .at = AT(oprf_s),
     .given_at = AT(oprf_given),
     .help = "constant of kernel softmax_oprf, E/16 by default"},
    {.name = "no-renormalize",
     .type = PF_OPTION_FLAG,
     .at = AT(no_renormalize),
     .help = "leave the division by the sum of weights out"},
    {.name = "exact",
     .type = PF_OPTION_FLAG,
     .at = AT(exact),
     .help = "exact softmax attention instead of FAVOR"},
    {.name = "window",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 1,
     .high = INT32_MAX,
     .at = AT(window),
     .given_at = AT(window_given),
     .help = "with --exact: only tokens less than N away"},
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .required = true,
     .at = AT(output),
     .help = "the result, float32 .npy of the inputs' shape, 0 in rows of padding"},
    FILE_ROW("grad", gradient, false,
             "gradient of the result, of the same shape: computes those of the inputs"),
    {.name = "grad-out",
     .type = PF_OPTION_TEXT,
     .value = "DIR",
     .at = AT(gradient_output),
     .help = "with --grad: new or empty directory for dq.npy, dk.npy and dv.npy"},
    {0},
};

static pf_status exclude(bool a, const char *a_name, bool b, const char *b_name)
{
    if (!a || !b) return PF_OK;
    return pf_tool_fail(PF_ERROR_USAGE, "attend: %s and %s exclude each other; give one of them", a_name,
                        b_name);
}

static pf_status needs(bool a, const char *a_name, bool b, const char *b_name)
{
    if (!a || b) return PF_OK;
    return pf_tool_fail(PF_ERROR_USAGE, "attend: %s needs %s", a_name, b_name);
}

static pf_status check(const attend_options *o)
{
    const bool exact = o->exact;
    pf_status status = exclude(o->projection != NULL, "--projection", o->features_given, "--num-features");
    if (status == PF_OK) status = exclude(exact, "--exact", o->kernel_given, "--kernel");
    if (status == PF_OK) status = exclude(exact, "--exact", o->projection != NULL, "--projection");
    if (status == PF_OK) status = exclude(exact, "--exact", o->features_given, "--num-features");
    if (status == PF_OK) status = exclude(exact, "--exact", o->epsilon_given, "--epsilon");
    if (status == PF_OK) status = exclude(exact, "--exact", o->oprf_given, "--oprf-s");
    if (status == PF_OK) status = exclude(exact, "--exact", o->no_renormalize, "--no-renormalize");
    if (status == PF_OK) status = needs(o->window_given, "--window", exact, "--exact");
    const bool is_oprf = strcmp(o->kernel, "softmax_oprf") == 0;
    if (status == PF_OK) status = needs(o->oprf_given, "--oprf-s", is_oprf, "--kernel softmax_oprf");
    if (status == PF_OK)
        status = needs(o->gradient != NULL, "--grad", o->gradient_output != NULL, "--grad-out");
    if (status == PF_OK)
        status = needs(o->gradient_output != NULL, "--grad-out", o->gradient != NULL, "--grad");
    return status;
}

static pf_status read_inputs(const attend_options *o, pf_attention **out)
{
    const bool has_none = o->projection && strcmp(o->projection, "none") == 0;
    const pf_attention_files files = {
        .query = o->query,
        .key = o->key,
        .value = o->value,
        .gradient = o->gradient,
        .projection = has_none ? NULL : o->projection,
        .num_features = (int32_t)o->num_features,
        .seed = (uint64_t)o->common.seed,
        .lengths = o->lengths.item,
        .n_lengths = o->lengths.count,
    };
    pf_attention_options options;
    pf_attention_default(&options);
    options.exact = o->exact;
    options.causal = o->causal;
    options.window = (int32_t)o->window;
    options.projected = !has_none;
    options.renormalize = !o->no_renormalize;
    options.epsilon = o->epsilon;
    options.oprf_s = o->oprf_s;
    const pf_status status = pf_favor_kernel_read(o->kernel, &options.kernel);
    return status == PF_OK ? pf_attention_open(&options, &files, out) : status;
}

// Gradients wait in their folder until the output stands: all of it appears or nothing.
static pf_status save(const attend_options *o, const pf_attention *attention)
{
    pf_output_directory *directory = NULL;
    pf_status status = PF_OK;
    const uint64_t not_finite = pf_attention_not_finite(attention);
    if (not_finite > 0)
        pf_warn(&o->common,
                "%" PRIu64 " results are not finite: the formula's own values are too large for float32",
                not_finite);
    if (o->gradient) status = pf_output_directory_open(o->gradient_output, &directory);
    if (status == PF_OK && directory)
        status = pf_attention_save_gradients(attention, pf_output_staging(directory));
    if (status == PF_OK) status = pf_attention_save(attention, o->output);
    if (status != PF_OK || !directory) {
        pf_output_directory_discard(directory);
        return status;
    }
    return pf_output_directory_commit(directory);
}

static pf_status compute(const attend_options *o, pf_attention *attention)
{
    pf_device *device = NULL;
    pf_status status = pf_tool_device_open(&o->common, &device);
    if (status != PF_OK) return status;
    return pf_tool_device_close(&o->common, device, pf_attention_compute(attention, device));
}

static pf_status run(void *given)
{
    const attend_options *o = given;
    pf_attention *attention = NULL;
    pf_status status = check(o);
    if (status == PF_OK && o->gradient) status = pf_output_directory_check(o->gradient_output);
    if (status == PF_OK) status = read_inputs(o, &attention);
    if (status == PF_OK) status = compute(o, attention);
    if (status == PF_OK) status = save(o, attention);
    pf_attention_close(attention);
    return status;
}

const pf_command pf_command_attend = {
    .name = "attend",
    .summary = "one attention layer on NumPy arrays, with gradients",
    .operands = "",
    .details = "Computes FAVOR attention (or, with --exact, softmax attention) of queries, keys and values "
               "from .npy\n"
               "files, without any model. Without --projection and --num-features the projection is 256\n"
               "orthogonal features drawn from --seed. [L,E] is one head of one sequence.",
    .example = "performer attend --query q.npy --key k.npy --value v.npy --kernel softmax --causal -o o.npy\n"
               "performer attend --query q.npy --key k.npy --value v.npy --exact -o o.npy --grad g.npy "
               "--grad-out grads",
    .options = table,
    .options_bytes = sizeof(attend_options),
    .max_operands = 0,
    .run = run,
};
