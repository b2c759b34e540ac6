// Layer normalisation, forward and backward (Ba, Kiros, Hinton 2016, arXiv:1607.06450).
#ifndef PF_OPS_LAYER_NORM_H
#define PF_OPS_LAYER_NORM_H

#include "device/device.h"

typedef struct pf_layer_norm pf_layer_norm;

// For rows of `width` numbers. Compiles the kernels.
pf_status pf_layer_norm_create(pf_device *device, int width, pf_layer_norm **out);
void pf_layer_norm_free(pf_layer_norm *op);

// y[n,d] = (x[n,d] - mean[n]) / sqrt(var[n] + eps) * weight[d] + bias[d],  var biased
//
//   y, x          [N,D]
//   stat          [N,2]  mean and 1/sqrt(var + eps), for the backward pass; NULL: not kept
//   weight, bias  [D]
typedef struct pf_layer_norm_forward {
    pf_buffer *y, *stat;
    const pf_buffer *x, *weight, *bias;
    int rows; // N
    float eps;
} pf_layer_norm_forward;

pf_status pf_layer_norm_run(pf_layer_norm *op, const pf_layer_norm_forward *call);

// The gradients, given dy and what the forward pass had.
//
//   dx              [N,D]  is overwritten: the gradient of x, plus `add`
//   add             [N,D]  the gradient that reaches x past the norm; may be dx itself; NULL: none
//   dweight, dbias  [D]    are added to; NULL: not wanted
typedef struct pf_layer_norm_backward {
    pf_buffer *dx, *dweight, *dbias;
    const pf_buffer *dy, *x, *stat, *weight, *add;
    int rows; // N
} pf_layer_norm_backward;

pf_status pf_layer_norm_run_backward(pf_layer_norm *op, const pf_layer_norm_backward *call);

#endif
