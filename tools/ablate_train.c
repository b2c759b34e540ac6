// Running the arms, those that are not done. See ablate.h.
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "performer/evaluate.h"
#include "tools/ablate.h"
#include "tools/output.h"
#include "tools/stream.h"

enum { MOST_NOTE_BYTES = 4096, MOST_SETTINGS = 64 + PF_ARM_SETTINGS, START_SECONDS = 5 };

char *pf_ablation_path(const pf_ablation *a, const pf_arm *arm, const char *file)
{
    char *path = NULL;
    if (asprintf(&path, "%s/runs/%s%s%s", a->directory, arm->name, file ? "/" : "", file ? file : "") < 0)
        return NULL;
    return path;
}

// --- notes beside a run -------------------------------------------------------------------------

static const char failure_file[] = "not-finite.txt", start_file[] = "before-training.txt";

static pf_status write_note(const pf_ablation *a, const pf_arm *arm, const char *file, const char *text)
{
    char *path = pf_ablation_path(a, arm, file);
    pf_output *out = NULL;
    pf_status status = path ? pf_output_open(path, &out) : pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    if (status == PF_OK) {
        pf_output_print(out, "%s\n", text);
        status = pf_output_commit(out);
    }
    free(path);
    return status;
}

// The first line of a note; false where there is none.
static bool read_note(const pf_ablation *a, const pf_arm *arm, const char *name, char text[MOST_NOTE_BYTES])
{
    char *path = pf_ablation_path(a, arm, name);
    FILE *file = path ? fopen(path, "r") : NULL;
    const bool is_there = file && fgets(text, MOST_NOTE_BYTES, file) != NULL;
    if (is_there) text[strcspn(text, "\n")] = '\0';
    if (file) fclose(file);
    free(path);
    return is_there;
}

static bool read_start(const pf_ablation *a, pf_arm *arm)
{
    char text[MOST_NOTE_BYTES];
    pf_run_evaluation *e = &arm->at_once;
    return read_note(a, arm, start_file, text) &&
           sscanf(text, "%lf %lf %lf", &e->loss, &e->perplexity, &e->accuracy) == 3;
}

// --- what is there ------------------------------------------------------------------------------

static pf_status check_same(const pf_ablation *a, const pf_arm *arm, const pf_run *run)
{
    const char *key = pf_config_difference(&run->config, &arm->config, PF_CONFIG_ALL_KEYS, true);
    if (key)
        return pf_tool_fail(PF_ERROR_USAGE,
                            "%s/runs/%s was made with another %s; give the same options, or a new directory",
                            a->directory, arm->name, key);
    if (run->checkpoint_step >= 0 && (strcmp(run->train.fingerprint, a->train.fingerprint) != 0 ||
                                      strcmp(run->valid.fingerprint, a->valid.fingerprint) != 0))
        return pf_tool_fail(
            PF_ERROR_USAGE,
            "%s/runs/%s was made with other sequences; give the same files, or a new directory", a->directory,
            arm->name);
    return PF_OK;
}

static bool is_complete(const pf_arm *arm, const pf_run *run)
{
    return run->checkpoint_step >= arm->config.train.steps && run->n_evaluations > 0 &&
           run->evaluation[run->n_evaluations - 1].step == run->checkpoint_step;
}

// Fills in what came of an arm, where it is done.
static pf_status look_at(const pf_ablation *a, pf_arm *arm)
{
    char text[MOST_NOTE_BYTES], *config = pf_ablation_path(a, arm, "config.json"),
                                *path = pf_ablation_path(a, arm, NULL);
    pf_run *run = NULL;
    const bool is_there = config && path && access(config, F_OK) == 0;
    pf_status status = config && path ? PF_OK : pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    if (is_there) status = pf_run_read(path, &run);
    if (run) status = check_same(a, arm, run);
    const bool failed = run && read_note(a, arm, failure_file, text),
               started = !arm->has_start || read_start(a, arm);
    if (failed && status == PF_OK) arm->failure = strdup(text);
    if (run && status == PF_OK && (failed || (started && is_complete(arm, run))))
        arm->run = run;
    else
        pf_run_free(run);
    free(config);
    free(path);
    return status;
}

pf_status pf_ablation_look(pf_ablation *a)
{
    pf_status status = PF_OK;
    for (int i = 0; i < a->n_arms && status == PF_OK; i++) status = look_at(a, &a->arm[i]);
    return status == PF_OK && a->n_measures ? pf_ablation_read_measures(a) : status;
}

