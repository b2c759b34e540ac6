// The table of parameter tensors. See params.h. The tensors are listed once, in the file's order; a
// second pass places them.
#include "model/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/patterns.h"
#include "base/text.h"

enum { TENSORS_OUTSIDE_LAYERS = 14, MAX_TENSORS_PER_LAYER = 17 + 2 * PF_LORA_TARGETS };

// --- the list -----------------------------------------------------------------------------------

typedef struct list {
    pf_parameters *parameters;
    const struct pf_config *config;
    int layer;
} list;

// A tensor named "layers.N.<name>", or <name> outside of layers. rows 0: a vector of `columns`.
static pf_parameter *add(list *to, const char *name, int rows, int columns, pf_initial initial)
{
    pf_parameters *all = to->parameters;
    pf_parameter *tensor = &all->tensor[all->n_tensors++];
    if (to->layer < 0) snprintf(tensor->name, sizeof tensor->name, "%s", name);
    else snprintf(tensor->name, sizeof tensor->name, "layers.%d.%s", to->layer, name);
    tensor->rank = rows ? 2 : 1;
    tensor->shape[0] = (uint64_t)(rows ? rows : columns);
    tensor->shape[1] = (uint64_t)columns;
    tensor->count = (size_t)(rows ? rows : 1) * (size_t)columns;
    tensor->is_trained = initial != PF_INITIAL_PROJECTION && initial != PF_INITIAL_CARRIED;
    tensor->is_decayed = initial == PF_INITIAL_UNIFORM; // matrices; embeddings start otherwise
    tensor->initial = initial;
    tensor->layer = to->layer;
    return tensor;
}

static void add_norm(list *to, const char *weight, const char *bias)
{
    add(to, weight, 0, to->config->hidden_size, PF_INITIAL_ONE);
    add(to, bias, 0, to->config->hidden_size, PF_INITIAL_ZERO);
}

static void add_attention(list *to)
{
    const struct pf_config *config = to->config;
    const int D = config->hidden_size;
    add_norm(to, "attention.norm.weight", "attention.norm.bias");
    add(to, "attention.query.weight", D, D, PF_INITIAL_UNIFORM);
    add(to, "attention.key.weight", D, D, PF_INITIAL_UNIFORM)->joins = true;
    add(to, "attention.value.weight", D, D, PF_INITIAL_UNIFORM)->joins = true;
    add(to, "attention.output.weight", D, D, PF_INITIAL_UNIFORM);
    if (config->attention_bias) {
        add(to, "attention.query.bias", 0, D, PF_INITIAL_ZERO);
        add(to, "attention.key.bias", 0, D, PF_INITIAL_ZERO)->joins = true;
        add(to, "attention.value.bias", 0, D, PF_INITIAL_ZERO)->joins = true;
        add(to, "attention.output.bias", 0, D, PF_INITIAL_ZERO);
    }
    if (pf_config_has_projection(config, to->layer))
        add(to, "attention.projection", config->attention.num_features, pf_config_head_size(config),
            PF_INITIAL_PROJECTION);
}

static void add_feed_forward(list *to)
{
    const int D = to->config->hidden_size, F = to->config->intermediate_size;
    add_norm(to, "feed_forward.norm.weight", "feed_forward.norm.bias");
    add(to, "feed_forward.up.weight", F, D, PF_INITIAL_UNIFORM);
    add(to, "feed_forward.up.bias", 0, F, PF_INITIAL_ZERO);
    add(to, "feed_forward.down.weight", D, F, PF_INITIAL_UNIFORM);
    add(to, "feed_forward.down.bias", 0, D, PF_INITIAL_ZERO);
}

// Small, so that a task begins with the body as it is rather than with noise from above (BERT's 0.02).
static void add_task(list *to)
{
    const int C = pf_config_outputs(to->config);
    pf_parameter *weight = add(to, "task.weight", C, to->config->hidden_size, PF_INITIAL_NORMAL);
    weight->deviation = 0.02;
    weight->is_decayed = true;
    add(to, "task.bias", 0, C, PF_INITIAL_ZERO);
}

