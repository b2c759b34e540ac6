// Sums of columns in double precision. See column_sum_ref.h.
#include "ref/column_sum_ref.h"

void column_sum_ref(double *sum, const float *x, int stride, int rows, int columns)
{
    for (int n = 0; n < rows; n++)
        for (int c = 0; c < columns; c++) sum[c] += (double)x[n * stride + c];
}
