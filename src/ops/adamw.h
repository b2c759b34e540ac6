// One step of AdamW over a flat array (Loshchilov, Hutter 2019, arXiv:1711.05101).
#ifndef PF_OPS_ADAMW_H
#define PF_OPS_ADAMW_H

#include "device/device.h"

typedef struct pf_adamw pf_adamw;

pf_status pf_adamw_create(pf_device *device, pf_adamw **out);
void pf_adamw_free(pf_adamw *op);

// p -= lr * (m' / (sqrt(v') + eps) + decay * p), m' and v' the bias-corrected moments of the clipped gradient.
// Changes nothing if the norm says that the gradient is not finite.
//
//   p, m, v, gradient  [count]  parameters, moments (0 before step 1), gradient before clipping
//   norm               what pf_global_norm_run left (pf_global_norm_result)
//   rate               [count / PF_RATE_BLOCK, rounded up] what lr is multiplied by for that many numbers each; those of
//                      rate 0 stay as they are, their moments too. NULL: 1 for all
enum { PF_RATE_BLOCK = 256 };

typedef struct pf_adamw_call {
    pf_buffer *p, *m, *v;
    const pf_buffer *gradient, *norm;
    int64_t count, n_decay; // the first n_decay numbers are decayed
    int64_t step;           // 1, 2, …: corrects the bias
    double lr, decay;
    double b1, b2, eps; // 0.9, 0.98, 1e-9
    const pf_buffer *rate;
} pf_adamw_call;

pf_status pf_adamw_run(pf_adamw *op, const pf_adamw_call *call);

#endif
