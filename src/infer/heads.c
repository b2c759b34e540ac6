// Choosing layers and heads. See heads.h.
#include "infer/heads.h"

#include "base/memory.h"

static pf_status read_layer(int32_t given, int n_layers, int *out)
{
    const int layer = given < 0 ? n_layers + given : given - 1;
    PF_CHECK(given != 0 && layer >= 0 && layer < n_layers, PF_ERROR_USAGE,
             "layer %d: the model has layers 1 to %d, or -1 to -%d counted from the end", given, n_layers,
             n_layers);
    *out = layer;
    return PF_OK;
}

static pf_status read_head(int32_t given, int n_heads, int *out)
{
    PF_CHECK(given >= 1 && given <= n_heads, PF_ERROR_USAGE, "head %d: the model has heads 1 to %d", given,
             n_heads);
    *out = given - 1;
    return PF_OK;
}

// A list of `given` numbers, or of all `most` there are.
static pf_status read_list(const int32_t *given, int n_given, int most,
                           pf_status (*read)(int32_t, int, int *), int **out)
{
    const int count = n_given ? n_given : most;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, (size_t)count, sizeof(int), "chosen heads"));
    *out = memory;
    for (int i = 0; i < count; i++) {
        PF_TRY(read(n_given ? given[i] : i + 1, most, &(*out)[i]));
        for (int j = 0; j < i; j++)
            PF_CHECK((*out)[j] != (*out)[i], PF_ERROR_USAGE, "layer or head %d is named twice", given[i]);
    }
    return PF_OK;
}

pf_status pf_heads_choose(const struct pf_config *config, const pf_head_choice *choice, pf_heads *out)
{
    const int n_layers = config->num_hidden_layers, n_heads = config->num_attention_heads;
    PF_TRY(read_list(choice->layers, choice->n_layers, n_layers, read_layer, &out->layers));
    PF_TRY(read_list(choice->heads, choice->n_heads, n_heads, read_head, &out->heads));
    out->n_layers = choice->n_layers ? choice->n_layers : n_layers;
    out->n_heads = choice->n_heads ? choice->n_heads : n_heads;
    return PF_OK;
}

void pf_heads_free(pf_heads *heads)
{
    pf_free(heads->layers);
    pf_free(heads->heads);
    *heads = (pf_heads){0};
}

pf_status pf_run_to_layer(pf_model *model, int layer, int *next)
{
    for (; *next <= layer; ++*next) PF_TRY(pf_model_forward_layer(model, *next));
    return PF_OK;
}
