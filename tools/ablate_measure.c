// Losses that are measured apart from training, with the same masks for all: of the exact model, of it under
// other attention, of what fine-tuning made of that. Each is entered in DIR/measured.tsv as it comes. See
// ablate.h.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "performer/evaluate.h"
#include "performer/swap.h"
#include "tools/ablate_groups.h"

enum { MOST_LINE = 8192 };

static const char file_name[] = "measured.tsv";

// What the numbers belong to besides the options that their names tell.
static void print_identity(const pf_ablation *a, char out[MOST_LINE])
{
    int used;
    if (a->init)
        used = snprintf(out, MOST_LINE, "# model %s", a->init_digest);
    else
        used = snprintf(out, MOST_LINE, "# trained for %" PRId64 " steps", a->arm[0].config.train.steps);
    used += snprintf(out + used, MOST_LINE - (size_t)used, ", sequences %s, seed %" PRId64 ", %s",
                     a->valid.fingerprint, a->common->seed, a->swapped_type);
    for (int i = 0; i < a->n_settings && used < MOST_LINE; i++)
        used += snprintf(out + used, MOST_LINE - (size_t)used, ", %s", a->setting[i]);
}

static pf_status write_measures(const pf_ablation *a)
{
    char identity[MOST_LINE];
    pf_output *out = NULL;
    const pf_status status = pf_ablation_open_file(a, file_name, &out);
    if (status != PF_OK) return status;
    print_identity(a, identity);
    pf_output_print(out, "%s\nwhat\tvalid_loss\taccuracy\n", identity);
    for (int i = 0; i < a->n_measures; i++)
        if (a->measure[i].is_known)
            pf_output_print(out, "%s\t%.17g\t%.17g\n", a->measure[i].name, a->measure[i].loss,
                            a->measure[i].accuracy);
    return pf_output_commit(out);
}

static void take_line(pf_ablation *a, char *line)
{
    char *rest = line, *name = strsep(&rest, "\t");
    double loss, accuracy;
    if (!rest || sscanf(rest, "%lf %lf", &loss, &accuracy) != 2) return;
    for (int i = 0; i < a->n_measures; i++) {
        pf_measure *m = &a->measure[i];
        if (strcmp(m->name, name) != 0) continue;
        m->is_known = true, m->loss = loss, m->accuracy = accuracy;
    }
}

pf_status pf_ablation_read_measures(pf_ablation *a)
{
    char identity[MOST_LINE], *path = NULL, *line = NULL;
    size_t room = 0;
    pf_status status = PF_OK;
    if (asprintf(&path, "%s/%s", a->directory, file_name) < 0)
        return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    FILE *file = fopen(path, "r");
    print_identity(a, identity);
    for (int number = 0; file && status == PF_OK && getline(&line, &room, file) > 0; number++) {
        line[strcspn(line, "\n")] = '\0';
        if (number == 0 && strcmp(line, identity) != 0)
            status = pf_tool_fail(PF_ERROR_USAGE,
                                  "%s belongs to another model, other sequences or settings; give the same "
                                  "options, or a new directory",
                                  path);
        else if (number > 1)
            take_line(a, line);
    }
    if (file) fclose(file);
    free(line);
    free(path);
    return status;
}

// --- measuring ----------------------------------------------------------------------------------

// Whether the same opened model serves for both, but for its projections.
static bool share_model(const pf_measure *x, const pf_measure *y)
{
    if (x->kind == PF_MEASURE_EXACT || y->kind == PF_MEASURE_EXACT) return x->kind == y->kind;
    return x->arm == y->arm && x->kernel == y->kernel && x->features == y->features;
}

static pf_status open_swapped(const pf_ablation *a, const pf_measure *m, const char *path, pf_model **out)
{
    char kernel[PF_ARM_TEXT], features[PF_ARM_TEXT];
    const char *settings[sizeof a->setting / sizeof *a->setting + 5];
    int n = 0;
    for (int i = 0; i < a->n_settings; i++)
        if (!strncmp(a->setting[i], "attention.", 10)) settings[n++] = a->setting[i];
    snprintf(kernel, sizeof kernel, "attention.kernel=%s", m->kernel);
    snprintf(features, sizeof features, "attention.num_features=%d", m->features);
    settings[n++] = a->swapped_type;
    settings[n++] = kernel;
    settings[n++] = features;
    settings[n++] = "attention.renormalize=true";
    settings[n++] = "attention.projection=orthogonal";
    const pf_swap_options swap = {.settings = settings, .n_settings = n, .seed = (uint64_t)m->draw};
    return pf_model_open_swapped(a->device, path, &(pf_model_options){0}, &swap, out);
}

static pf_status open_model(const pf_ablation *a, const pf_measure *m, pf_model **out)
{
    const pf_arm *arm = m->arm ? m->arm : a->init ? NULL : &a->arm[0];
    char *path = arm ? pf_ablation_path(a, arm, NULL) : strdup(a->init);
    if (!path) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    const pf_status status = m->kind == PF_MEASURE_AT_ONCE
                                 ? open_swapped(a, m, path, out)
                                 : pf_model_open(a->device, path, &(pf_model_options){0}, out, NULL);
    free(path);
    return status;
}

static pf_status evaluate(const pf_ablation *a, pf_model *model, pf_measure *m)
{
    const pf_evaluate_options options = {
        .files = a->valid_files, .n_files = a->n_valid_files, .seed = (uint64_t)a->common->seed};
    const bool has_draw = m->kind == PF_MEASURE_AT_ONCE || m->kind == PF_MEASURE_FRESH;
    pf_evaluate_result result = {0};
    pf_status status = has_draw ? pf_model_redraw(model, (uint64_t)m->draw) : PF_OK;
    if (status == PF_OK) status = pf_evaluate(model, &options, &result, NULL);
    if (status != PF_OK && status != PF_ERROR_NUMERICAL) return status;
    m->loss = status == PF_OK ? result.loss : (double)NAN;
    m->accuracy = status == PF_OK ? result.accuracy : (double)NAN;
    m->is_known = true;
    return write_measures(a);
}

// What it needs is there.
static bool is_ready(const pf_ablation *a, const pf_measure *m)
{
    if (m->arm) return m->arm->run != NULL;
    return a->init || (a->arm[0].run && !a->arm[0].failure);
}

static void print_progress(const pf_ablation *a, int number)
{
    if (a->common->quiet || !isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r\033[Kmeasuring %d/%d %s ", number + 1, a->n_measures, a->measure[number].name);
}

pf_status pf_ablation_measure(pf_ablation *a)
{
    pf_model *model = NULL;
    const pf_measure *opened = NULL;
    pf_status status = PF_OK;
    for (int i = 0; i < a->n_measures && status == PF_OK; i++) {
        pf_measure *m = &a->measure[i];
        if (m->is_known || !is_ready(a, m)) continue;
        if (m->arm && m->arm->failure) {
            m->loss = m->accuracy = (double)NAN;
            m->is_known = true;
            status = write_measures(a);
            continue;
        }
        if (a->stop && *a->stop)
            status = pf_tool_fail(PF_INTERRUPTED, "stopped and saved; go on with --resume");
        if (status == PF_OK && (!opened || !share_model(opened, m))) {
            pf_model_close(model);
            model = NULL;
            status = open_model(a, m, &model);
        }
        opened = m;
        print_progress(a, i);
        if (status == PF_OK) status = evaluate(a, model, m);
    }
    if (!a->common->quiet && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    pf_model_close(model);
    return status;
}
