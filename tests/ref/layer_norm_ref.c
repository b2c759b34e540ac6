// Layer normalisation in double precision. See layer_norm_ref.h.
#include "ref/layer_norm_ref.h"

#include <math.h>

static void moments(const double *x, int width, double *mean, double *inverse)
{
    double sum = 0, square = 0;
    for (int d = 0; d < width; d++) sum += x[d] / width;
    for (int d = 0; d < width; d++) square += (x[d] - sum) * (x[d] - sum) / width;
    *mean = sum;
    *inverse = 1 / sqrt(square + 1e-6);
}

void layer_norm_ref(double *y, const double *x, const double *weight, const double *bias, int rows, int width)
{
    for (int n = 0; n < rows; n++, x += width, y += width) {
        double mean, inverse;
        moments(x, width, &mean, &inverse);
        for (int d = 0; d < width; d++) y[d] = (x[d] - mean) * inverse * weight[d] + bias[d];
    }
}

void layer_norm_backward_ref(const layer_norm_gradients *out, const double *dy, const double *x, const double *weight,
                             int rows, int width)
{
    for (int n = 0; n < rows; n++, x += width, dy += width) {
        double mean, inverse, sum = 0, product = 0;
        moments(x, width, &mean, &inverse);
        for (int d = 0; d < width; d++) {
            const double u = (x[d] - mean) * inverse;
            sum += dy[d] * weight[d] / width;
            product += dy[d] * weight[d] * u / width;
            out->dweight[d] += dy[d] * u;
            out->dbias[d] += dy[d];
        }
        for (int d = 0; d < width; d++)
            out->dx[n * width + d] = inverse * (dy[d] * weight[d] - sum - (x[d] - mean) * inverse * product);
    }
}
