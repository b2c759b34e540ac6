// Tasks: a user's labels beside a batch, and the mean over residues that the head of a task on sequences
// reads. See parts.h.
//
// Begin and end have no part in the mean, as in `embed`: a sequence may come without them, where it was
// cropped.
#include "model/parts.h"

#include <math.h>

#include "base/memory.h"

bool pf_head_pools(const struct pf_config *config)
{
    return config->task.type != PF_TASK_NONE && config->task.level == PF_TASK_SEQUENCE;
}

int32_t pf_model_output_rows(const pf_model *m)
{
    return pf_head_pools(&m->config) ? m->input.n_sequences : m->input.n_rows;
}

static pf_status create_pool(pf_model *m, size_t sequences)
{
    pf_task *t = &m->task;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 2 * sequences, sizeof *t->host_ranges, "residues"));
    t->host_ranges = memory;
    PF_TRY(pf_buffer_create(m->device, 2 * sequences * sizeof *t->host_ranges, "residues", &t->range));
    PF_TRY(pf_buffer_create(m->device, m->plan.head, "means over residues", &t->pooled));
    return pf_pool_create(m->device, &t->pool);
}

pf_status pf_task_create(pf_model *m)
{
    pf_task *t = &m->task;
    const size_t rows = (size_t)m->limits.max_rows;
    void *memory = NULL;
    if (m->config.task.type == PF_TASK_NONE) return PF_OK;
    PF_TRY(pf_alloc(&memory, rows, sizeof *t->host_targets, "labels"));
    t->host_targets = memory;
    if (pf_head_pools(&m->config)) PF_TRY(create_pool(m, (size_t)m->limits.max_sequences));
    if (m->config.task.type != PF_TASK_REGRESSION) return PF_OK;
    memory = NULL;
    PF_TRY(pf_alloc(&memory, rows, sizeof *t->host_values, "labels"));
    t->host_values = memory;
    PF_TRY(pf_buffer_create(m->device, rows * sizeof *t->host_values, "labels", &t->value));
    return pf_squared_error_create(m->device, &t->squared_error);
}

void pf_task_free(pf_model *m)
{
    pf_task *t = &m->task;
    pf_squared_error_free(t->squared_error);
    pf_pool_free(t->pool);
    pf_buffer_free(t->range);
    pf_buffer_free(t->pooled);
    pf_buffer_free(t->value);
    pf_free(t->host_ranges);
    pf_free(t->host_targets);
    pf_free(t->host_values);
}

static pf_status upload_ranges(pf_task *t, const pf_batch *batch)
{
    const size_t count = 2 * (size_t)batch->n_sequences;
    for (int32_t b = 0; b < batch->n_sequences; b++) {
        int32_t first = batch->start[b], end = batch->start[b + 1];
        if (first < end && batch->token[first] == PF_BATCH_BEGIN) first++;
        if (first < end && batch->token[end - 1] == PF_BATCH_END) end--;
        t->host_ranges[2 * b] = first;
        t->host_ranges[2 * b + 1] = end;
    }
    return pf_buffer_write(t->range, 0, t->host_ranges, count * sizeof *t->host_ranges);
}

// A label of a regression that is no number is none.
static bool has_value(const pf_batch *batch, int32_t row)
{
    return batch->value && batch->target[row] >= 0 && !isnan(batch->value[row]);
}

pf_status pf_task_upload(pf_model *m, const pf_batch *batch)
{
    pf_task *t = &m->task;
    const bool pools = pf_head_pools(&m->config);
    const int32_t rows = pools ? batch->n_sequences : batch->n_rows, n_classes = m->config.task.n_classes;
    for (int32_t i = 0; i < rows; i++) {
        const int32_t row = pools ? batch->start[i] : i, target = batch->target[row];
        t->host_targets[i] = target;
        if (t->value) {
            const bool is_there = has_value(batch, row);
            t->host_targets[i] = is_there ? 0 : PF_NO_TARGET;
            t->host_values[i] = is_there ? batch->value[row] : 0;
        } else {
            PF_CHECK(target < n_classes, PF_ERROR_USAGE, "label %d at row %d, the task has %d classes",
                     target, row, n_classes);
        }
    }
    if (pools) PF_TRY(upload_ranges(t, batch));
    if (t->value) PF_TRY(pf_buffer_write(t->value, 0, t->host_values, (size_t)rows * sizeof *t->host_values));
    return pf_buffer_write(m->input.target, 0, t->host_targets, (size_t)rows * sizeof *t->host_targets);
}

pf_status pf_task_pool(pf_model *m)
{
    const int D = m->config.hidden_size;
    return pf_pool_run(m->task.pool, &(pf_pool_call){.mean = m->task.pooled,
                                                     .x = {m->normed, D, 0},
                                                     .range = m->task.range,
                                                     .count = m->input.n_sequences,
                                                     .columns = D});
}

pf_status pf_task_pool_backward(pf_model *m)
{
    return pf_pool_run_backward(m->task.pool, &(pf_pool_backward){.dx = m->d_branch,
                                                                  .dmean = m->task.pooled,
                                                                  .range = m->task.range,
                                                                  .sequences = m->input.sequences,
                                                                  .columns = m->config.hidden_size});
}
