// Layers and heads as a user names them, and sequences that do not fit a model yet: for what looks at
// attention.
#ifndef PF_INFER_HEADS_H
#define PF_INFER_HEADS_H

#include "model/performer.h"
#include "performer/attention_map.h"

// Counted from 0, in the order chosen.
typedef struct pf_heads {
    int *layers, *heads;
    int n_layers, n_heads;
} pf_heads;

// Zero-initialise *out; release it with pf_heads_free in any case. Errors: PF_ERROR_USAGE with the range
// there is.
pf_status pf_heads_choose(const struct pf_config *config, const pf_head_choice *choice, pf_heads *out);
void pf_heads_free(pf_heads *heads);

// Runs the layers of the batch that was begun up to `layer`; *next is the one that comes next.
pf_status pf_run_to_layer(pf_model *model, int layer, int *next);

#endif
