// What the files of a prompt share. For prompt.c and prompt_file.c only.
#ifndef PF_INFER_PROMPT_PARTS_H
#define PF_INFER_PROMPT_PARTS_H

#include "infer/prompt.h"

// The position whose state is saved: tokens from there on are read again.
int32_t pf_prompt_border(const pf_prompt *prompt);

// Fills an empty prompt from a file. Errors: PF_ERROR_INPUT.
pf_status pf_prompt_load(pf_prompt *prompt, pf_model *model, const char *path);

#endif
