// Which format a file has that is not FASTA, so that the message can say what to do.
#ifndef PF_DATA_FASTA_DETECT_H
#define PF_DATA_FASTA_DETECT_H

#include <stddef.h>

// Both return a phrase such as "bzip2 data; unpack it first: bunzip2", or NULL for what they do
// not know.

// By the first bytes of an input, after gzip: other packers, binary formats, UTF-16.
const char *pf_fasta_detect_binary(const unsigned char *bytes, size_t count);

// By the bytes from the start of a line that ought to be a header.
const char *pf_fasta_detect_text(const unsigned char *bytes, size_t count);

#endif
