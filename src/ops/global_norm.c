// Global norm on the device. See global_norm.h; kernels in cl/global_norm.cl.
#include "ops/global_norm.h"

#include <limits.h>

#include "base/memory.h"
#include "ops/parts.h"

enum {
    LEAST_EACH = 8192, // numbers of a part: enough to hide a launch
    MOST_PARTS = 4096,
};

struct pf_global_norm {
    pf_device *device;
    pf_kernel *parts, *result, *bad;
    pf_buffer *part; // float4 [MOST_PARTS]
    pf_buffer *kept; // pf_norm_result
    int32_t *first_bad; // [MOST_PARTS]
    int64_t max_count;
};

pf_status pf_global_norm_create(pf_device *device, int64_t max_count, pf_global_norm **out)
{
    PF_CHECK(max_count < INT_MAX - LEAST_EACH, PF_ERROR_USAGE, "a norm of %lld numbers; fewer than 2^31 are possible",
             (long long)max_count);
    const pf_program_key key = {.file = "global_norm"};
    pf_status status;
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_global_norm), "global norm"));
    pf_global_norm *op = made;
    op->device = device;
    op->max_count = max_count;
    void *host = NULL;
    PF_TRY_OR(failed, pf_alloc(&host, MOST_PARTS, sizeof(int32_t), "global norm"));
    op->first_bad = host;
    PF_TRY_OR(failed, pf_kernel_create(device, &key, "global_norm_parts", &op->parts));
    PF_TRY_OR(failed, pf_kernel_create(device, &key, "global_norm_result", &op->result));
    PF_TRY_OR(failed, pf_kernel_create(device, &key, "global_norm_bad", &op->bad));
    PF_TRY_OR(failed, pf_buffer_create(device, MOST_PARTS * 4 * sizeof(float), "global norm parts", &op->part));
    PF_TRY_OR(failed, pf_buffer_create(device, sizeof(pf_norm_result), "global norm", &op->kept));
    *out = op;
    return PF_OK;
failed:
    pf_global_norm_free(op);
    return status;
}

void pf_global_norm_free(pf_global_norm *op)
{
    if (!op) return;
    pf_kernel_free(op->parts);
    pf_kernel_free(op->result);
    pf_kernel_free(op->bad);
    pf_buffer_free(op->part);
    pf_buffer_free(op->kept);
    pf_free(op->first_bad);
    pf_free(op);
}

const pf_buffer *pf_global_norm_result(const pf_global_norm *op)
{
    return op->kept;
}

// Numbers of a part: a function of `count` only.
static int64_t each_of(int64_t count)
{
    return (int64_t)pf_groups(count, (int64_t)MOST_PARTS * LEAST_EACH) * LEAST_EACH;
}

static pf_status check_count(const pf_global_norm *op, int64_t count)
{
    PF_CHECK(count <= op->max_count, PF_ERROR_USAGE, "a norm of %lld numbers, made for %lld", (long long)count,
             (long long)op->max_count);
    return PF_OK;
}

pf_status pf_global_norm_run(pf_global_norm *op, const pf_buffer *x, int64_t count, float clip)
{
    PF_TRY(check_count(op, count));
    const int64_t each = each_of(count);
    const size_t n_parts = count ? pf_groups(count, each) : 0;
    const pf_work work = {.groups = {n_parts}, .flops = 8.0 * (double)count, .bytes = 4.0 * (double)count};
    PF_TRY(pf_launch(op->parts, work,
                     PF_ARGS(pf_arg_buffer(op->part), pf_arg_buffer(x), pf_arg_int((int32_t)count),
                             pf_arg_int((int32_t)each))));
    return pf_launch(op->result, (pf_work){.groups = {1}},
                     PF_ARGS(pf_arg_buffer(op->kept), pf_arg_buffer(op->part), pf_arg_int((int32_t)n_parts),
                             pf_arg_float(clip)));
}

pf_status pf_global_norm_read(const pf_global_norm *op, pf_norm_result *out)
{
    pf_norm_result got;
    PF_TRY(pf_buffer_read(op->kept, 0, &got, sizeof got));
    *out = got;
    return PF_OK;
}

pf_status pf_global_norm_find_bad(pf_global_norm *op, const pf_buffer *x, int64_t count, int64_t *index)
{
    PF_TRY(check_count(op, count));
    const int64_t each = each_of(count);
    const size_t n_parts = count ? pf_groups(count, each) : 0;
    PF_TRY(pf_launch(op->bad, (pf_work){.groups = {n_parts}},
                     PF_ARGS(pf_arg_buffer(op->part), pf_arg_buffer(x), pf_arg_int((int32_t)count),
                             pf_arg_int((int32_t)each))));
    PF_TRY(pf_buffer_read(op->part, 0, op->first_bad, n_parts * sizeof(int32_t)));
    int64_t found = -1;
    for (size_t p = 0; p < n_parts && found < 0; p++) found = op->first_bad[p];
    *index = found;
    return PF_OK;
}
