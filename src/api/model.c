// Opens a finished model: which directory it is, its weights, and as much room as the device and the purpose
// want. See performer/model.h.
#include "performer/model.h"

#include <string.h>

#include "api/model.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/performer.h"
#include "ops/matmul/matmul.h"

enum { MOST_AUTOMATIC_TOKENS = 16384, LEAST_AUTOMATIC_TOKENS = 256 };

static pf_status apply_settings(const pf_model_options *o, struct pf_config *config)
{
    for (int i = 0; i < o->n_settings; i++) {
        char quoted[PF_QUOTE_BYTES];
        PF_CHECK(strncmp(o->settings[i], "compute.", 8) == 0, PF_ERROR_USAGE,
                 "%s: a finished model takes compute keys only, as in compute.matmul=tile",
                 pf_quote(quoted, o->settings[i], strlen(o->settings[i])));
        PF_TRY(pf_config_set(config, o->settings[i]));
    }
    return PF_OK;
}

// The last layer is wanted after the final norm, which limits call -1.
static pf_status choose_layers(const pf_model_options *o, const struct pf_config *config,
                               pf_model_limits *limits)
{
    const int32_t n_layers = config->num_hidden_layers;
    PF_CHECK(o->n_layers <= PF_MAX_CAPTURED, PF_ERROR_USAGE, "%d layers at once, at most %d", o->n_layers,
             PF_MAX_CAPTURED);
    for (int i = 0; i < o->n_layers; i++) {
        const int32_t layer = o->layers[i] < 0 ? n_layers + 1 + o->layers[i] : o->layers[i];
        PF_CHECK(
            layer >= 0 && layer <= n_layers, PF_ERROR_USAGE,
            "layer %d: the model has layers 0 (the embedding sum) to %d, or -1 to %d counted from the end",
            o->layers[i], n_layers, -n_layers - 1);
        limits->captured[i] = layer == n_layers ? -1 : layer;
    }
    limits->n_captured = o->n_layers;
    return PF_OK;
}

static void set_rows(const pf_model_options *o, int32_t rows, pf_model_limits *limits)
{
    limits->max_rows = rows;
    limits->max_sequences = o->max_sequences > 0 ? o->max_sequences : pf_most_sequences(rows);
    if (limits->max_sequences > limits->max_rows) limits->max_rows = limits->max_sequences;
}

// The largest power of two of rows whose plan takes at most a quarter of the device's memory.
static pf_status choose_rows(pf_device *device, const pf_model_options *o, const pf_model_arrays *arrays,
                             pf_model_limits *limits)
{
    const uint64_t quarter = pf_device_describe(device)->global_bytes / 4;
    pf_matmul *matmul = NULL;
    pf_plan plan;
    pf_status status;
    PF_TRY(pf_matmul_create(device, arrays->config.compute.matmul, &matmul));
    int32_t rows = MOST_AUTOMATIC_TOKENS;
    for (;; rows /= 2) {
        set_rows(o, rows, limits);
        const pf_plan_request request = {&arrays->config, limits, arrays->parameters, device, matmul};
        PF_TRY_OR(done, pf_plan_make(&request, &plan));
        if (rows <= LEAST_AUTOMATIC_TOKENS || pf_plan_total_bytes(&plan, limits->carry) <= quarter) break;
    }
done:
    pf_matmul_free(matmul);
    return status;
}

// Tokens of one sequence. What is carried of exact layers grows with them: there a pass's length is a
// beginning, who needs more gives the model more room.
static int32_t choose_length(const pf_model_options *o, const struct pf_config *config)
{
    enum { LEAST = 1024 };
    const int32_t most = config->max_position_embeddings;
    if (o->max_length > 0) return o->max_length;
    for (int layer = 0; o->carry && layer < config->num_hidden_layers; layer++)
        if (pf_config_layer_type(config, layer) == PF_ATTENTION_SOFTMAX) return most < LEAST ? most : LEAST;
    return most;
}

static pf_status choose_limits(pf_device *device, const pf_model_options *o, const pf_model_arrays *arrays,
                               pf_model_limits *limits)
{
    const int32_t most = arrays->config.max_position_embeddings;
    PF_CHECK(o->batch_tokens >= 0 && o->batch_tokens <= INT32_MAX, PF_ERROR_USAGE,
             "%lld tokens a batch, at most %d", (long long)o->batch_tokens, INT32_MAX);
    PF_CHECK(o->max_length >= 0 && o->max_length <= most, PF_ERROR_USAGE,
             "sequences of %d tokens, the model takes %d", o->max_length, most);
    *limits = (pf_model_limits){
        .max_length = choose_length(o, &arrays->config),
        .row_losses = o->row_losses,
        .probe = o->probe,
        .carry = o->carry,
    };
    PF_TRY(choose_layers(o, &arrays->config, limits));
    if (o->batch_tokens == 0) return choose_rows(device, o, arrays, limits);
    set_rows(o, (int32_t)o->batch_tokens, limits);
    return PF_OK;
}

static pf_status warn_of_weights(const char *directory, const pf_model_arrays *arrays, pf_text *warnings)
{
    if (arrays->n_not_finite == 0) return PF_OK;
    PF_TRY(pf_text_add_path(warnings, directory));
    return pf_text_add(warnings,
                       ": %llu numbers are NaN or infinite, the first in tensor %s; results will be too\n",
                       (unsigned long long)arrays->n_not_finite, arrays->not_finite->name);
}

pf_status pf_model_open_arrays(pf_device *device, const pf_model_options *options, pf_model_arrays *arrays,
                               pf_model **out)
{
    pf_model_limits limits;
    pf_model *model = NULL;
    PF_TRY(apply_settings(options, &arrays->config));
    PF_TRY(choose_limits(device, options, arrays, &limits));
    PF_TRY(pf_model_create(device, &arrays->config, &limits, &model));
    const pf_status status = pf_model_upload(model, arrays->trained, arrays->projections);
    if (status == PF_OK)
        *out = model;
    else
        pf_model_free(model);
    return status;
}

static void drop_last_newline(pf_text *text)
{
    if (text->length && text->data[text->length - 1] == '\n') text->data[--text->length] = '\0';
}

pf_status pf_model_open(pf_device *device, const char *path, const pf_model_options *options, pf_model **out,
                        char **warnings)
{
    char *directory = NULL;
    pf_model_arrays *arrays = NULL;
    pf_text text = {0};
    pf_status status;
    *out = NULL;
    PF_TRY_OR(done, pf_model_resolve(path, &directory, &text));
    PF_TRY_OR(done, pf_model_load_merged(directory, &arrays));
    PF_TRY_OR(done, warn_of_weights(directory, arrays, &text));
    PF_TRY_OR(done, pf_model_open_arrays(device, options, arrays, out));
    drop_last_newline(&text);
    if (warnings) {
        *warnings = text.data;
        text = (pf_text){0};
    }
done:
    pf_text_free(&text);
    pf_model_arrays_free(arrays);
    pf_free(directory);
    return status;
}

void pf_model_close(pf_model *model)
{
    pf_model_free(model);
}
