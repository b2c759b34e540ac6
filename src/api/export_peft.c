// Low-rank adapters as peft reads them on top of Hugging Face's EsmForMaskedLM: adapter_config.json and
// adapter_model.safetensors. See performer/import.h.
#include <stdio.h>
#include <string.h>

#include "api/convert.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/files.h"
#include "performer/import.h"

enum { NAME_BYTES = PF_FOREIGN_NAME + 48 };

// The family's name for an adapted matrix, without ".weight".
static void module_name(int layer, int target, char out[PF_FOREIGN_NAME])
{
    char ours[PF_PARAMETER_NAME];
    snprintf(ours, sizeof ours, "layers.%d.%s", layer, pf_lora_names_of(target)->module);
    pf_foreign_name(pf_family_of(PF_FAMILY_ESM), ours, true, out);
}

typedef struct adapter_list {
    pf_tensor_spec *spec;
    char (*name)[NAME_BYTES];
    const float **numbers;
    int count;
} adapter_list;

static void list_free(adapter_list *list)
{
    pf_free(list->spec);
    pf_free(list->name);
    pf_free(list->numbers);
}

static pf_status list_create(int layers, adapter_list *list)
{
    const size_t most = (size_t)layers * PF_LORA_TARGETS * 2;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, most, sizeof *list->spec, "tensor table"));
    list->spec = memory;
    PF_TRY(pf_alloc(&memory, most, sizeof *list->name, "tensor names"));
    list->name = memory;
    PF_TRY(pf_alloc(&memory, most, sizeof *list->numbers, "tensor table"));
    list->numbers = memory;
    return PF_OK;
}

static void add(adapter_list *list, const char *module, const char *way, pf_lora_shape shape,
                const float *numbers)
{
    const int n = list->count++;
    snprintf(list->name[n], NAME_BYTES, "base_model.model.%s.%s.weight", module, way);
    list->spec[n] = (pf_tensor_spec){list->name[n], PF_F32, 2, {(uint64_t)shape.out, (uint64_t)shape.in}};
    list->numbers[n] = numbers;
}

static void fill(const pf_model_arrays *m, adapter_list *list, json_t *modules)
{
    const int r = m->config.lora.rank;
    for (int layer = 0; layer < m->config.num_hidden_layers; layer++)
        for (int target = 0; target < PF_LORA_TARGETS; target++) {
            char module[PF_FOREIGN_NAME];
            const pf_lora_shape shape = pf_lora_shape_of(&m->config, target);
            const pf_layer_parameters *at = &m->parameters->layer[layer];
            if (!pf_lora_has(&m->config, layer, target)) continue;
            module_name(layer, target, module);
            json_array_append_new(modules, json_string(module));
            add(list, module, "lora_A", (pf_lora_shape){r, shape.in}, m->trained + at->lora_down[target]);
            add(list, module, "lora_B", (pf_lora_shape){shape.out, r}, m->trained + at->lora_up[target]);
        }
}

static pf_status write_config(const pf_model_arrays *m, json_t *modules, const char *directory)
{
    char *path = NULL, *text = NULL;
    json_t *json = json_pack("{s:s, s:n, s:n, s:i, s:f, s:f, s:b, s:s, s:b, s:n, s:O}", "peft_type", "LORA",
                             "task_type", "base_model_name_or_path", "r", m->config.lora.rank, "lora_alpha",
                             m->config.lora.alpha, "lora_dropout", 0.0, "fan_in_fan_out", 0, "bias", "none",
                             "inference_mode", 1, "modules_to_save", "target_modules", modules);
    pf_status status;
    text = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(json);
    PF_CHECK(text, PF_ERROR_FAILED, "no memory for adapter_config.json");
    PF_TRY_OR(done, pf_join_path(&path, directory, "adapter_config.json"));
    PF_TRY_OR(done, pf_write_file(path, text, strlen(text), NULL));
done:
    pf_free(path);
    free(text);
    return status;
}

static pf_status write_tensors(const adapter_list *list, const char *directory)
{
    const pf_metadata metadata[] = {{"format", "pt"}};
    pf_safetensors_writer *writer = NULL;
    char *path = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_join_path(&path, directory, "adapter_model.safetensors"));
    PF_TRY_OR(done, pf_safetensors_writer_open(path, list->spec, list->count, metadata, 1, &writer));
    for (int i = 0; i < list->count; i++) {
        const size_t count = list->spec[i].shape[0] * list->spec[i].shape[1];
        PF_TRY_OR(done, pf_safetensors_write(writer, list->numbers[i], count * sizeof(float)));
    }
    status = pf_safetensors_commit(writer, NULL);
    writer = NULL;
done:
    if (writer) pf_safetensors_discard(writer);
    pf_free(path);
    return status;
}

// What the adapters stand on must be a model of that format, as it is there.
static pf_status check(const pf_model_arrays *m, const char *path)
{
    struct pf_config base = m->config, defaults;
    PF_CHECK(m->config.lora.rank > 0, PF_ERROR_USAGE, "%s: has no adapters (lora.rank is 0)", path);
    PF_CHECK(!m->config.lora.also[0] && m->config.task.type == PF_TASK_NONE, PF_ERROR_USAGE,
             "%s: format peft holds adapters alone, but %s was trained beside them", path,
             m->config.lora.also[0] ? m->config.lora.also : "a task's head");
    pf_config_default(&defaults);
    base.lora = defaults.lora;
    return pf_esm_check(&base, path);
}

static pf_status export_adapters(const pf_model_arrays *m, const char *directory)
{
    adapter_list list = {0};
    json_t *modules = json_array();
    pf_status status = list_create(m->config.num_hidden_layers, &list);
    if (status == PF_OK) {
        fill(m, &list, modules);
        status = write_config(m, modules, directory);
    }
    if (status == PF_OK) status = write_tensors(&list, directory);
    json_decref(modules);
    list_free(&list);
    return status;
}

pf_status pf_export_peft(const char *model, const char *directory)
{
    char *path = NULL;
    pf_model_arrays *m = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_model_resolve(model, &path, NULL));
    PF_TRY_OR(done, pf_model_load(path, &m));
    PF_TRY_OR(done, check(m, model));
    PF_TRY_OR(done, export_adapters(m, directory));
done:
    pf_model_arrays_free(m);
    pf_free(path);
    return status;
}
