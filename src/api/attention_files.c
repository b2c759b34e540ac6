// One attention layer on .npy files. See performer/attention.h.
#include "performer/attention.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/projection.h"
#include "store/npy.h"

enum { TENSORS = 4, RESULTS = 4 }; // query, key, value, gradient; output, dq, dk, dv

struct pf_attention {
    pf_attention_options options;
    pf_attention_arrays arrays;
    pf_npy_array tensor[TENSORS], projection;
    float *drawn; // W, when it was not read
    float *results[RESULTS];
    int32_t *lengths;
};

// "[2,4,130,64]"
static const char *shape_text(char out[64], const pf_npy_array *array)
{
    size_t at = 0;
    out[at++] = '[';
    for (int i = 0; i < array->rank && at < 40; i++)
        at += (size_t)snprintf(out + at, 24, "%s%llu", i ? "," : "", (unsigned long long)array->shape[i]);
    snprintf(out + at, 2, "]");
    return out;
}

static bool same_shape(const pf_npy_array *a, const pf_npy_array *b)
{
    return a->rank == b->rank && memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
}

// The first tensor's shape is what all others must have.
static pf_status check_tensor(const pf_npy_array *first, const char *first_path, const pf_npy_array *array,
                              const char *path)
{
    char has[64], other[64];
    if (first == array) {
        PF_CHECK(array->rank == 2 || array->rank == 4, PF_ERROR_INPUT,
                 "%s: shape %s, expected [B,H,L,E] or [L,E]", path, shape_text(has, array));
        PF_CHECK(array->count > 0, PF_ERROR_INPUT, "%s: shape %s, every size must be at least 1", path,
                 shape_text(has, array));
        const uint64_t width = array->shape[array->rank - 1];
        PF_CHECK(width <= PF_MAX_HEAD_SIZE, PF_ERROR_INPUT,
                 "%s: heads of %llu numbers (the last size), at most %d", path, (unsigned long long)width,
                 PF_MAX_HEAD_SIZE);
        PF_CHECK(array->shape[array->rank - 2] <= INT32_MAX / width, PF_ERROR_INPUT,
                 "%s: shape %s, one head holds at most %d numbers", path, shape_text(has, array), INT32_MAX);
        return PF_OK;
    }
    PF_CHECK(same_shape(first, array), PF_ERROR_INPUT, "%s has shape %s, %s has %s; they must be equal", path,
             shape_text(has, array), first_path, shape_text(other, first));
    return PF_OK;
}

static pf_status read_tensors(pf_attention *a, const pf_attention_files *files)
{
    const char *const paths[TENSORS] = {files->query, files->key, files->value, files->gradient};
    for (int i = 0; i < TENSORS && paths[i]; i++) {
        PF_TRY(pf_npy_read(paths[i], &a->tensor[i]));
        PF_TRY(check_tensor(&a->tensor[0], paths[0], &a->tensor[i], paths[i]));
    }
    const pf_npy_array *q = &a->tensor[0];
    const uint64_t *sizes = q->shape + q->rank - 2;
    const uint64_t batch = q->rank == 4 ? q->shape[0] : 1, heads = q->rank == 4 ? q->shape[1] : 1;
    PF_CHECK(batch <= INT32_MAX && heads <= INT32_MAX, PF_ERROR_INPUT, "%s: more heads than can be counted",
             paths[0]);
    a->arrays.batch = (int32_t)batch;
    a->arrays.heads = (int32_t)heads;
    a->arrays.length = (int32_t)sizes[0];
    a->arrays.head_size = (int32_t)sizes[1];
    return PF_OK;
}

static pf_status take_lengths(pf_attention *a, const pf_attention_files *files)
{
    if (files->n_lengths == 0) return PF_OK;
    const int32_t batch = a->arrays.batch, length = a->arrays.length;
    PF_CHECK(files->n_lengths == batch, PF_ERROR_USAGE, "%d lengths for the %d batch entries of %s",
             files->n_lengths, batch, files->query);
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, (size_t)batch, sizeof(int32_t), "lengths"));
    a->lengths = memory;
    for (int32_t b = 0; b < batch; b++) {
        const int64_t given = files->lengths[b];
        PF_CHECK(given >= 0 && given <= length, PF_ERROR_USAGE,
                 "length %lld of batch entry %d, %s has 0 to %d tokens", (long long)given, b, files->query,
                 length);
        a->lengths[b] = (int32_t)given;
    }
    a->arrays.lengths = a->lengths;
    return PF_OK;
}

