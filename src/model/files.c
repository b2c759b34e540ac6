// Model directories. See files.h.
#include "model/files.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "store/safetensors.h"

enum { PROBLEMS_SHOWN = 8 };
static const char config_name[] = "config.json", weights_name[] = "model.safetensors";

// --- arrays -------------------------------------------------------------------------------------

// The table without the numbers.
static pf_status create_table(const struct pf_config *config, pf_model_arrays **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_model_arrays), "model"));
    pf_model_arrays *arrays = memory;
    arrays->config = *config;
    const pf_status status = pf_parameters_create(config, &arrays->parameters);
    if (status == PF_OK) *out = arrays;
    else pf_model_arrays_free(arrays);
    return status;
}

static pf_status allocate_numbers(pf_model_arrays *arrays)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, arrays->parameters->parameters_size, sizeof(float), "parameters"));
    arrays->trained = memory;
    memory = NULL;
    PF_TRY(pf_alloc(&memory, arrays->parameters->projections_size, sizeof(float), "projections"));
    arrays->projections = memory;
    return PF_OK;
}

pf_status pf_model_arrays_create(const struct pf_config *config, pf_model_arrays **out)
{
    *out = NULL;
    pf_model_arrays *arrays = NULL;
    PF_TRY(create_table(config, &arrays));
    const pf_status status = allocate_numbers(arrays);
    if (status == PF_OK) *out = arrays;
    else pf_model_arrays_free(arrays);
    return status;
}

void pf_model_arrays_free(pf_model_arrays *arrays)
{
    if (!arrays) return;
    pf_parameters_free(arrays->parameters);
    pf_free(arrays->trained);
    pf_free(arrays->projections);
    pf_free(arrays->source);
    pf_free(arrays);
}

pf_status pf_model_arrays_set_source(pf_model_arrays *arrays, const char *source)
{
    char *copy = NULL;
    PF_TRY(pf_copy_text(&copy, source));
    pf_free(arrays->source);
    arrays->source = copy;
    return PF_OK;
}

// --- reading ------------------------------------------------------------------------------------

typedef struct problems {
    pf_text text;
    int count;
} problems;

static pf_status note(problems *all, const char *words, const char *name)
{
    if (all->count++ >= PROBLEMS_SHOWN) return PF_OK;
    char quoted[PF_QUOTE_BYTES];
    return pf_text_add(&all->text, "%s%s %s", all->count > 1 ? "; " : "", pf_quote(quoted, name, strlen(name)), words);
}

static pf_status compare_shape(problems *all, const pf_parameter *expected, const pf_tensor_info *found)
{
    bool is_same = found->rank == expected->rank;
    for (int i = 0; is_same && i < expected->rank; i++) is_same = found->shape[i] == expected->shape[i];
    pf_text words = {0};
    pf_status status = PF_OK;
    if (found->type != PF_F32) {
        status = pf_text_add(&words, "has dtype %s, expected F32", pf_number_type_name(found->type));
    } else if (!is_same) {
        status = pf_text_add(&words, "has shape [");
        for (int i = 0; i < found->rank && status == PF_OK; i++)
            status = pf_text_add(&words, "%s%" PRIu64, i ? "," : "", found->shape[i]);
        if (status == PF_OK) status = pf_text_add(&words, "], expected [%" PRIu64, expected->shape[0]);
        if (status == PF_OK && expected->rank == 2) status = pf_text_add(&words, ",%" PRIu64, expected->shape[1]);
        if (status == PF_OK) status = pf_text_add(&words, "]");
    }
    if (status == PF_OK && words.data) status = note(all, words.data, expected->name);
    pf_text_free(&words);
    return status;
}

static pf_status gather_problems(problems *all, const pf_parameters *table, const pf_safetensors *file)
{
    for (int i = 0; i < table->n_tensors; i++) {
        const pf_tensor_info *found = pf_safetensors_find(file, table->tensor[i].name);
        PF_TRY(found ? compare_shape(all, &table->tensor[i], found) : note(all, "is missing", table->tensor[i].name));
    }
    for (int i = 0; i < pf_safetensors_count(file); i++) {
        const char *name = pf_safetensors_get(file, i)->name;
        if (!pf_parameters_find(table, name)) PF_TRY(note(all, "is unexpected", name));
    }
    return PF_OK;
}

