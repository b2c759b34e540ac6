// state.json of a checkpoint. For src/train only; reading is in checkpoint.h.
#ifndef PF_TRAIN_STATE_H
#define PF_TRAIN_STATE_H

#include "train/checkpoint.h"

// Errors: PF_ERROR_FAILED.
pf_status pf_training_state_write(const pf_training_state *state, const char *path, char *sha256_hex);

#endif
