// What is made from the option tables besides --help: manual pages and shell completion. The build writes
// them with `performer --man [COMMAND]` and `performer --completion SHELL`; a command that is in the table
// has both.
#ifndef TOOLS_PAGES_H
#define TOOLS_PAGES_H

#include "tools/options.h"

// Manual pages, section 1, in the macros of man(7).
void pf_man_command(FILE *out, const pf_command *command);
void pf_man_program(FILE *out, const pf_command *const *commands);

// A script for bash or for zsh. Errors: PF_ERROR_USAGE for another shell.
pf_status pf_completion(FILE *out, const char *shell, const pf_command *const *commands);

#endif
