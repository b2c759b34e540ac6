// Embeddings of sequences, lent in memory or written to a file. There, what is finished lies in FILE.partial
// until all is done, so that a run that was killed at any moment can go on and ends with the same bytes.
//
// What the numbers were made of stands beside them in FILE.manifest.json: digests of the model and of the
// sequences, the options, and the SHA-256 of the file.
#ifndef PERFORMER_EMBED_H
#define PERFORMER_EMBED_H

#include <signal.h>
#include <stddef.h>

#include "performer/logits.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pf_pooling {
    PF_POOL_MEAN,  // over residues, without begin and end
    PF_POOL_BEGIN, // the row of begin
    PF_POOL_MAX,   // over residues
    PF_POOL_NONE,  // a row for each residue
} pf_pooling;

// The file's ending decides its format. Pooled: one matrix `embeddings` [N,D], [N,layers,D] for several
// layers, and `ids` [N] in the order of the input: .npz; .safetensors, with the ids as a JSON list in its
// metadata; .npy, with the ids in FILE.ids.txt; .tsv, with columns id (layer) 0 1 2 …. Not pooled: a tensor
// [residues,D], [layers, residues,D] for several layers, under each id (a repeated one becomes id#2, id#3,
// …): .npz, .safetensors.
//
// With part_size the output is a directory, for sequences by the million: nothing in memory grows with their
// number, and one of them is found without opening all.
//
//   DIR/part-00000.safetensors   each as the files above, of part_size sequences, the last one of fewer; ids
//   of
//                                tensors are unique within a part
//   DIR/index.tsv                record (number in the input, from 1), id, length, part, and row (of
//   `embeddings`,
//                                from 0) or, not pooled, tensor; a line for each in the order of the input
//   DIR/manifest.json            written last: "files" with the SHA-256 of each, digests of model and
//   sequences
//
// A table, not the JSON of Hugging Face's model.safetensors.index.json: that would have to be read whole, and
// ids may be repeated. Parts are read one by one with the safetensors package or numpy.load.
typedef struct pf_embed_options {
    pf_stream_options stream;
    pf_pooling pool;
    const char *output; // NULL: pf_embed_results lends them
    bool resume; // go on from FILE.partial, if it is there; a FILE that is complete must be what would be
                 // made now
    bool half; // stored in half precision: .npz, .npy, .safetensors. A number beyond 65504 is PF_ERROR_USAGE
    const volatile sig_atomic_t *stop; // becomes non-zero when the run should save and end; NULL: never
    int64_t part_size;                 // sequences of a part; 0: `output` is one file
    const char *part_format;           // of parts: "safetensors" (also for NULL), "npz", "tsv"
} pf_embed_options;

typedef struct pf_embed pf_embed;

// `model` must have been opened with the layers that are wanted. Errors: PF_ERROR_USAGE (the path's ending, a
// FILE.partial or FILE of another model, other options or sequences, a directory in use), PF_ERROR_INPUT
// (also a part that is not what was written), PF_ERROR_FAILED.
PF_API pf_status pf_embed_open(pf_model *model, const pf_embed_options *options, pf_embed **out);

// One batch. PF_END: all is done and the output stands at its path. PF_INTERRUPTED: `stop`; all that is
// finished is kept. Errors: PF_ERROR_INPUT, PF_ERROR_DEVICE, PF_ERROR_FAILED.
PF_API pf_status pf_embed_step(pf_embed *embed, pf_progress *progress);

// The sequences that the last step completed, in the order of the input, lent until the next one. Without an
// output. Values are [layers,D] and n_rows 1, or [layers,n_rows,D] without pooling.
PF_API size_t pf_embed_results(const pf_embed *embed, const pf_sequence_result **results);

// i-th warning so far, complete at PF_END; NULL behind the last.
PF_API const char *pf_embed_warning(const pf_embed *embed, size_t i);

PF_API void pf_embed_close(pf_embed *embed); // NULL is fine; before the model is closed

#ifdef __cplusplus
}
#endif
#endif
