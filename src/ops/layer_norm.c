// Layer normalisation on the device. See layer_norm.h; kernels in cl/layer_norm.cl.
#include "ops/layer_norm.h"

#include "base/memory.h"
#include "ops/parts.h"

enum { ROWS_EACH = 16 }; // per work-group: enough to hide a launch, few enough to share out

struct pf_layer_norm {
    pf_device *device;
    pf_kernel *forward, *backward, *backward_sum;
    pf_buffer *part; // [parts][2][D]
    int width;
    int rows_each;
};

pf_status pf_layer_norm_create(pf_device *device, int width, pf_layer_norm **out)
{
    const pf_define defines[] = {{"D", width}};
    const pf_program_key program = {.file = "layer_norm", .defines = defines, .n_defines = 1};
    const size_t part_bytes = pf_parts_bytes(device, 2 * (size_t)width);
    pf_status status;
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_layer_norm), "layer norm"));
    pf_layer_norm *op = made;
    op->rows_each = pf_rows_each(device, ROWS_EACH);
    op->device = device;
    op->width = width;
    PF_TRY_OR(failed, pf_kernel_create(device, &program, "layer_norm_forward", &op->forward));
    PF_TRY_OR(failed, pf_kernel_create(device, &program, "layer_norm_backward", &op->backward));
    PF_TRY_OR(failed, pf_kernel_create(device, &program, "layer_norm_backward_sum", &op->backward_sum));
    PF_TRY_OR(failed, pf_buffer_create(device, part_bytes, "layer norm parts", &op->part));
    *out = op;
    return PF_OK;
failed:
    pf_layer_norm_free(op);
    return status;
}

void pf_layer_norm_free(pf_layer_norm *op)
{
    if (!op) return;
    pf_kernel_free(op->forward);
    pf_kernel_free(op->backward);
    pf_kernel_free(op->backward_sum);
    pf_buffer_free(op->part);
    pf_free(op);
}

pf_status pf_layer_norm_run(pf_layer_norm *op, const pf_layer_norm_forward *call)
{
    const double n = (double)call->rows * op->width;
    const pf_work work = {.groups = {pf_groups(call->rows, op->rows_each)}, .flops = 8 * n, .bytes = 8 * n};
    return pf_launch(op->forward, work,
                     PF_ARGS(pf_arg_buffer(call->y), pf_arg_buffer(call->stat ? call->stat : call->y),
                             pf_arg_int(call->stat != NULL), pf_arg_buffer(call->x),
                             pf_arg_buffer(call->weight), pf_arg_buffer(call->bias), pf_arg_int(call->rows),
                             pf_arg_int(op->rows_each), pf_arg_float(call->eps)));
}

pf_status pf_layer_norm_run_backward(pf_layer_norm *op, const pf_layer_norm_backward *call)
{
    if (call->rows == 0) return PF_OK;
    const double n = (double)call->rows * op->width;
    const pf_parts parts = pf_parts_of(op->device, call->rows, ROWS_EACH);
    const pf_work work = {.groups = {(size_t)parts.count}, .flops = 15 * n, .bytes = (call->add ? 16 : 12) * n};
    PF_TRY(pf_launch(op->backward, work,
                     PF_ARGS(pf_arg_buffer(call->dx), pf_arg_buffer(op->part), pf_arg_buffer(call->dy),
                             pf_arg_buffer(call->x), pf_arg_buffer(call->stat), pf_arg_buffer(call->weight),
                             pf_arg_buffer(call->add ? call->add : call->dx), pf_arg_int(call->add != NULL),
                             pf_arg_int(call->rows), pf_arg_int(parts.rows_each))));
    const int first = call->dweight ? 0 : 1, last = call->dbias ? 1 : 0;
    if (first > last) return PF_OK;
    const pf_work sum = {.groups = {pf_part_groups(op->device, op->width), (size_t)(last - first + 1)},
                         .bytes = 8.0 * parts.count * op->width};
    return pf_launch(op->backward_sum, sum,
                     PF_ARGS(pf_arg_buffer(call->dweight ? call->dweight : call->dbias),
                             pf_arg_buffer(call->dbias ? call->dbias : call->dweight),
                             pf_arg_buffer(op->part), pf_arg_int(parts.count), pf_arg_int(first)));
}
