// A training run: opening, with everything checked before anything is written, and closing.
// See performer/train.h.
#include "api/training.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/files.h"
#include "model/init.h"
#include "performer/selftest.h"

pf_status pf_training_warn(pf_training *t, const char *text)
{
    void *warnings = t->warnings;
    PF_TRY(pf_grow(&warnings, &t->warnings_capacity, t->n_warnings + 1, sizeof *t->warnings, "warnings"));
    t->warnings = warnings;
    PF_TRY(pf_text_add(&t->warnings[t->n_warnings], "%s", text));
    t->n_warnings++;
    return PF_OK;
}

static pf_status load_corpus(pf_training *t, char **files, size_t count, pf_corpus **out)
{
    const char *const *paths = (const char *const *)files;
    PF_TRY(t->config.task.type == PF_TASK_NONE ? pf_corpus_load(paths, count, out)
                                               : pf_corpus_load_named(paths, count, out));
    for (size_t i = 0; i < (*out)->n_warnings; i++) PF_TRY(pf_training_warn(t, (*out)->warnings[i].data));
    PF_CHECK((*out)->n_sequences > 0, PF_ERROR_INPUT, "%s: no sequences", files[0]);
    return PF_OK;
}

static pf_status copy_names(const char *const *from, int count, char ***to, size_t *n)
{
    void *list = NULL;
    PF_TRY(pf_alloc(&list, (size_t)count, sizeof(char *), "file names"));
    *to = list;
    for (int i = 0; i < count; i++, ++*n) PF_TRY(pf_copy_text(&(*to)[i], from[i]));
    return PF_OK;
}

static void drop_names(char ***list, size_t *n)
{
    for (size_t i = 0; i < *n; i++) pf_free((*list)[i]);
    pf_free(*list);
    *list = NULL;
    *n = 0;
}

// The files of the command line win over those that the checkpoint remembers; their content must be
// the same.
static pf_status choose_files(pf_training *t, const pf_training_options *o)
{
    if (o->n_train_files > 0) {
        drop_names(&t->state.train_files, &t->state.n_train_files);
        PF_TRY(copy_names(o->train_files, o->n_train_files, &t->state.train_files, &t->state.n_train_files));
    }
    if (o->n_valid_files > 0) {
        drop_names(&t->state.valid_files, &t->state.n_valid_files);
        PF_TRY(copy_names(o->valid_files, o->n_valid_files, &t->state.valid_files, &t->state.n_valid_files));
    }
    PF_CHECK(t->state.n_train_files > 0, PF_ERROR_USAGE, "which sequences? give --train FASTA...");
    return PF_OK;
}

pf_status pf_training_check_same(const pf_training *t, const char *what, const char *before, const char *now)
{
    PF_CHECK(!t->checkpoint || strcmp(before, now) == 0, PF_ERROR_USAGE,
             "the %s sequences are not those that the run in %s was started with; give the same files, or "
             "start a new run",
             what, t->run);
    return PF_OK;
}

static pf_status check_labels(const pf_training *t, const pf_training_options *o)
{
    const char *given = o->labels         ? "--labels"
                        : o->label_column ? "--label-column"
                        : o->label_level  ? "--label-level"
                                          : NULL;
    PF_CHECK(t->config.task.type != PF_TASK_NONE || !given, PF_ERROR_USAGE,
             "%s is for a head for labels; give --task regression or --task classification", given);
    PF_CHECK(t->config.train.class_weights == PF_CLASS_WEIGHTS_NONE ||
                 t->config.task.type == PF_TASK_CLASSIFICATION,
             PF_ERROR_USAGE, "train.class_weights is for --task classification");
    PF_CHECK(t->config.train.patience == 0 || t->state.n_valid_files > 0, PF_ERROR_USAGE,
             "train.patience counts evaluations, and there are none; give --valid FASTA...");
    return PF_OK;
}

