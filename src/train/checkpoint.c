// Writing, finding and dropping checkpoints. See checkpoint.h; state.json is in state.c.
#include "train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/files.h"
#include "store/manifest.h"
#include "store/safetensors.h"
#include "train/state.h"

enum { NAME_BYTES = 64 };

// ---- the optimiser's moments ----

static void moment_name(char out[PF_PARAMETER_NAME + 4], const pf_parameter *p, char moment)
{
    snprintf(out, PF_PARAMETER_NAME + 4, "%s.%c", p->name, moment);
}

// Both moments of every trained tensor, in the order of the table.
typedef struct moment_list {
    pf_tensor_spec *spec;
    char (*name)[PF_PARAMETER_NAME + 4];
    pf_moment_range *range;
    float *numbers; // room for the largest tensor
    int count;
} moment_list;

static void moment_list_free(moment_list *list)
{
    pf_free(list->spec);
    pf_free(list->name);
    pf_free(list->range);
    pf_free(list->numbers);
}

static bool has_moments(const pf_parameter *p)
{
    return p->is_trained && !p->is_frozen;
}

static pf_status allocate_numbers(const pf_parameters *parameters, float **out)
{
    size_t most = 0;
    void *memory = NULL;
    for (int i = 0; i < parameters->n_tensors; i++)
        if (has_moments(&parameters->tensor[i]) && parameters->tensor[i].count > most)
            most = parameters->tensor[i].count;
    PF_TRY(pf_alloc(&memory, most, sizeof(float), "moments of a tensor"));
    *out = memory;
    return PF_OK;
}

static pf_status moment_list_create(const pf_parameters *parameters, moment_list *list)
{
    const size_t most = 2 * (size_t)parameters->n_tensors;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, most, sizeof *list->spec, "list of moments"));
    list->spec = memory;
    PF_TRY(pf_alloc(&memory, most, sizeof *list->name, "names of moments"));
    list->name = memory;
    PF_TRY(pf_alloc(&memory, most, sizeof *list->range, "list of moments"));
    list->range = memory;
    for (size_t i = 0; i < most; i++) {
        const pf_parameter *p = &parameters->tensor[i / 2];
        if (!has_moments(p)) continue;
        const int n = list->count++;
        moment_name(list->name[n], p, i % 2 ? 'v' : 'm');
        list->spec[n] = (pf_tensor_spec){list->name[n], PF_F32, p->rank, {p->shape[0], p->shape[1]}};
        list->range[n] = (pf_moment_range){i % 2 ? PF_MOMENT_V : PF_MOMENT_M, p->offset, p->count};
    }
    return allocate_numbers(parameters, &list->numbers);
}

static pf_status write_moments(const char *path, const pf_checkpoint *c, char sha256[65])
{
    pf_status status;
    moment_list list = {0};
    pf_safetensors_writer *writer = NULL;
    PF_TRY_OR(done, moment_list_create(c->arrays->parameters, &list));
    PF_TRY_OR(done, pf_safetensors_writer_open(path, list.spec, list.count, NULL, 0, &writer));
    for (int i = 0; i < list.count; i++) {
        PF_TRY_OR(done, pf_trainer_download(c->trainer, list.range[i], list.numbers));
        PF_TRY_OR(done, pf_safetensors_write(writer, list.numbers, list.range[i].count * sizeof(float)));
    }
    status = pf_safetensors_commit(writer, sha256);
    writer = NULL;
done:
    pf_safetensors_discard(writer);
    moment_list_free(&list);
    return status;
}

static pf_status read_moment(const pf_safetensors *file, const pf_parameter *p, pf_moment moment, float *out)
{
    char name[PF_PARAMETER_NAME + 4];
    moment_name(name, p, moment == PF_MOMENT_M ? 'm' : 'v');
    const pf_tensor_info *info = pf_safetensors_find(file, name);
    PF_CHECK(info, PF_ERROR_INPUT, "%s: tensor %s is missing", pf_safetensors_path(file), name);
    bool fits = info->type == PF_F32 && info->rank == p->rank;
    for (int d = 0; fits && d < p->rank; d++) fits = info->shape[d] == p->shape[d];
    PF_CHECK(fits, PF_ERROR_INPUT, "%s: tensor %s has another type or shape than the model's",
             pf_safetensors_path(file), name);
    return pf_safetensors_read(file, info, out);
}

pf_status pf_checkpoint_read_moments(const char *checkpoint, const pf_parameters *parameters,
                                     pf_trainer *trainer)
{
    pf_status status;
    char *path = NULL;
    float *numbers = NULL;
    pf_safetensors *file = NULL;
    PF_TRY_OR(done, pf_join_path(&path, checkpoint, "optimizer.safetensors"));
    PF_TRY_OR(done, pf_safetensors_open(path, &file));
    PF_TRY_OR(done, allocate_numbers(parameters, &numbers));
    for (int i = 0; i < parameters->n_tensors; i++) {
        const pf_parameter *p = &parameters->tensor[i];
        if (!has_moments(p)) continue;
        for (pf_moment moment = PF_MOMENT_M; moment <= PF_MOMENT_V; moment++) {
            const pf_moment_range range = {moment, p->offset, p->count};
            PF_TRY_OR(done, read_moment(file, p, moment, numbers));
            PF_TRY_OR(done, pf_trainer_upload(trainer, range, numbers));
        }
    }
done:
    pf_safetensors_close(file);
    pf_free(numbers);
    pf_free(path);
    return status;
}

// ---- writing ----

static pf_status write_state(const char *directory, const pf_training_state *state, pf_manifest *manifest)
{
    char sha256[65], *path = NULL;
    PF_TRY(pf_join_path(&path, directory, "state.json"));
    pf_status status = pf_training_state_write(state, path, sha256);
    if (status == PF_OK) status = pf_manifest_add(manifest, directory, "state.json", sha256);
    pf_free(path);
    return status;
}

