// What came of the recipe swap, a row for each swapped model. For tools/ablate_*.c only.
#ifndef TOOLS_ABLATE_SWAP_H
#define TOOLS_ABLATE_SWAP_H

#include "tools/ablate_groups.h"

// A kernel with M features in the trained model's place, and what one way of training made of it.
typedef struct pf_swap_row {
    char label[PF_ARM_TEXT];
    const char *kernel, *tuned; // tuned "": it was not trained
    int32_t features;
    int64_t redraw;
    pf_statistic at_once; // over draws; before any training
    pf_statistic after;   // over seeds
    pf_statistic fresh;   // over seeds and draws
    int n_seeds, n_failed;
    const char *failure; // of the first seed that failed
} pf_swap_row;

typedef struct pf_swap_results {
    double exact, exact_accuracy; // loss of the model that all begin with
    pf_statistic trained_on;      // of the same after as many steps as the others
    int64_t steps, draws;
    pf_swap_row *row;
    int n_rows;
} pf_swap_results;

// Losses against M as DIR/swap.svg.
pf_status pf_swap_plot(const pf_ablation *ablation, const pf_swap_results *results);

#endif
