// Embeddings on the device. See embedding.h; kernels in cl/embedding.cl.
#include "ops/embedding.h"

#include "base/memory.h"
#include "ops/parts.h"

enum {
    ROWS_EACH = 16,
    PART_ROWS = 256, // rows of a part at least: its [A,D] sums must be worth filling and adding up
};

struct pf_embedding {
    pf_device *device;
    pf_dropout_kernels forward, tokens, positions;
    pf_kernel *sum;
    pf_buffer *part; // [parts][A][D]
    int alphabet, width;
    int rows_each;
};

pf_status pf_embedding_create(pf_device *device, int alphabet, int width, bool dropout, pf_embedding **out)
{
    const pf_define defines[] = {{"A", alphabet}, {"D", width}};
    const pf_program_key key = {.file = "embedding", .defines = defines, .n_defines = 2};
    const size_t part_bytes = pf_parts_bytes(device, (size_t)alphabet * (size_t)width);
    pf_status status;
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_embedding), "embedding"));
    pf_embedding *op = made;
    *op = (pf_embedding){.device = device, .alphabet = alphabet, .width = width};
    op->rows_each = pf_rows_each(device, ROWS_EACH);
    PF_TRY_OR(failed, pf_dropout_kernels_create(device, &key, "embedding_forward", dropout, &op->forward));
    PF_TRY_OR(failed, pf_dropout_kernels_create(device, &key, "embedding_backward_tokens", dropout, &op->tokens));
    PF_TRY_OR(failed, pf_dropout_kernels_create(device, &key, "embedding_backward_positions", dropout, &op->positions));
    PF_TRY_OR(failed, pf_kernel_create(device, &key, "embedding_backward_sum", &op->sum));
    PF_TRY_OR(failed, pf_buffer_create(device, part_bytes, "embedding parts", &op->part));
    *out = op;
    return PF_OK;
failed:
    pf_embedding_free(op);
    return status;
}

void pf_embedding_free(pf_embedding *op)
{
    if (!op) return;
    pf_dropout_kernels_free(&op->forward);
    pf_dropout_kernels_free(&op->tokens);
    pf_dropout_kernels_free(&op->positions);
    pf_kernel_free(op->sum);
    pf_buffer_free(op->part);
    pf_free(op);
}

pf_status pf_embedding_run(pf_embedding *op, const pf_embedding_forward *call)
{
    PF_CHECK(call->place || !call->position_table, PF_ERROR_USAGE, "a position table without the places of the rows");
    const pf_work work = {.groups = {pf_groups(call->rows, op->rows_each)}, .bytes = 12.0 * call->rows * op->width};
    return pf_dropout_run(
        &op->forward, (pf_dropout_launch){call->dropout, call->place, call->token}, work,
        PF_ARGS(pf_arg_buffer(call->x), pf_arg_buffer(call->token_table),
                pf_arg_buffer(call->position_table ? call->position_table : call->token_table),
                pf_arg_buffer(call->token), pf_arg_buffer(call->scale ? call->scale : call->token_table),
                pf_arg_int(call->scale != NULL), pf_arg_int(call->position_table != NULL),
                pf_arg_int(call->first_position), pf_arg_int(call->rows), pf_arg_int(op->rows_each)));
}

static pf_status run_tokens(pf_embedding *op, const pf_embedding_backward *call)
{
    const pf_shape shape = pf_device_shape(op->device);
    // A wide item takes whole rows, narrow ones a vector each.
    const int columns_each = shape.work_group == 1 ? op->width : shape.work_group * shape.vector;
    const pf_parts parts = pf_parts_of(op->device, call->rows, PART_ROWS);
    const pf_work work = {.groups = {(size_t)parts.count, pf_groups(op->width, columns_each)},
                          .bytes = 4.0 * call->rows * op->width};
    PF_TRY(pf_dropout_run(
        &op->tokens, (pf_dropout_launch){call->dropout, call->place, call->token}, work,
        PF_ARGS(pf_arg_buffer(op->part), pf_arg_buffer(call->dx), pf_arg_buffer(call->token),
                pf_arg_buffer(call->scale ? call->scale : call->dx), pf_arg_int(call->scale != NULL),
                pf_arg_int(call->rows), pf_arg_int(parts.rows_each), pf_arg_int(columns_each))));
    const pf_work sum = {.groups = {pf_part_groups(op->device, op->alphabet * op->width)},
                         .bytes = 4.0 * parts.count * op->alphabet * op->width};
    return pf_launch(op->sum, sum,
                     PF_ARGS(pf_arg_buffer(call->dtoken_table), pf_arg_buffer(op->part), pf_arg_int(parts.count)));
}

static pf_status run_positions(pf_embedding *op, const pf_embedding_backward *call)
{
    const pf_sequences *sequences = call->sequences;
    PF_CHECK(sequences, PF_ERROR_USAGE, "the gradient of a position table needs the table of sequences");
    int longest = 0;
    for (int b = 0; b < sequences->n_sequences; b++)
        if (sequences->host_sequences[b].length > longest) longest = sequences->host_sequences[b].length;
    const pf_work work = {.groups = {(size_t)longest}, .bytes = 4.0 * call->rows * op->width};
    return pf_dropout_run(&op->positions, (pf_dropout_launch){call->dropout, call->place, call->token}, work,
                          PF_ARGS(pf_arg_buffer(call->dposition_table), pf_arg_buffer(call->dx),
                                  pf_arg_buffer(sequences->sequences), pf_arg_int(sequences->n_sequences)));
}

pf_status pf_embedding_run_backward(pf_embedding *op, const pf_embedding_backward *call)
{
    if (call->rows == 0) return PF_OK;
    if (call->dtoken_table) PF_TRY(run_tokens(op, call));
    return call->dposition_table ? run_positions(op, call) : PF_OK;
}
