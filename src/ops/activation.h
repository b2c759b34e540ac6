// The activation of the feed-forward part, with its dropout: g = dropout(act(u)). The slope of relu at 0 is 0.
#ifndef PF_OPS_ACTIVATION_H
#define PF_OPS_ACTIVATION_H

#include "ops/dropout.h"
#include "performer/config.h"

typedef struct pf_activate pf_activate;

// For rows of `width` numbers.
pf_status pf_activate_create(pf_device *device, pf_activation act, int width, bool dropout, pf_activate **out);
void pf_activate_free(pf_activate *op);

//   g, u   [N,F]  g may be u
//   place  pf_place [N], needed with dropout only
typedef struct pf_activate_forward {
    pf_buffer *g;
    const pf_buffer *u, *place;
    const pf_dropout *dropout; // NULL: none
    int rows;                  // N
} pf_activate_forward;

pf_status pf_activate_run(pf_activate *op, const pf_activate_forward *call);

//   du     [N,F]  is overwritten; may be dg or u
//   g      [N,F]  NULL, or is overwritten with what the forward pass gave, for a pass that did not keep it;
//                 may be u if du is not
typedef struct pf_activate_backward {
    pf_buffer *du, *g;
    const pf_buffer *u, *dg, *place;
    const pf_dropout *dropout;
    int rows; // N
} pf_activate_backward;

pf_status pf_activate_run_backward(pf_activate *op, const pf_activate_backward *call);

#endif
