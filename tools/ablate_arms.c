// Which arms there are. See ablate.h.
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ablate_arms.h"

enum { MOST_ARMS = 1000 };

pf_status pf_words_split(const char *option, const char *list, pf_words *out)
{
    out->text = strdup(list);
    char *rest = out->text;
    if (!rest) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    for (const char *word; (word = strsep(&rest, ","));) {
        bool is_known = false;
        if (!*word)
            return pf_tool_fail(PF_ERROR_USAGE, "ablate: --%s '%.80s': a name is missing", option, list);
        for (int i = 0; i < out->count; i++) is_known |= !strcmp(out->word[i], word);
        if (is_known) continue;
        if (out->count == PF_MOST_WORDS)
            return pf_tool_fail(PF_ERROR_USAGE, "ablate: --%s: more than %d names", option, PF_MOST_WORDS);
        out->word[out->count++] = word;
    }
    return PF_OK;
}

void pf_arm_set(pf_arm *arm, const char *format, ...)
{
    va_list arguments;
    assert(arm->n_settings < PF_ARM_SETTINGS);
    va_start(arguments, format);
    vsnprintf(arm->setting[arm->n_settings++], PF_SETTING_TEXT, format, arguments);
    va_end(arguments);
}

bool pf_kernel_is_exact(const char *kernel)
{
    return !strcmp(kernel, "exact");
}

pf_status pf_arm_read_kernel(const char *name, const char **out)
{
    pf_favor_kernel kernel;
    *out = "exact";
    if (pf_kernel_is_exact(name)) return PF_OK;
    const pf_status status = pf_favor_kernel_read(name, &kernel);
    if (status == PF_OK) *out = pf_favor_kernel_name(kernel);
    return status == PF_OK ? PF_OK
                           : pf_tool_fail(status, "ablate: --kernels: %s, or exact", pf_error_message());
}

static const char *projection_name(const char *name)
{
    static const char *const names[] = {"orthogonal", "iid", "hadamard", "givens", "none"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) return names[i];
    return NULL;
}

// The given model's keys; how it was trained is its own history.
static pf_status take_model(const pf_ablation *a, struct pf_config *config)
{
    const struct pf_train_config train = config->train;
    const struct pf_compute_config compute = config->compute;
    pf_config_default(config);
    const pf_status status = pf_config_read_file(config, a->init_config, PF_CONFIG_MODEL);
    config->train = train;
    config->compute = compute;
    return status;
}

// The configuration that training will make of the same settings.
static pf_status configure(const pf_ablation *a, pf_arm *arm)
{
    struct pf_config *config = &arm->config;
    pf_status status = PF_OK;
    pf_config_default(config);
    if (a->preset) status = pf_config_preset(config, a->preset);
    if (status == PF_OK && a->config_file)
        status = pf_config_read_file(config, a->config_file, PF_CONFIG_USER);
    if (status == PF_OK && a->init) status = take_model(a, config);
    for (int i = 0; i < a->n_settings && status == PF_OK; i++) status = pf_config_set(config, a->setting[i]);
    for (int i = 0; i < arm->n_settings && status == PF_OK; i++)
        status = pf_config_set(config, arm->setting[i]);
    config->train.seed = arm->seed;
    return status == PF_OK ? pf_config_finish(config, PF_CONFIG_USER) : status;
}

pf_status pf_ablation_allocate(pf_ablation *a, int64_t count)
{
    if (count > MOST_ARMS) return pf_tool_fail(PF_ERROR_USAGE, "ablate: more than %d arms", MOST_ARMS);
    a->arm = calloc((size_t)count, sizeof *a->arm);
    return a->arm ? PF_OK : pf_tool_fail(PF_ERROR_FAILED, "out of memory");
}

void pf_ablation_free_arms(pf_ablation *a)
{
    for (int i = 0; i < a->n_arms; i++) {
        pf_run_free(a->arm[i].run);
        free(a->arm[i].failure);
    }
    free(a->arm);
    free(a->measure);
    free(a->init_config);
    a->arm = NULL;
    a->measure = NULL;
    a->init_config = NULL;
    a->n_arms = a->n_measures = 0;
}

int pf_ablation_group(const pf_ablation *a, int first)
{
    int n = 1;
    while (first + n < a->n_arms && !strcmp(a->arm[first + n].label, a->arm[first].label)) n++;
    return n;
}

