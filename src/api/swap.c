// A model's weights under another attention. See performer/swap.h.
#include "performer/swap.h"

#include <string.h>

#include "api/model.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/init.h"
#include "model/performer.h"

static pf_status apply(const pf_swap_options *swap, struct pf_config *config)
{
    for (int i = 0; i < swap->n_settings; i++) {
        char quoted[PF_QUOTE_BYTES];
        PF_CHECK(strncmp(swap->settings[i], "attention.", 10) == 0, PF_ERROR_USAGE,
                 "%s: a swap takes keys of attention only, as in attention.type=favor",
                 pf_quote(quoted, swap->settings[i], strlen(swap->settings[i])));
        PF_TRY(pf_config_set(config, swap->settings[i]));
    }
    return pf_config_finish(config, PF_CONFIG_USER);
}

static pf_status draw(const struct pf_config *config, const pf_parameters *parameters, uint64_t seed,
                      float *projections)
{
    void *scratch = NULL;
    PF_TRY(
        pf_alloc(&scratch, pf_projection_scratch(pf_config_head_size(config)), sizeof(double), "projection"));
    for (int layer = 0; layer < config->num_hidden_layers; layer++) {
        if (!pf_config_has_projection(config, layer)) continue;
        const pf_projection_request request = pf_projection_of_layer(config, seed, layer, 0);
        pf_projection_draw(projections + parameters->layer[layer].projection, &request, scratch);
    }
    pf_free(scratch);
    return PF_OK;
}

// All but the projections, by name: their places differ.
static pf_status copy_tensors(const pf_model_arrays *from, pf_model_arrays *to)
{
    for (int i = 0; i < to->parameters->n_tensors; i++) {
        const pf_parameter *tensor = &to->parameters->tensor[i];
        const pf_parameter *old = pf_parameters_find(from->parameters, tensor->name);
        if (tensor->initial == PF_INITIAL_PROJECTION) continue;
        PF_CHECK(old && old->count == tensor->count, PF_ERROR_USAGE,
                 "a swap cannot change tensor %s, only what attention is made of", tensor->name);
        memcpy(pf_model_numbers(to, tensor), pf_model_numbers(from, old), tensor->count * sizeof(float));
    }
    return PF_OK;
}

static pf_status make_swapped(const pf_model_arrays *from, const pf_swap_options *swap, pf_model_arrays **out)
{
    struct pf_config config = from->config;
    PF_TRY(apply(swap, &config));
    PF_TRY(pf_model_arrays_create(&config, out));
    PF_TRY(copy_tensors(from, *out));
    return draw(&config, (*out)->parameters, swap->seed, (*out)->projections);
}

pf_status pf_model_open_swapped(pf_device *device, const char *path, const pf_model_options *options,
                                const pf_swap_options *swap, pf_model **out)
{
    char *directory = NULL;
    pf_model_arrays *from = NULL, *to = NULL;
    pf_status status;
    *out = NULL;
    PF_TRY_OR(done, pf_model_resolve(path, &directory, NULL));
    PF_TRY_OR(done, pf_model_load_merged(directory, &from));
    PF_TRY_OR(done, make_swapped(from, swap, &to));
    PF_TRY_OR(done, pf_model_open_arrays(device, options, to, out));
done:
    pf_model_arrays_free(from);
    pf_model_arrays_free(to);
    pf_free(directory);
    return status;
}

pf_status pf_model_redraw(pf_model *model, uint64_t seed)
{
    const pf_parameters *parameters = pf_model_params(model);
    void *projections = NULL;
    if (parameters->projections_size == 0) return PF_OK;
    PF_TRY(pf_alloc(&projections, parameters->projections_size, sizeof(float), "projections"));
    pf_status status = pf_model_download(model, NULL, projections);
    if (status == PF_OK) status = draw(pf_model_config(model), parameters, seed, projections);
    if (status == PF_OK) status = pf_model_upload(model, NULL, projections);
    pf_free(projections);
    return status;
}
