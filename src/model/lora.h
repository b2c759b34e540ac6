// Low-rank adapters: which matrices have them (Hu et al. 2021, arXiv:2106.09685). Instead of a matrix W
// [out,in] two thin ones are trained,
//
//   W' = W + lora.alpha / lora.rank * up down,     down [r,in], up [out,r],
//
// and W, like everything else that lora.also does not name, stays as it is.
#ifndef PF_MODEL_LORA_H
#define PF_MODEL_LORA_H

#include <stdbool.h>

#include "performer/config.h"

// Matrices of a layer, in this order: query, key, value, output, up, down.
enum { PF_LORA_TARGETS = 6, PF_LORA_OUTPUT = 3, PF_LORA_UP = 4, PF_LORA_DOWN = 5 };

// A layer's names for them, what stands before ".weight", and the adapters' tensors.
typedef struct pf_lora_names {
    const char *module, *down, *up; // "attention.query", "attention.query.lora_down.weight", ...
} pf_lora_names;

const pf_lora_names *pf_lora_names_of(int target);

typedef struct pf_lora_shape {
    int out, in;
} pf_lora_shape;

pf_lora_shape pf_lora_shape_of(const struct pf_config *config, int target);

// Whether lora.targets names it in that layer.
bool pf_lora_has(const struct pf_config *config, int layer, int target);
// The same of a tensor by its full name; `layer` -1 is none.
bool pf_lora_is_target(const struct pf_config *config, int layer, const char *tensor);

static inline double pf_lora_scale(const struct pf_config *config)
{
    return config->lora.alpha / config->lora.rank;
}

// Errors: `code` for a name in lora.targets that is no matrix's, and for targets or lora.also without a rank.
pf_status pf_lora_check(const struct pf_config *config, pf_status code);

#endif
