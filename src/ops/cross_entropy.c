// Cross-entropy on the device. See cross_entropy.h; kernels in cl/cross_entropy.cl.
#include "ops/cross_entropy.h"

#include "base/memory.h"
#include "ops/device_metrics.h"
#include "ops/parts.h"

enum { ROWS_EACH = 64 };

struct pf_cross_entropy {
    pf_device *device;
    pf_kernel *forward, *sum, *backward;
    pf_kernel *weigh; // with weights
    pf_buffer *part, *total, *weight;
    int alphabet, first_residue, residues_end;
};

static pf_status create_kernel(const pf_cross_entropy *op, const char *name, pf_kernel **out)
{
    const pf_define defines[] = {
        {"A", op->alphabet}, {"FIRST_RESIDUE", op->first_residue}, {"RESIDUES_END", op->residues_end}};
    const pf_program_key key = {.file = "cross_entropy", .defines = defines, .n_defines = 3};
    return pf_kernel_create(op->device, &key, name, out);
}

pf_status pf_cross_entropy_create(pf_device *device, int alphabet, int first_residue, int residues_end,
                                  pf_cross_entropy **out)
{
    const size_t part_bytes = (size_t)pf_most_parts(device) * sizeof(pf_device_metrics);
    pf_status status;
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_cross_entropy), "cross-entropy"));
    pf_cross_entropy *op = made;
    op->device = device;
    op->alphabet = alphabet;
    op->first_residue = first_residue;
    op->residues_end = residues_end;
    PF_TRY_OR(failed, create_kernel(op, "cross_entropy_forward", &op->forward));
    PF_TRY_OR(failed, create_kernel(op, "metrics_sum", &op->sum));
    PF_TRY_OR(failed, create_kernel(op, "cross_entropy_backward", &op->backward));
    PF_TRY_OR(failed, pf_buffer_create(device, part_bytes, "cross-entropy parts", &op->part));
    PF_TRY_OR(failed, pf_buffer_create(device, sizeof(pf_device_metrics), "metrics", &op->total));
    PF_TRY_OR(failed, pf_cross_entropy_reset(op));
    *out = op;
    return PF_OK;
failed:
    pf_cross_entropy_free(op);
    return status;
}

void pf_cross_entropy_free(pf_cross_entropy *op)
{
    if (!op) return;
    pf_kernel_free(op->forward);
    pf_kernel_free(op->sum);
    pf_kernel_free(op->backward);
    pf_kernel_free(op->weigh);
    pf_buffer_free(op->weight);
    pf_buffer_free(op->part);
    pf_buffer_free(op->total);
    pf_free(op);
}

pf_status pf_cross_entropy_run(pf_cross_entropy *op, const pf_cross_entropy_forward *call)
{
    if (call->rows == 0) return PF_OK;
    const pf_parts parts = pf_parts_of(op->device, call->rows, ROWS_EACH);
    const double n = (double)call->rows * op->alphabet;
    const pf_work work = {.groups = {(size_t)parts.count}, .flops = 20 * n, .bytes = 4 * n};
    PF_TRY(pf_launch(op->forward, work,
                     PF_ARGS(pf_arg_buffer(op->part), pf_arg_buffer(call->loss ? call->loss : op->part),
                             pf_arg_int(call->loss != NULL), pf_arg_buffer(call->logits),
                             pf_arg_buffer(call->target), pf_arg_int(call->stride), pf_arg_int(call->rows),
                             pf_arg_int(parts.rows_each))));
    return pf_launch(op->sum, (pf_work){.groups = {1}},
                     PF_ARGS(pf_arg_buffer(op->total), pf_arg_buffer(op->part), pf_arg_int(parts.count)));
}

pf_status pf_cross_entropy_run_backward(pf_cross_entropy *op, const pf_cross_entropy_backward *call)
{
    const double n = (double)call->rows * op->alphabet;
    const pf_work work = {.groups = {pf_groups(call->rows, ROWS_EACH)}, .flops = 20 * n, .bytes = 8 * n};
    PF_TRY(pf_launch(op->backward, work,
                     PF_ARGS(pf_arg_buffer(call->dlogits), pf_arg_buffer(call->logits),
                             pf_arg_buffer(call->target), pf_arg_int(call->stride), pf_arg_float(call->scale),
                             pf_arg_int(call->rows), pf_arg_int(ROWS_EACH))));
    if (!op->weight || call->rows == 0) return PF_OK;
    return pf_launch(
        op->weigh, (pf_work){.groups = {pf_groups(call->rows, ROWS_EACH)}, .flops = n, .bytes = 8 * n},
        PF_ARGS(pf_arg_buffer(call->dlogits), pf_arg_buffer(call->target), pf_arg_buffer(op->weight),
                pf_arg_int(call->stride), pf_arg_int(call->rows), pf_arg_int(ROWS_EACH)));
}

pf_status pf_cross_entropy_set_weights(pf_cross_entropy *op, const float *weight)
{
    const size_t bytes = (size_t)op->alphabet * sizeof *weight;
    if (!op->weigh) PF_TRY(create_kernel(op, "cross_entropy_weigh", &op->weigh));
    if (!op->weight) PF_TRY(pf_buffer_create(op->device, bytes, "class weights", &op->weight));
    return pf_buffer_write(op->weight, 0, weight, bytes);
}

pf_status pf_cross_entropy_reset(pf_cross_entropy *op)
{
    return pf_buffer_zero(op->total, 0, sizeof(pf_device_metrics));
}

pf_status pf_cross_entropy_read(const pf_cross_entropy *op, pf_metrics *out)
{
    return pf_device_metrics_read(op->total, out);
}
