// A model with adapters as a plain one: W + lora.alpha / lora.rank * up down, each sum in double precision
// and rounded once (lora.h).
#ifndef PF_MODEL_MERGE_H
#define PF_MODEL_MERGE_H

#include "model/files.h"

// Errors: PF_ERROR_FAILED.
pf_status pf_model_merge(const pf_model_arrays *from, pf_model_arrays **out);

#endif
