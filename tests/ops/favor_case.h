// Runs FAVOR attention on the device from host arrays: what its tests, bidirectional and causal, have in common.
#ifndef TESTS_OPS_FAVOR_CASE_H
#define TESTS_OPS_FAVOR_CASE_H

#include "ops/favor.h"

typedef struct favor_case {
    pf_favor_config config;
    int rows, n_sequences;                // rows of all arrays, gaps between sequences included
    const int32_t *first_row, *length;    // [n_sequences]
    const float *q, *k, *v, *g;           // [rows, n_heads*head_size]; g: the gradient of o, NULL: forward only
    const float *w;                       // [M,E] or NULL
} favor_case;

// Results on the host, [rows, n_heads*head_size] each; rows of no sequence are NaN where no kernel wrote them.
typedef struct favor_result {
    float *o, *dq, *dk, *dv;
} favor_result;

// Fails the test on any error. Release with favor_result_free.
favor_result favor_case_run(const favor_case *c);
void favor_result_free(favor_result *result);

#endif
