// Residual additions on the device. See residual.h; kernels in cl/residual.cl.
#include "ops/residual.h"

#include "base/memory.h"
#include "ops/parts.h"

enum { ROWS_EACH = 16 };

struct pf_residual {
    pf_dropout_kernels forward, backward;
    int width;
    int rows_each;
};

pf_status pf_residual_create(pf_device *device, int width, bool dropout, pf_residual **out)
{
    const pf_define defines[] = {{"D", width}};
    const pf_program_key program = {.file = "residual", .defines = defines, .n_defines = 1};
    pf_status status;
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_residual), "residual"));
    pf_residual *op = made;
    op->rows_each = pf_rows_each(device, ROWS_EACH);
    op->width = width;
    PF_TRY_OR(failed, pf_dropout_kernels_create(device, &program, "residual_forward", dropout, &op->forward));
    PF_TRY_OR(failed, pf_dropout_kernels_create(device, &program, "residual_backward", dropout, &op->backward));
    *out = op;
    return PF_OK;
failed:
    pf_residual_free(op);
    return status;
}

void pf_residual_free(pf_residual *op)
{
    if (!op) return;
    pf_dropout_kernels_free(&op->forward);
    pf_dropout_kernels_free(&op->backward);
    pf_free(op);
}

pf_status pf_residual_run(pf_residual *op, const pf_residual_forward *call)
{
    const pf_work work = {.groups = {pf_groups(call->rows, op->rows_each)}, .bytes = 12.0 * call->rows * op->width};
    return pf_dropout_run(&op->forward, (pf_dropout_launch){call->dropout, call->place, call->x}, work,
                          PF_ARGS(pf_arg_buffer(call->y), pf_arg_buffer(call->x), pf_arg_buffer(call->branch),
                                  pf_arg_buffer(call->bias ? call->bias : call->x), pf_arg_int(call->bias != NULL),
                                  pf_arg_int(call->rows), pf_arg_int(op->rows_each)));
}

pf_status pf_residual_run_backward(pf_residual *op, const pf_residual_backward *call)
{
    const pf_work work = {.groups = {pf_groups(call->rows, op->rows_each)}, .bytes = 8.0 * call->rows * op->width};
    return pf_dropout_run(&op->backward, (pf_dropout_launch){call->dropout, call->place, call->dy}, work,
                          PF_ARGS(pf_arg_buffer(call->dbranch), pf_arg_buffer(call->dy), pf_arg_int(call->rows),
                                  pf_arg_int(op->rows_each)));
}
