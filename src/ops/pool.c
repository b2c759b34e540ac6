// Pooling and gathering rows on the device. See pool.h; kernels in cl/pool.cl.
#include "ops/pool.h"

#include "base/memory.h"
#include "ops/parts.h"

enum { ROWS_EACH = 16 };

struct pf_pool {
    pf_device *device;
    pf_kernel *pool, *backward, *gather;
    int rows_each;
};

pf_status pf_pool_create(pf_device *device, pf_pool **out)
{
    const pf_program_key key = {.file = "pool"};
    pf_status status;
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_pool), "pool"));
    pf_pool *op = made;
    op->rows_each = pf_rows_each(device, ROWS_EACH);
    op->device = device;
    PF_TRY_OR(failed, pf_kernel_create(device, &key, "pool", &op->pool));
    PF_TRY_OR(failed, pf_kernel_create(device, &key, "pool_backward", &op->backward));
    PF_TRY_OR(failed, pf_kernel_create(device, &key, "gather_rows", &op->gather));
    *out = op;
    return PF_OK;
failed:
    pf_pool_free(op);
    return status;
}

void pf_pool_free(pf_pool *op)
{
    if (!op) return;
    pf_kernel_free(op->pool);
    pf_kernel_free(op->backward);
    pf_kernel_free(op->gather);
    pf_free(op);
}

pf_status pf_pool_run(pf_pool *op, const pf_pool_call *call)
{
    const pf_shape shape = pf_device_shape(op->device);
    pf_buffer *any = call->mean ? call->mean : call->maximum;
    PF_CHECK(any, PF_ERROR_USAGE, "pooling without a mean or a maximum to write");
    const pf_work work = {.groups = {(size_t)call->count, pf_groups(call->columns, shape.work_group * shape.vector)}};
    return pf_launch(op->pool, work,
                     PF_ARGS(pf_arg_buffer(call->mean ? call->mean : any),
                             pf_arg_buffer(call->maximum ? call->maximum : any), pf_arg_int(call->mean != NULL),
                             pf_arg_int(call->maximum != NULL), pf_arg_buffer(call->x.buffer),
                             pf_arg_buffer(call->range), pf_arg_int(call->x.stride), pf_arg_int(call->x.offset),
                             pf_arg_int(call->columns)));
}

pf_status pf_pool_run_backward(pf_pool *op, const pf_pool_backward *call)
{
    const int32_t n_blocks = call->sequences->n_blocks;
    if (n_blocks == 0) return PF_OK;
    return pf_launch(op->backward, (pf_work){.groups = {(size_t)n_blocks}},
                     PF_ARGS(pf_arg_buffer(call->dx), pf_arg_buffer(call->dmean), pf_arg_buffer(call->range),
                             pf_arg_buffer(call->sequences->blocks), pf_arg_int(call->columns)));
}

pf_status pf_gather_run(pf_pool *op, const pf_gather_call *call)
{
    const pf_work work = {.groups = {pf_groups(call->count, op->rows_each)}, .bytes = 8.0 * call->count * call->columns};
    return pf_launch(op->gather, work,
                     PF_ARGS(pf_arg_buffer(call->out), pf_arg_buffer(call->x.buffer), pf_arg_buffer(call->row),
                             pf_arg_int(call->x.stride), pf_arg_int(call->x.offset), pf_arg_int(call->columns),
                             pf_arg_int(call->count), pf_arg_int(op->rows_each)));
}
