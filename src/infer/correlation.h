// Pearson's correlation.
#ifndef PF_INFER_CORRELATION_H
#define PF_INFER_CORRELATION_H

// NaN for fewer than 3 points (any two lie on a line) and where x or y are all the same.
double pf_correlation(const double *x, const double *y, int count);

#endif
