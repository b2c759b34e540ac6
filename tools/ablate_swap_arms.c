// The recipe swap (Choromanski et al. 2021, section 4.3, "backwards compatibility"): a trained exact model's
// attention becomes FAVOR, and what is lost is learnt again. Which trainings there are, and which losses are
// measured without one. See ablate.h.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "performer/model_directory.h"
#include "tools/ablate_arms.h"

#define FINE_TUNE_RATE 0.25 // of the learning rate: what is trained is not to be thrown about

// Which weights learn after the swap.
typedef struct tuning {
    const char *name, *phrase, *setting;
    double rate; // of that of all weights
} tuning;

static const tuning tunings[] = {
    {"all", "", NULL, 1},
    {"attention", ", attention only", "train.freeze=[!l]*,*.feed_forward.*", 1},
    {"body", ", embedding frozen", "train.freeze=embed.*", 1},
    {"decay", ", lower layers slower", "train.layer_decay=0.8", 1},
    // Adapters begin at 0, and have nothing to lose.
    {"lora", ", LoRA of rank 8", "lora.rank=8", 4},
};
enum { TUNINGS = sizeof tunings / sizeof *tunings };

typedef struct recipe {
    pf_ablation *a;
    const pf_ablation_plan *plan;
    const char *kernel[PF_MOST_WORDS];
    const tuning *tuning[TUNINGS];
    int64_t redraw[PF_MOST_WORDS];
    int n_kernels, n_tunings, n_redraws;
    int32_t base;  // M where one thing is compared at a time
    double rate;   // of fine-tuning
    pf_arm *exact; // NULL: it is given
} recipe;

// --- what is given ------------------------------------------------------------------------------

static pf_status take_info(pf_ablation *a, const pf_model_info *info)
{
    for (int layer = 0; layer < info->config.num_hidden_layers; layer++)
        if (pf_config_layer_type(&info->config, layer) != PF_ATTENTION_SOFTMAX)
            return pf_tool_fail(PF_ERROR_USAGE,
                                "ablate: --init %s: layer %d attends by FAVOR; expected a model with exact "
                                "attention in all layers",
                                a->init, layer + 1);
    for (int i = 0; i < info->n_files; i++)
        if (!strcmp(info->file[i].name, "model.safetensors"))
            snprintf(a->init_digest, sizeof a->init_digest, "%s", info->file[i].sha256);
    if (asprintf(&a->init_config, "%s/config.json", info->directory) >= 0) return PF_OK;
    a->init_config = NULL;
    return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
}

pf_status pf_ablation_read_init(pf_ablation *a)
{
    pf_model_info *info = NULL;
    pf_status status = pf_model_info_read(a->init, &info);
    if (status == PF_OK) status = take_info(a, info);
    pf_model_info_free(info);
    return status;
}

static pf_status read_kernels(recipe *r)
{
    pf_words words = {0};
    pf_status status = pf_words_split("kernels", r->plan->kernels, &words);
    for (int i = 0; i < words.count && status == PF_OK; i++) {
        status = pf_arm_read_kernel(words.word[i], &r->kernel[r->n_kernels]);
        if (status == PF_OK && !pf_kernel_is_exact(r->kernel[r->n_kernels])) r->n_kernels++;
    }
    free(words.text);
    if (status == PF_OK && r->n_kernels == 0)
        return pf_tool_fail(PF_ERROR_USAGE, "ablate: --kernels: expected a kernel of FAVOR to swap in");
    return status;
}

static pf_status read_tunings(recipe *r)
{
    pf_words words = {0};
    pf_status status = pf_words_split("fine-tune", r->plan->fine_tune, &words);
    for (int i = 0; i < words.count && status == PF_OK; i++) {
        int t = 0;
        while (t < TUNINGS && strcmp(words.word[i], tunings[t].name) != 0) t++;
        if (t == TUNINGS)
            status = pf_tool_fail(PF_ERROR_USAGE,
                                  "ablate: --fine-tune '%.80s': expected all, attention, body, decay or lora",
                                  words.word[i]);
        else
            r->tuning[r->n_tunings++] = &tunings[t];
    }
    free(words.text);
    return status;
}

