// Sums of columns on the device. See column_sum.h; kernels in cl/column_sum.cl.
#include "ops/column_sum.h"

#include "base/memory.h"
#include "ops/parts.h"

enum { PART_ROWS = 32 };

struct pf_column_sum {
    pf_device *device;
    pf_kernel *parts, *sum;
    pf_buffer *part; // [parts][columns]
    int max_columns;
};

pf_status pf_column_sum_create(pf_device *device, int max_columns, pf_column_sum **out)
{
    const pf_program_key program = {.file = "column_sum"};
    const size_t part_bytes = pf_parts_bytes(device, (size_t)max_columns);
    pf_status status;
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_column_sum), "column sum"));
    pf_column_sum *op = made;
    op->device = device;
    op->max_columns = max_columns;
    PF_TRY_OR(failed, pf_kernel_create(device, &program, "column_sum_parts", &op->parts));
    PF_TRY_OR(failed, pf_kernel_create(device, &program, "column_sum_sum", &op->sum));
    PF_TRY_OR(failed, pf_buffer_create(device, part_bytes, "column sum parts", &op->part));
    *out = op;
    return PF_OK;
failed:
    pf_column_sum_free(op);
    return status;
}

void pf_column_sum_free(pf_column_sum *op)
{
    if (!op) return;
    pf_kernel_free(op->parts);
    pf_kernel_free(op->sum);
    pf_buffer_free(op->part);
    pf_free(op);
}

pf_status pf_column_sum_run(pf_column_sum *op, const pf_column_sum_call *call)
{
    PF_CHECK(call->columns <= op->max_columns, PF_ERROR_USAGE, "sums of %d columns, made for %d", call->columns,
             op->max_columns);
    if (call->rows == 0) return PF_OK;
    const pf_parts parts = pf_parts_of(op->device, call->rows, PART_ROWS);
    const double n = (double)call->rows * call->columns;
    const pf_work work = {.groups = {(size_t)parts.count}, .flops = n, .bytes = 4 * n};
    PF_TRY(pf_launch(op->parts, work,
                     PF_ARGS(pf_arg_buffer(op->part), pf_arg_buffer(call->x.buffer), pf_arg_int(call->x.stride),
                             pf_arg_int(call->x.offset), pf_arg_int(call->columns), pf_arg_int(call->rows),
                             pf_arg_int(parts.rows_each))));
    const pf_work sum = {.groups = {pf_part_groups(op->device, call->columns)},
                         .bytes = 4.0 * parts.count * call->columns};
    return pf_launch(op->sum, sum,
                     PF_ARGS(pf_arg_buffer(call->out), pf_arg_buffer(op->part), pf_arg_int(parts.count),
                             pf_arg_int(call->columns)));
}
