// Logits of sequences, written to a file or lent in memory: one tensor [tokens, A] for each, begin and end
// rows included, named by its id (a repeated id becomes id#2, id#3, …). '*' in a sequence is the mask token.
#ifndef PERFORMER_LOGITS_H
#define PERFORMER_LOGITS_H

#include <signal.h>
#include <stddef.h>

#include "performer/model.h"
#include "performer/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_logits_options {
    pf_stream_options stream;
    const char *output; // a path that ends in .safetensors or .npz; NULL: pf_logits_results lends them
    bool resume; // keeps what is finished in FILE.partial and goes on from there, a record in memory at a
                 // time; a FILE that is complete must be what would be made now
    const volatile sig_atomic_t *stop; // becomes non-zero when the run should save and end; NULL: never
} pf_logits_options;

// How far a command has come.
typedef struct pf_progress {
    uint64_t sequences, tokens; // done
} pf_progress;

typedef struct pf_logits pf_logits;

// Errors: PF_ERROR_USAGE (the path's ending, shards, a FILE.partial or FILE of another model, other options
// or sequences), PF_ERROR_INPUT (files that cannot be read), PF_ERROR_FAILED (the output cannot be written).
PF_API pf_status pf_logits_open(pf_model *model, const pf_logits_options *options, pf_logits **out);

// What a step completed in memory, where no output file is wanted: of `logits` [n_rows, A], of `embed` see
// there.
typedef struct pf_sequence_result {
    const char *id;
    size_t id_length;
    uint64_t n_rows; // tokens or residues that the model saw
    const float *values;
    uint64_t count; // of them
} pf_sequence_result;

// One batch. PF_END: all is done and the file stands at its path; until then what was there before does.
// PF_INTERRUPTED: `stop`; with `resume` all that is finished is kept. Errors: PF_ERROR_INPUT,
// PF_ERROR_DEVICE, PF_ERROR_FAILED.
PF_API pf_status pf_logits_step(pf_logits *logits, pf_progress *progress);

// The sequences that the last step completed, in the order of the input, lent until the next one. Without an
// output.
PF_API size_t pf_logits_results(const pf_logits *logits, const pf_sequence_result **results);

// i-th warning so far, complete at PF_END; NULL behind the last.
PF_API const char *pf_logits_warning(const pf_logits *logits, size_t i);

PF_API void pf_logits_close(pf_logits *logits); // NULL is fine; before the model is closed

#ifdef __cplusplus
}
#endif
#endif