// A number that comes twice would be taken for another seed.
static pf_status check_different(const char *option, const int64_t *number, int count)
{
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            if (number[i] == number[j])
                return pf_tool_fail(PF_ERROR_USAGE, "ablate: --%s: %" PRId64 " is given twice", option,
                                    number[i]);
    return PF_OK;
}

// Intervals that are longer than the training are all the same: never.
static pf_status read_redraws(recipe *r)
{
    for (int i = 0; i < r->plan->n_redraws; i++) {
        const int64_t interval = r->plan->redraw[i];
        if (r->n_redraws == PF_MOST_WORDS)
            return pf_tool_fail(PF_ERROR_USAGE, "ablate: --redraw: more than %d numbers", PF_MOST_WORDS);
        if (interval < r->plan->fine_tune_steps)
            r->redraw[r->n_redraws++] = interval;
        else
            pf_warn(r->a->common,
                    "new projections every %" PRId64 " steps never come in %" PRId64 "; left out", interval,
                    r->plan->fine_tune_steps);
    }
    if (r->n_redraws == 0) r->redraw[r->n_redraws++] = 0;
    return PF_OK;
}

// attention.type of a swapped model of so many layers.
static pf_status set_type(const recipe *r, int n_layers)
{
    const pf_ablation_plan *plan = r->plan;
    char *out = r->a->swapped_type;
    size_t used = (size_t)snprintf(out, PF_SETTING_TEXT, "attention.type=favor");
    if (plan->n_exact_layers == 0) return PF_OK;
    bool is_exact[PF_MAX_LAYERS] = {false};
    int n_exact = 0;
    for (int i = 0; i < plan->n_exact_layers; i++) {
        if (plan->exact_layers[i] > n_layers)
            return pf_tool_fail(PF_ERROR_USAGE,
                                "ablate: --exact-layers: %" PRId64 ", the model has layers 1 to %d",
                                plan->exact_layers[i], n_layers);
        n_exact += !is_exact[plan->exact_layers[i] - 1];
        is_exact[plan->exact_layers[i] - 1] = true;
    }
    if (n_exact == n_layers)
        return pf_tool_fail(PF_ERROR_USAGE, "ablate: --exact-layers: no layer is left to swap");
    used = (size_t)snprintf(out, PF_SETTING_TEXT, "attention.type=[");
    for (int i = 0; i < n_layers && used < PF_SETTING_TEXT; i++)
        used += (size_t)snprintf(out + used, PF_SETTING_TEXT - used, "\"%s\"%s",
                                 is_exact[i] ? "softmax" : "favor", i + 1 < n_layers ? "," : "]");
    return used < PF_SETTING_TEXT ? PF_OK
                                  : pf_tool_fail(PF_ERROR_USAGE, "ablate: --exact-layers: too many layers");
}

// --- arms ---------------------------------------------------------------------------------------

static pf_arm *begin_arm(const recipe *r, int64_t seed)
{
    pf_arm *arm = &r->a->arm[r->a->n_arms];
    *arm = (pf_arm){.kernel = "exact",
                    .projection = "",
                    .tuned = "",
                    .renormalize = true,
                    .seed = r->a->common->seed + seed};
    return arm;
}

static void set_fine_tuning(const recipe *r, pf_arm *arm)
{
    const int64_t steps = r->plan->fine_tune_steps;
    pf_arm_set(arm, "train.steps=%" PRId64, steps);
    pf_arm_set(arm, "train.warmup_steps=%" PRId64, steps / 10);
    pf_arm_set(arm, "train.eval_interval=%" PRId64, (steps + 4) / 5);
    pf_arm_set(arm, "train.checkpoint_interval=%" PRId64, (steps + 1) / 2);
    pf_arm_set(arm, "train.keep_checkpoints=1");
}

