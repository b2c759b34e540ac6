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

void pool_backward_ref(double *dx, const float *dmean, const int rows[2], const int range[2], int columns)
{
    for (int n = rows[0]; n < rows[1]; n++)
        for (int c = 0; c < columns; c++) {
            const int is_inside = n >= range[0] && n < range[1];
            dx[n * columns + c] = is_inside ? (double)dmean[c] / (range[1] - range[0]) : 0;
        }
}
