// Layer normalisation on the device. See layer_norm.h; kernels in cl/layer_norm.cl.
#include "ops/layer_norm.h"

#include "base/memory.h"

enum { ROWS_EACH = 16 }; // per work-group: enough to hide a launch, few enough to share out

struct pf_layer_norm {
    pf_kernel *forward;
    int width;
};

pf_status pf_layer_norm_create(pf_device *device, int width, pf_layer_norm **out)
{
    const pf_define defines[] = {{"D", width}};
    const pf_program_key program = {.file = "layer_norm", .defines = defines, .n_defines = 1};
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_layer_norm), "layer norm"));
    pf_layer_norm *op = made;
    op->width = width;
    const pf_status status = pf_kernel_create(device, &program, "layer_norm_forward", &op->forward);
    if (status != PF_OK) {
        pf_layer_norm_free(op);
        return status;
    }
    *out = op;
    return PF_OK;
}

void pf_layer_norm_free(pf_layer_norm *op)
{
    if (!op) return;
    pf_kernel_free(op->forward);
    pf_free(op);
}

pf_status pf_layer_norm_run(pf_layer_norm *op, const pf_layer_norm_forward *call)
{
    const double n = (double)call->rows * op->width;
    const pf_work work = {.groups = {(size_t)(call->rows + ROWS_EACH - 1) / ROWS_EACH}, .flops = 8 * n, .bytes = 8 * n};
    return pf_launch(op->forward, work,
                     PF_ARGS(pf_arg_buffer(call->y), pf_arg_buffer(call->stat), pf_arg_buffer(call->x),
                             pf_arg_buffer(call->weight), pf_arg_buffer(call->bias), pf_arg_int(call->rows),
                             pf_arg_int(ROWS_EACH), pf_arg_float(call->eps)));
}
