// Sums of columns, the gradient of a bias: out[c] += sum over n of x[n,c].
#ifndef PF_OPS_COLUMN_SUM_H
#define PF_OPS_COLUMN_SUM_H

#include "device/device.h"
#include "ops/sequences.h"

typedef struct pf_column_sum pf_column_sum;

// For at most `max_columns` columns.
pf_status pf_column_sum_create(pf_device *device, int max_columns, pf_column_sum **out);
void pf_column_sum_free(pf_column_sum *op);

//   out  [columns]    is added to
//   x    [N,columns]  inside rows of any stride
typedef struct pf_column_sum_call {
    pf_buffer *out;
    pf_rows x;
    int rows, columns; // N
} pf_column_sum_call;

pf_status pf_column_sum_run(pf_column_sum *op, const pf_column_sum_call *call);

#endif
