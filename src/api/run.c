// Reading a run directory: config.json, metrics.jsonl, the newest checkpoint's state. See performer/run.h.
#include "performer/run.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/corpus.h"
#include "model/params.h"
#include "store/manifest.h"
#include "train/checkpoint.h"

pf_status pf_data_describe(const char *const *files, int n_files, pf_data_facts *out)
{
    pf_corpus *corpus = NULL;
    PF_TRY(pf_corpus_load(files, (size_t)n_files, &corpus));
    *out = (pf_data_facts){
        .sequences = corpus->n_sequences, .residues = corpus->n_residues, .longest = corpus->longest};
    memcpy(out->fingerprint, corpus->fingerprint, sizeof out->fingerprint);
    pf_corpus_free(corpus);
    return PF_OK;
}

// --- metrics.jsonl ------------------------------------------------------------------------------

typedef struct history {
    pf_run *run;
    size_t step_capacity, evaluation_capacity;
} history;

static pf_status add_step(history *h, json_t *line)
{
    pf_run *run = h->run;
    json_int_t step, tokens;
    pf_run_step now = {0};
    if (json_unpack(line, "{s:I, s:F, s:I, s:F, s:F, s:F, s:F}", "step", &step, "loss", &now.loss, "tokens",
                    &tokens, "learning_rate", &now.learning_rate, "grad_norm", &now.grad_norm, "tokens_per_s",
                    &now.tokens_per_s, "time", &now.time_s) != 0)
        return pf_fail(PF_ERROR_INPUT, "a step without one of its numbers");
    now.step = step;
    now.tokens = tokens;
    PF_TRY(pf_grow((void **)&run->step, &h->step_capacity, (size_t)run->n_steps + 1, sizeof now, "steps"));
    run->step[run->n_steps++] = now;
    run->tokens += now.tokens;
    return PF_OK;
}

// "valid_FIGURE" of a task; null is NaN.
static void take_figures(pf_task_type type, json_t *line, pf_run_evaluation *now)
{
    const char *key;
    json_t *value;
    now->metrics.type = type;
    json_object_foreach(line, key, value) if (strncmp(key, "valid_", 6) == 0) pf_task_metric_set(
        &now->metrics, key + 6, json_is_number(value) ? json_number_value(value) : (double)NAN);
    now->accuracy = now->metrics.accuracy;
}

static pf_status add_evaluation(history *h, json_t *line)
{
    pf_run *run = h->run;
    json_int_t step;
    pf_run_evaluation now = {.tokens_so_far = run->tokens};
    const pf_task_type task = run->config.task.type;
    json_t *perplexity = json_object_get(line, "valid_perplexity");
    if (json_unpack(line, "{s:I, s:F, s?F}", "step", &step, "valid_loss", &now.loss, "valid_accuracy",
                    &now.accuracy) != 0 ||
        (task == PF_TASK_NONE && ((!json_is_number(perplexity) && !json_is_null(perplexity)) ||
                                  !json_object_get(line, "valid_accuracy"))))
        return pf_fail(PF_ERROR_INPUT, "an evaluation without one of its numbers");
    now.step = step;
    if (task == PF_TASK_NONE)
        now.perplexity = json_is_null(perplexity) ? HUGE_VAL : json_number_value(perplexity);
    else
        take_figures(task, line, &now);
    now.time_s = run->n_steps ? run->step[run->n_steps - 1].time_s : 0;
    PF_TRY(pf_grow((void **)&run->evaluation, &h->evaluation_capacity, (size_t)run->n_evaluations + 1,
                   sizeof now, "evaluations"));
    run->evaluation[run->n_evaluations++] = now;
    return PF_OK;
}

static pf_status add_line(history *h, const char *text, size_t length)
{
    json_error_t error;
    json_t *line = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    PF_CHECK(line, PF_ERROR_INPUT, "%s", error.text);
    const pf_status status =
        json_object_get(line, "valid_loss") ? add_evaluation(h, line) : add_step(h, line);
    json_decref(line);
    return status;
}

static pf_status read_history(const char *run, history *h)
{
    char *path = NULL, *text = NULL;
    size_t room = 0;
    PF_TRY(pf_join_path(&path, run, "metrics.jsonl"));
    FILE *file = fopen(path, "r");
    pf_status status =
        file ? PF_OK : pf_fail(PF_ERROR_INPUT, "%s: %s; not a run directory?", path, strerror(errno));
    for (int number = 1; status == PF_OK; number++) {
        const ssize_t length = getline(&text, &room, file);
        if (length <= 0 || text[length - 1] != '\n') break; // the end, or a line that is still being written
        status = pf_context(add_line(h, text, (size_t)length), "%s: line %d", path, number);
    }
    if (file) fclose(file);
    free(text);
    pf_free(path);
    return status;
}

// --- config.json and the newest checkpoint ------------------------------------------------------

static pf_status read_config(const char *path, pf_run *run)
{
    char *file = NULL;
    pf_parameters *parameters = NULL;
    pf_config_default(&run->config);
    PF_TRY(pf_join_path(&file, path, "config.json"));
    pf_status status = pf_config_read_file(&run->config, file, PF_CONFIG_MODEL);
    pf_free(file);
    PF_TRY(status);
    PF_TRY(pf_config_finish(&run->config, PF_CONFIG_MODEL));
    PF_TRY(pf_config_write(&run->config, PF_CONFIG_ALL_KEYS, &run->config_text));
    PF_TRY(pf_parameters_create(&run->config, &parameters));
    run->parameters = (int64_t)(parameters->n_trained + parameters->n_frozen);
    pf_parameters_free(parameters);
    return PF_OK;
}

// The names change hands.
static void take_files(pf_run_files *to, char ***files, size_t *count, const char *fingerprint)
{
    to->file = *files;
    to->count = (int)*count;
    memcpy(to->fingerprint, fingerprint, sizeof to->fingerprint);
    *files = NULL;
    *count = 0;
}

static pf_status read_checkpoint(const char *path, pf_run *run)
{
    char *directory = NULL;
    pf_training_state state = {0};
    run->checkpoint_step = -1;
    pf_status status = pf_checkpoint_find(path, &directory, &run->checkpoint_step, NULL);
    if (status == PF_END) return PF_OK;
    if (status == PF_OK) status = pf_checkpoint_read_state(directory, &state);
    pf_free(directory);
    PF_TRY(status);
    take_files(&run->train, &state.train_files, &state.n_train_files, state.train_data);
    take_files(&run->valid, &state.valid_files, &state.n_valid_files, state.valid_data);
    memcpy(run->device, state.device, sizeof run->device);
    memcpy(run->driver, state.driver, sizeof run->driver);
    pf_training_state_free(&state);
    return PF_OK;
}

pf_status pf_run_read(const char *path, pf_run **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_run), "run"));
    pf_run *run = memory;
    history h = {.run = run};
    pf_status status = read_config(path, run);
    if (status == PF_OK) status = read_history(path, &h);
    if (status == PF_OK) status = read_checkpoint(path, run);
    if (status == PF_OK)
        *out = run;
    else
        pf_run_free(run);
    return status;
}

static void free_files(pf_run_files *files)
{
    for (int i = 0; i < files->count; i++) pf_free(files->file[i]);
    pf_free(files->file);
}

void pf_run_free(pf_run *run)
{
    if (!run) return;
    free_files(&run->train);
    free_files(&run->valid);
    pf_release(run->config_text);
    pf_free(run->step);
    pf_free(run->evaluation);
    pf_free(run);
}
