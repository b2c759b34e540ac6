// Evaluations of a run, and what follows from them: which checkpoint is the best, and whether it is worth
// going on (early stopping: Prechelt 1998, Neural Networks 11:761). See training.h.
#include <math.h>

#include "api/training.h"

// All of the validation data through the model.
static pf_status run(pf_training *t)
{
    const bool has_task = t->config.task.type != PF_TASK_NONE;
    const pf_batch *batch = NULL;
    const pf_pass pass = {0};
    pf_status status;
    PF_TRY(pf_model_clear_metrics(t->model));
    pf_evaluation_rewind(t->evaluation);
    t->answers.count = 0;
    while ((status = pf_evaluation_next(t->evaluation, &batch)) == PF_OK) {
        PF_TRY(pf_model_forward(t->model, batch, &pass));
        if (has_task) PF_TRY(pf_task_answers_add(&t->answers, t->model, batch)); // the loss writes over them
        PF_TRY(pf_model_loss(t->model, 0));
        if (t->stop && *t->stop) return PF_INTERRUPTED; // the step is done: saved by the caller
    }
    return status == PF_END ? PF_OK : status;
}

pf_status pf_training_evaluate(pf_training *t, pf_training_report *report)
{
    pf_metrics metrics;
    PF_TRY(run(t));
    PF_TRY(pf_model_read_metrics(t->model, &metrics));
    PF_CHECK(metrics.targets > 0, PF_ERROR_INPUT, "the validation files hold nothing to predict");
    report->evaluated = true;
    report->valid_loss = metrics.loss / (double)metrics.targets;
    PF_CHECK(isfinite(report->valid_loss), PF_ERROR_NUMERICAL, "step %lld: the validation loss is not finite",
             (long long)t->state.step);
    if (t->config.task.type != PF_TASK_NONE) {
        PF_TRY(pf_task_answers_measure(&t->answers, &t->config.task, NULL, &report->valid_metrics));
        report->valid_accuracy = report->valid_metrics.accuracy;
        if (t->config.train.class_weights !=
            PF_CLASS_WEIGHTS_NONE) // what training makes small is what is held against
            report->valid_loss = pf_task_answers_loss(&t->answers, &t->config.task, t->class_weight);
    } else {
        const double residues = metrics.residue_targets > 0 ? (double)metrics.residue_targets : 1;
        report->valid_perplexity = exp(metrics.residue_loss / residues);
        report->valid_accuracy = (double)metrics.residue_hits / residues;
    }
    return pf_training_log_evaluation(t, report);
}

bool pf_training_keeps_best(const pf_training *t)
{
    return t->valid && (t->config.train.patience > 0 || t->config.task.type != PF_TASK_NONE);
}

void pf_training_note_evaluation(pf_training *t, const pf_training_report *report)
{
    pf_training_state *s = &t->state;
    if (!pf_training_keeps_best(t)) return;
    if (s->best_step == 0 || report->valid_loss < s->best_loss) {
        s->best_step = s->step;
        s->best_loss = report->valid_loss;
        s->evaluations_since_best = 0;
    } else {
        s->evaluations_since_best++;
    }
}

bool pf_training_is_out_of_patience(const pf_training *t)
{
    const int64_t patience = t->config.train.patience;
    return patience > 0 && t->state.best_step > 0 && t->state.evaluations_since_best >= patience;
}

pf_training_best pf_training_get_best(const pf_training *t)
{
    return (pf_training_best){.step = t->state.best_step,
                              .loss = t->state.best_loss,
                              .evaluations_since = t->state.evaluations_since_best,
                              .has_ended = pf_training_is_out_of_patience(t)};
}