// A token that counts must be made of numbers; what padding holds does not matter.
static pf_status check_finite(const pf_attention *a, int tensor, const char *path)
{
    const pf_attention_arrays *s = &a->arrays;
    const size_t head = (size_t)s->length * (size_t)s->head_size, width = (size_t)s->head_size;
    const size_t n_heads = (size_t)s->batch * (size_t)s->heads;
    for (size_t h = 0; h < n_heads; h++) {
        const size_t entry = h / (size_t)s->heads;
        const size_t real = (s->lengths ? (size_t)s->lengths[entry] : (size_t)s->length) * width;
        const float *from = a->tensor[tensor].data + h * head;
        for (size_t i = 0; i < real; i++)
            PF_CHECK(isfinite(from[i]), PF_ERROR_INPUT,
                     "%s: %s at [%zu,%zu,%zu,%zu], expected a finite float32", path,
                     isnan(from[i]) ? "NaN" : "an infinite number", entry, h % (size_t)s->heads, i / width,
                     i % width);
    }
    return PF_OK;
}

pf_status pf_attention_projection(int32_t n_features, int32_t head_size, uint64_t seed, float *out)
{
    const pf_projection_request request = {
        .num_features = n_features,
        .head_size = head_size,
        .kind = PF_PROJECTION_ORTHOGONAL,
        .row_norm = PF_ROW_NORM_CHI,
        .seed = seed,
    };
    PF_CHECK(n_features >= 1 && n_features <= PF_MAX_FEATURES, PF_ERROR_USAGE,
             "%d features, expected 1 to %d", n_features, PF_MAX_FEATURES);
    PF_CHECK(head_size >= 1 && head_size <= PF_MAX_HEAD_SIZE, PF_ERROR_USAGE,
             "heads of %d numbers, expected 1 to %d", head_size, PF_MAX_HEAD_SIZE);
    void *scratch = NULL;
    PF_TRY(pf_alloc(&scratch, pf_projection_scratch(head_size), sizeof(double), "projection"));
    pf_projection_draw(out, &request, scratch);
    pf_free(scratch);
    return PF_OK;
}

static pf_status draw_projection(pf_attention *a, const pf_attention_files *files)
{
    void *drawn = NULL;
    PF_CHECK(files->num_features >= 1 && files->num_features <= PF_MAX_FEATURES, PF_ERROR_USAGE,
             "%d features, expected 1 to %d", files->num_features, PF_MAX_FEATURES);
    const size_t count = (size_t)files->num_features * (size_t)a->arrays.head_size;
    PF_TRY(pf_alloc(&drawn, count, sizeof(float), "projection"));
    a->drawn = drawn;
    PF_TRY(pf_attention_projection(files->num_features, a->arrays.head_size, files->seed, a->drawn));
    a->arrays.projection = a->drawn;
    a->arrays.n_features = files->num_features;
    return PF_OK;
}

static pf_status read_projection(pf_attention *a, const pf_attention_files *files)
{
    pf_npy_array *w = &a->projection;
    char has[64], other[64];
    if (a->options.exact || !a->options.projected) return PF_OK;
    if (!files->projection) return draw_projection(a, files);
    PF_TRY(pf_npy_read(files->projection, w));
    PF_CHECK(w->rank == 2 && w->count > 0 && w->shape[0] <= PF_MAX_FEATURES, PF_ERROR_INPUT,
             "%s: shape %s, expected a projection [M,E] with M from 1 to %d", files->projection,
             shape_text(has, w), PF_MAX_FEATURES);
    PF_CHECK(w->shape[1] == (uint64_t)a->arrays.head_size, PF_ERROR_INPUT,
             "%s has shape %s, its rows must be as wide as those of %s, which has %s", files->projection,
             shape_text(has, w), files->query, shape_text(other, &a->tensor[0]));
    for (uint64_t i = 0; i < w->count; i++)
        PF_CHECK(isfinite(w->data[i]), PF_ERROR_INPUT, "%s: number %llu is not finite", files->projection,
                 (unsigned long long)i);
    a->arrays.projection = w->data;
    a->arrays.n_features = (int32_t)w->shape[0];
    return PF_OK;
}

