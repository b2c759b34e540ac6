// What all arms of an ablation are measured on.
#ifndef TOOLS_ABLATE_DATA_H
#define TOOLS_ABLATE_DATA_H

#include "tools/ablate.h"

// Describes the training and validation files of `ablation`. Of more than `most_residues` (0: no limit)
// validation residues a sample of sequences is taken, evenly, into DIR/valid.fasta, which takes the place of
// the files; `path` has room for its name. Errors: PF_ERROR_INPUT, PF_ERROR_FAILED.
pf_status pf_ablation_read_data(pf_ablation *ablation, uint64_t most_residues);

#endif
