// How the arms of an ablation are put together. For tools/ablate_*.c only.
#ifndef TOOLS_ABLATE_ARMS_H
#define TOOLS_ABLATE_ARMS_H

#include "tools/ablate.h"

enum { PF_MOST_WORDS = 32 };

// Words of a list with commas, in one block of memory; a word that comes twice counts once.
typedef struct pf_words {
    char *text; // free it in any case
    const char *word[PF_MOST_WORDS];
    int count;
} pf_words;

// `option` names the list in messages. Errors: PF_ERROR_USAGE.
pf_status pf_words_split(const char *option, const char *list, pf_words *out);

// Room for `count` arms. Errors: PF_ERROR_USAGE.
pf_status pf_ablation_allocate(pf_ablation *ablation, int64_t count);

// "exact" or a kernel's name as the library has it, which outlives the list. Errors: PF_ERROR_USAGE.
pf_status pf_arm_read_kernel(const char *name, const char **out);
bool pf_kernel_is_exact(const char *kernel);

// One more key of an arm's configuration.
void pf_arm_set(pf_arm *arm, const char *format, ...) PF_TOOL_PRINTF(2, 3);
// Attention of an arm: exact or a kernel of FAVOR.
void pf_arm_set_attention(pf_arm *arm);
// Its configuration, once all keys are set; from here on the ablation has it. Errors: PF_ERROR_USAGE.
pf_status pf_arm_finish(pf_ablation *ablation, pf_arm *arm);

#endif
