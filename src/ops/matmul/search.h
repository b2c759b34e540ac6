// Which provider and which constants of our own kernels multiply fastest here: measured, product by product,
// each candidate's results checked before its time counts.
#ifndef PF_OPS_MATMUL_SEARCH_H
#define PF_OPS_MATMUL_SEARCH_H

#include "ops/matmul/tuned.h"

typedef struct pf_search pf_search;

typedef struct pf_search_result {
    pf_tuned_entry entry;        // the fastest; only with has_gain
    bool has_gain;               // it beats the built-in choice by more than chance does
    char built_in[48], best[48]; // as pf_matmul_describe says
    double built_in_gflops, gflops;
    int tried, wrong, refused; // candidates: all, with wrong results, that the device did not take
} pf_search_result;

pf_status pf_search_create(pf_device *device, pf_search **out);
void pf_search_free(pf_search *search); // NULL is fine; before the device is closed

// Of `sizes` sizes, transposes and beta are looked at. Takes a second or so, and compiles candidates when
// they are met first. Errors: PF_ERROR_DEVICE, also when the built-in choice computes wrongly.
pf_status pf_search_run(pf_search *search, const pf_matmul_call *sizes, pf_search_result *out);

#endif