// Every tensor of the table and no other, before any is read.
static pf_status check_tensors(const pf_parameters *table, const pf_safetensors *file)
{
    problems all = {0};
    pf_status status = gather_problems(&all, table, file);
    if (status == PF_OK && all.count > PROBLEMS_SHOWN)
        status = pf_text_add(&all.text, "; and %d more", all.count - PROBLEMS_SHOWN);
    if (status == PF_OK && all.count)
        status = pf_fail(PF_ERROR_INPUT, "%s: does not fit its %s: %s", pf_safetensors_path(file), config_name,
                         all.text.data);
    pf_text_free(&all.text);
    return status;
}

static pf_status read_tensor(pf_model_arrays *arrays, const pf_safetensors *file, const pf_parameter *tensor)
{
    float *numbers = pf_model_numbers(arrays, tensor);
    PF_TRY(pf_safetensors_read(file, pf_safetensors_find(file, tensor->name), numbers));
    const uint64_t before = arrays->n_not_finite;
    for (size_t i = 0; i < tensor->count; i++) arrays->n_not_finite += !isfinite(numbers[i]);
    if (before == 0 && arrays->n_not_finite) arrays->not_finite = tensor;
    return PF_OK;
}

// The file's tensors are compared with the table before memory is asked for: a small file cannot make
// a large one of it.
static pf_status read_weights(pf_model_arrays *arrays, const char *path)
{
    pf_safetensors *file = NULL;
    PF_TRY(pf_safetensors_open(path, &file));
    const char *source = pf_safetensors_metadata(file, "source");
    pf_status status;
    PF_TRY_OR(done, check_tensors(arrays->parameters, file));
    PF_TRY_OR(done, allocate_numbers(arrays));
    for (int i = 0; i < arrays->parameters->n_tensors; i++)
        PF_TRY_OR(done, read_tensor(arrays, file, &arrays->parameters->tensor[i]));
    if (source) PF_TRY_OR(done, pf_model_arrays_set_source(arrays, source));
done:
    pf_safetensors_close(file);
    return status;
}

static pf_status read_config(const char *path, struct pf_config *config)
{
    pf_config_default(config);
    PF_TRY(pf_config_read_file(config, path, PF_CONFIG_MODEL));
    return pf_context(pf_config_finish(config, PF_CONFIG_MODEL), "%s", path);
}

pf_status pf_model_load(const char *directory, pf_model_arrays **out)
{
    *out = NULL;
    char *config_path = NULL, *weights_path = NULL;
    pf_model_arrays *arrays = NULL;
    struct pf_config config;
    pf_status status;
    PF_TRY_OR(done, pf_join_path(&config_path, directory, config_name));
    PF_TRY_OR(done, pf_join_path(&weights_path, directory, weights_name));
    PF_TRY_OR(done, read_config(config_path, &config));
    status = create_table(&config, &arrays);
    if (status == PF_ERROR_USAGE) status = PF_ERROR_INPUT; // the file's, here
    PF_TRY_OR(done, pf_context(status, "%s", config_path));
    PF_TRY_OR(done, read_weights(arrays, weights_path));
    *out = arrays;
done:
    if (status != PF_OK) pf_model_arrays_free(arrays);
    pf_free(config_path);
    pf_free(weights_path);
    return status;
}

// --- writing ------------------------------------------------------------------------------------

static pf_status enter(pf_manifest *manifest, const char *directory, const char *name, const char *digest)
{
    return manifest ? pf_manifest_add(manifest, directory, name, digest) : PF_OK;
}

