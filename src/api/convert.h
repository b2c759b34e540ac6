// What import and export share: the names of other families' tensors, and their configurations.
// For src/api/*.c only.
#ifndef PF_API_CONVERT_H
#define PF_API_CONVERT_H

#include <jansson.h>

#include "base/text.h"
#include "model/files.h"
#include "performer/config.h"
#include "store/safetensors.h"

enum { PF_FOREIGN_NAME = 128 };

typedef enum pf_family_kind { PF_FAMILY_ESM, PF_FAMILY_BERT, PF_FAMILY_PERFORMER_PYTORCH } pf_family_kind;

// A module of ours and its name there. "%d" stands for the layer.
typedef struct pf_module_names {
    const char *ours, *theirs; // without ".weight" and ".bias"
    bool in_body;              // behind the family's prefix, which files of the bare encoder lack
} pf_module_names;

typedef struct pf_family {
    const char *name;   // as in messages
    const char *prefix; // "esm."
    const pf_module_names *modules;
    const char *const *ignored; // parts of names of tensors that no model here has a use for
} pf_family;

const pf_family *pf_family_of(pf_family_kind kind);

// The family's name for a tensor of ours ("layers.3.attention.query.weight"), "" if it has none.
void pf_foreign_name(const pf_family *family, const char *ours, bool has_prefix, char out[PF_FOREIGN_NAME]);

// ---- the files of a source ----

typedef struct pf_source_tensor {
    const pf_safetensors *file;
    const pf_tensor_info *info;
    bool is_used;
} pf_source_tensor;

typedef struct pf_source {
    char *path;     // as the user gave it
    json_t *config; // of config.json; NULL for a bare state dict
    pf_safetensors **file;
    int n_files;
    pf_source_tensor *tensor; // of all files
    int n_tensors;
    char *origin; // what the file's metadata says of where it came from, or NULL
} pf_source;

pf_status pf_source_open(const char *path, pf_source *out);
void pf_source_close(pf_source *source);
// NULL: none. LayerNorm.weight and .bias are found as gamma and beta, too.
pf_source_tensor *pf_source_find(pf_source *source, const char *name);

// ---- configurations ----

typedef struct pf_import_job {
    pf_family_kind kind;
    const pf_family *family;
    pf_source *source;
    bool has_prefix;
    int32_t
        skipped_positions; // rows in front of the position table that no token uses (ESM's pad number + 1)
    pf_text notes;
} pf_import_job;

// What a source's config.json says, as keys of ours; not finished. `tokens`: a file of tokens, or NULL.
pf_status pf_import_config(pf_import_job *job, const char *tokens, struct pf_config *config);

// The same for ESM from the text of its config.json alone, `skipped_positions` on request.
pf_status pf_esm_config(const json_t *json, struct pf_config *config, int32_t *skipped_positions);

// Whether such a config.json can say a configuration. Errors: PF_ERROR_USAGE naming `path` and the key.
pf_status pf_esm_check(const struct pf_config *config, const char *path);

// What performer-pytorch adds to softmax features.
#define PF_PERFORMER_PYTORCH_EPSILON 1e-4

// Sizes of a performer-pytorch state dict, from the shapes of its tensors.
pf_status pf_performer_pytorch_config(pf_import_job *job, struct pf_config *config);

// The tokens of the 33-token alphabet of ESM, in order.
extern const char *const pf_esm_tokens[33];

// ---- tensors ----

// All tensors of `model` from the source. Errors: PF_ERROR_INPUT, before any is read, with all that is wrong.
pf_status pf_import_tensors(pf_import_job *job, pf_model_arrays *model);

#endif
