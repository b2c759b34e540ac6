// New proteins from a causal model (objective clm), one token after the other. The state that a FAVOR layer
// carries has a fixed size, so a token costs the same however long the sequence is; exact attention keeps
// its keys and values and looks back at all of them. A prompt is read in chunks: it may be as long as the
// model's positions go, and what it leaves behind can be saved and continued from.
#ifndef PERFORMER_GENERATE_H
#define PERFORMER_GENERATE_H

#include <stddef.h>
#include <stdint.h>

#include "performer/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_generate_options {
    const char *prompt; // residues that every sequence begins with; NULL or "": none
    const char *state;  // a file of pf_generator_save: its residues come before `prompt`; NULL: none
    double temperature; // logits are divided by it; 0: the likeliest token, always. Default 1
    double top_p;       // only the likeliest tokens that together have this probability. Default 1
    int32_t max_length; // residues, prompt included; 0: Lmax - 2
    uint64_t seed;
    uint64_t first_number; // of the first sequence, from 0; default 0
    uint64_t count;        // sequences to make; default 1; 0: only pf_generator_save
} pf_generate_options;

PF_API void pf_generate_default(pf_generate_options *options);

// What to open a model with for this: room for one sequence; the generator takes more as it needs it. Matrix
// products whose bits do not depend on how many sequences are made at once ("tile"), unless `settings` of the
// caller, put behind, say otherwise.
PF_API void pf_generate_model_options(pf_model_options *options);

typedef struct pf_generator pf_generator;

// Sequences are made side by side, as many as a quarter of the device's memory and `count` allow. Sequence
// number i depends on the model, the device, the seed, i and the other options, not on its company.
// `model` must outlive the generator. Errors: PF_ERROR_USAGE for a model opened without carry, a prompt with
// letters that are no residues or longer than max_length, numbers out of range; PF_ERROR_INPUT for a state
// that is damaged or another model's, with the tensor's name; PF_ERROR_DEVICE.
PF_API pf_status pf_generator_create(pf_model *model, const pf_generate_options *options, pf_generator **out);
PF_API void pf_generator_free(pf_generator *generator); // NULL is fine; before the model is closed

// The next sequence, prompt and all, in order of numbers: at least one residue, NUL-terminated, lent until
// the next call. PF_END behind the last. Errors: PF_ERROR_NUMERICAL when the model's logits are not finite;
// PF_ERROR_DEVICE.
PF_API pf_status pf_generator_next(pf_generator *generator, const char **sequence, size_t *length);

// Reads the prompt and writes the state behind it into a file (.safetensors), before the first sequence is
// made. A generator with this file as `state` makes what one with the prompt would make, to the bit, whatever
// prompt is put behind it. Errors: PF_ERROR_FAILED, PF_ERROR_DEVICE.
PF_API pf_status pf_generator_save(pf_generator *generator, const char *path);

// Tokens drawn so far.
PF_API uint64_t pf_generator_tokens(const pf_generator *generator);

#ifdef __cplusplus
}
#endif
#endif
