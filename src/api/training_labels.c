// Labels of a run: reading them, and what the task's configuration takes from them. See training.h.
#include <string.h>

#include "api/training.h"
#include "base/memory.h"

static pf_status replace_text(char **text, const char *by)
{
    char *copy = NULL;
    PF_TRY(pf_copy_text(&copy, by));
    pf_free(*text);
    *text = copy;
    return PF_OK;
}

// The file of the command line wins over the one that the checkpoint remembers; the labels must be the same.
static pf_status choose_file(pf_training *t, const pf_training_options *o)
{
    if (o->labels) PF_TRY(replace_text(&t->state.labels_file, o->labels));
    if (o->label_column) PF_TRY(replace_text(&t->state.label_column, o->label_column));
    PF_CHECK(t->state.labels_file, PF_ERROR_USAGE,
             "the model has a head for labels (task.type), and there are none; give --labels TSV");
    return PF_OK;
}

// Standard units of a regression, unless the model that the run began with has its own.
static pf_status take_units(pf_training *t, const pf_label_table *table)
{
    struct pf_task_config *task = &t->config.task;
    if (task->type != PF_TASK_REGRESSION || task->mean != 0 || task->deviation != 1) return PF_OK;
    PF_CHECK(t->train_labels->deviation > 0, PF_ERROR_INPUT,
             "%s: all labels of the training sequences are %g; there is nothing to learn", table->path,
             t->train_labels->mean);
    task->mean = t->train_labels->mean;
    task->deviation = t->train_labels->deviation;
    return PF_OK;
}

static pf_status attach(pf_training *t, pf_label_table *table, pf_text *warnings)
{
    struct pf_task_config *task = &t->config.task;
    if (task->type == PF_TASK_CLASSIFICATION && task->n_classes == 0)
        PF_TRY(pf_labels_classes(table, t->train, task));
    PF_TRY(
        pf_labels_attach(&(pf_labels_call){table, task, t->train, "training", warnings}, &t->train_labels));
    PF_TRY(pf_training_check_same(t, "labels of the training", t->state.train_labels,
                                  t->train_labels->fingerprint));
    memcpy(t->state.train_labels, t->train_labels->fingerprint, sizeof t->state.train_labels);
    PF_TRY(take_units(t, table));
    if (t->valid) {
        PF_TRY(pf_labels_attach(&(pf_labels_call){table, task, t->valid, "validation", warnings},
                                &t->valid_labels));
        PF_TRY(pf_training_check_same(t, "labels of the validation", t->state.valid_labels,
                                      t->valid_labels->fingerprint));
        memcpy(t->state.valid_labels, t->valid_labels->fingerprint, sizeof t->state.valid_labels);
    }
    return pf_label_table_warn_unused(table, warnings);
}

static pf_status pass_on(pf_training *t, const pf_text *warnings)
{
    for (const char *line = warnings->data; line && *line; line += strcspn(line, "\n") + 1) {
        pf_text one = {0};
        pf_status status = pf_text_add(&one, "%.*s", (int)strcspn(line, "\n"), line);
        if (status == PF_OK) status = pf_training_warn(t, one.data);
        pf_text_free(&one);
        PF_TRY(status);
    }
    return PF_OK;
}

pf_status pf_training_load_labels(pf_training *t, const pf_training_options *o)
{
    pf_label_table *table = NULL;
    pf_text warnings = {0};
    pf_status status;
    PF_TRY(choose_file(t, o));
    PF_TRY_OR(done, pf_label_table_read(t->state.labels_file, t->state.label_column, &table));
    PF_TRY_OR(done, attach(t, table, &warnings));
    status = pass_on(t, &warnings);
done:
    pf_label_table_free(table);
    pf_text_free(&warnings);
    return status;
}

// Labels over classes and their own number: 1 on average, and 1 for all where all are as many.
pf_status pf_training_weigh_classes(pf_training *t)
{
    const int32_t C = t->config.task.n_classes;
    double count[PF_MAX_CLASSES] = {0}, present = 0;
    float *weight = t->class_weight;
    if (t->config.train.class_weights != PF_CLASS_WEIGHTS_BALANCED) return PF_OK;
    for (size_t i = 0; i < t->train_labels->count; i++)
        if (t->train_labels->target[i] != PF_NO_TARGET) count[t->train_labels->target[i]]++;
    for (int32_t c = 0; c < C; c++) present += count[c] > 0;
    for (int32_t c = 0; c < C; c++) // one without a label has no gradient to weigh
        weight[c] = count[c] > 0 ? (float)((double)t->train_labels->n_labelled / (present * count[c])) : 1.0f;
    return pf_model_weigh_classes(t->model, weight);
}
