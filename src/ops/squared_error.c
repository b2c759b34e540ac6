// Squared error on the device. See squared_error.h; kernels in cl/squared_error.cl.
#include "ops/squared_error.h"

#include "base/memory.h"
#include "ops/device_metrics.h"
#include "ops/parts.h"

enum { ROWS_EACH = 64 };

struct pf_squared_error {
    pf_device *device;
    pf_kernel *forward, *sum, *backward;
    pf_buffer *part, *total;
};

pf_status pf_squared_error_create(pf_device *device, pf_squared_error **out)
{
    const pf_program_key key = {.file = "squared_error"};
    const size_t part_bytes = (size_t)pf_most_parts(device) * sizeof(pf_device_metrics);
    pf_status status;
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_squared_error), "squared error"));
    pf_squared_error *op = made;
    op->device = device;
    PF_TRY_OR(failed, pf_kernel_create(device, &key, "squared_error_forward", &op->forward));
    PF_TRY_OR(failed, pf_kernel_create(device, &key, "metrics_sum", &op->sum));
    PF_TRY_OR(failed, pf_kernel_create(device, &key, "squared_error_backward", &op->backward));
    PF_TRY_OR(failed, pf_buffer_create(device, part_bytes, "squared error parts", &op->part));
    PF_TRY_OR(failed, pf_buffer_create(device, sizeof(pf_device_metrics), "metrics", &op->total));
    PF_TRY_OR(failed, pf_squared_error_reset(op));
    *out = op;
    return PF_OK;
failed:
    pf_squared_error_free(op);
    return status;
}

void pf_squared_error_free(pf_squared_error *op)
{
    if (!op) return;
    pf_kernel_free(op->forward);
    pf_kernel_free(op->sum);
    pf_kernel_free(op->backward);
    pf_buffer_free(op->part);
    pf_buffer_free(op->total);
    pf_free(op);
}

pf_status pf_squared_error_run(pf_squared_error *op, const pf_squared_error_forward *call)
{
    if (call->rows == 0) return PF_OK;
    const pf_parts parts = pf_parts_of(op->device, call->rows, ROWS_EACH);
    const pf_work work = {.groups = {(size_t)parts.count}, .bytes = 12.0 * call->rows};
    PF_TRY(
        pf_launch(op->forward, work,
                  PF_ARGS(pf_arg_buffer(op->part), pf_arg_buffer(call->loss ? call->loss : op->part),
                          pf_arg_int(call->loss != NULL), pf_arg_buffer(call->y), pf_arg_buffer(call->value),
                          pf_arg_buffer(call->target), pf_arg_int(call->rows), pf_arg_int(parts.rows_each))));
    return pf_launch(op->sum, (pf_work){.groups = {1}},
                     PF_ARGS(pf_arg_buffer(op->total), pf_arg_buffer(op->part), pf_arg_int(parts.count)));
}

pf_status pf_squared_error_run_backward(pf_squared_error *op, const pf_squared_error_backward *call)
{
    if (call->rows == 0) return PF_OK;
    const pf_work work = {.groups = {pf_groups(call->rows, ROWS_EACH)}, .bytes = 16.0 * call->rows};
    return pf_launch(op->backward, work,
                     PF_ARGS(pf_arg_buffer(call->dy), pf_arg_buffer(call->y), pf_arg_buffer(call->value),
                             pf_arg_buffer(call->target), pf_arg_float(call->scale), pf_arg_int(call->rows),
                             pf_arg_int(ROWS_EACH)));
}

pf_status pf_squared_error_reset(pf_squared_error *op)
{
    return pf_buffer_zero(op->total, 0, sizeof(pf_device_metrics));
}

pf_status pf_squared_error_read(const pf_squared_error *op, pf_metrics *out)
{
    return pf_device_metrics_read(op->total, out);
}
