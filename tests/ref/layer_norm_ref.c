// Layer normalisation in double precision. See layer_norm_ref.h.
#include "ref/layer_norm_ref.h"

#include <math.h>

void layer_norm_ref(double *y, const float *x, const float *weight, const float *bias, int rows, int width)
{
    for (int n = 0; n < rows; n++, x += width, y += width) {
        double mean = 0, variance = 0;
        for (int d = 0; d < width; d++) mean += (double)x[d] / width;
        for (int d = 0; d < width; d++) variance += ((double)x[d] - mean) * ((double)x[d] - mean) / width;
        for (int d = 0; d < width; d++)
            y[d] = ((double)x[d] - mean) / sqrt(variance + 1e-6) * (double)weight[d] + (double)bias[d];
    }
}
