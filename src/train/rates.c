// Learning rates of tensors. See rates.h.
#include "train/rates.h"

#include <fnmatch.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/patterns.h"
#include "base/text.h"
#include "ops/adamw.h"

_Static_assert((int)PF_TENSOR_ALIGNMENT % (int)PF_RATE_BLOCK == 0, "a tensor begins with a block");

static pf_status check_patterns(const struct pf_config *config, const pf_parameters *all)
{
    char pattern[PF_PATTERNS_BYTES], quoted[PF_QUOTE_BYTES];
    for (const char *list = config->train.freeze; pf_patterns_next(&list, pattern, sizeof pattern);) {
        bool is_used = false;
        for (int i = 0; i < all->n_tensors && !is_used; i++)
            is_used = all->tensor[i].is_trained && fnmatch(pattern, all->tensor[i].name, 0) == 0;
        PF_CHECK(is_used, PF_ERROR_USAGE,
                 "train.freeze: %s is no trained tensor's name; they are called like %s and %s, and * stands "
                 "for anything",
                 pf_quote(quoted, pattern, strlen(pattern)), all->tensor[0].name,
                 "layers.0.attention.query.weight");
    }
    return PF_OK;
}

// Layers above a tensor, the head above all of them.
static int layers_above(const pf_parameters *all, const pf_parameter *tensor)
{
    if (tensor->layer >= 0) return all->n_layers - tensor->layer;
    return strncmp(tensor->name, "embed.", 6) == 0 ? all->n_layers + 1 : 0;
}

static float rate_of(const struct pf_config *config, const pf_parameters *all, const pf_parameter *tensor)
{
    if (tensor->is_frozen || pf_patterns_match(config->train.freeze, tensor->name)) return 0;
    return (float)pow(config->train.layer_decay, layers_above(all, tensor));
}

// Where the backward pass may end.
static int lowest_trained(const struct pf_config *config, const pf_parameters *all)
{
    int lowest = all->n_layers;
    for (int i = 0; i < all->n_tensors; i++) {
        const pf_parameter *tensor = &all->tensor[i];
        const int layer = layers_above(all, tensor) > all->n_layers ? -1
                          : tensor->layer < 0                       ? all->n_layers
                                                                    : tensor->layer;
        if (tensor->is_trained && layer < lowest && rate_of(config, all, tensor) > 0) lowest = layer;
    }
    return lowest;
}

// Tensors that join the one before may share a block with it.
static pf_status set_tensor(pf_rates *r, const pf_parameter *tensor, float rate)
{
    const size_t first = tensor->offset / PF_RATE_BLOCK,
                 end = (tensor->offset + tensor->count - 1) / PF_RATE_BLOCK;
    PF_CHECK(tensor->offset % PF_RATE_BLOCK == 0 || r->rate[first] == rate, PF_ERROR_USAGE,
             "train.freeze: %s cannot be frozen apart from the tensor before it, as it begins within the "
             "same %d numbers",
             tensor->name, PF_RATE_BLOCK);
    for (size_t block = first; block <= end; block++) r->rate[block] = rate;
    return PF_OK;
}

static pf_status fill(const struct pf_config *config, const pf_parameters *all, pf_rates *r)
{
    bool is_any_trained = false;
    for (int i = 0; i < all->n_tensors; i++) {
        const pf_parameter *tensor = &all->tensor[i];
        if (!tensor->is_trained || tensor->is_frozen) continue;
        const float rate = rate_of(config, all, tensor);
        is_any_trained |= rate > 0;
        PF_TRY(set_tensor(r, tensor, rate));
    }
    PF_CHECK(is_any_trained, PF_ERROR_USAGE, "train.freeze: %s leaves no tensor to train",
             config->train.freeze);
    return PF_OK;
}

pf_status pf_rates_create(const struct pf_config *config, const pf_parameters *parameters, pf_rates *out)
{
    void *memory = NULL;
    pf_rates r = {.lowest = lowest_trained(config, parameters)};
    *out = r;
    if (!config->train.freeze[0] && config->train.layer_decay == 1) return PF_OK;
    PF_TRY(check_patterns(config, parameters));
    r.count = (parameters->trained_size + PF_RATE_BLOCK - 1) / PF_RATE_BLOCK;
    PF_TRY(pf_alloc(&memory, r.count, sizeof(float), "learning rates"));
    r.rate = memory;
    const pf_status status = fill(config, parameters, &r);
    if (status == PF_OK)
        *out = r;
    else
        pf_rates_free(&r);
    return status;
}

void pf_rates_free(pf_rates *rates)
{
    pf_free(rates->rate);
    *rates = (pf_rates){.lowest = -1};
}

pf_status pf_rates_for_each_frozen(const pf_rates *r, size_t total, pf_frozen_run *each, void *context)
{
    for (size_t block = 0; block < r->count; block++) {
        if (r->rate[block] > 0) continue;
        const size_t first = block;
        while (block + 1 < r->count && r->rate[block + 1] == 0) block++;
        const size_t end = (block + 1) * PF_RATE_BLOCK;
        PF_TRY(each(context, first * PF_RATE_BLOCK, end < total ? end : total));
    }
    return PF_OK;
}
