// A deep mutational scan: every single substitution of the wild types, as rows and as a picture.
#ifndef TOOLS_SCAN_H
#define TOOLS_SCAN_H

#include "performer/variants.h"
#include "tools/output.h"

// Adds them: residue by residue, the 19 or 20 other amino acids in alphabetical order.
pf_status pf_scan_add(pf_variants *variants, int64_t first_position);

// Their rows, after they are scored: id, mutation, score.
void pf_scan_print(pf_output *out, const pf_variants *variants, int64_t first_position);

// A heat map is of one protein. Errors: PF_ERROR_USAGE.
pf_status pf_scan_check_plot(const pf_variants *variants);

// Amino acids by positions, as SVG. Errors: PF_ERROR_FAILED.
pf_status pf_scan_plot(const char *path, const pf_variants *variants, int64_t first_position,
                       const char *method);

#endif