void pf_arm_set_attention(pf_arm *arm)
{
    pf_arm_set(arm, "attention.type=%s", pf_kernel_is_exact(arm->kernel) ? "softmax" : "favor");
    if (pf_kernel_is_exact(arm->kernel)) return;
    pf_arm_set(arm, "attention.kernel=%s", arm->kernel);
    pf_arm_set(arm, "attention.renormalize=%s", arm->renormalize ? "true" : "false");
    pf_arm_set(arm, "attention.projection=%s", arm->projection);
}

pf_status pf_arm_finish(pf_ablation *a, pf_arm *arm)
{
    const pf_status status = configure(a, arm);
    if (status == PF_OK) a->n_arms++;
    return status;
}

// --- kernel x renormalize x projection ----------------------------------------------------------

static pf_status add_arm(pf_ablation *a, const pf_ablation_plan *plan, const pf_arm *kind,
                         bool tells_projection)
{
    for (int64_t s = 0; s < plan->seeds; s++) {
        pf_arm *arm = &a->arm[a->n_arms];
        *arm = *kind;
        arm->seed = a->common->seed + s;
        if (pf_kernel_is_exact(arm->kernel)) {
            snprintf(arm->name, sizeof arm->name, "exact-seed%" PRId64, arm->seed);
            snprintf(arm->label, sizeof arm->label, "exact");
        } else {
            snprintf(arm->name, sizeof arm->name, "%s-%s-%s-seed%" PRId64, arm->kernel,
                     arm->renormalize ? "renormalized" : "plain", arm->projection, arm->seed);
            snprintf(arm->label, sizeof arm->label, "%s%s%s%s", arm->kernel, tells_projection ? ", " : "",
                     tells_projection ? arm->projection : "", arm->renormalize ? "" : ", not renormalised");
        }
        pf_arm_set_attention(arm);
        const pf_status status = pf_arm_finish(a, arm);
        if (status != PF_OK) return status;
    }
    return PF_OK;
}

static bool makes_sense(const char *kernel, const char *projection)
{
    pf_favor_kernel read;
    return strcmp(projection, "none") != 0 || pf_favor_kernel_read(kernel, &read) != PF_OK ||
           !pf_favor_kernel_is_softmax(read);
}

static pf_status read_flag(const char *word, bool *out)
{
    *out = !strcmp(word, "on");
    if (*out || !strcmp(word, "off")) return PF_OK;
    return pf_tool_fail(PF_ERROR_USAGE, "ablate: --renormalize '%.80s': expected on, off or on,off", word);
}

static pf_status add_kernel(pf_ablation *a, const pf_ablation_plan *plan, const char *kernel,
                            const pf_words *lists)
{
    pf_arm kind = {.kernel = kernel, .renormalize = true, .projection = ""};
    if (pf_kernel_is_exact(kernel)) return add_arm(a, plan, &kind, false);
    pf_status status = PF_OK;
    for (int r = 0; r < lists[0].count && status == PF_OK; r++) {
        status = read_flag(lists[0].word[r], &kind.renormalize);
        for (int p = 0; p < lists[1].count && status == PF_OK; p++) {
            kind.projection = projection_name(lists[1].word[p]);
            if (!kind.projection)
                return pf_tool_fail(
                    PF_ERROR_USAGE,
                    "ablate: --projections '%.80s': expected orthogonal, iid, hadamard, givens or none",
                    lists[1].word[p]);
            if (makes_sense(kernel, kind.projection))
                status = add_arm(a, plan, &kind, lists[1].count > 1);
            else
                pf_warn(a->common, "kernel %s without a projection does not exist; left out", kernel);
        }
    }
    return status;
}

pf_status pf_ablation_make_grid(pf_ablation *a, const pf_ablation_plan *plan)
{
    pf_words kernels = {0}, lists[2] = {0};
    pf_status status = pf_words_split("kernels", plan->kernels, &kernels);
    if (status == PF_OK) status = pf_words_split("renormalize", plan->renormalize, &lists[0]);
    if (status == PF_OK) status = pf_words_split("projections", plan->projections, &lists[1]);
    if (status == PF_OK)
        status =
            pf_ablation_allocate(a, (int64_t)kernels.count * lists[0].count * lists[1].count * plan->seeds);
    for (int k = 0; k < kernels.count && status == PF_OK; k++) {
        const char *kernel;
        status = pf_arm_read_kernel(kernels.word[k], &kernel);
        if (status == PF_OK) status = add_kernel(a, plan, kernel, lists);
    }
    free(kernels.text);
    free(lists[0].text);
    free(lists[1].text);
    return status;
}
