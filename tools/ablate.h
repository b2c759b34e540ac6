// What the files of `performer ablate` share: arms (short trainings that differ in one thing), how they are
// run, and what comes of them.
//
//   DIR/runs/NAME/   one run directory an arm
//   DIR/valid.fasta  the sample of the validation sequences that all arms are measured on, unless it is all
//   of them DIR/*.tsv, *.svg the results, once all arms are done
#ifndef TOOLS_ABLATE_H
#define TOOLS_ABLATE_H

#include <signal.h>

#include "performer/run.h"
#include "performer/train.h"
#include "tools/report.h"

enum { PF_ARM_SETTINGS = 8, PF_ARM_TEXT = 96 };

typedef struct pf_arm {
    char name[PF_ARM_TEXT];  // its run is DIR/runs/NAME
    char label[PF_ARM_TEXT]; // for people; arms that differ in the seed alone share it
    const char *kernel;      // "exact", or that of FAVOR
    const char *projection;  // "" of exact attention
    bool renormalize;
    int64_t seed;
    const struct pf_arm *start; // whose model it starts from, or NULL
    char setting[PF_ARM_SETTINGS][PF_ARM_TEXT];
    int n_settings;
    struct pf_config config; // effective
    // what came of it
    pf_run *run;               // NULL: not done yet
    char *failure;             // why a number was not finite, or NULL
    pf_run_evaluation at_once; // of what it started from, before the first step (`start` only)
} pf_arm;

typedef struct pf_ablation {
    const pf_common *common;
    const char *directory;
    const char *preset, *config_file;
    const char *setting[64]; // of all arms, before their own
    int n_settings;
    const char *const *train_files, *const *valid_files;
    int n_train_files, n_valid_files;
    char *sample; // the name of DIR/valid.fasta, where it is used; whoever made the ablation frees it
    const char *sample_files[1];
    pf_data_facts train, valid;
    pf_arm *arm; // in the order in which they are run
    int n_arms;
    pf_device *device;
    const volatile sig_atomic_t *stop;
    double speed; // training tokens/s: guessed at first, then of the arms that were run
} pf_ablation;

// What is to be compared.
typedef struct pf_ablation_plan {
    const char *kernels, *renormalize, *projections; // lists with commas
    int64_t steps, fine_tune_steps, seeds;
} pf_ablation_plan;

// The arms of kernel x renormalize x projection, or of the recipe that swaps a trained model's attention;
// with the configuration of each. Errors: PF_ERROR_USAGE.
pf_status pf_ablation_make_grid(pf_ablation *ablation, const pf_ablation_plan *plan);
pf_status pf_ablation_make_swap(pf_ablation *ablation, const pf_ablation_plan *plan);
void pf_ablation_free_arms(pf_ablation *ablation);

// Looks which arms are done, and that what is there belongs to this ablation. Errors: PF_ERROR_USAGE.
pf_status pf_ablation_look(pf_ablation *ablation);
bool pf_ablation_is_done(const pf_ablation *ablation);
// Says how long it will take, then runs the arms that are not done. A loss that is not finite is an arm's
// result.
pf_status pf_ablation_run(pf_ablation *ablation);

// Tables into DIR and on stdout, and plots. `is_swap`: of the recipe.
pf_status pf_ablation_write_grid(const pf_ablation *ablation);
pf_status pf_ablation_write_swap(const pf_ablation *ablation);

// Arms that share a label: how many from `first` on.
int pf_ablation_group(const pf_ablation *ablation, int first);

#endif
