// Squared error of a regression's outputs, its gradient, and the sums that its mean is made of.
#ifndef PF_OPS_SQUARED_ERROR_H
#define PF_OPS_SQUARED_ERROR_H

#include "device/device.h"
#include "ops/cross_entropy.h"

typedef struct pf_squared_error pf_squared_error;

pf_status pf_squared_error_create(pf_device *device, pf_squared_error **out);
void pf_squared_error_free(pf_squared_error *op);

// Adds the rows' (y - value)^2 and their count to the sums, which stay on the device.
//
//   y       [N]
//   value   [N]      labels
//   target  int [N]  below 0: no label
//   loss    [N]      each row's loss (0 without a label); NULL: not wanted
typedef struct pf_squared_error_forward {
    pf_buffer *loss;
    const pf_buffer *y, *value, *target;
    int rows;
} pf_squared_error_forward;

pf_status pf_squared_error_run(pf_squared_error *op, const pf_squared_error_forward *call);

// dy = 2 (y - value) * scale, 0 in rows without a label.
//
//   dy     [N]  is overwritten; may be y
//   scale  1 / labels of the whole step makes it the gradient of the step's mean loss
typedef struct pf_squared_error_backward {
    pf_buffer *dy;
    const pf_buffer *y, *value, *target;
    int rows;
    float scale;
} pf_squared_error_backward;

pf_status pf_squared_error_run_backward(pf_squared_error *op, const pf_squared_error_backward *call);

// Sets the sums to 0. Enqueued. They are 0 after creation.
pf_status pf_squared_error_reset(pf_squared_error *op);

// Waits, and reads the sums: loss and targets, of residues as of all; nothing hits.
pf_status pf_squared_error_read(const pf_squared_error *op, pf_metrics *out);

#endif
