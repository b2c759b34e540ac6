// Records cut and packed into batches for a model: windows of what is too long, masked copies, targets.
//
// Pieces come in the order of the input and are packed as tightly as their order allows; a batch has no
// pads. What a record's pieces are depends on the record and the options only, never on the batch; but a
// causal model takes a window that is longer than its batches in several, one after the other, each a pass
// that goes on where the one before stopped: device memory does not grow with the sequence, and the bits are
// the same.
#ifndef PF_INFER_PIECES_H
#define PF_INFER_PIECES_H

#include "infer/records.h"
#include "model/performer.h"
#include "performer/batch.h"

typedef enum pf_piece_task {
    PF_PIECES_PLAIN,  // windows as they are
    PF_PIECES_NEXT,   // each token's target is the next one of the record, over the border of windows too
    PF_PIECES_MASKED, // copies of each window, with some of its residues masked: these are the targets
} pf_piece_task;

typedef struct pf_pieces_options {
    pf_records_options records; // `longest` is the model's to say
    pf_piece_task task;
    uint64_t stride; // of masked copies: every stride-th residue, so as many copies; 0: each residue alone
    bool whole; // windows are never cut, not even for a causal model: for who looks inside a pass
} pf_pieces_options;

typedef struct pf_piece {
    const pf_record *record;
    uint64_t first;     // of the record's tokens
    int32_t row, count; // in the batch
    bool is_last;       // of the record
} pf_piece;

// Lent until the next call of pf_pieces_next.
typedef struct pf_piece_batch {
    const pf_batch *batch;
    const pf_piece *piece; // [n_pieces] one for each sequence of the batch
    int32_t n_pieces;
    pf_pass pass; // how it is to be run
} pf_piece_batch;

typedef struct pf_pieces pf_pieces;

// `model` is lent; it is given more room when a sequence needs it. Errors: PF_ERROR_USAGE, PF_ERROR_INPUT.
pf_status pf_pieces_open(pf_model *model, const pf_pieces_options *options, pf_pieces **out);
void pf_pieces_close(pf_pieces *pieces);

// PF_END after the last. Errors: those of pf_records_next, PF_ERROR_DEVICE for room.
pf_status pf_pieces_next(pf_pieces *pieces, pf_piece_batch *out);

// Passes over the next record, which is lent; before the first batch. PF_END behind the last.
pf_status pf_pieces_skip(pf_pieces *pieces, pf_record *out);

const char *pf_pieces_warning(const pf_pieces *pieces, size_t i); // as pf_records_warning

#endif
