// Activations in 16 bits on the device. See storage.h; kernels in cl/storage.cl.
#include "ops/storage.h"

#include "base/memory.h"
#include "ops/parts.h"

enum { NUMBERS_EACH = 1024, WIDE_EACH = 16 };

struct pf_storage_op {
    pf_kernel *pack, *unpack;
    int each; // numbers of a group
};

pf_status pf_storage_op_create(pf_device *device, pf_storage storage, pf_storage_op **out)
{
    const pf_define defines[] = {{"HALF", storage == PF_STORAGE_FP16}};
    const pf_program_key program = {.file = "storage", .defines = defines, .n_defines = 1};
    pf_status status;
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_storage_op), "storage"));
    pf_storage_op *op = made;
    op->each = NUMBERS_EACH * pf_rows_each(device, WIDE_EACH);
    PF_TRY_OR(failed, pf_kernel_create(device, &program, "storage_pack", &op->pack));
    PF_TRY_OR(failed, pf_kernel_create(device, &program, "storage_unpack", &op->unpack));
    *out = op;
    return PF_OK;
failed:
    pf_storage_op_free(op);
    return status;
}

void pf_storage_op_free(pf_storage_op *op)
{
    if (!op) return;
    pf_kernel_free(op->pack);
    pf_kernel_free(op->unpack);
    pf_free(op);
}

static pf_status launch(const pf_storage_op *op, pf_kernel *kernel, const pf_storage_call *call)
{
    const int64_t count = (int64_t)call->rows * call->width;
    const pf_work work = {.groups = {pf_groups(count, op->each)}, .bytes = 6.0 * (double)count};
    return pf_launch(kernel, work,
                     PF_ARGS(pf_arg_buffer(call->to), pf_arg_buffer(call->from), pf_arg_int(call->rows),
                             pf_arg_int(call->width), pf_arg_int(op->each)));
}

pf_status pf_storage_pack(pf_storage_op *op, const pf_storage_call *call)
{
    return launch(op, op->pack, call);
}

pf_status pf_storage_unpack(pf_storage_op *op, const pf_storage_call *call)
{
    return launch(op, op->unpack, call);
}
