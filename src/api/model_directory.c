// Fresh model directories and what there is to know about existing ones.
// See performer/model_directory.h.
#include "performer/model_directory.h"

#include <jansson.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/files.h"
#include "model/init.h"

enum { STATE_LIMIT_BYTES = 1 << 24 };

pf_status pf_model_init_directory(const struct pf_config *config, uint64_t seed, const char *source,
                                  const char *directory)
{
    pf_model_arrays *model = NULL;
    pf_status status = PF_OK;
    PF_TRY_OR(done, pf_model_arrays_create(config, &model));
    PF_TRY_OR(done, pf_init_parameters(config, model->parameters, seed, model->trained, model->projections));
    if (source) PF_TRY_OR(done, pf_model_arrays_set_source(model, source));
    PF_TRY_OR(done, pf_model_save(directory, model, PF_CONFIG_MODEL_KEYS, NULL));
done:
    pf_model_arrays_free(model);
    return status;
}

static pf_status describe_tensors(pf_model_info *info, const pf_parameters *parameters)
{
    void *memory = NULL;
    size_t names_bytes = 0;
    for (int i = 0; i < parameters->n_tensors; i++) names_bytes += strlen(parameters->tensor[i].name) + 1;
    const size_t facts_bytes = (size_t)parameters->n_tensors * sizeof(pf_tensor_facts);
    PF_TRY(pf_alloc(&memory, facts_bytes + names_bytes, 1, "tensor names")); // names behind the facts
    info->tensor = memory;
    info->n_tensors = parameters->n_tensors;
    char *name = (char *)memory + facts_bytes;
    for (int i = 0; i < parameters->n_tensors; i++) {
        const pf_parameter *from = &parameters->tensor[i];
        info->tensor[i] =
            (pf_tensor_facts){.name = name, .rank = from->rank, .shape = {from->shape[0], from->shape[1]}};
        const size_t bytes = strlen(from->name) + 1;
        memcpy(name, from->name, bytes);
        name += bytes;
    }
    return PF_OK;
}

static pf_status describe_files(pf_model_info *info)
{
    static const char *const names[] = {"config.json", "model.safetensors", "optimizer.safetensors",
                                        "state.json", PF_MANIFEST_NAME};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = NULL;
        PF_TRY(pf_join_path(&path, info->directory, names[i]));
        pf_status status = PF_OK;
        if (pf_exists(path)) {
            pf_file_facts *file = &info->file[info->n_files++];
            file->name = names[i];
            status = pf_file_sha256(path, file->sha256, &file->bytes);
        }
        pf_free(path);
        PF_TRY(status);
    }
    return PF_OK;
}

static pf_status read_step(pf_model_info *info)
{
    char *path = NULL, *text = NULL;
    size_t size;
    json_t *state = NULL;
    pf_status status = PF_OK;
    info->step = -1;
    PF_TRY(pf_join_path(&path, info->directory, "state.json"));
    if (!pf_exists(path)) goto done;
    PF_TRY_OR(done, pf_read_file(path, STATE_LIMIT_BYTES, &text, &size));
    state = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *step = json_object_get(state, "step");
    if (json_is_integer(step) && json_integer_value(step) >= 0)
        info->step = json_integer_value(step);
    else
        status = pf_fail(PF_ERROR_INPUT, "%s: holds no step, a whole number from 0", path);
done:
    json_decref(state);
    pf_free(text);
    pf_free(path);
    return status;
}

static pf_status describe_model(pf_model_info *info)
{
    pf_model_arrays *model = NULL;
    pf_status status = PF_OK;
    PF_TRY_OR(done, pf_model_load(info->directory, &model));
    info->config = model->config;
    info->parameters = model->parameters->n_trained + model->parameters->n_frozen;
    info->n_not_finite = model->n_not_finite;
    if (model->source) PF_TRY_OR(done, pf_copy_text(&info->source, model->source));
    PF_TRY_OR(done, pf_config_write(&info->config, PF_CONFIG_MODEL_KEYS, &info->config_text));
    PF_TRY_OR(done, describe_tensors(info, model->parameters));
done:
    pf_model_arrays_free(model);
    return status;
}

pf_status pf_model_info_read(const char *path, pf_model_info **out)
{
    *out = NULL;
    void *memory = NULL;
    pf_text passed_over = {0};
    pf_status status = PF_OK;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_model_info), "model info"));
    pf_model_info *info = memory;
    PF_TRY_OR(done, pf_model_resolve(path, &info->directory, &passed_over));
    PF_TRY_OR(done, describe_model(info));
    PF_TRY_OR(done, read_step(info));
    PF_TRY_OR(done, describe_files(info));
    if (passed_over.length) PF_TRY_OR(done, pf_copy_text(&info->passed_over, passed_over.data));
    *out = info;
done:
    pf_text_free(&passed_over);
    if (status != PF_OK) pf_model_info_free(info);
    return status;
}

void pf_model_info_free(pf_model_info *info)
{
    if (!info) return;
    pf_free(info->directory);
    pf_free(info->source);
    pf_release(info->config_text);
    pf_free(info->passed_over);
    pf_free(info->tensor);
    pf_free(info);
}
