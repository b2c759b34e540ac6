// Prefix sums on the host. See prefix_sum.h; kernels in cl/prefix_sum.cl.
#include "ops/prefix_sum.h"

#include "base/memory.h"

enum { SMALLEST_BLOCK = 64 }; // rows that one item sums in a row: fewer are not worth two launches more

struct pf_prefix_sum {
    pf_device *device;
    pf_kernel *blocks, *apply;
};

// About as many rows in a block as there are blocks.
static int block_of(int count)
{
    int block = SMALLEST_BLOCK;
    while ((int64_t)block * block < count) block *= 2;
    return block;
}

static int blocks_of(int count)
{
    return (count + block_of(count) - 1) / block_of(count);
}

size_t pf_prefix_sum_scratch_bytes(int outer, int count, int inner)
{
    const int blocks = blocks_of(count);
    return blocks < 2 ? 0 : (size_t)outer * (size_t)blocks * (size_t)inner * sizeof(float);
}

pf_status pf_prefix_sum_create(pf_device *device, pf_prefix_sum **out)
{
    pf_status status;
    const pf_program_key program = {.file = "prefix_sum"};
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_prefix_sum), "prefix sum"));
    pf_prefix_sum *op = made;
    op->device = device;
    PF_TRY_OR(failed, pf_kernel_create(device, &program, "prefix_sum_blocks", &op->blocks));
    PF_TRY_OR(failed, pf_kernel_create(device, &program, "prefix_sum_apply", &op->apply));
    *out = op;
    return PF_OK;
failed:
    pf_prefix_sum_free(op);
    return status;
}

void pf_prefix_sum_free(pf_prefix_sum *op)
{
    if (!op) return;
    pf_kernel_free(op->blocks);
    pf_kernel_free(op->apply);
    pf_free(op);
}

static pf_work work_of(const pf_prefix_sum *op, const pf_prefix_sum_call *call, int blocks, int arrays)
{
    const pf_shape shape = pf_device_shape(op->device);
    const size_t columns = (size_t)(shape.work_group * shape.vector);
    const double numbers = (double)call->outer * call->count * call->inner;
    return (pf_work){.groups = {((size_t)call->inner + columns - 1) / columns, (size_t)blocks, (size_t)call->outer},
                     .flops = numbers,
                     .bytes = 4.0 * arrays * numbers};
}

static pf_status apply(pf_prefix_sum *op, const pf_prefix_sum_call *call, int block)
{
    const bool has_starts = block < call->count;
    const int blocks = (call->count + block - 1) / block;
    return pf_launch(op->apply, work_of(op, call, blocks, 2),
                     PF_ARGS(pf_arg_buffer(call->x), pf_arg_buffer(has_starts ? call->scratch : call->x),
                             pf_arg_int(has_starts), pf_arg_int(call->count), pf_arg_int(call->inner),
                             pf_arg_int(block), pf_arg_int(call->exclusive)));
}

pf_status pf_prefix_sum_run(pf_prefix_sum *op, const pf_prefix_sum_call *call)
{
    if (call->outer == 0 || call->count == 0 || call->inner == 0) return PF_OK;
    const int block = block_of(call->count), blocks = blocks_of(call->count);
    if (blocks < 2) return apply(op, call, block);
    PF_TRY(pf_launch(op->blocks, work_of(op, call, blocks, 1),
                     PF_ARGS(pf_arg_buffer(call->scratch), pf_arg_buffer(call->x), pf_arg_int(call->count),
                             pf_arg_int(call->inner), pf_arg_int(block))));
    PF_TRY(apply(op, &(pf_prefix_sum_call){call->scratch, NULL, call->outer, blocks, call->inner, true}, blocks));
    return apply(op, call, block);
}