static void set_start(const recipe *r, double rate, pf_arm *arm)
{
    arm->has_start = true;
    arm->start = r->exact;
    pf_arm_set(arm, "train.learning_rate=%.17g", rate * r->rate);
}

// The model that all others begin with: trained here, or only looked at where it is given.
static pf_status make_exact(recipe *r)
{
    pf_arm *arm = begin_arm(r, 0);
    snprintf(arm->name, sizeof arm->name, "exact-seed%" PRId64, arm->seed);
    snprintf(arm->label, sizeof arm->label, "exact");
    pf_arm_set_attention(arm);
    const pf_status status = pf_arm_finish(r->a, arm);
    if (status != PF_OK) return status;
    const struct pf_config *config = &arm->config;
    const pf_ablation_plan *plan = r->plan;
    r->rate = FINE_TUNE_RATE * config->train.learning_rate;
    r->base = 0;
    for (int i = 0; i < plan->n_features; i++)
        if (plan->features[i] == config->attention.num_features) r->base = config->attention.num_features;
    for (int i = 0; i < plan->n_features && r->base != config->attention.num_features; i++)
        if (plan->features[i] > r->base) r->base = (int32_t)plan->features[i];
    r->exact = r->a->init ? NULL : arm;
    const int layers = config->num_hidden_layers;
    if (r->a->init) r->a->n_arms = 0;
    return set_type(r, layers);
}

// Training the exact model on for as many steps: what fine-tuning is to be held against.
static pf_status add_trained_on(const recipe *r)
{
    pf_status status = PF_OK;
    for (int64_t s = 0; s < r->plan->seeds && status == PF_OK; s++) {
        pf_arm *arm = begin_arm(r, s);
        arm->tuned = "all";
        snprintf(arm->name, sizeof arm->name, "exact-on-seed%" PRId64, arm->seed);
        snprintf(arm->label, sizeof arm->label, "exact, trained on");
        set_start(r, 1, arm);
        pf_arm_set_attention(arm);
        set_fine_tuning(r, arm);
        status = pf_arm_finish(r->a, arm);
    }
    return status;
}

// `tuning` NULL: from scratch.
static pf_status add_swapped(const recipe *r, const char *kernel, int32_t features, int64_t redraw,
                             const tuning *how)
{
    pf_status status = PF_OK;
    for (int64_t s = 0; s < r->plan->seeds && status == PF_OK; s++) {
        pf_arm *arm = begin_arm(r, s);
        char interval[32] = "", phrase[48] = "";
        if (redraw) snprintf(interval, sizeof interval, "-redraw%" PRId64, redraw);
        if (redraw) snprintf(phrase, sizeof phrase, ", new every %" PRId64, redraw);
        arm->kernel = kernel, arm->features = features, arm->redraw = redraw, arm->projection = "orthogonal";
        arm->tuned = how ? how->name : "scratch";
        snprintf(arm->name, sizeof arm->name, "%s-M%d%s-%s-seed%" PRId64, kernel, features, interval,
                 arm->tuned, arm->seed);
        snprintf(arm->label, sizeof arm->label, "%s, M %d%s%s", kernel, features, phrase,
                 how ? how->phrase : ", from scratch");
        if (how) set_start(r, how->rate, arm);
        pf_arm_set_attention(arm);
        pf_arm_set(arm, "%s", r->a->swapped_type);
        pf_arm_set(arm, "attention.num_features=%d", features);
        pf_arm_set(arm, "attention.redraw_interval=%" PRId64, redraw);
        if (how && how->setting) pf_arm_set(arm, "%s", how->setting);
        set_fine_tuning(r, arm);
        status = pf_arm_finish(r->a, arm);
    }
    return status;
}