static pf_status load_data(pf_training *t, const pf_training_options *o)
{
    PF_TRY(choose_files(t, o));
    PF_TRY(check_labels(t, o));
    PF_TRY(load_corpus(t, t->state.train_files, t->state.n_train_files, &t->train));
    PF_TRY(pf_training_check_same(t, "training", t->state.train_data, t->train->fingerprint));
    memcpy(t->state.train_data, t->train->fingerprint, sizeof t->state.train_data);
    if (t->state.n_valid_files == 0) {
        PF_TRY(pf_training_check_same(t, "validation", t->state.valid_data, ""));
    } else {
        PF_TRY(load_corpus(t, t->state.valid_files, t->state.n_valid_files, &t->valid));
        PF_TRY(pf_training_check_same(t, "validation", t->state.valid_data, t->valid->fingerprint));
        memcpy(t->state.valid_data, t->valid->fingerprint, sizeof t->state.valid_data);
    }
    return t->config.task.type == PF_TASK_NONE ? PF_OK : pf_training_load_labels(t, o);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t shortest(const pf_corpus *corpus)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < corpus->n_sequences; i++) least = smaller(least, pf_corpus_length(corpus, i));
    return least;
}

// Of a batch. Attention has states for each, which cost more than their few tokens where there are very many.
static int32_t most_sequences(const pf_training *t, uint64_t rows)
{
    const bool windows = t->config.train.packing == PF_PACKING_CONCAT;
    uint64_t least = windows ? (uint64_t)t->config.train.max_length
                             : smaller((uint64_t)t->config.train.max_length, shortest(t->train));
    if (t->valid) least = smaller(least, shortest(t->valid));
    return (int32_t)smaller((uint64_t)pf_most_sequences((int32_t)rows), larger(1, rows / least));
}

pf_model_limits pf_training_limits(const pf_training *t)
{
    // Training sees windows of max_length tokens, evaluation whole sequences up to what the model takes.
    const uint64_t most = (uint64_t)t->config.max_position_embeddings;
    uint64_t length = t->config.train.packing == PF_PACKING_CONCAT
                          ? (uint64_t)t->config.train.max_length
                          : smaller((uint64_t)t->config.train.max_length, t->train->longest + 2);
    if (t->valid && smaller(most, t->valid->longest + 2) > length)
        length = smaller(most, t->valid->longest + 2);
    const uint64_t step = (uint64_t)t->config.train.batch_tokens;
    const uint64_t rows = larger(smaller((uint64_t)t->config.train.micro_batch_tokens, step), length);
    return (pf_model_limits){
        .max_rows = (int32_t)rows,
        .max_sequences = most_sequences(t, rows),
        .max_length = (int32_t)length,
        .training = true,
    };
}

static pf_status create_loaders(pf_training *t, const pf_model_limits *limits)
{
    const struct pf_train_config *c = &t->config.train;
    const pf_loader_options loader = {
        .is_causal = t->config.objective == PF_OBJECTIVE_CLM,
        .shuffle = c->shuffle,
        .crop_random = c->crop == PF_CROP_RANDOM,
        .concat = c->packing == PF_PACKING_CONCAT,
        .prefetch = true,
        .max_length = (uint64_t)c->max_length,
        .batch_tokens = (uint64_t)c->batch_tokens,
        .micro_batch_tokens = (uint64_t)c->micro_batch_tokens,
        .micro_batch_sequences = (uint64_t)limits->max_sequences,
        .seed = (uint64_t)c->seed,
        .shuffle_seed = (uint64_t)c->shuffle_seed,
        .masking = {c->masking.fraction, c->masking.mask, c->masking.random, c->masking.keep},
        .labels = t->train_labels,
        .task = &t->config.task,
    };
    PF_TRY(pf_loader_create(t->train, &loader, &t->loader));
    pf_loader_seek(t->loader, (uint64_t)t->state.step + 1, t->state.cursor);
    if (!t->valid) return PF_OK;
    const pf_evaluation_options evaluation = {
        .is_causal = loader.is_causal,
        .max_length = (uint64_t)t->config.max_position_embeddings,
        .most_rows = (uint64_t)limits->max_rows,
        .most_sequences = (uint64_t)limits->max_sequences,
        .seed = (uint64_t)c->seed,
        .labels = t->valid_labels,
        .task = &t->config.task,
    };
    return pf_evaluation_create(t->valid, &evaluation, &t->evaluation);
}

