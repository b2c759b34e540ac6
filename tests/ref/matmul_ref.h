// A matrix product in double precision: the truth for every provider of src/ops/matmul.
#ifndef TESTS_REF_MATMUL_REF_H
#define TESTS_REF_MATMUL_REF_H

#include "ops/matmul/matmul.h"

typedef struct matmul_ref_data {
    const float *a, *b, *residual, *bias; // where the first product begins; residual and bias may be NULL
} matmul_ref_data;

// Product number z of the batch, before the activation, into y [m,n]; and into size [m,n] the same with every term's
// absolute value, which is what rounding errors are measured by. Leading dimensions and strides as in `call`, all set.
void matmul_ref(double *y, double *size, const pf_matmul_call *call, const matmul_ref_data *data, int z);

double activation_ref(double x, const pf_matmul_call *call);

#endif
