// The norm of all gradients, which clips them and tells whether a step may be taken.
#ifndef PF_OPS_GLOBAL_NORM_H
#define PF_OPS_GLOBAL_NORM_H

#include "device/device.h"

typedef struct pf_global_norm pf_global_norm;

// What is kept on the device, in this order.
typedef struct pf_norm_result {
    float norm, scale; // scale = min(1, clip / norm): gradients are multiplied by it
    int32_t finite;    // 1 if every number and the norm are finite; else 0, norm NaN or infinite, scale 1
    int32_t zero;
} pf_norm_result;

// For arrays of at most `max_count` numbers (below 2^31).
pf_status pf_global_norm_create(pf_device *device, int64_t max_count, pf_global_norm **out);
void pf_global_norm_free(pf_global_norm *op);

// The pf_norm_result that the last call left; belongs to the operation. What the optimizer reads.
const pf_buffer *pf_global_norm_result(const pf_global_norm *op);

// Norm of x[0 .. count-1]; clip 0: none. Enqueued.
pf_status pf_global_norm_run(pf_global_norm *op, const pf_buffer *x, int64_t count, float clip);

// Waits, and reads the result.
pf_status pf_global_norm_read(const pf_global_norm *op, pf_norm_result *out);

// *index = the first of x[0 .. count-1] that is not finite, or -1. Waits. For naming what went wrong.
pf_status pf_global_norm_find_bad(pf_global_norm *op, const pf_buffer *x, int64_t count, int64_t *index);

#endif
