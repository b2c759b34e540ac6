// Pearson's correlation, in two passes. See correlation.h.
#include "infer/correlation.h"

#include <math.h>

double pf_correlation(const double *x, const double *y, int count)
{
    double x_mean = 0, y_mean = 0, xx = 0, yy = 0, xy = 0;
    if (count < 3) return (double)NAN;
    for (int i = 0; i < count; i++) x_mean += x[i] / count, y_mean += y[i] / count;
    for (int i = 0; i < count; i++) {
        const double dx = x[i] - x_mean, dy = y[i] - y_mean;
        xx += dx * dx, yy += dy * dy, xy += dx * dy;
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : (double)NAN;
}
