// Random projections W [M,E] of FAVOR, drawn on the host in double (Choromanski et al. 2021,
// arXiv:2009.14794, section 2.4: orthogonal random features).
#ifndef PF_MODEL_PROJECTION_H
#define PF_MODEL_PROJECTION_H

#include <stddef.h>
#include <stdint.h>

#include "performer/config.h"

// What decides a draw, and nothing else does: the same request gives the same bits.
typedef struct pf_projection_request {
    int num_features;        // M
    int head_size;           // E
    pf_projection_kind kind; // not PF_PROJECTION_NONE; hadamard: E a power of two
    pf_row_norm row_norm;
    uint64_t seed;
    uint64_t layer;
    uint64_t draw;           // 0: the first, of a fresh model
} pf_projection_request;

// Doubles of working memory that a draw needs.
size_t pf_projection_scratch(int head_size);

// W into `out` [M,E]. Allocates nothing and cannot fail, so that training can redraw.
void pf_projection_draw(float *out, const pf_projection_request *request, double *scratch);

#endif