bool pf_ablation_is_done(const pf_ablation *a)
{
    for (int i = 0; i < a->n_arms; i++)
        if (!a->arm[i].run) return false;
    for (int i = 0; i < a->n_measures; i++)
        if (!a->measure[i].is_known) return false;
    return true;
}

// --- one arm ------------------------------------------------------------------------------------

static pf_status open_training(const pf_ablation *a, const pf_arm *arm, pf_training **out)
{
    const char *settings[MOST_SETTINGS];
    int n = 0;
    for (int i = 0; i < a->n_settings; i++) settings[n++] = a->setting[i];
    for (int i = 0; i < arm->n_settings; i++) settings[n++] = arm->setting[i];
    char *run = pf_ablation_path(a, arm, NULL),
         *start = arm->start ? pf_ablation_path(a, arm->start, NULL) : NULL;
    if (!run || (arm->start && !start)) {
        free(run);
        return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    }
    const pf_training_options options = {
        .run = run,
        .resume = true,
        .preset = a->preset,
        .config_file = a->config_file,
        .init = start            ? start
                : arm->has_start ? a->init
                                 : NULL,
        .settings = settings,
        .n_settings = n,
        .seed = arm->seed,
        .train_files = a->train_files,
        .n_train_files = a->n_train_files,
        .valid_files = a->valid_files,
        .n_valid_files = a->n_valid_files,
        .stop = a->stop,
    };
    const pf_status status = pf_training_open(a->device, &options, out);
    free(run);
    free(start);
    return status;
}

// What the model that an arm starts from predicts with the arm's attention, before any step.
static pf_status evaluate_start(const pf_ablation *a, pf_arm *arm)
{
    pf_training *training = NULL;
    pf_model *model = NULL;
    pf_evaluate_result result;
    char text[128], *run = pf_ablation_path(a, arm, NULL);
    pf_status status =
        run ? open_training(a, arm, &training) : pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    pf_training_close(training); // its checkpoint of step 0 is written
    if (status == PF_OK) status = pf_model_open(a->device, run, &(pf_model_options){0}, &model, NULL);
    const pf_evaluate_options options = {
        .files = a->valid_files, .n_files = a->n_valid_files, .seed = (uint64_t)arm->seed};
    if (status == PF_OK) status = pf_evaluate(model, &options, &result, NULL);
    pf_model_close(model);
    free(run);
    if (status != PF_OK) return status;
    arm->at_once = (pf_run_evaluation){
        .loss = result.loss, .perplexity = result.perplexity, .accuracy = result.accuracy};
    snprintf(text, sizeof text, "%.17g %.17g %.17g", result.loss, result.perplexity, result.accuracy);
    return write_note(a, arm, start_file, text);
}

static void print_progress(const pf_ablation *a, int number, const pf_training_report *r)
{
    const pf_arm *arm = &a->arm[number];
    if (a->common->quiet || !isatty(STDERR_FILENO) || r->tokens == 0) return;
    fprintf(stderr, "\r\033[Karm %d/%d %s: step %" PRId64 "/%" PRId64 ", loss %.4f, %.0f tokens/s ",
            number + 1, a->n_arms, arm->label, r->step, arm->config.train.steps, r->loss, r->tokens_per_s);
}

