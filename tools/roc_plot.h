// Receiver operating characteristics of classifications: how many of a class are found against how many
// others are taken for it, as the threshold falls.
#ifndef TOOLS_ROC_PLOT_H
#define TOOLS_ROC_PLOT_H

#include <stdint.h>
#include <stdio.h>

#include "performer/status.h"

typedef struct pf_roc {
    const char *title, *note; // the note is a line below the title, or NULL
    const double *score;      // [n,n_classes], higher: likelier
    const int32_t *label;     // [n]; negative: unknown, left out
    int64_t n;
    int n_classes;
    const char *const *class_name; // [n_classes]
} pf_roc;

// The area under the curve of `of` against all others, equal scores counting half; NaN where there is none of
// either. Errors: PF_ERROR_FAILED out of memory.
pf_status pf_roc_area(const pf_roc *roc, int of, double *area);

// An SVG: of two classes the second one's curve, of more each against the others, named with their areas.
// Errors: PF_ERROR_FAILED out of memory.
pf_status pf_roc_plot_write(FILE *out, const pf_roc *roc);

#endif
