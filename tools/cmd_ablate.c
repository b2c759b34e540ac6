// performer ablate: what each choice of attention is worth, by short trainings that differ in nothing else.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/ablate_data.h"
#include "tools/commands.h"
#include "tools/device.h"
#include "tools/output.h"
#include "tools/stop.h"

typedef struct ablate_options {
    pf_common common;
    pf_texts train, valid, settings;
    const char *preset, *config, *directory, *recipe;
    const char *kernels, *renormalize, *projections, *init, *fine_tune;
    pf_integers features, redraw, exact_layers;
    int64_t draws;
    int64_t steps, fine_tune_steps, seeds, valid_residues;
    bool resume;
} ablate_options;

#define AT(field) offsetof(ablate_options, field)

static const pf_option table[] = {
    {.name = "train",
     .type = PF_OPTION_FILES,
     .value = "FASTA...",
     .at = AT(train),
     .required = true,
     .help = "sequences to learn from"},
    {.name = "valid",
     .type = PF_OPTION_FILES,
     .value = "FASTA...",
     .at = AT(valid),
     .required = true,
     .help = "sequences to compare on"},
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "DIR",
     .at = AT(directory),
     .required = true,
     .help = "where runs, tables and plots go: new or empty, unless --resume"},
    {.name = "resume",
     .type = PF_OPTION_FLAG,
     .at = AT(resume),
     .help = "go on where it stopped, start where nothing is"},
    {.name = "recipe",
     .type = PF_OPTION_CHOICE,
     .choices = "grid|swap",
     .fallback = "grid",
     .at = AT(recipe),
     .help = "grid: kernels x renormalize x projections; swap: train with exact attention, put FAVOR in its "
             "place, go on"},
    {.name = "kernels",
     .type = PF_OPTION_TEXT,
     .value = "K,K,...",
     .at = AT(kernels),
     .help = "exact, or a kernel of FAVOR (default: exact,softmax,relu,exp,elu1; for swap: "
             "softmax,softmax_hyperbolic,relu)"},
    {.name = "renormalize",
     .type = PF_OPTION_TEXT,
     .value = "on,off",
     .fallback = "on,off",
     .at = AT(renormalize),
     .help = "for grid: with and without the division by the sum of weights"},
    {.name = "projections",
     .type = PF_OPTION_TEXT,
     .value = "P,P,...",
     .fallback = "orthogonal",
     .at = AT(projections),
     .help = "for grid: orthogonal, iid, hadamard, givens, none"},
    {.name = "steps",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 1,
     .high = 1e9,
     .at = AT(steps),
     .help = "steps of each training (default: 500; for swap: 1500, of the exact model)"},
    {.name = "init",
     .type = PF_OPTION_TEXT,
     .value = "MODEL",
     .at = AT(init),
     .help = "for swap: the exact model to begin with, imported or trained, in place of training one"},
    {.name = "num-features",
     .type = PF_OPTION_INTEGERS,
     .value = "M,M,...",
     .low = 1,
     .high = PF_MAX_FEATURES,
     .fallback = "32,64,128,256,512",
     .at = AT(features),
     .help =
         "for swap: numbers of random features; all of them at once, and with training for the first kernel"},
    {.name = "redraw",
     .type = PF_OPTION_INTEGERS,
     .value = "N,N,...",
     .low = 0,
     .high = 1e9,
     .fallback = "0,50",
     .at = AT(redraw),
     .help = "for swap: training steps between new projections, 0: never; all of them with all M"},
    {.name = "fine-tune",
     .type = PF_OPTION_TEXT,
     .value = "WHAT,...",
     .fallback = "all,attention,body,decay,lora",
     .at = AT(fine_tune),
     .help =
         "for swap: what learns afterwards: all weights, attention only, all but the embedding (body), all "
         "with lower layers slower (decay, 0.8), LoRA adapters (rank 8, the full learning rate); the first "
         "with all M, the others with one"},
    {.name = "exact-layers",
     .type = PF_OPTION_INTEGERS,
     .value = "N,N,...",
     .low = 1,
     .high = PF_MAX_LAYERS,
     .at = AT(exact_layers),
     .help = "for swap: these keep exact attention (`performer approx` says which are worth it)"},
    {.name = "draws",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 1,
     .high = 1000,
     .fallback = "5",
     .at = AT(draws),
     .help = "for swap: draws of the projections that losses at once are means over"},
    {.name = "fine-tune-steps",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 1,
     .high = 1e9,
     .fallback = "200",
     .at = AT(fine_tune_steps),
     .help = "for swap: steps after the swap, and from scratch"},
    {.name = "seeds",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 1,
     .high = 100,
     .fallback = "1",
     .at = AT(seeds),
     .help = "trainings of each kind, from --seed on; more than one gives deviations"},
    {.name = "valid-residues",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 0,
     .high = 1e15,
     .fallback = "100000",
     .at = AT(valid_residues),
     .help = "about as many residues of --valid are used, evenly taken; 0: all of them"},
    {.name = "preset",
     .type = PF_OPTION_TEXT,
     .value = "NAME",
     .at = AT(preset),
     .help = "a built-in configuration (default: tiny)"},
    {.name = "config",
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(config),
     .help = "a configuration file"},
    {.name = "set",
     .type = PF_OPTION_TEXTS,
     .value = "KEY=VALUE",
     .at = AT(settings),
     .help = "set a key for all trainings, as in --set train.batch_tokens=8192"},
    {0},
};

