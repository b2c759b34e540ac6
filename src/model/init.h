// Fresh parameters, from the seed alone.
#ifndef PF_MODEL_INIT_H
#define PF_MODEL_INIT_H

#include <stdint.h>

#include "model/params.h"
#include "model/projection.h"

// Fills both arenas (sizes of `parameters`, zeroed before). Each number depends on the seed, the
// tensor's name and its place in the tensor, not on what else the model has. Errors: PF_ERROR_FAILED.
pf_status pf_init_parameters(const struct pf_config *config, const pf_parameters *parameters, uint64_t seed,
                             float *trained, float *projections);

// What draws a layer's projection; draw 0 is the fresh model's.
pf_projection_request pf_projection_of_layer(const struct pf_config *config, uint64_t seed, int layer,
                                             uint64_t draw);

// Rows of the sinusoid table [count, D] for positions from `first` on: columns 2i and 2i+1 are sine and
// cosine of position * frequencies[i] (NULL: 10000^(-2i/D), Vaswani et al. 2017, section 3.5), angles in
// double.
void pf_sinusoids(float *out, int first, int count, int D, const double *frequencies);

#endif
