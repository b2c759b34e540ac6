// Merging adapters on the host. See merge.h.
#include "model/merge.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

static void add_product(float *row, const float *up, const float *down, pf_lora_shape shape, double scale,
                        int r)
{
    for (int i = 0; i < shape.in; i++) {
        double sum = 0;
        for (int k = 0; k < r; k++)
            sum += (double)up[k] * (double)down[(size_t)k * (size_t)shape.in + (size_t)i];
        row[i] = (float)((double)row[i] + scale * sum);
    }
}

static void merge_target(const pf_model_arrays *from, pf_model_arrays *to, int layer, int target)
{
    char name[PF_PARAMETER_NAME];
    const struct pf_config *config = &from->config;
    const pf_lora_shape shape = pf_lora_shape_of(config, target);
    const int r = config->lora.rank;
    const float *up = from->trained + from->parameters->layer[layer].lora_up[target];
    const float *down = from->trained + from->parameters->layer[layer].lora_down[target];
    snprintf(name, sizeof name, "layers.%d.%s.weight", layer, pf_lora_names_of(target)->module);
    float *weight = pf_model_numbers(to, pf_parameters_find(to->parameters, name));
    for (int j = 0; j < shape.out; j++)
        add_product(weight + (size_t)j * (size_t)shape.in, up + (size_t)j * (size_t)r, down, shape,
                    pf_lora_scale(config), r);
}

static void count_not_finite(pf_model_arrays *arrays)
{
    for (int i = 0; i < arrays->parameters->n_tensors; i++) {
        const pf_parameter *tensor = &arrays->parameters->tensor[i];
        const float *numbers = pf_model_numbers(arrays, tensor);
        for (size_t n = 0; n < tensor->count; n++) {
            if (isfinite(numbers[n])) continue;
            if (arrays->n_not_finite++ == 0) arrays->not_finite = tensor;
        }
    }
}

pf_status pf_model_merge(const pf_model_arrays *from, pf_model_arrays **out)
{
    struct pf_config config = from->config, defaults;
    pf_model_arrays *to = NULL;
    pf_config_default(&defaults);
    config.lora = defaults.lora;
    PF_TRY(pf_model_arrays_create(&config, &to));
    const pf_status status = from->source ? pf_model_arrays_set_source(to, from->source) : PF_OK;
    if (status != PF_OK) {
        pf_model_arrays_free(to);
        return status;
    }
    for (int i = 0; i < to->parameters->n_tensors; i++) {
        const pf_parameter *tensor = &to->parameters->tensor[i];
        const pf_parameter *old = pf_parameters_find(from->parameters, tensor->name);
        memcpy(pf_model_numbers(to, tensor), pf_model_numbers(from, old), tensor->count * sizeof(float));
    }
    for (int layer = 0; layer < config.num_hidden_layers; layer++)
        for (int target = 0; target < PF_LORA_TARGETS; target++)
            if (pf_lora_has(&from->config, layer, target)) merge_target(from, to, layer, target);
    count_not_finite(to);
    *out = to;
    return PF_OK;
}

pf_status pf_model_load_merged(const char *directory, pf_model_arrays **out)
{
    pf_model_arrays *read = NULL;
    *out = NULL;
    PF_TRY(pf_model_load(directory, &read));
    if (read->config.lora.rank == 0) {
        *out = read;
        return PF_OK;
    }
    const pf_status status = pf_model_merge(read, out);
    pf_model_arrays_free(read);
    return status;
}