static bool is_swap(const ablate_options *o)
{
    return !strcmp(o->recipe, "swap");
}

// What all arms have in common: all heads FAVOR (a local head hides differences), evaluations and checkpoints
// on the way; --set comes after it.
static pf_status set_all(const ablate_options *o, const pf_ablation_plan *plan, char text[4][64],
                         pf_ablation *a)
{
    const int64_t part = (plan->steps + 7) / 8;
    snprintf(text[0], 64, "train.steps=%" PRId64, plan->steps);
    snprintf(text[1], 64, "train.eval_interval=%" PRId64, part);
    snprintf(text[2], 64, "train.checkpoint_interval=%" PRId64, 2 * part);
    snprintf(text[3], 64, "attention.local_heads=0");
    for (int i = 0; i < 4; i++) a->setting[a->n_settings++] = text[i];
    for (int i = 0; i < o->settings.count; i++) {
        if (a->n_settings == sizeof a->setting / sizeof *a->setting)
            return pf_tool_fail(PF_ERROR_USAGE, "ablate: too many --set");
        a->setting[a->n_settings++] = o->settings.item[i];
    }
    return PF_OK;
}

static pf_status make_arms(const ablate_options *o, char text[4][64], pf_ablation *a)
{
    const pf_ablation_plan plan = {
        .kernels = o->kernels   ? o->kernels
                   : is_swap(o) ? "softmax,softmax_hyperbolic,relu"
                                : "exact,softmax,relu,exp,elu1",
        .renormalize = o->renormalize,
        .projections = o->projections,
        .steps = o->steps     ? o->steps
                 : is_swap(o) ? 1500
                              : 500,
        .fine_tune_steps = o->fine_tune_steps,
        .seeds = o->seeds,
        .fine_tune = o->fine_tune,
        .features = o->features.item,
        .n_features = o->features.count,
        .redraw = o->redraw.item,
        .n_redraws = o->redraw.count,
        .exact_layers = o->exact_layers.item,
        .n_exact_layers = o->exact_layers.count,
        .draws = o->draws,
    };
    const pf_status status = set_all(o, &plan, text, a);
    if (status != PF_OK) return status;
    return is_swap(o) ? pf_ablation_make_swap(a, &plan) : pf_ablation_make_grid(a, &plan);
}

static pf_status prepare_directory(const ablate_options *o)
{
    const pf_status status = o->resume ? PF_OK : pf_output_directory_check(o->directory);
    if (status == PF_OK) mkdir(o->directory, 0777); // who writes there says why it cannot be
    return status;
}

