// Model directories: config.json and model.safetensors, and what they hold as host arrays. Training
// downloads the device's arenas into such arrays to save them; using a model uploads them.
#ifndef PF_MODEL_FILES_H
#define PF_MODEL_FILES_H

#include <stdint.h>

#include "base/status.h"
#include "base/text.h"
#include "model/params.h"
#include "performer/config.h"
#include "store/manifest.h"

typedef struct pf_model_arrays {
    struct pf_config config;   // finished
    pf_parameters *parameters;
    float *trained;            // [parameters->parameters_size]
    float *projections;        // [parameters->projections_size]
    char *source;              // where it came from ("esm2_t6_8M", "init"), or NULL
    uint64_t n_not_finite;     // NaN and infinities among the loaded numbers
    const pf_parameter *not_finite; // the first tensor that has one, or NULL
} pf_model_arrays;

// Arrays of a finished configuration, all 0. Errors: PF_ERROR_FAILED.
pf_status pf_model_arrays_create(const struct pf_config *config, pf_model_arrays **out);
void pf_model_arrays_free(pf_model_arrays *arrays);
// Replaces `source`. Errors: PF_ERROR_FAILED.
pf_status pf_model_arrays_set_source(pf_model_arrays *arrays, const char *source);

// Reads a model directory. Numbers that are not finite are counted, not refused: using such a model
// deserves a warning, resuming its training an error. Errors: PF_ERROR_INPUT with the file, and every
// tensor that is missing, unexpected or of another shape or type than the configuration says.
pf_status pf_model_load(const char *directory, pf_model_arrays **out);

// The same without adapters: they are merged into what they belong to (merge.h), in double precision. What
// uses a model takes it so; training goes on with them.
pf_status pf_model_load_merged(const char *directory, pf_model_arrays **out);

static inline float *pf_model_numbers(const pf_model_arrays *arrays, const pf_parameter *tensor)
{
    return (tensor->is_trained ? arrays->trained : arrays->projections) + tensor->offset;
}

// Writes config.json (with those `parts` of the configuration) and model.safetensors into an existing
// directory and enters them in `manifest` (may be NULL). Errors: PF_ERROR_FAILED.
pf_status pf_model_save(const char *directory, const pf_model_arrays *arrays, unsigned parts,
                        pf_manifest *manifest);

// The model directory that a user's MODEL means: a model directory, a checkpoint (its manifest is
// verified), or a run directory (its best checkpoint if it names one, else its newest, that verifies; why others
// were passed over is added to `passed_over`, which may be NULL). Release *directory with pf_free. Errors:
// PF_ERROR_INPUT.
pf_status pf_model_resolve(const char *path, char **directory, pf_text *passed_over);

#endif