static pf_status load_tensors(pf_training *t)
{
    void *memory = NULL;
    PF_TRY(pf_training_load_start(t));
    PF_TRY(pf_alloc(&memory, pf_projection_scratch(pf_config_head_size(&t->config)), sizeof(double),
                    "projections"));
    t->draw_scratch = memory;
    return PF_OK;
}

static void fill_plan(pf_training *t)
{
    const pf_plan *p = pf_model_plan(t->model);
    t->plan = (pf_memory_plan){
        .weights_bytes = p->parameters + p->projections,
        .gradient_bytes = p->gradients,
        .optimizer_bytes = p->moments,
        .activation_bytes = pf_plan_activation_bytes(p, false),
        .scratch_bytes = p->scratch + p->matmul + p->reductions + p->merged + p->d_merged,
        .total_bytes = pf_plan_total_bytes(p, false),
        .parameters = (int64_t)t->host->parameters->n_trained,
        .frozen_parameters = (int64_t)t->host->parameters->n_frozen,
        .kept_bytes = pf_plan_kept_bytes(p),
        .kept_plain_bytes = pf_plan_plain_kept_bytes(p),
        .segment = p->segment < p->n_layers ? p->segment : 0,
    };
}

// A driver that computes wrongly is found before it spoils a run: the families whose programs any run
// compiles anyway.
static pf_status check_device(pf_device *device)
{
    for (int i = 0; i < pf_selftest_count(true); i++) {
        pf_selftest_result result;
        pf_selftest_run(device, true, i, &result);
        PF_CHECK(!result.reason[0], PF_ERROR_DEVICE, "self-test of %s: %s", result.family, result.reason);
        PF_CHECK(result.passed, PF_ERROR_DEVICE,
                 "\"%s\" gives wrong answers (%s: error %.1e); update its driver, or choose another device",
                 pf_device_describe(device)->name, result.family, result.error);
    }
    return PF_OK;
}

static pf_status create_model(pf_training *t)
{
    const pf_model_limits limits = pf_training_limits(t);
    PF_TRY(create_loaders(t, &limits));
    PF_TRY(load_tensors(t));
    PF_TRY(check_device(t->device));
    PF_TRY(pf_model_create(t->device, &t->config, &limits, &t->model));
    PF_TRY(pf_trainer_create(t->model, &t->trainer));
    PF_TRY(pf_model_upload(t->model, t->host->trained, t->host->projections));
    PF_TRY(pf_training_weigh_classes(t));
    if (t->checkpoint) PF_TRY(pf_checkpoint_read_moments(t->checkpoint, t->host->parameters, t->trainer));
    fill_plan(t);
    return PF_OK;
}

static pf_status remember_device(pf_training *t)
{
    const pf_device_info *info = pf_device_describe(t->device);
    if (t->checkpoint &&
        (strcmp(t->state.device, info->name) != 0 || strcmp(t->state.driver, info->driver) != 0))
        PF_TRY(pf_training_warn(
            t,
            "the run was started on another device or driver: going on is right, but not to the last bit"));
    snprintf(t->state.device, sizeof t->state.device, "%s", info->name);
    snprintf(t->state.driver, sizeof t->state.driver, "%s", info->driver);
    return PF_OK;
}

