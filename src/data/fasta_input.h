// The bytes of a sequence file: plain, gzip (all members), standard input or memory, behind one window.
#ifndef PF_DATA_FASTA_INPUT_H
#define PF_DATA_FASTA_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

enum { PF_INPUT_PEEK_BYTES = 1024 }; // the most that can be asked for in one peek

typedef struct pf_fasta_input pf_fasta_input;

// Errors (here and below): PF_ERROR_INPUT without the path, which the caller puts in front.
pf_status pf_fasta_input_open(const char *path, pf_fasta_input **out);
// Plain text in memory, which is copied.
pf_status pf_fasta_input_open_text(const char *text, size_t bytes, pf_fasta_input **out);
void pf_fasta_input_close(pf_fasta_input *input);

// Lends all bytes at hand, at least `wanted` of them unless the input ends before; *count 0 is the
// end. Errors: reading fails; gzip data damaged or cut short before `wanted` bytes are there.
pf_status pf_fasta_input_peek(pf_fasta_input *input, size_t wanted, const unsigned char **bytes,
                              size_t *count);

void pf_fasta_input_skip(pf_fasta_input *input, size_t count); // at most what was lent

// Everything at once, added to `text`.
pf_status pf_fasta_input_read_all(const char *path, pf_text *text);

uint64_t pf_fasta_input_offset(const pf_fasta_input *input); // bytes skipped so far, decompressed

// Known once the end was reached: something other than zeros follows the last gzip member; blocked
// gzip (BGZF) lacks the empty block that marks its end.
bool pf_fasta_input_has_garbage(const pf_fasta_input *input);
bool pf_fasta_input_lacks_end_block(const pf_fasta_input *input);

#endif
