// Activations on the device. See activation.h; kernels in cl/activation.cl.
#include "ops/activation.h"

#include "base/memory.h"
#include "ops/parts.h"

enum { ROWS_EACH = 8 };

// As cl/lib/activation.clh numbers them.
static const long codes[] = {[PF_ACTIVATION_GELU] = 1, [PF_ACTIVATION_GELU_TANH] = 2, [PF_ACTIVATION_RELU] = 3};

struct pf_activate {
    pf_dropout_kernels forward, backward;
    int width;
    int rows_each;
};

pf_status pf_activate_create(pf_device *device, pf_activation act, int width, bool dropout, pf_activate **out)
{
    const pf_define defines[] = {{"F", width}, {"ACTIVATION", codes[act]}};
    const pf_program_key program = {.file = "activation", .defines = defines, .n_defines = 2};
    pf_status status;
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_activate), "activation"));
    pf_activate *op = made;
    op->rows_each = pf_rows_each(device, ROWS_EACH);
    op->width = width;
    PF_TRY_OR(failed, pf_dropout_kernels_create(device, &program, "activation_forward", dropout, &op->forward));
    PF_TRY_OR(failed, pf_dropout_kernels_create(device, &program, "activation_backward", dropout, &op->backward));
    *out = op;
    return PF_OK;
failed:
    pf_activate_free(op);
    return status;
}

void pf_activate_free(pf_activate *op)
{
    if (!op) return;
    pf_dropout_kernels_free(&op->forward);
    pf_dropout_kernels_free(&op->backward);
    pf_free(op);
}

pf_status pf_activate_run(pf_activate *op, const pf_activate_forward *call)
{
    const double n = (double)call->rows * op->width;
    const pf_work work = {.groups = {pf_groups(call->rows, op->rows_each)}, .flops = 30 * n, .bytes = 8 * n};
    return pf_dropout_run(&op->forward, (pf_dropout_launch){call->dropout, call->place, call->u}, work,
                          PF_ARGS(pf_arg_buffer(call->g), pf_arg_buffer(call->u), pf_arg_int(call->rows),
                                  pf_arg_int(op->rows_each)));
}

pf_status pf_activate_run_backward(pf_activate *op, const pf_activate_backward *call)
{
    const double n = (double)call->rows * op->width;
    const pf_work work = {.groups = {pf_groups(call->rows, op->rows_each)}, .flops = 35 * n, .bytes = (call->g ? 16 : 12) * n};
    return pf_dropout_run(&op->backward, (pf_dropout_launch){call->dropout, call->place, call->u}, work,
                          PF_ARGS(pf_arg_buffer(call->du), pf_arg_buffer(call->g ? call->g : call->du),
                                  pf_arg_buffer(call->u), pf_arg_buffer(call->dg), pf_arg_int(call->g != NULL),
                                  pf_arg_int(call->rows), pf_arg_int(op->rows_each)));
}
