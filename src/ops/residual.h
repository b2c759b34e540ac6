// The end of a branch of a layer: y = x + dropout(branch + bias).
#ifndef PF_OPS_RESIDUAL_H
#define PF_OPS_RESIDUAL_H

#include "ops/dropout.h"

typedef struct pf_residual pf_residual;

// For rows of `width` numbers.
pf_status pf_residual_create(pf_device *device, int width, bool dropout, pf_residual **out);
void pf_residual_free(pf_residual *op);

//   y, x, branch  [N,D]  y may be x or branch
//   bias          [D]    NULL: none
//   place         pf_place [N], needed with dropout only
typedef struct pf_residual_forward {
    pf_buffer *y;
    const pf_buffer *x, *branch, *bias, *place;
    const pf_dropout *dropout; // NULL: none
    int rows;                  // N
} pf_residual_forward;

pf_status pf_residual_run(pf_residual *op, const pf_residual_forward *call);

// dbranch [N,D] is overwritten: the gradient of branch (its column sums are the bias's). dx is dy itself.
// Without dropout dbranch is dy too: no need to call this, which would copy. dbranch may be dy.
typedef struct pf_residual_backward {
    pf_buffer *dbranch;
    const pf_buffer *dy, *place;
    const pf_dropout *dropout;
    int rows; // N
} pf_residual_backward;

pf_status pf_residual_run_backward(pf_residual *op, const pf_residual_backward *call);

#endif
