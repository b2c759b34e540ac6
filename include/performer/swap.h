// A trained model's weights under another attention (Choromanski et al. 2021, section 4.3, "backwards
// compatibility"): FAVOR in place of the exact attention that a model was trained with, and what it predicts
// then, before any training. The trained tensors are the same for every attention; only projections are new.
#ifndef PERFORMER_SWAP_H
#define PERFORMER_SWAP_H

#include "performer/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_swap_options {
    const char *const *settings; // "attention.KEY=VALUE", put on top of the model's own in order
    int n_settings;
    uint64_t seed; // of the projections: those of a training (`init`) with the same seed and settings
} pf_swap_options;

// As pf_model_open; the model's files stay as they are. Errors: as there, PF_ERROR_USAGE for the settings.
PF_API pf_status pf_model_open_swapped(pf_device *device, const char *path, const pf_model_options *options,
                                       const pf_swap_options *swap, pf_model **out);

// Fresh projections in all FAVOR layers; a model without any stays as it is. Errors: PF_ERROR_FAILED,
// PF_ERROR_DEVICE.
PF_API pf_status pf_model_redraw(pf_model *model, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif
