// Rows made of rows: the mean and the maximum over ranges (a sequence's residues), the gradient of the mean, and
// rows by number.
#ifndef PF_OPS_POOL_H
#define PF_OPS_POOL_H

#include "device/device.h"
#include "ops/sequences.h"

typedef struct pf_pool pf_pool;

pf_status pf_pool_create(pf_device *device, pf_pool **out);
void pf_pool_free(pf_pool *op);

//   mean, maximum  [count, columns]  NULL: not wanted; 0 for an empty range
//   x              [N, columns]      inside rows of any stride
//   range          int32 [count][2]  first row, and one past the last
typedef struct pf_pool_call {
    pf_buffer *mean, *maximum;
    pf_rows x;
    const pf_buffer *range;
    int count, columns;
} pf_pool_call;

pf_status pf_pool_run(pf_pool *op, const pf_pool_call *call);

// The gradient of the mean, in each row of the batch: 0 outside of its sequence's range.
//
//   dx     [N, columns]
//   dmean  [B, columns]
//   range  as in the forward pass, of sequence b inside its rows
typedef struct pf_pool_backward {
    pf_buffer *dx;
    const pf_buffer *dmean, *range;
    const pf_sequences *sequences;
    int columns;
} pf_pool_backward;

pf_status pf_pool_run_backward(pf_pool *op, const pf_pool_backward *call);

// out[k] = x[row[k]]
//
//   out  [count, columns]
//   row  int32 [count]
typedef struct pf_gather_call {
    pf_buffer *out;
    pf_rows x;
    const pf_buffer *row;
    int count, columns;
} pf_gather_call;

pf_status pf_gather_run(pf_pool *op, const pf_gather_call *call);

#endif
