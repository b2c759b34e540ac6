// Which tensors training changes, and how fast: train.freeze and train.layer_decay as learning rates of
// blocks of numbers. Fine-tuning changes a model's upper layers more than its lower ones (Howard and Ruder
// 2018, arXiv:1801.06146, section 3.2), or leaves some as they are.
#ifndef PF_TRAIN_RATES_H
#define PF_TRAIN_RATES_H

#include "model/params.h"
#include "performer/config.h"

typedef struct pf_rates {
    float
        *rate; // [count] of blocks of PF_RATE_BLOCK numbers, in the layout of the parameters; NULL: 1 for all
    size_t count;
    int lowest; // the lowest layer of which something is trained; -1: the embedding
} pf_rates;

// The rate of a tensor: 0 if adapters leave it as it is or a pattern of train.freeze is its name's, else
// layer_decay to the power of the layers above it, the embedding below the lowest. Errors: PF_ERROR_USAGE for
// a pattern that no trained tensor has, for tensors that lie too close together to have rates of their own,
// and if nothing is left to train.
pf_status pf_rates_create(const struct pf_config *config, const pf_parameters *parameters, pf_rates *out);
void pf_rates_free(pf_rates *rates);

// Calls `each` for every run of numbers of rate 0, `begin` .. `end`-1.
typedef pf_status pf_frozen_run(void *context, size_t begin, size_t end);
pf_status pf_rates_for_each_frozen(const pf_rates *rates, size_t total, pf_frozen_run *each, void *context);

#endif
