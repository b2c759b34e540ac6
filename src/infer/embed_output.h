// Embeddings from the work file into the output, whose ending decides the format.
#ifndef PF_INFER_EMBED_OUTPUT_H
#define PF_INFER_EMBED_OUTPUT_H

#include "infer/journal.h"

typedef struct pf_embed_shape {
    bool pooled;
    int n_layers, width; // D
    bool half;           // stored in half precision
} pf_embed_shape;

// The ending of a part's file for the name of a format, npz, safetensors (also for NULL) or tsv. Errors:
// PF_ERROR_USAGE.
pf_status pf_embed_part_ending(const char *format, const pf_embed_shape *shape, const char **out);

// Errors: PF_ERROR_USAGE with the endings there are.
pf_status pf_embed_check_output(const char *path, const pf_embed_shape *shape);

// Writes all entries of the journal. The file appears whole or not at all. Errors: PF_ERROR_FAILED.
pf_status pf_embed_write_output(const char *path, const pf_embed_shape *shape, pf_journal *journal);

#endif
