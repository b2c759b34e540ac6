// What tells one model from another: a digest of its configuration and all of its numbers.
#ifndef PF_INFER_MODEL_DIGEST_H
#define PF_INFER_MODEL_DIGEST_H

#include "data/hash_set.h"
#include "model/performer.h"

// Of the model keys (not of `train` and `compute`), the weights and the projections. Waits.
pf_status pf_model_digest(pf_model *model, pf_digest *out);

#endif
