// Logits of sequences, written to a file: one tensor [tokens, A] for each, begin and end rows included, named
// by its id (a repeated id becomes id#2, id#3, …). '*' in a sequence is the mask token.
#ifndef PERFORMER_LOGITS_H
#define PERFORMER_LOGITS_H

#include <stddef.h>

#include "performer/model.h"
#include "performer/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_logits_options {
    pf_stream_options stream;
    const char *output; // a path that ends in .safetensors or .npz
} pf_logits_options;

// How far a command has come.
typedef struct pf_progress {
    uint64_t sequences, tokens; // done
} pf_progress;

typedef struct pf_logits pf_logits;

// Errors: PF_ERROR_USAGE (the path's ending, shards), PF_ERROR_INPUT (files that cannot be read),
// PF_ERROR_FAILED (the output cannot be written).
PF_API pf_status pf_logits_open(pf_model *model, const pf_logits_options *options, pf_logits **out);

// One batch. PF_END: all is done and the file stands at its path; until then what was there before does.
// Errors: PF_ERROR_INPUT, PF_ERROR_DEVICE, PF_ERROR_FAILED.
PF_API pf_status pf_logits_step(pf_logits *logits, pf_progress *progress);

// i-th warning so far, complete at PF_END; NULL behind the last.
PF_API const char *pf_logits_warning(const pf_logits *logits, size_t i);

PF_API void pf_logits_close(pf_logits *logits); // NULL is fine; before the model is closed

#ifdef __cplusplus
}
#endif
#endif
