// One step of a run and what is due after it. See performer/train.h.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/training.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/init.h"
#include "train/schedule.h"

double pf_monotonic_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double seconds_so_far(const pf_training *t)
{
    return t->state.seconds + (pf_monotonic_s() - t->clock_s);
}

// Steps 1 .. n use the projections that the run began with; new ones are drawn for steps n+1, 2n+1, …
static pf_status redraw_if_due(pf_training *t, int64_t step)
{
    const int64_t interval = t->config.attention.redraw_interval;
    if (interval == 0 || step == 1 || (step - 1) % interval != 0 ||
        t->host->parameters->projections_size == 0)
        return PF_OK;
    const uint64_t draw = (uint64_t)((step - 1) / interval);
    for (int layer = 0; layer < t->config.num_hidden_layers; layer++) {
        if (!pf_config_has_projection(&t->config, layer)) continue;
        const pf_projection_request request =
            pf_projection_of_layer(&t->config, (uint64_t)t->config.train.seed, layer, draw);
        pf_projection_draw(t->host->projections + t->host->parameters->layer[layer].projection, &request,
                           t->draw_scratch);
    }
    return pf_model_upload(t->model, NULL, t->host->projections);
}

// The batch that gave a number that is not one, for whoever looks into it.
static void keep_failed_batch(const pf_training *t, const pf_step *step)
{
    json_t *batches = json_array();
    for (size_t i = 0; i < step->n_micro; i++) {
        const pf_batch *b = &step->micro[i];
        for (int32_t s = 0; s < b->n_sequences; s++) {
            json_t *tokens = json_array(), *targets = json_array();
            for (int32_t n = b->start[s]; n < b->start[s + 1]; n++) {
                json_array_append_new(tokens, json_integer(b->token[n]));
                json_array_append_new(targets, json_integer(b->target[n]));
            }
            json_array_append_new(batches, json_pack("{s:o, s:o}", "tokens", tokens, "targets", targets));
        }
    }
    json_t *json = json_pack("{s:I, s:I, s:o}", "step", (json_int_t)step->step, "cursor",
                             (json_int_t)t->state.cursor, "sequences", batches);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL, *path = NULL;
    if (text && pf_join_path(&path, t->run, "failed-step.json") == PF_OK)
        (void)pf_write_file(path, text, strlen(text), NULL); // the numerical error is the one to tell
    pf_free(path);
    free(text);
    json_decref(json);
}

static pf_status run_step(pf_training *t, pf_training_report *report)
{
    const int64_t number = t->state.step + 1;
    const double began = pf_monotonic_s();
    PF_TRY(redraw_if_due(t, number));
    const pf_step *step = pf_loader_next(t->loader);
    const double learning_rate = pf_learning_rate(&t->config.train, number);
    pf_trainer_result result;
    pf_status status = pf_trainer_step(t->trainer,
                                       &(pf_trainer_step_call){
                                           .micro = step->micro,
                                           .n_micro = step->n_micro,
                                           .n_targets = step->n_targets,
                                           .step = number,
                                           .learning_rate = learning_rate,
                                       },
                                       &result);
    if (status == PF_ERROR_NUMERICAL && !t->rehearsal) keep_failed_batch(t, step);
    if (status != PF_OK) return pf_context(status, "step %lld", (long long)number);
    t->state.step = number;
    t->state.cursor = step->cursor;
    t->is_saved = false;
    *report = (pf_training_report){
        .step = number,
        .tokens = (int64_t)step->n_tokens,
        .loss = result.loss,
        .grad_norm = result.grad_norm,
        .learning_rate = learning_rate,
        .tokens_per_s = (double)step->n_tokens / (pf_monotonic_s() - began),
        .time_s = seconds_so_far(t),
    };
    return pf_training_log_step(t, report);
}

pf_status pf_training_save(pf_training *t)
{
    if (t->is_saved || t->rehearsal) return PF_OK;
    PF_TRY(pf_training_sync_metrics(t));
    PF_TRY(pf_model_download(t->model, t->host->trained, t->host->projections));
    t->state.seconds = seconds_so_far(t);
    t->clock_s = pf_monotonic_s();
    const pf_checkpoint checkpoint = {t->host, t->trainer, &t->state};
    PF_TRY(pf_checkpoint_save(t->run, &checkpoint, t->config.train.keep_checkpoints));
    t->is_saved = true;
    return PF_OK;
}

static bool is_due(int64_t interval, int64_t step, int64_t last)
{
    return step == last || (interval > 0 && step % interval == 0);
}

static bool must_stop(const pf_training *t)
{
    const double limit = t->config.train.time_limit;
    return (t->stop && *t->stop) || (limit > 0 && pf_monotonic_s() - t->started_s > limit);
}

// What is due after a step that was taken. An evaluation that is cut short stays due.
static pf_status evaluate_and_save(pf_training *t, pf_training_report *report)
{
    const struct pf_train_config *c = &t->config.train;
    if (t->state.evaluation_due) {
        const pf_status status = pf_training_evaluate(t, report);
        if (status == PF_INTERRUPTED) return PF_OK; // the next call saves and says so
        PF_TRY(status);
        t->state.evaluation_due = false;
        t->is_saved = false;
        pf_training_note_evaluation(t, report);
    }
    const bool is_best =
        pf_training_keeps_best(t) && report->evaluated && t->state.best_step == t->state.step;
    if (!is_best && !is_due(c->checkpoint_interval, t->state.step, c->steps)) return PF_OK;
    report->saved = true;
    return pf_training_save(t);
}

pf_status pf_training_step(pf_training *t, pf_training_report *report)
{
    const struct pf_train_config *c = &t->config.train;
    if ((t->state.step >= c->steps || pf_training_is_out_of_patience(t)) && !t->state.evaluation_due) {
        PF_TRY(pf_training_save(t));
        return PF_END;
    }
    if (must_stop(t)) {
        PF_TRY(pf_training_save(t));
        return pf_fail(PF_INTERRUPTED, "stopped and saved at step %lld of %lld; go on with --resume",
                       (long long)t->state.step, (long long)c->steps);
    }
    *report = (pf_training_report){.step = t->state.step};
    if (!t->state.evaluation_due) {
        PF_TRY(run_step(t, report));
        t->state.evaluation_due = t->valid && is_due(c->eval_interval, t->state.step, c->steps);
    }
    return evaluate_and_save(t, report);
}