// Of the first kernel all M with all redraw intervals; then, at one M, one thing at a time.
static pf_status add_arms(const recipe *r)
{
    const pf_ablation_plan *plan = r->plan;
    pf_status status = add_trained_on(r);
    for (int i = 0; i < r->n_redraws; i++)
        for (int m = 0; m < plan->n_features && status == PF_OK; m++)
            status = add_swapped(r, r->kernel[0], (int32_t)plan->features[m], r->redraw[i], r->tuning[0]);
    for (int t = 1; t < r->n_tunings && status == PF_OK; t++)
        status = add_swapped(r, r->kernel[0], r->base, r->redraw[0], r->tuning[t]);
    for (int k = 1; k < r->n_kernels && status == PF_OK; k++)
        status = add_swapped(r, r->kernel[k], r->base, r->redraw[0], r->tuning[0]);
    return status == PF_OK && r->exact ? add_swapped(r, r->kernel[0], r->base, r->redraw[0], NULL) : status;
}

// --- measurements -------------------------------------------------------------------------------

static pf_measure *add_measure(pf_ablation *a, pf_measure_kind kind, int64_t draw)
{
    pf_measure *m = &a->measure[a->n_measures++];
    *m = (pf_measure){.kind = kind, .draw = draw};
    return m;
}

static void add_at_once(const recipe *r)
{
    for (int k = 0; k < r->n_kernels; k++)
        for (int i = 0; i < r->plan->n_features; i++)
            for (int64_t d = 0; d < r->plan->draws; d++) {
                pf_measure *m = add_measure(r->a, PF_MEASURE_AT_ONCE, r->a->common->seed + d);
                m->kernel = r->kernel[k], m->features = (int32_t)r->plan->features[i];
                snprintf(m->name, sizeof m->name, "%s-M%d-draw%" PRId64, m->kernel, m->features, m->draw);
            }
}

// Draws of fresh projections are none that any arm was trained with.
enum { FRESH = 1000000 };

static pf_status add_measures(const recipe *r)
{
    pf_ablation *a = r->a;
    const int64_t draws = r->plan->draws;
    const int64_t most = 1 + r->n_kernels * r->plan->n_features * draws + a->n_arms * (1 + draws);
    a->measure = calloc((size_t)most, sizeof *a->measure);
    if (!a->measure) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    snprintf(add_measure(a, PF_MEASURE_EXACT, 0)->name, PF_ARM_TEXT, "exact");
    add_at_once(r);
    for (int i = 0; i < a->n_arms; i++) {
        const pf_arm *arm = &a->arm[i];
        if (arm == r->exact) continue;
        pf_measure *m = add_measure(a, PF_MEASURE_AFTER, 0);
        m->arm = arm;
        snprintf(m->name, sizeof m->name, "after-%.80s", arm->name);
        for (int64_t d = 0; d < draws && arm->features; d++) {
            m = add_measure(a, PF_MEASURE_FRESH, FRESH + d);
            m->arm = arm;
            snprintf(m->name, sizeof m->name, "fresh%" PRId64 "-%.70s", d, arm->name);
        }
    }
    return PF_OK;
}

pf_status pf_ablation_make_swap(pf_ablation *a, const pf_ablation_plan *plan)
{
    recipe r = {.a = a, .plan = plan};
    pf_status status = read_kernels(&r);
    if (status == PF_OK) status = read_tunings(&r);
    if (status == PF_OK) status = check_different("num-features", plan->features, plan->n_features);
    if (status == PF_OK) status = check_different("redraw", plan->redraw, plan->n_redraws);
    if (status == PF_OK) status = read_redraws(&r);
    if (status == PF_OK && a->init) status = pf_ablation_read_init(a);
    const int64_t kinds = 3 + r.n_kernels + r.n_tunings + (int64_t)plan->n_features * plan->n_redraws;
    if (status == PF_OK) status = pf_ablation_allocate(a, kinds * plan->seeds);
    if (status == PF_OK) status = make_exact(&r);
    if (status == PF_OK) status = add_arms(&r);
    return status == PF_OK ? add_measures(&r) : status;
}
