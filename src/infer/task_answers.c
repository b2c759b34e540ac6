// Answers beside labels. See task_answers.h.
#include "infer/task_answers.h"

#include <string.h>

#include "base/memory.h"

void pf_task_answers_free(pf_task_answers *a)
{
    pf_free(a->target);
    pf_free(a->label);
    pf_free(a->output);
    pf_free(a->logits);
    *a = (pf_task_answers){0};
}

static pf_status make_room(pf_task_answers *a, size_t more, size_t outputs, size_t logits)
{
    const size_t count = a->count + more;
    PF_TRY(pf_grow((void **)&a->target, &a->target_capacity, count, sizeof *a->target, "answers"));
    PF_TRY(pf_grow((void **)&a->label, &a->label_capacity, count, sizeof *a->label, "answers"));
    PF_TRY(pf_grow((void **)&a->output, &a->output_capacity, count * outputs, sizeof *a->output, "answers"));
    return pf_grow((void **)&a->logits, &a->logits_capacity, logits, sizeof *a->logits, "logits of a batch");
}

pf_status pf_task_answers_add(pf_task_answers *a, pf_model *model, const pf_batch *batch)
{
    const struct pf_task_config *task = &pf_model_config(model)->task;
    const size_t outputs = (size_t)pf_config_outputs(pf_model_config(model));
    const int32_t rows = pf_model_output_rows(model);
    PF_TRY(make_room(a, (size_t)batch->n_targets, outputs, pf_model_logits_count(model)));
    PF_TRY(pf_model_read_logits(model, a->logits));
    for (int32_t i = 0; i < rows; i++) {
        const int32_t row = task->level == PF_TASK_SEQUENCE ? batch->start[i] : i;
        if (batch->target[row] == PF_NO_TARGET) continue;
        a->target[a->count] = batch->target[row];
        if (batch->value) a->label[a->count] = task->mean + task->deviation * (double)batch->value[row];
        memcpy(a->output + a->count * outputs, a->logits + (size_t)i * outputs, outputs * sizeof *a->output);
        a->count++;
    }
    return PF_OK;
}

static pf_answers answers_of(const pf_task_answers *a, const struct pf_task_config *task)
{
    return (pf_answers){
        .count = a->count,
        .n_outputs = task->type == PF_TASK_REGRESSION ? 1 : task->n_classes,
        .target = a->target,
        .label = a->label,
        .output = a->output,
        .mean = task->mean,
        .deviation = task->deviation,
    };
}

double pf_task_answers_loss(const pf_task_answers *a, const struct pf_task_config *task, const float *weight)
{
    const pf_answers answers = answers_of(a, task);
    return pf_weighted_log_loss(&answers, weight);
}

pf_status pf_task_answers_measure(const pf_task_answers *a, const struct pf_task_config *task,
                                  uint64_t *confusion, pf_task_metrics *out)
{
    const pf_answers answers = answers_of(a, task);
    return task->type == PF_TASK_REGRESSION ? pf_measure_regression(&answers, out)
                                            : pf_measure_classification(&answers, confusion, out);
}
