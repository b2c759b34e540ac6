// Models of other programs: into a model directory of this one, and back. No device needed.
//
//   esm    EsmForMaskedLM of Hugging Face: ESM-2 (rotary), ESM-1b and ESM-1v (learned positions)
//   bert   BertForMaskedLM of Hugging Face: ProtBert
//   performer-pytorch   the state dict of a PerformerLM
//
// What such a model is made of beyond this program's own is said by keys of its config.json
// (performer/config.h); docs/models.md has the whole story.
#ifndef PERFORMER_IMPORT_H
#define PERFORMER_IMPORT_H

#include <stdint.h>

#include "performer/config.h"
#include "performer/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// Zero-initialise it.
typedef struct pf_import_options {
    const char *const
        *settings;      // "key=value", put on top of what the source says, in order: other attention keeps
    int n_settings;     //     the weights, attention.type=favor draws projections
    const char *tokens; // a file with a token a line, in the order of their numbers; NULL: the source's own
    uint64_t seed;      // of projections that are drawn
} pf_import_options;

// Writes config.json and model.safetensors into `directory`, which exists. `source`: a directory with
// config.json and model.safetensors (or model.safetensors.index.json and the files that it names; links are
// followed), or a .safetensors file with a state dict. Numbers of 16 and 64 bits become fp32. *notes, if not
// NULL, is what the user should know, a line each, or NULL; release it with pf_release. Errors:
// PF_ERROR_INPUT naming the file, the key or every tensor that is missing, unexpected, or of another shape or
// type than expected, with both; PF_ERROR_USAGE for the options.
PF_API pf_status pf_import(const char *source, const pf_import_options *options, const char *directory,
                           char **notes);

// Writes config.json and model.safetensors of the model alone: of a run its newest checkpoint without what
// only training needs, adapters (lora.rank) merged into the weights that they belong to. Errors:
// PF_ERROR_INPUT, PF_ERROR_FAILED.
PF_API pf_status pf_export_performer(const char *model, const char *directory);

// Writes a model's low-rank adapters alone, adapter_config.json and adapter_model.safetensors, as peft reads them
// on top of the EsmForMaskedLM that they were trained on. Errors: PF_ERROR_USAGE for a model without adapters, with
// other tensors that were trained, or that this format cannot say; PF_ERROR_INPUT, PF_ERROR_FAILED.
PF_API pf_status pf_export_peft(const char *model, const char *directory);

// Writes config.json, model.safetensors and vocab.txt as Hugging Face's EsmForMaskedLM reads them. Importing
// them gives `model` again, to the byte, or what its adapters make of it. Errors: PF_ERROR_USAGE naming the
// key that this format cannot say, PF_ERROR_INPUT, PF_ERROR_FAILED.
PF_API pf_status pf_export_esm(const char *model, const char *directory);

#ifdef __cplusplus
}
#endif
#endif