static pf_status write_run(pf_training *t)
{
    char *path = NULL, *text = NULL;
    pf_status status;
    PF_TRY(pf_make_directory(t->run));
    if (t->lock < 0) PF_TRY(pf_lock_directory(t->run, &t->lock));
    PF_TRY(pf_training_open_metrics(t));
    if (t->checkpoint) PF_TRY(pf_checkpoint_point_to_best(t->run, &t->state));
    // Weights to start from become the checkpoint of step 0, so that going on does not need them again.
    // Before config.json, which makes the directory a run.
    if (t->init && !t->checkpoint) PF_TRY(pf_training_save(t));
    PF_TRY_OR(done, pf_config_write(&t->config, PF_CONFIG_ALL_KEYS, &text));
    PF_TRY_OR(done, pf_join_path(&path, t->run, "config.json"));
    PF_TRY_OR(done, pf_write_file(path, text, strlen(text), NULL));
done:
    pf_release(text);
    pf_free(path);
    return status;
}

static pf_status prepare(pf_training *t, const pf_training_options *o)
{
    PF_TRY(pf_training_configure(t, o));
    if (t->checkpoint) PF_TRY(pf_checkpoint_read_state(t->checkpoint, &t->state));
    PF_TRY(load_data(t, o));
    PF_TRY(create_model(t));
    return remember_device(t);
}

// `writes`: not a dry run. A run that is there is locked before anything of it is read.
static pf_status create(pf_device *device, const pf_training_options *options, bool writes, pf_training **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_training), "training"));
    pf_training *t = memory;
    t->device = device;
    t->stop = options->stop;
    t->lock = -1;
    t->rehearsal = options->rehearsal;
    pf_status status =
        writes && pf_is_directory(options->run) ? pf_lock_directory(options->run, &t->lock) : PF_OK;
    if (status == PF_OK) status = prepare(t, options);
    if (status == PF_OK)
        *out = t;
    else
        pf_training_close(t);
    return status;
}

pf_status pf_training_open(pf_device *device, const pf_training_options *options, pf_training **out)
{
    pf_training *t = NULL;
    PF_TRY(create(device, options, !options->rehearsal, &t));
    t->is_saved = t->checkpoint != NULL;
    t->started_s = t->clock_s = pf_monotonic_s();
    const pf_status status = t->rehearsal ? PF_OK : write_run(t);
    if (status != PF_OK) {
        pf_training_close(t);
        return status;
    }
    *out = t;
    return PF_OK;
}

pf_status pf_training_dry_run(pf_device *device, const pf_training_options *options, char **config,
                              pf_memory_plan *plan)
{
    pf_training *t = NULL;
    PF_TRY(create(device, options, false, &t));
    const pf_status status = pf_config_write(&t->config, PF_CONFIG_ALL_KEYS, config);
    *plan = t->plan;
    pf_training_close(t);
    return status;
}

void pf_training_close(pf_training *t)
{
    if (!t) return;
    if (t->metrics) fclose(t->metrics);
    pf_unlock_directory(t->lock);
    pf_trainer_free(t->trainer);
    pf_model_free(t->model);
    pf_evaluation_free(t->evaluation);
    pf_loader_free(t->loader);
    pf_corpus_free(t->train);
    pf_corpus_free(t->valid);
    pf_labels_free(t->train_labels);
    pf_labels_free(t->valid_labels);
    pf_task_answers_free(&t->answers);
    pf_model_arrays_free(t->host);
    pf_training_state_free(&t->state);
    for (size_t i = 0; i < t->n_warnings; i++) pf_text_free(&t->warnings[i]);
    pf_free(t->warnings);
    pf_free(t->draw_scratch);
    pf_free(t->checkpoint);
    pf_free(t->init);
    pf_free(t->run);
    pf_free(t);
}

const struct pf_config *pf_training_config(const pf_training *t)
{
    return &t->config;
}

const pf_memory_plan *pf_training_plan(const pf_training *t)
{
    return &t->plan;
}

int64_t pf_training_steps_done(const pf_training *t)
{
    return t->state.step;
}

const char *pf_training_warning(const pf_training *t, int i)
{
    return i >= 0 && (size_t)i < t->n_warnings ? t->warnings[i].data : NULL;
}