static pf_status run_steps(pf_ablation *a, int number)
{
    pf_training *training = NULL;
    pf_training_report report = {0};
    pf_status status = open_training(a, &a->arm[number], &training);
    while (status == PF_OK) {
        status = pf_training_step(training, &report);
        if (status == PF_OK) print_progress(a, number, &report);
    }
    if (!a->common->quiet && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    pf_training_close(training);
    return status == PF_END ? PF_OK : status;
}

static pf_status run_arm(pf_ablation *a, int number)
{
    pf_arm *arm = &a->arm[number];
    pf_status status = arm->has_start && !read_start(a, arm) ? evaluate_start(a, arm) : PF_OK;
    if (status == PF_OK) status = run_steps(a, number);
    if (status == PF_ERROR_NUMERICAL) status = write_note(a, arm, failure_file, pf_error_message());
    return status == PF_OK ? look_at(a, arm) : status;
}

// --- all of them --------------------------------------------------------------------------------

static double tokens_of(const pf_ablation *a, const pf_arm *arm)
{
    const struct pf_train_config *c = &arm->config.train;
    const double evaluations = c->eval_interval > 0 ? (double)c->steps / (double)c->eval_interval : 1;
    // A pass forward costs a third of a training step.
    return (double)c->steps * (double)c->batch_tokens + evaluations * (double)a->valid.residues / 3;
}

static double tokens_left(const pf_ablation *a, int first)
{
    double tokens = 0;
    for (int i = first; i < a->n_arms; i++)
        if (!a->arm[i].run) tokens += tokens_of(a, &a->arm[i]);
    for (int i = 0; i < a->n_measures; i++)
        if (!a->measure[i].is_known) tokens += (double)a->valid.residues / 3;
    return tokens;
}

// Tokens/s if the device reached half of its measured peak: what a training step needs for the preset `tiny`
// on CPUs.
static double guess_speed(const pf_ablation *a)
{
    const struct pf_config *c = &a->arm[0].config;
    pf_device_peak peak;
    if (pf_device_measure_peak(a->device, &peak) != PF_OK) return 0;
    const double D = c->hidden_size, F = c->intermediate_size, M = pf_config_feature_count(c);
    const double layer = 4 * D * D + 2 * D * F + 4 * D * M; // multiply-adds of a token, forward
    return 0.5 * 1e9 * peak.gflops / (6 * layer * c->num_hidden_layers);
}

// An arm takes some seconds to begin: kernels are compiled, the device is tried.
static void say_time(const pf_ablation *a, const char *before, int first, const char *after)
{
    double seconds = a->speed > 0 ? tokens_left(a, first) / a->speed : 0;
    for (int i = first; i < a->n_arms; i++) seconds += a->arm[i].run ? 0 : START_SECONDS;
    const double minutes = seconds / 60;
    if (minutes >= 1.5)
        pf_say(a->common, "%s about %.0f minutes%s", before, minutes, after);
    else
        pf_say(a->common, "%s less than %d minutes%s", before, 2, after);
}

static void say_start(pf_ablation *a)
{
    char text[200];
    int done = 0;
    for (int i = 0; i < a->n_arms; i++) done += a->arm[i].run != NULL;
    a->speed = guess_speed(a);
    const double left = tokens_left(a, 0);
    snprintf(text, sizeof text, "%d arms, %d of them done; %.1f million tokens to train on:", a->n_arms, done,
             left / 1e6);
    say_time(a, text, 0, " on this device, as a guess");
}

static void say_done(pf_ablation *a, int number, double seconds)
{
    const pf_arm *arm = &a->arm[number];
    char text[600];
    if (arm->failure) {
        snprintf(text, sizeof text, "arm %d/%d %s: %.400s;", number + 1, a->n_arms, arm->label, arm->failure);
    } else {
        a->speed = tokens_of(a, arm) / fmax(seconds - START_SECONDS, seconds / 2);
        snprintf(text, sizeof text, "arm %d/%d %s: validation loss %.4f, %.0f s;", number + 1, a->n_arms,
                 arm->label, arm->run->evaluation[arm->run->n_evaluations - 1].loss, seconds);
    }
    if (tokens_left(a, number + 1) > 0)
        say_time(a, text, number + 1, " left");
    else
        pf_say(a->common, "%s all done", text);
}

pf_status pf_ablation_run(pf_ablation *a)
{
    say_start(a);
    const pf_status known = a->n_measures ? pf_ablation_measure(a) : PF_OK;
    if (known != PF_OK) return known;
    for (int i = 0; i < a->n_arms; i++) {
        pf_arm *arm = &a->arm[i];
        if (arm->run) continue;
        if (arm->start && arm->start->failure)
            return pf_tool_fail(PF_ERROR_NUMERICAL, "the model that the others start from failed: %s",
                                arm->start->failure);
        const double began = pf_tool_seconds();
        const pf_status status = run_arm(a, i);
        if (status != PF_OK) return status;
        if (!arm->run)
            return pf_tool_fail(PF_ERROR_FAILED, "%s/runs/%s is not complete after its last step",
                                a->directory, arm->name);
        say_done(a, i, pf_tool_seconds() - began);
        const pf_status measured = a->n_measures ? pf_ablation_measure(a) : PF_OK;
        if (measured != PF_OK) return measured;
    }
    return PF_OK;
}
