// Batches in the making. See batch.h.
#include "data/batch.h"

#include "base/memory.h"

pf_status pf_batch_builder_create(pf_batch_builder *builder, uint64_t most_rows, uint64_t most_sequences)
{
    PF_CHECK(most_rows > 0 && most_rows <= INT32_MAX && most_sequences > 0 && most_sequences <= INT32_MAX,
             PF_ERROR_USAGE, "a batch of %llu tokens and %llu sequences: expected 1 to 2147483647 of both",
             (unsigned long long)most_rows, (unsigned long long)most_sequences);
    pf_batch_builder made = {.most_rows = most_rows, .most_sequences = most_sequences};
    pf_status status;
    PF_TRY_OR(done, pf_alloc((void **)&made.start, (size_t)most_sequences + 1, sizeof(int32_t), "batch"));
    PF_TRY_OR(done, pf_alloc((void **)&made.number, (size_t)most_sequences, sizeof(uint64_t), "batch"));
    PF_TRY_OR(done, pf_alloc((void **)&made.token, (size_t)most_rows, sizeof(int32_t), "batch"));
    PF_TRY_OR(done, pf_alloc((void **)&made.target, (size_t)most_rows, sizeof(int32_t), "batch"));
    *builder = made;
    pf_batch_builder_clear(builder);
done:
    if (status != PF_OK) pf_batch_builder_free(&made);
    return status;
}

void pf_batch_builder_free(pf_batch_builder *builder)
{
    pf_free(builder->start);
    pf_free(builder->number);
    pf_free(builder->token);
    pf_free(builder->target);
    *builder = (pf_batch_builder){0};
}

void pf_batch_builder_clear(pf_batch_builder *builder)
{
    builder->batch = (pf_batch){.start = builder->start,
                                .token = builder->token,
                                .target = builder->target,
                                .number = builder->number};
}

bool pf_batch_builder_fits(const pf_batch_builder *builder, uint64_t length)
{
    return (uint64_t)builder->batch.n_sequences < builder->most_sequences &&
           length <= builder->most_rows - (uint64_t)builder->batch.n_rows;
}

int32_t pf_batch_builder_add(pf_batch_builder *builder, uint64_t length, uint64_t number)
{
    pf_batch *batch = &builder->batch;
    const int32_t first = batch->n_rows;
    builder->number[batch->n_sequences++] = number;
    batch->n_rows += (int32_t)length;
    builder->start[batch->n_sequences] = batch->n_rows;
    if ((int32_t)length > batch->longest) batch->longest = (int32_t)length;
    for (int32_t row = first; row < batch->n_rows; row++) builder->target[row] = PF_NO_TARGET;
    return first;
}
