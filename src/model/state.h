// The carried state of a sequence outside of the device: what a causal model keeps of the tokens that it has
// read, as named tensors in one flat array. To continue, to copy, to write into a file.
//
//   layers.N.attention.state      [H, maps*M, E+1]  FAVOR heads: sums of features times values, and of
//   features layers.N.attention.reference  [H, maps*M]       exponents that the sums are relative to (softmax
//   kernels, exp) layers.N.attention.keys       [rows, width]     exact heads: of all positions, or of those
//   that local heads layers.N.attention.values     [rows, width]     may still see
#ifndef PF_MODEL_STATE_H
#define PF_MODEL_STATE_H

#include "model/performer.h"

typedef struct pf_state_tensor {
    char name[PF_PARAMETER_NAME];
    int rank;
    uint64_t shape[3];
    size_t offset, count; // numbers, in the flat array
} pf_state_tensor;

typedef struct pf_state_layout {
    int n_tensors;
    pf_state_tensor *tensor;
    size_t count; // numbers of the flat array
} pf_state_layout;

// What the state of `position` tokens, 1 or more, consists of. Errors: PF_ERROR_FAILED.
pf_status pf_state_layout_create(const pf_model *model, int32_t position, pf_state_layout *out);
void pf_state_layout_free(pf_state_layout *layout); // zeros are fine

// State of sequence `number` of a batch, after a pass that ended at `position` <-> flat array. Sequences of
// one batch stand at one position: write all of them. These wait.
pf_status pf_model_read_state(pf_model *model, int32_t number, int32_t position, float *out);
pf_status pf_model_write_state(pf_model *model, int32_t number, int32_t position, const float *state);

// Lets sequence `to` have the state of sequence `from`, which is that of `position` tokens, on the device.
pf_status pf_model_copy_state(pf_model *model, int32_t from, int32_t to, int32_t position);

#endif