// A language model's: logits of all tokens.
static void add_head(list *to)
{
    const struct pf_config *config = to->config;
    const int D = config->hidden_size, A = config->vocab_size;
    if (config->head_transform) {
        add(to, "head.transform.weight", D, D, PF_INITIAL_UNIFORM);
        add(to, "head.transform.bias", 0, D, PF_INITIAL_ZERO);
        add_norm(to, "head.norm.weight", "head.norm.bias");
    }
    if (!config->tie_word_embeddings) add(to, "head.weight", A, D, PF_INITIAL_UNIFORM);
    add(to, "head.bias", 0, A, PF_INITIAL_ZERO);
}

// Low-rank adapters (Hu et al. 2021, arXiv:2106.09685, section 4.1): down random, up 0, so that a model
// starts as it was.
static void add_adapters(list *to)
{
    const struct pf_config *config = to->config;
    const int r = config->lora.rank;
    for (int target = 0; target < PF_LORA_TARGETS; target++) {
        const pf_lora_shape shape = pf_lora_shape_of(config, target);
        const pf_lora_names *names = pf_lora_names_of(target);
        if (!pf_lora_has(config, to->layer, target)) continue;
        pf_parameter *down = add(to, names->down, r, shape.in, PF_INITIAL_NORMAL);
        pf_parameter *up = add(to, names->up, shape.out, r, PF_INITIAL_ZERO);
        down->deviation = 1 / sqrt(shape.in);
        down->is_adapter = up->is_adapter = down->is_decayed = up->is_decayed = true;
    }
}

static void list_tensors(list *to)
{
    const struct pf_config *config = to->config;
    const int D = config->hidden_size, A = config->vocab_size;
    to->layer = -1;
    const double deviation = config->tie_word_embeddings ? 1 / sqrt(D) : 1;
    add(to, "embed.token.weight", A, D, PF_INITIAL_NORMAL)->deviation = deviation;
    if (pf_config_has_position_table(config))
        add(to, "embed.position.weight", config->max_position_embeddings, D, PF_INITIAL_SINUSOIDS);
    if (config->embedding_norm) add_norm(to, "embed.norm.weight", "embed.norm.bias");
    for (to->layer = 0; to->layer < config->num_hidden_layers; to->layer++) {
        add_attention(to);
        add_feed_forward(to);
        add_adapters(to);
    }
    to->layer = -1;
    // With post-norm the last layer's norm is the final one.
    if (config->norm_placement == PF_NORM_PRE) add_norm(to, "norm.weight", "norm.bias");
    if (config->task.type == PF_TASK_NONE) add_head(to);
    else add_task(to);
    if (config->contact_head) {
        add(to, "contact.weight", 0, config->num_hidden_layers * config->num_attention_heads,
            PF_INITIAL_CARRIED);
        add(to, "contact.bias", 0, 1, PF_INITIAL_CARRIED);
    }
}

// --- what adapters leave as it is ---------------------------------------------------------------

static bool is_used(const pf_parameters *all, const char *pattern)
{
    for (int i = 0; i < all->n_tensors; i++)
        if (all->tensor[i].is_trained && pf_patterns_match(pattern, all->tensor[i].name)) return true;
    return false;
}

static pf_status check_also(const pf_parameters *all, const struct pf_config *config)
{
    char pattern[PF_PATTERNS_BYTES], quoted[PF_QUOTE_BYTES];
    for (const char *left = config->lora.also; pf_patterns_next(&left, pattern, sizeof pattern);)
        PF_CHECK(is_used(all, pattern), PF_ERROR_USAGE,
                 "lora.also: %s is no trained tensor's name; they are called like norm.weight and head.*",
                 pf_quote(quoted, pattern, strlen(pattern)));
    return PF_OK;
}

