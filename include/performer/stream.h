// Which sequences a command runs over, and what becomes of those that are longer than the model allows.
#ifndef PERFORMER_STREAM_H
#define PERFORMER_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "performer/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pf_long_sequences {
    PF_LONG_CROP,   // the first tokens, with a warning that counts them
    PF_LONG_WINDOW, // consecutive windows without overlap
    PF_LONG_ERROR,  // an error
} pf_long_sequences;

// Zero-initialise it, then name the files or give the text.
typedef struct pf_stream_options {
    const char *const *files; // FASTA, gzip too; "-": standard input
    int n_files;
    const char *text; // FASTA in memory, read after the files; copied. NULL: none
    size_t text_bytes;
    int64_t shard,
        n_shards; // only records shard, shard + n_shards, … counted from 1 over all files; 0, 0: all
    pf_long_sequences long_sequences;
} pf_stream_options;

// Whether a run that can be resumed has nothing left to do: its output (a file, or a directory of parts) is
// there and nothing unfinished is beside it.
PF_API bool pf_stream_is_done(const char *output);

#ifdef __cplusplus
}
#endif
#endif
