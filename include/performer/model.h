// A finished model on a device, ready to be used: opened from what a user calls MODEL.
#ifndef PERFORMER_MODEL_H
#define PERFORMER_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "performer/config.h"
#include "performer/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_model pf_model;

// What the model is to be used for; zero-initialise it. All device memory is sized by this.
typedef struct pf_model_options {
    const char *const *settings; // "compute.KEY=VALUE", put on top of the model's own in order
    int n_settings;
    int64_t batch_tokens; // most tokens computed at once; a sequence that has more goes through a causal
                          // model in chunks, and whole through one that sees both sides; 0: what a quarter of
                          // the device's memory takes, at most 16,384
    int32_t max_sequences; // of a batch; 0: in proportion to its tokens
    int32_t max_length;    // tokens of one sequence, with carry of all passes together; 0: Lmax, grown to
                           // with exact attention, which carries something of every token
    const int32_t *layers; // whose outputs are wanted: 0 the embedding sum, n after n layers, the last
    int n_layers;          //     one (also called -1, the one before -2, …) after the final norm
    bool probe;            // looks at attention itself (attention maps)
    bool row_losses;       // the log-probability of each row's target is wanted
    bool carry;            // keep a state from pass to pass (generation; causal models only)
} pf_model_options;

// `path`: a model directory, a checkpoint, or a run (its newest complete checkpoint). *warnings, if not
// NULL, is what the user should know though the model can be used, a line each, or NULL if nothing; release
// it with pf_release. Errors: PF_ERROR_INPUT for the files, PF_ERROR_USAGE for the options, PF_ERROR_DEVICE
// (memory: with the plan in the message).
PF_API pf_status pf_model_open(pf_device *device, const char *path, const pf_model_options *options,
                               pf_model **out, char **warnings);
PF_API void pf_model_close(pf_model *model); // NULL is fine; before the device is closed

// Valid until the model is closed.
PF_API const struct pf_config *pf_model_config(const pf_model *model);

#ifdef __cplusplus
}
#endif
#endif