// With adapters only these are trained, the head of a task and what lora.also names.
static pf_status freeze(pf_parameters *all, const struct pf_config *config)
{
    if (config->lora.rank == 0) return PF_OK;
    PF_TRY(check_also(all, config));
    for (int i = 0; i < all->n_tensors; i++) {
        pf_parameter *tensor = &all->tensor[i];
        if (!tensor->is_trained) continue;
        tensor->is_frozen = !tensor->is_adapter && strncmp(tensor->name, "task.", 5) != 0 &&
                            !pf_patterns_match(config->lora.also, tensor->name);
        PF_CHECK(tensor->is_frozen || !pf_lora_is_target(config, tensor->layer, tensor->name), PF_ERROR_USAGE,
                 "lora.also: %s has adapters", tensor->name);
        PF_CHECK(!tensor->joins || tensor->is_frozen == all->tensor[i - 1].is_frozen, PF_ERROR_USAGE,
                 "lora.also: %s and %s are one matrix; name both or neither", tensor->name,
                 all->tensor[i - 1].name);
    }
    return PF_OK;
}

// --- places -------------------------------------------------------------------------------------

static size_t aligned(size_t offset)
{
    return (offset + PF_TENSOR_ALIGNMENT - 1) / PF_TENSOR_ALIGNMENT * PF_TENSOR_ALIGNMENT;
}

typedef enum region { DECAYED, TRAINED, FROZEN, FIXED } region;

static region region_of(const pf_parameter *tensor)
{
    if (!tensor->is_trained) return FIXED;
    if (tensor->is_frozen) return FROZEN;
    return tensor->is_decayed ? DECAYED : TRAINED;
}

// Places the tensors of one kind from `offset` on; returns where they end.
static size_t place(pf_parameters *all, region kind, size_t offset)
{
    for (int i = 0; i < all->n_tensors; i++) {
        pf_parameter *tensor = &all->tensor[i];
        if (region_of(tensor) != kind) continue;
        tensor->offset = tensor->joins ? offset : aligned(offset);
        offset = tensor->offset + tensor->count;
    }
    return aligned(offset);
}

static size_t offset_of(const pf_parameters *all, const char *name)
{
    const pf_parameter *tensor = pf_parameters_find(all, name);
    return tensor ? tensor->offset : PF_ABSENT;
}

static size_t offset_in_layer(const pf_parameters *all, int layer, const char *name)
{
    char full[2 * PF_PARAMETER_NAME];
    snprintf(full, sizeof full, "layers.%d.%s", layer, name);
    return offset_of(all, full);
}

static void find_adapters(pf_parameters *all, int layer)
{
    for (int target = 0; target < PF_LORA_TARGETS; target++) {
        const pf_lora_names *names = pf_lora_names_of(target);
        all->layer[layer].lora_down[target] = offset_in_layer(all, layer, names->down);
        all->layer[layer].lora_up[target] = offset_in_layer(all, layer, names->up);
    }
}

static void find_layer_roles(pf_parameters *all)
{
    for (int i = 0; i < all->n_layers; i++) {
        all->layer[i] = (pf_layer_parameters){
            .attention_norm_weight = offset_in_layer(all, i, "attention.norm.weight"),
            .attention_norm_bias = offset_in_layer(all, i, "attention.norm.bias"),
            .qkv_weight = offset_in_layer(all, i, "attention.query.weight"),
            .qkv_bias = offset_in_layer(all, i, "attention.query.bias"),
            .output_weight = offset_in_layer(all, i, "attention.output.weight"),
            .output_bias = offset_in_layer(all, i, "attention.output.bias"),
            .feed_forward_norm_weight = offset_in_layer(all, i, "feed_forward.norm.weight"),
            .feed_forward_norm_bias = offset_in_layer(all, i, "feed_forward.norm.bias"),
            .up_weight = offset_in_layer(all, i, "feed_forward.up.weight"),
            .up_bias = offset_in_layer(all, i, "feed_forward.up.bias"),
            .down_weight = offset_in_layer(all, i, "feed_forward.down.weight"),
            .down_bias = offset_in_layer(all, i, "feed_forward.down.bias"),
            .projection = offset_in_layer(all, i, "attention.projection"),
        };
        find_adapters(all, i);
    }
}

