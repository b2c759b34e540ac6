// Principal components: the plane in which points spread most.
#ifndef TOOLS_PCA_H
#define TOOLS_PCA_H

#include <stdint.h>

#include "performer/status.h"

// Coordinates of rows [n,width] in the plane of their first two principal components, about their mean;
// `share` of the variance that each carries (0 where there is none). Of the two directions of a component the
// one along whose largest number it points is taken, so equal rows give equal pictures. Errors:
// PF_ERROR_FAILED out of memory.
pf_status pf_pca_plane(const float *rows, int64_t n, int64_t width, double *x, double *y, double share[2]);

#endif
