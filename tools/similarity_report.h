// What attention says about amino acids, held against BLOSUM62: tables, a picture, and the correlations
// printed.
#ifndef TOOLS_SIMILARITY_REPORT_H
#define TOOLS_SIMILARITY_REPORT_H

#include "performer/similarity.h"
#include "tools/options.h"

// Writes similarity.tsv, similarity-profile.tsv, similarity-pairs.tsv and similarity.svg to `directory` and
// prints a line for each measure on stdout. Errors: PF_ERROR_FAILED.
pf_status pf_similarity_report(const pf_common *common, const char *directory,
                               const pf_similarity_result *result);

#endif