static void find_roles(pf_parameters *all, const struct pf_config *config)
{
    find_layer_roles(all);
    all->token_embedding = offset_of(all, "embed.token.weight");
    all->position_embedding = offset_of(all, "embed.position.weight");
    all->embedding_norm_weight = offset_of(all, "embed.norm.weight");
    all->embedding_norm_bias = offset_of(all, "embed.norm.bias");
    all->norm_weight = offset_of(all, "norm.weight");
    all->norm_bias = offset_of(all, "norm.bias");
    all->transform_weight = offset_of(all, "head.transform.weight");
    all->transform_bias = offset_of(all, "head.transform.bias");
    all->transform_norm_weight = offset_of(all, "head.norm.weight");
    all->transform_norm_bias = offset_of(all, "head.norm.bias");
    const bool is_task = config->task.type != PF_TASK_NONE, is_tied = config->tie_word_embeddings && !is_task;
    all->head_weight = is_tied ? all->token_embedding : offset_of(all, is_task ? "task.weight" : "head.weight");
    all->head_bias = offset_of(all, is_task ? "task.bias" : "head.bias");
}

// --- looking up ---------------------------------------------------------------------------------

static int compare_names(const void *a, const void *b, void *tensors)
{
    const pf_parameter *tensor = tensors;
    return strcmp(tensor[*(const int *)a].name, tensor[*(const int *)b].name);
}

const pf_parameter *pf_parameters_find(const pf_parameters *all, const char *name)
{
    int low = 0, high = all->n_tensors;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        const pf_parameter *tensor = &all->tensor[all->by_name[middle]];
        const int order = strcmp(name, tensor->name);
        if (order == 0) return tensor;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

// --- the table ----------------------------------------------------------------------------------

static pf_status allocate(pf_parameters *all, int n_layers)
{
    const size_t most = TENSORS_OUTSIDE_LAYERS + (size_t)MAX_TENSORS_PER_LAYER * (size_t)n_layers;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, most, sizeof *all->tensor, "parameter table"));
    all->tensor = memory;
    memory = NULL;
    PF_TRY(pf_alloc(&memory, most, sizeof *all->by_name, "parameter table"));
    all->by_name = memory;
    memory = NULL;
    PF_TRY(pf_alloc(&memory, (size_t)n_layers, sizeof *all->layer, "parameter table"));
    all->layer = memory;
    all->n_layers = n_layers;
    return PF_OK;
}

pf_status pf_parameters_create(const struct pf_config *config, pf_parameters **out)
{
    *out = NULL;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_parameters), "parameter table"));
    pf_parameters *all = memory;
    pf_status status = allocate(all, config->num_hidden_layers);
    if (status == PF_OK) {
        list_tensors(&(list){all, config, -1});
        status = freeze(all, config);
    }
    if (status != PF_OK) {
        pf_parameters_free(all);
        return status;
    }
    for (int i = 0; i < all->n_tensors; i++) all->by_name[i] = i;
    qsort_r(all->by_name, (size_t)all->n_tensors, sizeof *all->by_name, compare_names, all->tensor);
    all->decayed_size = place(all, DECAYED, 0);
    all->trained_size = place(all, TRAINED, all->decayed_size);
    all->parameters_size = place(all, FROZEN, all->trained_size);
    all->projections_size = place(all, FIXED, 0);
    for (int i = 0; i < all->n_tensors; i++) {
        const pf_parameter *tensor = &all->tensor[i];
        if (tensor->is_trained) *(tensor->is_frozen ? &all->n_frozen : &all->n_trained) += tensor->count;
    }
    find_roles(all, config);
    *out = all;
    return PF_OK;
}

void pf_parameters_free(pf_parameters *parameters)
{
    if (!parameters) return;
    pf_free(parameters->tensor);
    pf_free(parameters->layer);
    pf_free(parameters->by_name);
    pf_free(parameters);
}