static pf_status compute(const ablate_options *o, pf_ablation *a)
{
    a->stop = pf_tool_catch_stop();
    pf_status status = prepare_directory(o);
    if (status == PF_OK) status = pf_ablation_read_data(a, (uint64_t)o->valid_residues);
    if (status == PF_OK) status = pf_ablation_look(a);
    if (status == PF_OK && !pf_ablation_is_done(a)) {
        status = pf_tool_device_open(&o->common, &a->device);
        if (status == PF_OK) status = pf_tool_device_close(&o->common, a->device, pf_ablation_run(a));
    }
    if (status == PF_OK) status = is_swap(o) ? pf_ablation_write_swap(a) : pf_ablation_write_grid(a);
    if (status == PF_OK) pf_say(&o->common, "tables and plots are in %s", o->directory);
    free(a->sample);
    return status;
}

static pf_status run(void *given)
{
    const ablate_options *o = given;
    char text[4][64];
    for (int i = 0; i < o->train.count + o->valid.count; i++) {
        const char *file = i < o->train.count ? o->train.item[i] : o->valid.item[i - o->train.count];
        if (!strcmp(file, "-"))
            return pf_tool_fail(PF_ERROR_USAGE,
                                "ablate: the sequences are read many times; give files, not '-'");
    }
    if (o->init && !is_swap(o))
        return pf_tool_fail(PF_ERROR_USAGE, "ablate: --init is for the recipe swap; add --recipe swap");
    pf_ablation ablation = {
        .common = &o->common,
        .directory = o->directory,
        .preset = o->preset || o->config ? o->preset : "tiny",
        .config_file = o->config,
        .init = o->init,
        .train_files = (const char *const *)o->train.item,
        .n_train_files = o->train.count,
        .valid_files = (const char *const *)o->valid.item,
        .n_valid_files = o->valid.count,
    };
    pf_status status = make_arms(o, text, &ablation);
    if (status == PF_OK) status = compute(o, &ablation);
    pf_ablation_free_arms(&ablation);
    return status;
}

const pf_command pf_command_ablate = {
    .name = "ablate",
    .summary = "compare kinds of attention by short trainings that differ in nothing else",
    .operands = "",
    .details =
        "Each training is a run directory DIR/runs/NAME; with --resume those that are done are passed over "
        "and one\n"
        "that was cut short goes on. A loss that is not finite is a result. At the end: a table on stdout "
        "and in DIR,\n"
        "and plots of the validation loss against tokens and against seconds of training steps. By default "
        "about\n"
        "10 minutes on two cores: exact attention, and four kernels with and without renormalisation.\n"
        "The recipe swap (\"backwards compatibility\") puts FAVOR in place of a trained model's exact "
        "attention: "
        "the\n"
        "loss at once, for all kernels and numbers of features, over several draws; after training at a "
        "quarter "
        "of\n"
        "the learning rate, with projections that stay or are drawn anew, of all weights or some; and with "
        "projections\n"
        "that it was not trained with. Beside it the exact model is trained on, and one swapped from "
        "scratch. "
        "All losses\n"
        "of swap.tsv, swap.json and swap.svg are measured with the same masks. 'back' is the share of what "
        "was "
        "lost that\n"
        "training brought back. With --init MODEL that model is swapped; learning rate and batches are those "
        "of "
        "--preset,\n"
        "--config and --set.\n"
        "All heads are of the same kind: attention.local_heads is 0 unless --set says otherwise.",
    .example =
        "performer ablate --train train.fasta --valid valid.fasta -o ablation\n"
        "performer ablate --train train.fasta --valid valid.fasta -o ablation --resume\n"
        "performer ablate --recipe swap --train train.fasta --valid valid.fasta -o swap\n"
        "performer ablate --recipe swap --init esm2 --num-features 64,256 --set train.learning_rate=2e-4 "
        "--train train.fasta --valid valid.fasta -o swap",
    .options = table,
    .options_bytes = sizeof(ablate_options),
    .min_operands = 0,
    .max_operands = 0,
    .run = run,
};
