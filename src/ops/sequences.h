// Where the sequences of a batch lie, and how attention cuts them into blocks: two small tables on
// the device that every attention kernel reads.
//
// How a sequence is cut depends on its own length only, never on its neighbours or on the batch:
// this is what makes a sequence give the same bits alone, padded or in company.
#ifndef PF_OPS_SEQUENCES_H
#define PF_OPS_SEQUENCES_H

#include "device/device.h"

enum {
    PF_BLOCK_ROWS = 256,       // tokens of a block, doubled until a sequence has at most
    PF_MOST_BLOCKS_EACH = 32,  // so many blocks
    PF_CHUNK_ROWS = 64,        // a causal sequence cut at multiples of it, what came before being carried, gives
                               // the same bits as the whole: every tile of attention, on any device, divides it
};

// int4 in the kernels, in this order.
typedef struct pf_sequence {
    int32_t first_row, length; // rows first_row .. first_row+length-1
    int32_t first_block, n_blocks;
} pf_sequence;

typedef struct pf_block {
    int32_t first_row, n_rows;
    int32_t sequence; // whose block it is
    int32_t token;    // place of its first row in the sequence
} pf_block;

typedef struct pf_sequences {
    pf_buffer *sequences; // pf_sequence [B]
    pf_buffer *blocks;    // pf_block [n_blocks]
    pf_sequence *host_sequences;
    pf_block *host_blocks;
    int32_t n_sequences, n_blocks;
    int32_t max_sequences, max_blocks;
} pf_sequences;

// Blocks of one sequence of `length` tokens, and the rows of each but the last.
int32_t pf_blocks_of(int32_t length, int32_t *block_rows);

// At most so many blocks have `max_sequences` sequences of together `max_rows` rows.
int32_t pf_blocks_at_most(int32_t max_sequences, int32_t max_rows);

pf_status pf_sequences_create(pf_device *device, int32_t max_sequences, int32_t max_rows, pf_sequences **out);
void pf_sequences_free(pf_sequences *sequences);

// Tells where the sequences are: sequence b in rows first_row[b] .. first_row[b]+length[b]-1; rows
// between them are never touched. Uploads both tables. Errors: PF_ERROR_USAGE beyond the maxima.
pf_status pf_sequences_set(pf_sequences *sequences, const int32_t *first_row, const int32_t *length, int32_t count);

// Rows of numbers inside a buffer: number c of row n is element offset + n*stride + c. Head h of q,
// k, v or o owns columns h*E .. h*E+E-1.
typedef struct pf_rows {
    const pf_buffer *buffer;
    int32_t stride, offset; // floats
} pf_rows;

#endif
