// Means and maxima over rows in double precision. See pool_ref.h.
#include "ref/pool_ref.h"

void pool_ref(double *mean, double *maximum, const float *x, int stride, const int range[2], int columns)
{
    for (int c = 0; c < columns; c++) {
        mean[c] = maximum[c] = 0;
        for (int n = range[0]; n < range[1]; n++) {
            const double v = (double)x[n * stride + c];
            mean[c] += v / (range[1] - range[0]);
            if (n == range[0] || v > maximum[c]) maximum[c] = v;
        }
    }
}
