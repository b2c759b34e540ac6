// Model directories on disk: making a fresh one, and describing one that is there. No device needed.
#ifndef PERFORMER_MODEL_DIRECTORY_H
#define PERFORMER_MODEL_DIRECTORY_H

#include <stdint.h>

#include "performer/config.h"
#include "performer/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// Writes config.json and model.safetensors of a fresh model into an existing directory: every number
// from the seed alone. `config` must be finished; `source` says where it came from ("preset tiny,
// seed 0") and stands in the file; NULL: nothing. Errors: PF_ERROR_FAILED.
PF_API pf_status pf_model_init_directory(const struct pf_config *config, uint64_t seed, const char *source,
                                         const char *directory);

typedef struct pf_tensor_facts {
    const char *name;
    int rank;
    uint64_t shape[2];
} pf_tensor_facts;

typedef struct pf_file_facts {
    const char *name;
    uint64_t bytes;
    char sha256[65]; // lower-case hex
} pf_file_facts;

// What is known about a model, all of it owned by this struct.
typedef struct pf_model_info {
    char *directory; // what was meant: a run's newest complete checkpoint
    char *source;    // where the model came from, or NULL
    struct pf_config config;
    char *config_text;       // its model keys as JSON
    int64_t step;            // of training; -1 for a bare model
    uint64_t parameters;     // trained numbers
    uint64_t n_not_finite;   // NaN and infinities among the numbers
    char *passed_over;       // why newer checkpoints were passed over, a line each; NULL: none were
    pf_tensor_facts *tensor; // in the order of the file
    int n_tensors;
    pf_file_facts file[5]; // those of a model or checkpoint that are there
    int n_files;
} pf_model_info;

// `path`: a model directory, a run (its newest complete checkpoint) or a checkpoint. Reads all of it.
// Errors: PF_ERROR_INPUT naming the file, key or tensor that is wrong.
PF_API pf_status pf_model_info_read(const char *path, pf_model_info **out);
PF_API void pf_model_info_free(pf_model_info *info);

#ifdef __cplusplus
}
#endif
#endif