static pf_status check_options(const pf_attention_options *o)
{
    PF_CHECK(o->exact || o->window == 0, PF_ERROR_USAGE, "a window is for exact attention");
    PF_CHECK(o->exact || o->projected || !pf_favor_kernel_is_softmax(o->kernel), PF_ERROR_USAGE,
             "kernel %s needs a projection", pf_favor_kernel_name(o->kernel));
    return PF_OK;
}

static pf_status open_all(pf_attention *a, const pf_attention_files *files)
{
    const char *const paths[TENSORS] = {files->query, files->key, files->value, files->gradient};
    PF_TRY(read_tensors(a, files));
    PF_TRY(take_lengths(a, files));
    for (int i = 0; i < TENSORS && paths[i]; i++) PF_TRY(check_finite(a, i, paths[i]));
    PF_TRY(read_projection(a, files));
    for (int i = 0; i < (files->gradient ? RESULTS : 1); i++) {
        void *memory = NULL;
        PF_TRY(pf_alloc(&memory, (size_t)a->tensor[0].count, sizeof(float), "results"));
        a->results[i] = memory;
    }
    pf_attention_arrays *s = &a->arrays;
    s->query = a->tensor[0].data, s->key = a->tensor[1].data;
    s->value = a->tensor[2].data, s->gradient = a->tensor[3].data;
    s->output = a->results[0];
    s->dq = a->results[1], s->dk = a->results[2], s->dv = a->results[3];
    return PF_OK;
}

pf_status pf_attention_open(const pf_attention_options *options, const pf_attention_files *files,
                            pf_attention **out)
{
    void *memory = NULL;
    PF_TRY(check_options(options));
    PF_CHECK(files->query && files->key && files->value, PF_ERROR_USAGE,
             "attention needs query, key and value");
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_attention), "attention"));
    pf_attention *a = memory;
    a->options = *options;
    const pf_status status = open_all(a, files);
    if (status == PF_OK)
        *out = a;
    else
        pf_attention_close(a);
    return status;
}

void pf_attention_close(pf_attention *a)
{
    if (!a) return;
    for (int i = 0; i < TENSORS; i++) pf_npy_free(&a->tensor[i]);
    for (int i = 0; i < RESULTS; i++) pf_free(a->results[i]);
    pf_npy_free(&a->projection);
    pf_free(a->drawn);
    pf_free(a->lengths);
    pf_free(a);
}

pf_status pf_attention_compute(pf_attention *a, pf_device *device)
{
    return pf_attention_run(device, &a->options, &a->arrays);
}

uint64_t pf_attention_not_finite(const pf_attention *a)
{
    uint64_t count = 0;
    for (int r = 0; r < RESULTS && a->results[r]; r++)
        for (uint64_t i = 0; i < a->tensor[0].count; i++) count += !isfinite(a->results[r][i]);
    return count;
}

pf_status pf_attention_save(const pf_attention *a, const char *path)
{
    return pf_npy_write(path, a->results[0], a->tensor[0].rank, a->tensor[0].shape);
}

pf_status pf_attention_save_gradients(const pf_attention *a, const char *directory)
{
    static const char *const names[RESULTS] = {NULL, "dq.npy", "dk.npy", "dv.npy"};
    for (int i = 1; i < RESULTS; i++) {
        char *path = NULL;
        PF_CHECK(a->results[i], PF_ERROR_USAGE, "no gradients were asked for");
        PF_TRY(pf_join_path(&path, directory, names[i]));
        const pf_status status = pf_npy_write(path, a->results[i], a->tensor[0].rank, a->tensor[0].shape);
        pf_free(path);
        if (status != PF_OK) return status;
    }
    return PF_OK;
}
