// How likely a model finds sequences: the sum of the log-probabilities of their residues.
//
//   mlm   pseudo-log-likelihood: each residue is masked alone and predicted from all others
//         (Salazar et al. 2020, arXiv:1910.14659), or every stride-th one together, in `stride` passes
//   clm   log-likelihood: each residue is predicted from those before it
#ifndef PERFORMER_SCORE_H
#define PERFORMER_SCORE_H

#include <signal.h>
#include <stddef.h>

#include "performer/model.h"
#include "performer/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_score_options {
    pf_stream_options stream;
    int64_t stride;     // mlm: passes for a sequence; 0: as many as it has residues
    const char *output; // the file that the caller makes of the results: what is finished is kept beside it,
                        // in FILE.partial, for a run that is killed; NULL: nothing is
    bool resume; // begins with what is kept; a FILE that is complete must be what would be made now
    const volatile sig_atomic_t *stop; // becomes non-zero when the run should save and end; NULL: never
} pf_score_options;

// Natural logarithms, residues only.
typedef struct pf_score_result {
    const char *id;
    size_t id_length;
    uint64_t length;       // residues of the sequence
    double log_likelihood; // over those that the model saw
    double perplexity;     // exp(-log_likelihood / residues that the model saw); NaN for none
} pf_score_result;

typedef struct pf_score pf_score;

// `model` must have been opened with row_losses. Errors: PF_ERROR_USAGE (also a FILE.partial or FILE of
// another model, other options or sequences), PF_ERROR_INPUT.
PF_API pf_status pf_score_open(pf_model *model, const pf_score_options *options, pf_score **out);
PF_API void pf_score_close(pf_score *score); // NULL is fine; before the model is closed

// One batch: the sequences that it completed, in the order of the input, lent until the next call.
// PF_END: all is done, at once where FILE is complete already (pf_stream_is_done). PF_INTERRUPTED: `stop`;
// all that is finished is kept. Errors: PF_ERROR_INPUT, PF_ERROR_DEVICE, PF_ERROR_FAILED.
PF_API pf_status pf_score_step(pf_score *score, const pf_score_result **results, size_t *n_results);

// The caller's FILE stands: writes FILE.manifest.json, which says what it was made of, and removes
// FILE.partial.
PF_API pf_status pf_score_finish(pf_score *score);

// i-th warning so far, complete at PF_END; NULL behind the last.
PF_API const char *pf_score_warning(const pf_score *score, size_t i);

#ifdef __cplusplus
}
#endif
#endif
