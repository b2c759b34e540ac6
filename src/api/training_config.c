// Which configuration a run has: preset or file, then the model to start from, then the run that is
// resumed, then single settings. See training.h.
#include <stdio.h>
#include <string.h>

#include "api/training.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/files.h"

// The model's keys of a model directory; its training keys are its own history.
static pf_status read_init(const char *path, struct pf_config *config)
{
    char *directory = NULL, *file = NULL;
    struct pf_config given;
    pf_status status;
    pf_config_default(&given);
    PF_TRY_OR(done, pf_model_resolve(path, &directory, NULL));
    PF_TRY_OR(done, pf_join_path(&file, directory, "config.json"));
    PF_TRY_OR(done, pf_config_read_file(&given, file, PF_CONFIG_MODEL));
    given.train = config->train;
    given.compute = config->compute;
    *config = given;
done:
    pf_free(directory);
    pf_free(file);
    return status;
}

// What a model's adapters were says nothing of one that is to have none.
static void drop_adapters(struct pf_config *config)
{
    struct pf_config defaults;
    pf_config_default(&defaults);
    config->lora = defaults.lora;
}

// A question of another kind has another head: what belongs to the old one goes.
static pf_status set_task(const pf_training_options *o, struct pf_config *config)
{
    const struct pf_task_config before = config->task;
    char setting[64];
    if (o->task) {
        config->task.level = PF_TASK_SEQUENCE;
        snprintf(setting, sizeof setting, "task.type=%.32s", o->task);
        PF_TRY(pf_config_set(config, setting));
        if (config->task.type == before.type) config->task.level = before.level;
    }
    if (o->label_level) {
        snprintf(setting, sizeof setting, "task.level=%.32s", o->label_level);
        PF_TRY(pf_config_set(config, setting));
    }
    if (config->task.type == before.type && config->task.level == before.level) return PF_OK;
    memset(config->task.class_name, 0, sizeof config->task.class_name);
    config->task.n_classes = 0;
    config->task.mean = 0;
    config->task.deviation = 1;
    return PF_OK;
}

// Checks and completes; classes that are not known yet are the labels' to say (training_labels.c).
static pf_status finish(struct pf_config *config)
{
    struct pf_task_config *task = &config->task;
    const bool lacks_classes = task->type == PF_TASK_CLASSIFICATION && task->n_classes == 0;
    if (lacks_classes) {
        task->n_classes = 2;
        strcpy(task->class_name[0], "0");
        strcpy(task->class_name[1], "1");
    }
    PF_TRY(pf_config_finish(config, PF_CONFIG_USER));
    if (!lacks_classes) return PF_OK;
    task->n_classes = 0;
    memset(task->class_name, 0, sizeof task->class_name);
    return PF_OK;
}

// What the run has from its labels, where nothing else was given.
static void take_derived(struct pf_task_config *task, const struct pf_task_config *own)
{
    if (task->type != own->type || task->level != own->level) return;
    if (task->n_classes == 0) {
        task->n_classes = own->n_classes;
        memcpy(task->class_name, own->class_name, sizeof task->class_name);
    }
    if (task->mean != 0 || task->deviation != 1) return;
    task->mean = own->mean;
    task->deviation = own->deviation;
}

// The keys of training and computing that options may give; the model's keys of `init` win over them.
static pf_status read_sources(const pf_training_options *o, struct pf_config *config)
{
    pf_config_default(config);
    if (o->preset) PF_TRY(pf_config_preset(config, o->preset));
    if (o->config_file) PF_TRY(pf_config_read_file(config, o->config_file, PF_CONFIG_USER));
    if (o->init) PF_TRY(read_init(o->init, config));
    const bool had_adapters = config->lora.rank > 0;
    PF_TRY(set_task(o, config));
    for (int i = 0; i < o->n_settings; i++) PF_TRY(pf_config_set(config, o->settings[i]));
    if (had_adapters && config->lora.rank == 0) drop_adapters(config);
    if (o->seed >= 0) config->train.seed = o->seed;
    return PF_OK;
}

static bool gives_configuration(const pf_training_options *o)
{
    return o->preset || o->config_file || o->init;
}

// The run's own configuration; what may change when a run goes on is taken from the settings.
static pf_status configure_resumed(pf_training *t, const pf_training_options *o)
{
    char *path = NULL;
    struct pf_config own;
    pf_config_default(&own);
    PF_TRY(pf_join_path(&path, t->run, "config.json"));
    pf_status status = pf_config_read_file(&own, path, PF_CONFIG_MODEL);
    pf_free(path);
    PF_TRY(status);
    struct pf_config wanted = own;
    if (gives_configuration(o)) {
        PF_TRY(read_sources(o, &wanted));
    } else {
        PF_TRY(set_task(o, &wanted));
        for (int i = 0; i < o->n_settings; i++) PF_TRY(pf_config_set(&wanted, o->settings[i]));
        if (o->seed >= 0) wanted.train.seed = o->seed;
    }
    PF_TRY(pf_config_finish(&own, PF_CONFIG_MODEL));
    take_derived(&wanted.task, &own.task);
    PF_TRY(finish(&wanted));
    const char *key = pf_config_difference(&own, &wanted, PF_CONFIG_ALL_KEYS, true);
    PF_CHECK(!key, PF_ERROR_USAGE,
             "%s differs from what the run in %s began with; resume with the same command, or "
             "start a new run",
             key, t->run);
    t->config = wanted;
    return PF_OK;
}

static pf_status check_unused(const char *run)
{
    static const char *const traces[] = {"config.json", "metrics.jsonl", "checkpoints", "latest"};
    for (size_t i = 0; i < sizeof traces / sizeof *traces; i++) {
        char *path = NULL;
        PF_TRY(pf_join_path(&path, run, traces[i]));
        const bool is_there = pf_exists(path);
        pf_free(path);
        PF_CHECK(!is_there, PF_ERROR_USAGE,
                 "%s holds a run already; go on with --resume, or name a new directory", run);
    }
    return PF_OK;
}

pf_status pf_training_configure(pf_training *t, const pf_training_options *o)
{
    char *path = NULL;
    pf_text passed_over = {0};
    PF_TRY(pf_copy_text(&t->run, o->rehearsal ? "" : o->run));
    if (o->init) PF_TRY(pf_copy_text(&t->init, o->init));
    if (!o->resume && !o->rehearsal) PF_TRY(check_unused(t->run));
    PF_TRY(pf_join_path(&path, t->run, "config.json"));
    const bool has_run = o->resume && !o->rehearsal && pf_exists(path);
    pf_free(path);
    if (has_run) {
        PF_TRY(configure_resumed(t, o));
        int64_t step = 0;
        pf_status status = pf_checkpoint_find(t->run, &t->checkpoint, &step, &passed_over);
        if (status == PF_END) status = PF_OK; // none yet: from the start
        if (status == PF_OK && passed_over.length) status = pf_training_warn(t, passed_over.data);
        pf_text_free(&passed_over);
        t->resume = true;
        return status;
    }
    PF_CHECK(gives_configuration(o), PF_ERROR_USAGE,
             "which model? give --preset, --config or --init, or --resume a run that was started");
    PF_TRY(read_sources(o, &t->config));
    return finish(&t->config);
}
