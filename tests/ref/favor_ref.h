// FAVOR attention of one head of one sequence in double precision, both directions, as the formulas are written: the
// L x L matrix, nothing stabilised.
#ifndef TESTS_REF_FAVOR_REF_H
#define TESTS_REF_FAVOR_REF_H

#include <stdbool.h>

#include "performer/config.h"

typedef struct favor_ref {
    int tokens, head_size, n_features; // L, E, M
    int stride;                        // floats between the rows of q, k, v and g
    pf_favor_kernel kernel;
    bool causal, renormalize;
    double epsilon, oprf_s;
    const float *q, *k, *v, *g; // [L,E]; g: the gradient of o, NULL: forward only
    const float *w;             // [M,E]; NULL: no projection, M = E
    double softmax_epsilon; // kernel softmax, added where the largest feature (without its norm) is 1
} favor_ref;

// o [L,E]; and, unless g is NULL, dq, dk, dv [L,E].
void favor_ref_run(const favor_ref *c, double *o, double *dq, double *dk, double *dv);

// The smallest |w.x| of a row x of q or k: at a kink of relu, abs or requ an fp32 program may take the other side.
double favor_ref_nearest_kink(const favor_ref *c, const float *x);

#endif
