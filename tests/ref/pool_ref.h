// Means and maxima over rows in double precision: the truth for cl/pool.cl.
#ifndef TESTS_REF_POOL_REF_H
#define TESTS_REF_POOL_REF_H

// mean[c], maximum[c] of rows first .. last-1 of x (at its first column); 0 if there are none
void pool_ref(double *mean, double *maximum, const float *x, int stride, const int range[2], int columns);

// The gradient of the mean in the rows of a sequence, rows[0] .. rows[1]-1: 0 outside of the range.
void pool_backward_ref(double *dx, const float *dmean, const int rows[2], const int range[2], int columns);

#endif
