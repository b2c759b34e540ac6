// Token and position embeddings: x[n] = dropout(scale[n] * token_table[token[n]] +
// position_table[position[n]]).
#ifndef PF_OPS_EMBEDDING_H
#define PF_OPS_EMBEDDING_H

#include "ops/dropout.h"
#include "ops/sequences.h"

typedef struct pf_embedding pf_embedding;

// For an alphabet of so many tokens and rows of `width` numbers.
pf_status pf_embedding_create(pf_device *device, int alphabet, int width, bool dropout, pf_embedding **out);
void pf_embedding_free(pf_embedding *op);

//   x               [N,D]
//   token_table     [A,D]
//   position_table  [Lmax,D]  learned or sinusoids; NULL: none. Its first row is that of `first_position`
//   token           int [N], 0 .. A-1
//   place           pf_place [N], positions 0 .. Lmax-1; needed with positions or dropout
//   scale           [N]  of the token embeddings; NULL: 1
typedef struct pf_embedding_forward {
    pf_buffer *x;
    const pf_buffer *token_table, *position_table, *token, *place, *scale;
    const pf_dropout *dropout; // NULL: none
    int rows;                  // N
    int first_position;
} pf_embedding_forward;

pf_status pf_embedding_run(pf_embedding *op, const pf_embedding_forward *call);

//   dtoken_table     [A,D]     is added to; NULL: not wanted
//   dposition_table  [Lmax,D]  is added to; NULL: not wanted (positions fixed or none)
//   dx               [N,D]
//   sequences        where they lie, token p of each at position p; needed for dposition_table
typedef struct pf_embedding_backward {
    pf_buffer *dtoken_table, *dposition_table;
    const pf_buffer *dx, *token, *place, *scale;
    const pf_sequences *sequences;
    const pf_dropout *dropout;
    int rows; // N
} pf_embedding_backward;

pf_status pf_embedding_run_backward(pf_embedding *op, const pf_embedding_backward *call);

#endif
