// The values that a run starts from: a checkpoint's, a given model's, or fresh ones. A model may be given
// other attention than it was trained with (Choromanski et al. 2021, section 4.3, "backwards compatibility":
// an exact transformer's weights in a Performer), or anything else that leaves its trained tensors as they
// are. See training.h.
#include <string.h>

#include "api/training.h"
#include "base/memory.h"
#include "model/files.h"
#include "model/init.h"
#include "model/merge.h"

static pf_status check_finite(const pf_model_arrays *arrays, const char *name)
{
    PF_CHECK(arrays->n_not_finite == 0, PF_ERROR_INPUT, "%s: tensor %s holds numbers that are not finite",
             name, arrays->not_finite->name);
    return PF_OK;
}

static pf_status load_checkpoint(pf_training *t)
{
    PF_TRY(pf_model_load(t->checkpoint, &t->host));
    PF_TRY(check_finite(t->host, t->checkpoint));
    const char *key = pf_config_difference(&t->host->config, &t->config, PF_CONFIG_MODEL_KEYS, true);
    PF_CHECK(!key, PF_ERROR_INPUT, "%s: %s is not that of the run's config.json", t->checkpoint, key);
    t->host->config = t->config;
    return PF_OK;
}

static bool is_equal_shape(const pf_parameter *a, const pf_parameter *b)
{
    return a->rank == b->rank && a->shape[0] == b->shape[0] && (a->rank < 2 || a->shape[1] == b->shape[1]);
}

// A head answers its own question only: one of another task is made anew.
static bool is_same_task(const struct pf_task_config *a, const struct pf_task_config *b)
{
    if (a->type != b->type || a->n_classes != b->n_classes) return false;
    if (a->type != PF_TASK_NONE && a->level != b->level) return false;
    for (int i = 0; i < a->n_classes; i++)
        if (strcmp(a->class_name[i], b->class_name[i]) != 0) return false;
    return true;
}

static bool is_of_head(const pf_parameter *tensor)
{
    return strncmp(tensor->name, "head.", 5) == 0 || strncmp(tensor->name, "task.", 5) == 0;
}

// The first trained tensor of `a`, adapters not counted, that `b` lacks or has in another shape; NULL: none.
static const pf_parameter *find_stranger(const pf_parameters *a, const pf_parameters *b, bool heads_too)
{
    for (int i = 0; i < a->n_tensors; i++) {
        const pf_parameter *other = pf_parameters_find(b, a->tensor[i].name);
        if (!heads_too && is_of_head(&a->tensor[i])) continue;
        if (a->tensor[i].is_trained && !a->tensor[i].is_adapter &&
            (!other || !is_equal_shape(&a->tensor[i], other)))
            return &a->tensor[i];
    }
    return NULL;
}

static pf_status check_tensors(const pf_training *t, const pf_model_arrays *from)
{
    const bool heads_too = is_same_task(&from->config.task, &t->config.task);
    const pf_parameter *stranger = find_stranger(t->host->parameters, from->parameters, heads_too);
    if (!stranger) stranger = find_stranger(from->parameters, t->host->parameters, heads_too);
    PF_CHECK(!stranger, PF_ERROR_USAGE,
             "tensor %s of %s does not fit the configuration (%s differs); only keys that leave the trained "
             "tensors "
             "as they are can be set",
             stranger->name, t->init,
             pf_config_difference(&from->config, &t->config, PF_CONFIG_MODEL_KEYS, false));
    return PF_OK;
}

// A projection is kept where it would be drawn in the same way, else it is the fresh one.
static bool keeps_projections(const struct pf_attention_config *a, const struct pf_attention_config *b)
{
    return a->projection == b->projection && a->row_norm == b->row_norm && a->num_features == b->num_features;
}

static void copy_tensors(pf_training *t, const pf_model_arrays *from)
{
    const pf_parameters *to = t->host->parameters;
    const bool keeps = keeps_projections(&from->config.attention, &t->config.attention);
    const bool heads_too = is_same_task(&from->config.task, &t->config.task);
    for (int i = 0; i < to->n_tensors; i++) {
        const pf_parameter *tensor = &to->tensor[i],
                           *old = pf_parameters_find(from->parameters, tensor->name);
        if (!heads_too && is_of_head(tensor)) continue; // fresh
        if (old && (tensor->is_trained || keeps))
            memcpy(pf_model_numbers(t->host, tensor), pf_model_numbers(from, old),
                   tensor->count * sizeof(float));
    }
}

// Adapters go on where they are the same, else what they made is part of the weights that new ones begin
// from.
static bool keeps_adapters(const struct pf_lora_config *a, const struct pf_lora_config *b)
{
    return a->rank == b->rank && a->alpha == b->alpha && strcmp(a->targets, b->targets) == 0;
}

static pf_status take_model(pf_training *t, const pf_model_arrays *from)
{
    PF_TRY(check_finite(from, t->init));
    PF_TRY(check_tensors(t, from));
    copy_tensors(t, from);
    return from->source ? pf_model_arrays_set_source(t->host, from->source) : PF_OK;
}

pf_status pf_training_load_start(pf_training *t)
{
    if (t->checkpoint) return load_checkpoint(t);
    PF_TRY(pf_model_arrays_create(&t->config, &t->host));
    PF_TRY(pf_init_parameters(&t->config, t->host->parameters, (uint64_t)t->config.train.seed,
                              t->host->trained, t->host->projections));
    if (!t->init) return PF_OK;
    char *directory = NULL;
    pf_model_arrays *from = NULL, *merged = NULL;
    pf_status status = pf_model_resolve(t->init, &directory, NULL);
    if (status == PF_OK) status = pf_model_load(directory, &from);
    if (status == PF_OK && from->config.lora.rank > 0 && !keeps_adapters(&from->config.lora, &t->config.lora))
        status = pf_model_merge(from, &merged);
    if (status == PF_OK) status = take_model(t, merged ? merged : from);
    pf_model_arrays_free(merged);
    pf_model_arrays_free(from);
    pf_free(directory);
    return status;
}
