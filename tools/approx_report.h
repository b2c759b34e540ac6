// What `performer approx` makes of its numbers: tables, pictures and a verdict.
#ifndef TOOLS_APPROX_REPORT_H
#define TOOLS_APPROX_REPORT_H

#include <stdio.h>

#include "performer/approx.h"
#include "tools/options.h"

// All rows of a study.
typedef struct pf_approx_table {
    pf_approx_options options;
    pf_approx_size size;
    bool is_model; // else random tensors
    pf_approx_row *row;
    size_t count, capacity;
} pf_approx_table;

const char *pf_approx_projection_name(pf_projection_kind kind);

// One estimator at one place. NULL if it was not looked at.
typedef struct pf_approx_cell {
    pf_approx_place place;
    int32_t layer;
    pf_favor_kernel kernel;
    pf_projection_kind projection;
    int32_t n_features;
} pf_approx_cell;
const pf_approx_row *pf_approx_find(const pf_approx_table *table, pf_approx_cell cell);

// attention.tsv; of random tensors attention-scale-S.svg; of a model attention.svg, layers.svg, stream.tsv,
// stream.svg, alone.svg. Errors: PF_ERROR_FAILED.
pf_status pf_approx_write_tables(const pf_approx_table *table, const char *directory);
pf_status pf_approx_write_plots(const pf_approx_table *table, const char *directory);

// Which of the papers' orderings these numbers show.
void pf_approx_print_verdict(FILE *out, const pf_approx_table *table);

#endif
