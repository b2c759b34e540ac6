// The files of a model to import: config.json, and one safetensors file or the many that an index names.
// Links, as in a cache of Hugging Face, are followed. See convert.h.
#include <stdio.h>
#include <string.h>

#include "api/convert.h"
#include "base/file.h"
#include "base/memory.h"

enum { JSON_LIMIT_BYTES = 64 << 20 };

static pf_status read_json(const char *path, json_t **out)
{
    char *text = NULL, quoted[PF_QUOTE_BYTES];
    size_t length = 0;
    json_error_t error;
    PF_TRY(pf_read_file(path, JSON_LIMIT_BYTES, &text, &length));
    *out = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    pf_free(text);
    PF_CHECK(*out, PF_ERROR_INPUT, "%s: line %d: %s", path, error.line,
             pf_quote(quoted, error.text, strlen(error.text)));
    PF_CHECK(json_is_object(*out), PF_ERROR_INPUT, "%s: expected a JSON object {...}", path);
    return PF_OK;
}

static pf_status open_weights(pf_source *s, const char *path)
{
    void *file = s->file;
    size_t capacity = (size_t)s->n_files;
    PF_TRY(pf_grow(&file, &capacity, (size_t)s->n_files + 1, sizeof *s->file, "files of weights"));
    s->file = file;
    PF_TRY(pf_safetensors_open(path, &s->file[s->n_files]));
    s->n_files++;
    return PF_OK;
}

static const pf_safetensors *opened(const pf_source *s, const char *path)
{
    for (int i = 0; i < s->n_files; i++)
        if (strcmp(pf_safetensors_path(s->file[i]), path) == 0) return s->file[i];
    return NULL;
}

// Opens the files of the index once each, and looks whether they have what it says.
static pf_status open_indexed(pf_source *s, const json_t *index, const char *index_path)
{
    const json_t *map = json_object_get(index, "weight_map");
    const char *name;
    json_t *value;
    PF_CHECK(json_object_size(map) > 0, PF_ERROR_INPUT,
             "%s: key weight_map: expected an object of tensors with their files", index_path);
    json_object_foreach((json_t *)(uintptr_t)map, name, value)
    {
        char *path = NULL, quoted[PF_QUOTE_BYTES], tensor[PF_QUOTE_BYTES];
        const char *file = json_string_value(value);
        PF_CHECK(file && *file && !strchr(file, '/'), PF_ERROR_INPUT,
                 "%s: tensor %s: expected the name of a file beside", index_path,
                 pf_quote(quoted, name, strlen(name)));
        PF_TRY(pf_join_path(&path, s->path, file));
        pf_status status = opened(s, path) ? PF_OK : open_weights(s, path);
        if (status == PF_OK && !pf_safetensors_find(opened(s, path), name))
            status = pf_fail(PF_ERROR_INPUT, "%s: tensor %s is not in %s", index_path,
                             pf_quote(tensor, name, strlen(name)), pf_quote(quoted, file, strlen(file)));
        pf_free(path);
        PF_TRY(status);
    }
    return PF_OK;
}

static pf_status explain_missing(const pf_source *s, const char *path)
{
    static const char *const pickles[] = {"pytorch_model.bin", "model.pt", "pytorch_model.bin.index.json"};
    for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++) {
        char *pickle = NULL;
        PF_TRY(pf_join_path(&pickle, s->path, pickles[i]));
        const bool is_there = pf_exists(pickle);
        pf_free(pickle);
        PF_CHECK(!is_there, PF_ERROR_INPUT,
                 "%s: weights in %s, expected model.safetensors; tools/to-safetensors makes it", s->path,
                 pickles[i]);
    }
    char *snapshots = NULL;
    PF_TRY(pf_join_path(&snapshots, s->path, "snapshots"));
    const bool is_cache = pf_is_directory(snapshots);
    pf_free(snapshots);
    PF_CHECK(!is_cache, PF_ERROR_INPUT,
             "%s: a cache of Hugging Face, expected one of the directories in %s/snapshots", s->path,
             s->path);
    return pf_fail(PF_ERROR_INPUT, "%s: no such file, nor model.safetensors.index.json", path);
}

