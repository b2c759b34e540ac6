// What the commands that read FASTA share.
#ifndef TOOLS_FASTA_INPUT_H
#define TOOLS_FASTA_INPUT_H

#include "performer/fasta.h"
#include "tools/report.h"

// Standard input can be read once only. Errors: PF_ERROR_USAGE when "-" stands there twice.
pf_status pf_check_stdin_once(const char *const *paths, int count);

// Prints what the reader has to say about an input that it accepted.
void pf_print_fasta_warnings(const pf_common *common, const pf_fasta *fasta);

#endif
