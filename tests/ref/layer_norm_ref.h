// Layer normalisation in double precision: the truth for cl/layer_norm.cl.
#ifndef TESTS_REF_LAYER_NORM_REF_H
#define TESTS_REF_LAYER_NORM_REF_H

// y [N,D] from x [N,D], weight and bias [D]
void layer_norm_ref(double *y, const float *x, const float *weight, const float *bias, int rows, int width);

#endif
