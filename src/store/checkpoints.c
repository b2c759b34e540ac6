// The checkpoint directories of a run. See manifest.h. What they are called decides their order, what
// their manifests say decides whether they count; the file `latest` is for people.
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "store/manifest.h"

enum { STEP_DIGITS = 12 };
static const char prefix[] = "step-";

void pf_checkpoint_name(char out[PF_CHECKPOINT_NAME], int64_t step)
{
    snprintf(out, PF_CHECKPOINT_NAME, "%s%0*" PRId64, prefix, STEP_DIGITS, step);
}

// The step of a checkpoint's name, -1 for any other name.
static int64_t step_of(const char *name)
{
    const size_t start = sizeof prefix - 1;
    if (strncmp(name, prefix, start) != 0 || strlen(name) != start + STEP_DIGITS) return -1;
    if (strspn(name + start, "0123456789") != STEP_DIGITS) return -1;
    return strtoll(name + start, NULL, 10);
}

static int compare_steps(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static pf_status gather(const char *path, int64_t **steps, int *count)
{
    DIR *directory = opendir(path);
    if (!directory && errno == ENOENT) return PF_OK;
    PF_CHECK(directory, PF_ERROR_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    pf_status status = PF_OK;
    size_t capacity = 0;
    struct dirent *entry;
    while (status == PF_OK && (entry = readdir(directory))) {
        const int64_t step = step_of(entry->d_name);
        if (step < 0) continue;
        status = pf_grow((void **)steps, &capacity, (size_t)*count + 1, sizeof **steps, "list of checkpoints");
        if (status == PF_OK) (*steps)[(*count)++] = step;
    }
    closedir(directory);
    return status;
}

pf_status pf_checkpoint_list(const char *run, int64_t **steps, int *count)
{
    char *path = NULL;
    int64_t *found = NULL;
    int n = 0;
    PF_TRY(pf_join_path(&path, run, "checkpoints"));
    const pf_status status = gather(path, &found, &n);
    pf_free(path);
    if (status != PF_OK) {
        pf_free(found);
        return status;
    }
    if (n) qsort(found, (size_t)n, sizeof *found, compare_steps);
    *steps = found;
    *count = n;
    return PF_OK;
}

static pf_status try_step(const char *run, int64_t step, char **directory, pf_text *passed_over)
{
    char name[PF_CHECKPOINT_NAME];
    pf_checkpoint_name(name, step);
    pf_text path = {0};
    pf_status status = pf_text_add(&path, "%s/checkpoints/%s", run, name);
    if (status == PF_OK) status = pf_manifest_verify(path.data);
    if (status == PF_OK) {
        *directory = path.data;
        return PF_OK;
    }
    pf_text_free(&path);
    if (status != PF_ERROR_INPUT) return status;
    if (passed_over) PF_TRY(pf_text_add(passed_over, "%s\n", pf_error_message()));
    return PF_END;
}

pf_status pf_checkpoint_find(const char *run, char **directory, int64_t *step, pf_text *passed_over)
{
    int64_t *steps = NULL;
    int count = 0;
    PF_TRY(pf_checkpoint_list(run, &steps, &count));
    pf_status status = PF_END;
    for (int i = count - 1; i >= 0 && status == PF_END; i--) {
        status = try_step(run, steps[i], directory, passed_over);
        if (status == PF_OK) *step = steps[i];
    }
    pf_free(steps);
    return status;
}

// What RUN/best says; -1: nothing, or nothing of use.
static int64_t best_step(const char *run)
{
    char *path = NULL, *text = NULL;
    size_t length;
    int64_t step = -1;
    if (pf_join_path(&path, run, PF_BEST_NAME) == PF_OK && pf_exists(path) &&
        pf_read_file(path, 1 << 12, &text, &length) == PF_OK) {
        text[strcspn(text, "\n")] = '\0';
        step = step_of(text);
    }
    pf_free(path);
    pf_free(text);
    return step;
}

pf_status pf_checkpoint_find_best(const char *run, char **directory, int64_t *step, pf_text *passed_over)
{
    const int64_t best = best_step(run);
    if (best >= 0) {
        const pf_status status = try_step(run, best, directory, passed_over);
        if (status == PF_OK) *step = best;
        if (status != PF_END) return status;
    }
    return pf_checkpoint_find(run, directory, step, passed_over);
}
