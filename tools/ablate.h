// What the files of `performer ablate` share: arms (short trainings that differ in one thing), how they are
// run, and what comes of them.
//
//   DIR/runs/NAME/    one run directory an arm
//   DIR/valid.fasta   the sample of the validation sequences that all arms are measured on, unless it is all
//   of them
//   DIR/measured.tsv  of the recipe swap: losses measured apart from training, one after the other
//   DIR/*.tsv, *.json, *.svg  the results, once all is done
#ifndef TOOLS_ABLATE_H
#define TOOLS_ABLATE_H

#include <signal.h>

#include "performer/run.h"
#include "performer/train.h"
#include "tools/report.h"

enum { PF_ARM_SETTINGS = 16, PF_ARM_TEXT = 96, PF_SETTING_TEXT = 1400 };

typedef struct pf_arm {
    char name[PF_ARM_TEXT];  // its run is DIR/runs/NAME
    char label[PF_ARM_TEXT]; // for people; arms that differ in the seed alone share it
    const char *kernel;      // "exact", or that of FAVOR
    const char *projection;  // "" of exact attention
    bool renormalize;
    int64_t seed;
    bool has_start;             // starts from a model: that of `start`, or the ablation's `init`
    const struct pf_arm *start; // or NULL
    int32_t features;           // of a swapped arm: M,
    int64_t redraw;             // steps between new projections, 0: never,
    const char *tuned;          // and which weights learn
    char setting[PF_ARM_SETTINGS][PF_SETTING_TEXT];
    int n_settings;
    struct pf_config config; // effective
    // what came of it
    pf_run *run;               // NULL: not done yet
    char *failure;             // why a number was not finite, or NULL
    pf_run_evaluation at_once; // of what it started from, before the first step (`has_start` only)
} pf_arm;

// A loss that is measured apart from training, of one model under one draw of projections. All are measured
// with the same masks.
typedef enum pf_measure_kind {
    PF_MEASURE_EXACT,   // the exact model as it was trained
    PF_MEASURE_AT_ONCE, // with a kernel in place of its attention
    PF_MEASURE_AFTER,   // an arm's model
    PF_MEASURE_FRESH,   // the same with projections that it has not been trained with
} pf_measure_kind;

typedef struct pf_measure {
    char name[PF_ARM_TEXT];
    pf_measure_kind kind;
    const char *kernel; // AT_ONCE
    int32_t features;
    const pf_arm *arm;     // AFTER, FRESH
    int64_t draw;          // seed of the projections
    bool is_known;         // then:
    double loss, accuracy; // NaN where the loss is not finite
} pf_measure;

typedef struct pf_ablation {
    const pf_common *common;
    const char *directory;
    const char *preset, *config_file;
    const char *init;        // of the recipe swap: the exact model that is given; NULL: it is trained first
    char *init_config;       // its config.json,
    char init_digest[65];    // and the digest of its weights
    const char *setting[64]; // of all arms, before their own
    int n_settings;
    const char *const *train_files, *const *valid_files;
    int n_train_files, n_valid_files;
    char *sample; // the name of DIR/valid.fasta, where it is used; whoever made the ablation frees it
    const char *sample_files[1];
    pf_data_facts train, valid;
    pf_arm *arm; // in the order in which they are run
    int n_arms;
    char swapped_type[PF_SETTING_TEXT]; // of the recipe swap: attention.type of what comes of the exact model
    pf_measure *measure;                // what is measured apart from training, in order
    int n_measures;
    pf_device *device;
    const volatile sig_atomic_t *stop;
    double speed; // training tokens/s: guessed at first, then of the arms that were run
} pf_ablation;

// What is to be compared.
typedef struct pf_ablation_plan {
    const char *kernels, *renormalize, *projections; // lists with commas
    int64_t steps, fine_tune_steps, seeds;
    // of the recipe swap
    const char *fine_tune;           // list with commas
    const int64_t *features, *redraw; // numbers of features, steps between redraws
    int n_features, n_redraws;
    const int64_t *exact_layers; // from 1: these keep exact attention
    int n_exact_layers;
    int64_t draws; // of projections that losses without training are means over
} pf_ablation_plan;

// The arms of kernel x renormalize x projection, or of the recipe that swaps a trained model's attention;
// with the configuration of each. Errors: PF_ERROR_USAGE.
pf_status pf_ablation_make_grid(pf_ablation *ablation, const pf_ablation_plan *plan);
pf_status pf_ablation_make_swap(pf_ablation *ablation, const pf_ablation_plan *plan);
void pf_ablation_free_arms(pf_ablation *ablation);

// Reads the configuration of a->init, which must attend exactly in all layers. Errors: PF_ERROR_INPUT,
// PF_ERROR_USAGE.
pf_status pf_ablation_read_init(pf_ablation *ablation);

// Looks which arms are done, and that what is there belongs to this ablation. Errors: PF_ERROR_USAGE.
pf_status pf_ablation_look(pf_ablation *ablation);
bool pf_ablation_is_done(const pf_ablation *ablation);
// Says how long it will take, then runs the arms that are not done. A loss that is not finite is an arm's
// result.
pf_status pf_ablation_run(pf_ablation *ablation);

// Reads DIR/measured.tsv. Errors: PF_ERROR_USAGE where it belongs to something else.
pf_status pf_ablation_read_measures(pf_ablation *ablation);
// Measures what can be measured by now and is not known.
pf_status pf_ablation_measure(pf_ablation *ablation);
// DIR/runs/NAME/FILE; FILE NULL: the run itself. NULL without memory.
char *pf_ablation_path(const pf_ablation *ablation, const pf_arm *arm, const char *file);

// Tables into DIR and on stdout, and plots. `is_swap`: of the recipe.
pf_status pf_ablation_write_grid(const pf_ablation *ablation);
pf_status pf_ablation_write_swap(const pf_ablation *ablation);

// Arms that share a label: how many from `first` on.
int pf_ablation_group(const pf_ablation *ablation, int first);

#endif
