// What the completions of the shells share: what can stand where a value stands, by the option tables.
#ifndef TOOLS_COMPLETION_H
#define TOOLS_COMPLETION_H

#include "tools/pages.h"

typedef enum pf_value_kind {
    PF_VALUE_NONE, // the option is a flag
    PF_VALUE_ANY,  // nothing to propose
    PF_VALUE_FILE,
    PF_VALUE_FASTA,     // files whose names end as those of FASTA files, and folders on the way to them
    PF_VALUE_DIRECTORY, // MODEL and RUN as well
    PF_VALUE_DEVICE,    // a selector
    PF_VALUE_SETTING,   // KEY=VALUE
    PF_VALUE_PRESET,
    PF_VALUE_CHOICE, // one of the row's choices
} pf_value_kind;

enum { PF_MOST_OPERANDS = 8 };

pf_value_kind pf_value_kind_of(const pf_option *option);

// What the operands are, by the words of the usage line; the last one may be `repeated`. Returns their
// number.
int pf_operand_kinds(const pf_command *command, pf_value_kind kinds[PF_MOST_OPERANDS], bool *repeated);

// The keys that --set takes, a line each, or NULL; release with free.
char *pf_setting_keys(void);

// The words that may stand where a value of this kind stands, each with a blank in front.
void pf_print_words(FILE *out, pf_value_kind kind, const char *choices);

void pf_completion_zsh(FILE *out, const pf_command *const *commands);

#endif
