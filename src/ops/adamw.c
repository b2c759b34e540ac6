// AdamW on the device. See adamw.h; kernel in cl/adamw.cl.
#include "ops/adamw.h"

#include <limits.h>
#include <math.h>

#include "base/memory.h"
#include "ops/parts.h"

enum { NUMBERS_EACH = 8192 };

struct pf_adamw {
    pf_kernel *kernel;
};

pf_status pf_adamw_create(pf_device *device, pf_adamw **out)
{
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_adamw), "AdamW"));
    pf_adamw *op = made;
    const pf_define define = {"RATE_BLOCK", PF_RATE_BLOCK};
    const pf_program_key key = {.file = "adamw", .defines = &define, .n_defines = 1};
    const pf_status status = pf_kernel_create(device, &key, "adamw", &op->kernel);
    if (status != PF_OK) {
        pf_adamw_free(op);
        return status;
    }
    *out = op;
    return PF_OK;
}

void pf_adamw_free(pf_adamw *op)
{
    if (!op) return;
    pf_kernel_free(op->kernel);
    pf_free(op);
}

pf_status pf_adamw_run(pf_adamw *op, const pf_adamw_call *call)
{
    PF_CHECK(call->count < INT_MAX - NUMBERS_EACH, PF_ERROR_USAGE, "AdamW over %lld numbers; fewer than 2^31 are possible",
             (long long)call->count);
    const double c1 = 1 / (1 - pow(call->b1, (double)call->step)), c2 = 1 / (1 - pow(call->b2, (double)call->step));
    const double n = (double)call->count;
    const pf_work work = {.groups = {pf_groups(call->count, NUMBERS_EACH)}, .flops = 14 * n, .bytes = 28 * n};
    return pf_launch(op->kernel, work,
                     PF_ARGS(pf_arg_buffer(call->p), pf_arg_buffer(call->m), pf_arg_buffer(call->v),
                             pf_arg_buffer(call->gradient), pf_arg_buffer(call->norm),
                             pf_arg_buffer(call->rate ? call->rate : call->p), pf_arg_int(call->rate != NULL),
                             pf_arg_int((int32_t)call->count),
                             pf_arg_int((int32_t)call->n_decay), pf_arg_int(NUMBERS_EACH), pf_arg_float((float)call->b1),
                             pf_arg_float((float)call->b2), pf_arg_float((float)c1), pf_arg_float((float)c2),
                             pf_arg_float((float)call->lr), pf_arg_float((float)call->eps),
                             pf_arg_float((float)call->decay)));
}
