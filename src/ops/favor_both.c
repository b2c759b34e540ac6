// Bidirectional FAVOR attention on the host. See favor.h; kernels in cl/favor.cl and cl/favor_backward.cl,
// for maps that estimate softmax attention in cl/favor_softmax.cl and cl/favor_softmax_backward.cl, which take the
// same arguments.
//
// Forward scratch: packed W, the partial state of each block and head. Backward: the same, then dS of
// each sequence and head.
#include "ops/favor_parts.h"

enum { SUM, REDUCE, APPLY };         // op->forward
enum { GRAD_QUERY, GRAD_KEY };       // op->backward

pf_status pf_favor_both_create(pf_favor *op)
{
    const bool softmax = pf_favor_is_softmax(op->config.kernel);
    const char *file = softmax ? "favor_softmax" : "favor";
    const char *backward = softmax ? "favor_softmax_backward" : "favor_backward";
    PF_TRY(pf_favor_kernel_create(op, file, "favor_sum", &op->forward[SUM]));
    PF_TRY(pf_favor_kernel_create(op, file, "favor_reduce", &op->forward[REDUCE]));
    PF_TRY(pf_favor_kernel_create(op, file, "favor_apply", &op->forward[APPLY]));
    if (!op->config.trains) return PF_OK;
    PF_TRY(pf_favor_kernel_create(op, backward, "favor_grad_query", &op->backward[GRAD_QUERY]));
    return pf_favor_kernel_create(op, backward, "favor_grad_key", &op->backward[GRAD_KEY]);
}

size_t pf_favor_both_scratch_bytes(const pf_favor_config *config, pf_favor_room room, bool backward)
{
    const size_t states = (size_t)room.blocks + (backward ? (size_t)room.sequences : 0);
    return pf_favor_packed_floats(config) * sizeof(float) + states * pf_favor_state_bytes(config, 1);
}

// What the launches of a call have in common.
typedef struct favor_extent {
    size_t heads, blocks, sequences;
    double product_flops; // of one product over all tokens and features
    size_t tile_parts, slice_parts, reduce_parts;
} favor_extent;

static favor_extent extent_of(const pf_favor *op, const pf_sequences *sequences)
{
    const bool wide = pf_device_shape(op->device).work_group == 1;
    double rows = 0;
    for (int b = 0; b < sequences->n_sequences; b++) rows += sequences->host_sequences[b].length;
    return (favor_extent){
        .heads = (size_t)op->config.n_heads,
        .blocks = (size_t)sequences->n_blocks,
        .sequences = (size_t)sequences->n_sequences,
        .product_flops = 2.0 * rows * op->config.n_heads * op->config.head_size * pf_favor_feature_rows(&op->config),
        // A CPU has blocks and heads enough; a GPU gets more groups.
        .tile_parts = wide ? 1 : 8,
        .slice_parts = wide ? 1 : (size_t)(op->tiles.features / op->tiles.slice),
        .reduce_parts = wide ? 1 : 16,
    };
}

// The three arguments of rows whose first column is that of the operation's first head.
#define ROWS(rows)                                                     \
    pf_arg_buffer((rows).buffer), pf_arg_int((rows).stride),           \
        pf_arg_int((rows).offset + op->config.first_head * op->config.head_size)

static pf_status sum_blocks(pf_favor *op, const favor_extent *extent, const pf_sequences *sequences, pf_buffer *states,
                            int behind, const pf_buffer *scratch)
{
    const double numbers = (double)(extent->heads * pf_favor_state_floats(&op->config));
    const pf_work work = {.groups = {extent->heads, extent->sequences, extent->reduce_parts},
                          .flops = numbers * (double)extent->blocks,
                          .bytes = 4 * numbers * (double)(extent->blocks + extent->sequences)};
    return pf_launch(op->forward[REDUCE], work,
                     PF_ARGS(pf_arg_buffer(states), pf_arg_int(behind), pf_arg_buffer(sequences->sequences),
                             pf_arg_buffer(scratch)));
}

pf_status pf_favor_both_run(pf_favor *op, const pf_favor_forward *call)
{
    const favor_extent extent = extent_of(op, call->sequences);
    const pf_arg constant = pf_arg_float(pf_favor_constant(&op->config));
    PF_TRY(pf_favor_pack(op, call->projection, call->scratch));
    const pf_work sum = {.groups = {extent.heads, extent.blocks, extent.slice_parts}, .flops = 2 * extent.product_flops};
    PF_TRY(pf_launch(op->forward[SUM], sum,
                     PF_ARGS(pf_arg_buffer(call->scratch), pf_arg_buffer(call->sequences->blocks), ROWS(call->k),
                             ROWS(call->v), constant)));
    PF_TRY(sum_blocks(op, &extent, call->sequences, call->state, -1, call->scratch));
    const pf_work apply = {.groups = {extent.heads, extent.blocks, extent.tile_parts}, .flops = 2 * extent.product_flops};
    return pf_launch(op->forward[APPLY], apply,
                     PF_ARGS(ROWS(call->o), pf_arg_buffer(call->normalizer), pf_arg_buffer(call->sequences->blocks),
                             pf_arg_buffer(call->scratch), pf_arg_buffer(call->state), ROWS(call->q), constant));
}

pf_status pf_favor_both_run_backward(pf_favor *op, const pf_favor_backward *call)
{
    const favor_extent extent = extent_of(op, call->sequences);
    const pf_arg constant = pf_arg_float(pf_favor_constant(&op->config)), blocks = pf_arg_buffer(call->sequences->blocks);
    PF_TRY(pf_favor_pack(op, call->projection, call->scratch));
    const pf_work query = {.groups = {extent.heads, extent.blocks}, .flops = 4 * extent.product_flops};
    PF_TRY(pf_launch(op->backward[GRAD_QUERY], query,
                     PF_ARGS(ROWS(call->dq), pf_arg_buffer(call->scratch), blocks, pf_arg_buffer(call->state),
                             ROWS(call->gradient), ROWS(call->o), pf_arg_buffer(call->normalizer), ROWS(call->q),
                             constant)));
    PF_TRY(sum_blocks(op, &extent, call->sequences, call->scratch, (int)(extent.blocks * extent.heads), call->scratch));
    const pf_work key = {.groups = {extent.heads, extent.blocks, extent.tile_parts}, .flops = 4 * extent.product_flops};
    return pf_launch(op->backward[GRAD_KEY], key,
                     PF_ARGS(ROWS(call->dk), ROWS(call->dv), blocks, pf_arg_buffer(call->scratch),
                             pf_arg_int(call->sequences->n_blocks), ROWS(call->k), ROWS(call->v), constant));
}
