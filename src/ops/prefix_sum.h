// Prefix sums along the middle axis of x[outer][count][inner], in place and in fixed order.
#ifndef PF_OPS_PREFIX_SUM_H
#define PF_OPS_PREFIX_SUM_H

#include <stdbool.h>

#include "device/device.h"

typedef struct pf_prefix_sum pf_prefix_sum;

// Compiles the kernels.
pf_status pf_prefix_sum_create(pf_device *device, pf_prefix_sum **out);
void pf_prefix_sum_free(pf_prefix_sum *op); // NULL is fine

typedef struct pf_prefix_sum_call {
    pf_buffer *x;       // [outer,count,inner]
    pf_buffer *scratch; // NULL where none is needed
    int outer, count, inner;
    bool exclusive;     // row i becomes the sum of the rows before it, else of those up to it
} pf_prefix_sum_call;

// What a call needs besides x; 0 for few rows. How rows are cut into blocks, and so the order of the
// sums, depends on `count` only.
size_t pf_prefix_sum_scratch_bytes(int outer, int count, int inner);

pf_status pf_prefix_sum_run(pf_prefix_sum *op, const pf_prefix_sum_call *call);

#endif