static pf_status open_directory(pf_source *s)
{
    char *config = NULL, *weights = NULL, *index_path = NULL;
    json_t *index = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_join_path(&config, s->path, "config.json"));
    PF_TRY_OR(done, pf_join_path(&weights, s->path, "model.safetensors"));
    PF_TRY_OR(done, pf_join_path(&index_path, s->path, "model.safetensors.index.json"));
    if (pf_exists(config)) PF_TRY_OR(done, read_json(config, &s->config));
    if (pf_exists(weights)) {
        PF_TRY_OR(done, open_weights(s, weights));
    } else if (pf_exists(index_path)) {
        PF_TRY_OR(done, read_json(index_path, &index));
        PF_TRY_OR(done, open_indexed(s, index, index_path));
    } else {
        PF_TRY_OR(done, explain_missing(s, weights));
    }
done:
    pf_free(config);
    pf_free(weights);
    pf_free(index_path);
    json_decref(index);
    return status;
}

// One table of all files' tensors; a name may be in one file only.
static pf_status gather_tensors(pf_source *s)
{
    size_t count = 0;
    void *memory = NULL;
    char quoted[PF_QUOTE_BYTES];
    for (int f = 0; f < s->n_files; f++) count += (size_t)pf_safetensors_count(s->file[f]);
    PF_TRY(pf_alloc(&memory, count, sizeof *s->tensor, "tensor table"));
    s->tensor = memory;
    for (int f = 0; f < s->n_files; f++)
        for (int i = 0; i < pf_safetensors_count(s->file[f]); i++) {
            const pf_tensor_info *info = pf_safetensors_get(s->file[f], i);
            for (int g = 0; g < f; g++)
                PF_CHECK(!pf_safetensors_find(s->file[g], info->name), PF_ERROR_INPUT,
                         "%s: tensor %s is in %s, too", pf_safetensors_path(s->file[f]),
                         pf_quote(quoted, info->name, strlen(info->name)), pf_safetensors_path(s->file[g]));
            s->tensor[s->n_tensors++] = (pf_source_tensor){s->file[f], info, false};
        }
    const char *origin = s->n_files ? pf_safetensors_metadata(s->file[0], "source") : NULL;
    return origin ? pf_copy_text(&s->origin, origin) : PF_OK;
}

pf_status pf_source_open(const char *path, pf_source *out)
{
    pf_source s = {0};
    pf_status status;
    PF_TRY_OR(done, pf_copy_text(&s.path, path));
    if (!pf_exists(path)) PF_TRY_OR(done, pf_fail(PF_ERROR_INPUT, "%s: no such file or directory", path));
    PF_TRY_OR(done, pf_is_directory(path) ? open_directory(&s) : open_weights(&s, path));
    PF_TRY_OR(done, gather_tensors(&s));
    *out = s;
done:
    if (status != PF_OK) pf_source_close(&s);
    return status;
}

void pf_source_close(pf_source *s)
{
    for (int i = 0; i < s->n_files; i++) pf_safetensors_close(s->file[i]);
    pf_free(s->file);
    pf_free(s->tensor);
    pf_free(s->path);
    pf_free(s->origin);
    json_decref(s->config);
    *s = (pf_source){0};
}

static pf_source_tensor *find(const pf_source *s, const char *name)
{
    for (int i = 0; i < s->n_tensors; i++)
        if (strcmp(s->tensor[i].info->name, name) == 0) return &s->tensor[i];
    return NULL;
}

pf_source_tensor *pf_source_find(pf_source *s, const char *name)
{
    static const char *const endings[][2] = {{"LayerNorm.weight", "LayerNorm.gamma"},
                                             {"LayerNorm.bias", "LayerNorm.beta"},
                                             {"layer_norm.weight", "layer_norm.gamma"},
                                             {"layer_norm.bias", "layer_norm.beta"}};
    pf_source_tensor *found = find(s, name);
    const size_t length = strlen(name);
    for (size_t i = 0; !found && i < sizeof endings / sizeof *endings; i++) {
        const size_t ending = strlen(endings[i][0]);
        char old[PF_FOREIGN_NAME];
        if (length < ending || strcmp(name + length - ending, endings[i][0]) != 0) continue;
        snprintf(old, sizeof old, "%.*s%s", (int)(length - ending), name, endings[i][1]);
        found = find(s, old);
    }
    return found;
}