static pf_status write_contents(const char *directory, const pf_checkpoint *c)
{
    static const char moments_name[] = "optimizer.safetensors";
    pf_status status;
    char sha256[65], *moments = NULL;
    pf_manifest *manifest = NULL;
    PF_TRY_OR(done, pf_manifest_create(&manifest));
    PF_TRY_OR(done, pf_model_save(directory, c->arrays, PF_CONFIG_ALL_KEYS, manifest));
    PF_TRY_OR(done, pf_join_path(&moments, directory, moments_name));
    PF_TRY_OR(done, write_moments(moments, c, sha256));
    PF_TRY_OR(done, pf_manifest_add(manifest, directory, moments_name, sha256));
    PF_TRY_OR(done, write_state(directory, c->state, manifest));
    PF_TRY_OR(done, pf_manifest_write(manifest, directory));
    status = pf_sync_directory(directory);
done:
    pf_manifest_free(manifest);
    pf_free(moments);
    return status;
}

// Renamed first, so that a crash leaves nothing that looks like a checkpoint with files missing.
static pf_status drop(const char *checkpoints, int64_t step)
{
    char name[PF_CHECKPOINT_NAME], doomed_name[NAME_BYTES], *path = NULL, *doomed = NULL;
    pf_status status;
    pf_checkpoint_name(name, step);
    snprintf(doomed_name, sizeof doomed_name, ".drop-%lld-%ld", (long long)step, (long)getpid());
    PF_TRY_OR(done, pf_join_path(&path, checkpoints, name));
    PF_TRY_OR(done, pf_join_path(&doomed, checkpoints, doomed_name));
    if (rename(path, doomed) != 0)
        status = pf_fail(PF_ERROR_FAILED, "%s: %s", path, strerror(errno));
    else
        status = pf_remove_tree(doomed);
done:
    pf_free(path);
    pf_free(doomed);
    return status;
}

static pf_status rotate(const char *run, const char *checkpoints, int64_t keep, int64_t best_step)
{
    int64_t *steps = NULL;
    int count = 0;
    PF_TRY(pf_checkpoint_list(run, &steps, &count));
    pf_status status = PF_OK;
    for (int64_t i = 0; i < count - (keep < 1 ? 1 : keep) && status == PF_OK; i++)
        if (steps[i] != best_step) status = drop(checkpoints, steps[i]);
    pf_free(steps);
    return status;
}

// What a killed process left behind.
static void clean(const char *checkpoints)
{
    DIR *directory = opendir(checkpoints);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char *path = NULL;
        if (strncmp(entry->d_name, ".new-", 5) != 0 && strncmp(entry->d_name, ".drop-", 6) != 0) continue;
        if (pf_join_path(&path, checkpoints, entry->d_name) == PF_OK) (void)pf_remove_tree(path);
        pf_free(path);
    }
    if (directory) closedir(directory);
}

// RUN/`file` says `name`.
static pf_status point(const char *run, const char *file, const char *name)
{
    char line[NAME_BYTES + 1], *path = NULL;
    PF_TRY(pf_join_path(&path, run, file));
    snprintf(line, sizeof line, "%s\n", name);
    const pf_status status = pf_write_file(path, line, strlen(line), NULL);
    pf_free(path);
    return status;
}

pf_status pf_checkpoint_point_to_best(const char *run, const pf_training_state *state)
{
    char name[PF_CHECKPOINT_NAME];
    pf_text path = {0};
    if (state->best_step == 0) return PF_OK;
    pf_checkpoint_name(name, state->best_step);
    pf_status status = pf_text_add(&path, "%s/checkpoints/%s", run, name);
    if (status == PF_OK && pf_is_directory(path.data)) status = point(run, PF_BEST_NAME, name);
    pf_text_free(&path);
    return status;
}

static pf_status publish(const char *run, const char *checkpoints, const char *fresh, const char *final,
                         const char *name)
{
    // One may be there: damaged, or of this step before an evaluation that was still due.
    PF_TRY(pf_replace_directory(fresh, final));
    PF_TRY(pf_sync_directory(checkpoints));
    return point(run, "latest", name);
}

pf_status pf_checkpoint_save(const char *run, const pf_checkpoint *c, int64_t keep)
{
    const long long step = (long long)c->state->step;
    pf_status status;
    char name[PF_CHECKPOINT_NAME], fresh_name[NAME_BYTES];
    char *checkpoints = NULL, *fresh = NULL, *final = NULL;
    pf_checkpoint_name(name, step);
    snprintf(fresh_name, sizeof fresh_name, ".new-%lld-%ld", step, (long)getpid());
    PF_TRY_OR(done, pf_join_path(&checkpoints, run, "checkpoints"));
    PF_TRY_OR(done, pf_make_directory(checkpoints));
    clean(checkpoints);
    PF_TRY_OR(done, pf_join_path(&fresh, checkpoints, fresh_name));
    PF_TRY_OR(done, pf_join_path(&final, checkpoints, name));
    PF_TRY_OR(done, pf_make_directory(fresh));
    status = write_contents(fresh, c);
    if (status == PF_OK) status = publish(run, checkpoints, fresh, final, name);
    if (status == PF_OK) status = pf_checkpoint_point_to_best(run, c->state);
    if (status == PF_OK)
        status = rotate(run, checkpoints, keep, c->state->best_step);
    else
        (void)pf_remove_tree(fresh); // the error before it is the one to tell
done:
    pf_free(checkpoints);
    pf_free(fresh);
    pf_free(final);
    return pf_context(status, "checkpoint of step %lld", step);
}
