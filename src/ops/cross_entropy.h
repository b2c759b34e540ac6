// Cross-entropy against targets, its gradient, and what loss, perplexity and accuracy are made of.
#ifndef PF_OPS_CROSS_ENTROPY_H
#define PF_OPS_CROSS_ENTROPY_H

#include "device/device.h"

typedef struct pf_cross_entropy pf_cross_entropy;

// Sums over all calls since the last reset, as read back. Counts hold up to 2^31 - 1 targets.
typedef struct pf_metrics {
    double loss, residue_loss; // nats, over all targets; over residue targets
    int64_t targets, hits;     // hit: the target's logit is the first of the largest
    int64_t residue_targets, residue_hits;
} pf_metrics;

// For logits over `alphabet` tokens, of which first_residue .. residues_end-1 are residues.
pf_status pf_cross_entropy_create(pf_device *device, int alphabet, int first_residue, int residues_end,
                                  pf_cross_entropy **out);
void pf_cross_entropy_free(pf_cross_entropy *op);

// Adds the rows' losses and hits to the metrics, which stay on the device.
//
//   logits  [N,A]    with `stride` floats from row to row
//   target  int [N]  below 0: none
//   loss    [N]      each row's loss, -log of its target's probability (0 without a target); NULL: not wanted
typedef struct pf_cross_entropy_forward {
    pf_buffer *loss;
    const pf_buffer *logits, *target;
    int rows, stride; // N
} pf_cross_entropy_forward;

pf_status pf_cross_entropy_run(pf_cross_entropy *op, const pf_cross_entropy_forward *call);

// dlogits = (softmax(logits) - onehot(target)) * scale, 0 in rows without a target.
//
//   dlogits  [N,A]  is overwritten; may be logits
//   scale    1 / targets of the whole step makes it the gradient of the step's mean loss
typedef struct pf_cross_entropy_backward {
    pf_buffer *dlogits;
    const pf_buffer *logits, *target;
    int rows, stride; // N; the same for both
    float scale;
} pf_cross_entropy_backward;

pf_status pf_cross_entropy_run_backward(pf_cross_entropy *op, const pf_cross_entropy_backward *call);

// From now on the gradient of a row is times the weight of its target, `weight` [A]; losses and metrics are not.
// Waits. Errors: PF_ERROR_DEVICE, PF_ERROR_FAILED.
pf_status pf_cross_entropy_set_weights(pf_cross_entropy *op, const float *weight);

// Sets the metrics to 0. Enqueued. They are 0 after creation.
pf_status pf_cross_entropy_reset(pf_cross_entropy *op);

// Waits, and reads the metrics.
pf_status pf_cross_entropy_read(const pf_cross_entropy *op, pf_metrics *out);

#endif
