// A prompt: the tokens that a causal model reads before it makes new ones. Read in chunks, so that device
// memory does not grow with it; its state can be written into a file, so that it is read once.
//
// What is saved is the state at the last multiple of PF_CHUNK_ROWS before the end, and all tokens: the few
// behind it are read again. So whatever is put behind a saved prompt is cut as it would be in one piece, and
// the bits are the same.
//
// The file: safetensors, format performer-state-1, with the model's digest and the position in its metadata,
// `tokens` (U8, begin first) and the tensors of model/state.h.
#ifndef PF_INFER_PROMPT_H
#define PF_INFER_PROMPT_H

#include "model/performer.h"

typedef struct pf_prompt {
    uint8_t *token; // [count] begin and residues
    int32_t count;
    int32_t position; // tokens that `state` is of; 0: none
    float *state;     // as in model/state.h, or NULL
} pf_prompt;

// Begin, what `state_path` holds (NULL: nothing) and the residues of `prompt` (NULL: none). Errors:
// PF_ERROR_USAGE for the prompt, PF_ERROR_INPUT for the file, naming the tensor: another model's, damaged, of
// wrong shape.
pf_status pf_prompt_create(pf_model *model, const char *state_path, const char *prompt, pf_prompt **out);
void pf_prompt_free(pf_prompt *prompt); // NULL is fine

// Tokens of a pass over it, for pf_model_limits.carry_tokens.
int32_t pf_prompt_chunk(const pf_prompt *prompt);

// Reads all of it as the model's sequence 0; `logits` [A] are those of the last token. With `keep` the prompt
// then has the state to be saved. Waits.
pf_status pf_prompt_read(pf_prompt *prompt, pf_model *model, bool keep, float *logits);

// After a reading with `keep`. Errors: PF_ERROR_FAILED.
pf_status pf_prompt_save(const pf_prompt *prompt, pf_model *model, const char *path);

#endif
