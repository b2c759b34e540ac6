// Sums of columns in double precision: the truth for cl/column_sum.cl.
#ifndef TESTS_REF_COLUMN_SUM_REF_H
#define TESTS_REF_COLUMN_SUM_REF_H

// sum[c] += x[n*stride + c] over n; x already at its first column
void column_sum_ref(double *sum, const float *x, int stride, int rows, int columns);

#endif
