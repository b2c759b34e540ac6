// Rotary positions (Su et al. 2021, arXiv:2104.09864), half-split: angles p * 10000^(-2i/E), i < E/2.
#ifndef PF_OPS_ROTARY_H
#define PF_OPS_ROTARY_H

#include "device/device.h"
#include "ops/sequences.h"

typedef struct pf_rotary pf_rotary;

// For heads of `head_width` (even) and batches whose positions are at most `room` consecutive ones: a table
// of angles, 4 * head_width bytes for each of these. `frequencies` [head_width/2] are the angles per position
// (an imported model's, rounded as they were in its training); NULL: the ones above.
pf_status pf_rotary_create(pf_device *device, int head_width, int room, const double *frequencies,
                           pf_rotary **out);
void pf_rotary_free(pf_rotary *op);

// The calls that follow have positions first .. first+count-1: makes and uploads their angles where they are new.
pf_status pf_rotary_reach(pf_rotary *op, int first, int count);

// Turns the `heads` heads that start at x (q and k beside each other are one call), in place.
//
//   x      [N, heads*E]  inside rows of any stride
//   place  pf_place [N], positions within those of pf_rotary_reach
typedef struct pf_rotary_call {
    pf_rows x;
    const pf_buffer *place;
    int rows, heads; // N
    bool backward;   // turns back: the gradient, and the inverse
} pf_rotary_call;

pf_status pf_rotary_run(pf_rotary *op, const pf_rotary_call *call);

#endif