static pf_status write_config(const char *directory, const struct pf_config *config, unsigned parts,
                              pf_manifest *manifest)
{
    char *path = NULL, *json = NULL, digest[65];
    pf_status status;
    PF_TRY_OR(done, pf_join_path(&path, directory, config_name));
    PF_TRY_OR(done, pf_config_write(config, parts, &json));
    PF_TRY_OR(done, pf_write_file(path, json, strlen(json), digest));
    PF_TRY_OR(done, enter(manifest, directory, config_name, digest));
done:
    pf_free(path);
    pf_release(json);
    return status;
}

static pf_status write_tensors(const char *path, const pf_model_arrays *arrays, const pf_tensor_spec *specs,
                               char digest[65])
{
    const pf_parameters *table = arrays->parameters;
    const pf_metadata metadata[] = {{"format", "pt"}, {"source", arrays->source}}; // "pt": what PyTorch's loaders ask for
    pf_safetensors_writer *writer = NULL;
    PF_TRY(pf_safetensors_writer_open(path, specs, table->n_tensors, metadata, arrays->source ? 2 : 1, &writer));
    for (int i = 0; i < table->n_tensors; i++) {
        const pf_parameter *tensor = &table->tensor[i];
        const pf_status status =
            pf_safetensors_write(writer, pf_model_numbers(arrays, tensor), tensor->count * sizeof(float));
        if (status == PF_OK) continue;
        pf_safetensors_discard(writer);
        return status;
    }
    return pf_safetensors_commit(writer, digest);
}

static pf_status write_weights(const char *directory, const pf_model_arrays *arrays, pf_manifest *manifest)
{
    const pf_parameters *table = arrays->parameters;
    char *path = NULL, digest[65];
    void *memory = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_join_path(&path, directory, weights_name));
    PF_TRY_OR(done, pf_alloc(&memory, (size_t)table->n_tensors, sizeof(pf_tensor_spec), "tensor table"));
    pf_tensor_spec *specs = memory;
    for (int i = 0; i < table->n_tensors; i++) {
        const pf_parameter *tensor = &table->tensor[i];
        specs[i] = (pf_tensor_spec){tensor->name, PF_F32, tensor->rank, {tensor->shape[0], tensor->shape[1]}};
    }
    PF_TRY_OR(done, write_tensors(path, arrays, specs, digest));
    PF_TRY_OR(done, enter(manifest, directory, weights_name, digest));
done:
    pf_free(path);
    pf_free(memory);
    return status;
}

pf_status pf_model_save(const char *directory, const pf_model_arrays *arrays, unsigned parts,
                        pf_manifest *manifest)
{
    PF_TRY(write_config(directory, &arrays->config, parts, manifest));
    return write_weights(directory, arrays, manifest);
}

// --- finding ------------------------------------------------------------------------------------

static pf_status has(const char *directory, const char *name, bool *answer)
{
    char *path = NULL;
    PF_TRY(pf_join_path(&path, directory, name));
    *answer = pf_exists(path);
    pf_free(path);
    return PF_OK;
}

pf_status pf_model_resolve(const char *path, char **directory, pf_text *passed_over)
{
    bool has_manifest, has_weights, has_checkpoints;
    PF_CHECK(pf_exists(path), PF_ERROR_INPUT, "%s: no such directory, expected a model, run or checkpoint directory",
             path);
    PF_CHECK(pf_is_directory(path), PF_ERROR_INPUT, "%s: expected a model, run or checkpoint directory", path);
    PF_TRY(has(path, PF_MANIFEST_NAME, &has_manifest));
    PF_TRY(has(path, weights_name, &has_weights));
    PF_TRY(has(path, "checkpoints", &has_checkpoints));
    if (has_manifest) PF_TRY(pf_manifest_verify(path));
    if (has_manifest || has_weights) return pf_copy_text(directory, path);
    PF_CHECK(has_checkpoints, PF_ERROR_INPUT, "%s: holds neither %s nor checkpoints", path, weights_name);
    int64_t step;
    const pf_status status = pf_checkpoint_find_best(path, directory, &step, passed_over);
    PF_CHECK(status != PF_END, PF_ERROR_INPUT, "%s: holds no complete checkpoint", path);
    return status;
}
