// Manifests and checkpoints: which files belong to a checkpoint and what they hold, so that one that
// was cut short, damaged or half written is never taken for a whole one.
//
// manifest.json is written last: {"files": [{"name": ..., "bytes": ..., "sha256": ...}, ...]}.
#ifndef PF_STORE_MANIFEST_H
#define PF_STORE_MANIFEST_H

#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

#define PF_MANIFEST_NAME "manifest.json"

typedef struct pf_manifest pf_manifest;

pf_status pf_manifest_create(pf_manifest **out);
void pf_manifest_free(pf_manifest *manifest);
// Adds a finished file of `directory`, with the digest of what was written to it.
pf_status pf_manifest_add(pf_manifest *manifest, const char *directory, const char *name, const char *sha256_hex);
// Errors: PF_ERROR_FAILED.
pf_status pf_manifest_write(const pf_manifest *manifest, const char *directory);

// Whether every file that the manifest of `directory` names is there as it was written. Errors:
// PF_ERROR_INPUT with the file and what is wrong with it; also when there is no manifest.
pf_status pf_manifest_verify(const char *directory);

// --- checkpoints of a run: RUN/checkpoints/step-000000001000 ------------------------------------

enum { PF_CHECKPOINT_NAME = 32 };
#define PF_BEST_NAME "best" // RUN/best: the name of the checkpoint of least validation loss

// "step-" and twelve digits.
void pf_checkpoint_name(char out[PF_CHECKPOINT_NAME], int64_t step);

// Steps of all checkpoint directories of a run, complete or not, smallest first; release with pf_free.
// No directory: none. Errors: PF_ERROR_INPUT, PF_ERROR_FAILED.
pf_status pf_checkpoint_list(const char *run, int64_t **steps, int *count);

// The newest checkpoint whose manifest fits: its directory (release with pf_free) and step. Why newer
// ones were passed over is added to `passed_over` (may be NULL), a line each. PF_END: there is none.
pf_status pf_checkpoint_find(const char *run, char **directory, int64_t *step, pf_text *passed_over);

// The checkpoint that RUN/best names, if its manifest fits; else the newest, as above.
pf_status pf_checkpoint_find_best(const char *run, char **directory, int64_t *step, pf_text *passed_over);

#endif
