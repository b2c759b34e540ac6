// The validation sample of an ablation: the same sequences for all arms, few enough to be measured often. See
// ablate_data.h.
#include "tools/ablate_data.h"

#include <stdlib.h>

#include "tools/fasta_input.h"
#include "tools/output.h"

typedef struct sample {
    pf_output *out;
    double share;    // of the sequences that are taken
    uint64_t number; // of the next sequence
} sample;

// Every n-th sequence, as evenly as the share allows.
static pf_status copy_file(const char *path, sample *s)
{
    pf_fasta *fasta = NULL;
    pf_fasta_record record;
    pf_status status = pf_fasta_open(path, NULL, &fasta);
    while (status == PF_OK && (status = pf_fasta_next(fasta, &record)) == PF_OK) {
        const uint64_t before = (uint64_t)((double)s->number * s->share);
        if ((uint64_t)((double)++s->number * s->share) > before)
            pf_output_print(s->out, ">%s\n%s\n", record.id, record.sequence);
    }
    pf_fasta_close(fasta);
    return status == PF_END ? PF_OK : status;
}

static pf_status write_sample(pf_ablation *a, const char *path, uint64_t most)
{
    sample s = {.share = (double)most / (double)a->valid.residues};
    pf_status status = pf_output_open(path, &s.out);
    if (status != PF_OK) return status;
    for (int i = 0; i < a->n_valid_files && status == PF_OK; i++) status = copy_file(a->valid_files[i], &s);
    if (status == PF_OK) return pf_output_commit(s.out);
    pf_output_discard(s.out);
    return status;
}

pf_status pf_ablation_read_data(pf_ablation *a, uint64_t most_residues)
{
    pf_status status = pf_data_describe(a->train_files, a->n_train_files, &a->train);
    if (status == PF_OK) status = pf_data_describe(a->valid_files, a->n_valid_files, &a->valid);
    if (status != PF_OK || most_residues == 0 || a->valid.residues <= most_residues) return status;
    if (asprintf(&a->sample, "%s/valid.fasta", a->directory) < 0) {
        a->sample = NULL;
        return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    }
    status = write_sample(a, a->sample, most_residues);
    a->sample_files[0] = a->sample;
    a->valid_files = a->sample_files;
    a->n_valid_files = 1;
    return status == PF_OK ? pf_data_describe(a->valid_files, 1, &a->valid) : status;
}
