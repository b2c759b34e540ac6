// Layer normalisation in double precision: the truth for cl/layer_norm.cl.
#ifndef TESTS_REF_LAYER_NORM_REF_H
#define TESTS_REF_LAYER_NORM_REF_H

// y [N,D] from x [N,D], weight and bias [D]; eps 1e-6
void layer_norm_ref(double *y, const double *x, const double *weight, const double *bias, int rows, int width);

// dx [N,D] is overwritten; dweight and dbias [D] are added to
typedef struct layer_norm_gradients {
    double *dx, *dweight, *dbias;
} layer_norm_gradients;

void layer_norm_backward_ref(const layer_norm_gradients *out, const double *dy, const double *x, const double *weight,
                             int rows, int width);

#endif
