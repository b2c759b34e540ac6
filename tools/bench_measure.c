// Measuring the training of a model by doing it. See bench.h.
#include <stdlib.h>
#include <string.h>

#include "performer/train.h"
#include "tools/bench.h"
#include "tools/device.h"
#include "tools/report.h"
#include "tools/stream.h"

const char *const pf_bench_names[PF_BENCH_KINDS] = {"exact", "favor", "hybrid"};

// Steps that only warm up, that are enough, and that are never exceeded; tokens of a step of windows, at
// least.
enum { WARM = 2, ENOUGH = 5, MOST_STEPS = 1000, STEP_TOKENS = 4096, OWN_SETTINGS = 12, SETTING_BYTES = 96 };

// The settings of the user, then those of the measurement.
typedef struct bench_settings {
    const char **all;
    char own[OWN_SETTINGS][SETTING_BYTES];
    int count, n_own;
} bench_settings;

static void set(bench_settings *s, const char *key, int64_t value)
{
    snprintf(s->own[s->n_own], SETTING_BYTES, "%s=%lld", key, (long long)value);
    s->all[s->count++] = s->own[s->n_own++];
}

static pf_status make_settings(const pf_bench *b, pf_bench_kind kind, int64_t length, bench_settings *s)
{
    s->all = calloc((size_t)b->n_settings + OWN_SETTINGS, sizeof *s->all);
    if (!s->all) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    for (int i = 0; i < b->n_settings; i++) s->all[s->count++] = b->settings[i];
    s->all[s->count++] = kind == PF_BENCH_EXACT ? "attention.type=softmax" : "attention.type=favor";
    set(s, "attention.local_heads", kind == PF_BENCH_HYBRID ? b->local : 0);
    set(s, "train.steps", WARM + MOST_STEPS);
    set(s, "train.eval_interval", 0);
    set(s, "train.checkpoint_interval", 0);
    set(s, "train.time_limit", 0);
    if (length == 0) return PF_OK;
    const int64_t tokens = length > STEP_TOKENS ? length : STEP_TOKENS / length * length;
    s->all[s->count++] = "train.packing=concat";
    set(s, "max_position_embeddings", length);
    set(s, "train.max_length", length);
    set(s, "train.batch_tokens", tokens);
    set(s, "train.micro_batch_tokens", tokens);
    return PF_OK;
}

static int compare(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static pf_status take_steps(const pf_bench *b, pf_training *training, double *tokens_per_s)
{
    double speed[MOST_STEPS], began = 0;
    int count = 0;
    for (int step = 0; step < WARM + MOST_STEPS; step++) {
        pf_training_report report;
        const pf_status status = pf_training_step(training, &report);
        if (status != PF_OK) return status;
        if (step == WARM - 1) began = pf_tool_seconds();
        if (step < WARM) continue;
        speed[count++] = report.tokens_per_s;
        if (count >= ENOUGH && pf_tool_seconds() - began >= b->seconds) break;
    }
    qsort(speed, (size_t)count, sizeof *speed, compare);
    *tokens_per_s = speed[count / 2];
    return PF_OK;
}

static pf_status rehearse(const pf_bench *b, pf_device *device, const bench_settings *s, pf_bench_speed *out)
{
    const pf_training_options options = {
        .rehearsal = true,
        .preset = b->preset,
        .config_file = b->config_file,
        .settings = s->all,
        .n_settings = s->count,
        .seed = b->common->seed,
        .train_files = b->files,
        .n_train_files = b->n_files,
    };
    pf_training *training = NULL;
    pf_status status = pf_training_open(device, &options, &training);
    if (status == PF_OK) status = take_steps(b, training, &out->tokens_per_s);
    out->peak_bytes = pf_device_peak_bytes(device);
    pf_training_close(training);
    return status;
}

pf_status pf_bench_measure(const pf_bench *bench, pf_bench_kind kind, int64_t length, pf_bench_speed *out)
{
    bench_settings s = {0};
    pf_device *device = NULL;
    pf_status status = make_settings(bench, kind, length, &s);
    if (status == PF_OK) status = pf_tool_device_open(bench->common, &device);
    if (status == PF_OK) {
        status = rehearse(bench, device, &s, out);
        status = pf_tool_device_close(bench->common, device, status);
    }
    free(s.all);
    return status;
}

pf_status pf_bench_prepare(pf_bench *b)
{
    struct pf_config config;
    pf_config_default(&config);
    pf_status status = b->config_file ? pf_config_read_file(&config, b->config_file, PF_CONFIG_USER)
                                      : pf_config_preset(&config, b->preset);
    for (int i = 0; i < b->n_settings && status == PF_OK; i++)
        status = pf_config_set(&config, b->settings[i]);
    if (status == PF_OK) status = pf_config_finish(&config, PF_CONFIG_USER);
    if (status != PF_OK) return status;
    b->local = config.attention.local_heads > 0 ? config.attention.local_heads
                                                : (config.num_attention_heads + 1) / 2;
    return PF_OK;
}
