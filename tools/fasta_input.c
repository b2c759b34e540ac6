// What the commands that read FASTA share.
#include "tools/fasta_input.h"

#include <string.h>

pf_status pf_check_stdin_once(const char *const *paths, int count)
{
    int uses = 0;
    for (int i = 0; i < count; i++) uses += !strcmp(paths[i], "-");
    if (uses < 2) return PF_OK;
    return pf_tool_fail(PF_ERROR_USAGE, "'-' is given %d times, but standard input can be read once only",
                        uses);
}

void pf_print_fasta_warnings(const pf_common *common, const pf_fasta *fasta)
{
    for (size_t i = 0; i < pf_fasta_warning_count(fasta); i++)
        pf_warn(common, "%s", pf_fasta_get_warning(fasta, i));
}
