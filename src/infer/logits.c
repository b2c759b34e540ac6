// Logits of a stream of sequences. See performer/logits.h.
#include "performer/logits.h"

#include "base/memory.h"
#include "infer/lent.h"
#include "infer/pieces.h"
#include "infer/tensor_file.h"

struct pf_logits {
    pf_model *model;
    pf_pieces *pieces;
    pf_tensor_file file;
    pf_lent lent;
    bool to_file, is_done;
    float *batch; // [rows of the batch, A]
    size_t batch_capacity;
    pf_progress progress;
};

static pf_status open_all(pf_logits *l, const pf_logits_options *options)
{
    const pf_pieces_options pieces = {
        .records = {.stream = options->stream, .keep_masks = true, .unique_names = true},
        .task = PF_PIECES_PLAIN,
    };
    PF_TRY(pf_model_need_tokens(l->model));
    PF_TRY(pf_pieces_open(l->model, &pieces, &l->pieces));
    l->to_file = options->output != NULL;
    if (!l->to_file) return PF_OK;
    return pf_tensor_file_open(options->output, &l->file);
}

pf_status pf_logits_open(pf_model *model, const pf_logits_options *options, pf_logits **out)
{
    void *memory = NULL;
    *out = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_logits), "logits"));
    pf_logits *l = memory;
    l->model = model;
    const pf_status status = open_all(l, options);
    if (status == PF_OK)
        *out = l;
    else
        pf_logits_close(l);
    return status;
}

void pf_logits_close(pf_logits *l)
{
    if (!l) return;
    pf_pieces_close(l->pieces);
    pf_tensor_file_discard(&l->file);
    pf_lent_free(&l->lent);
    pf_free(l->batch);
    pf_free(l);
}

// A record's tensor grows in the file, piece by piece: it may be longer than memory.
static pf_status take_piece(pf_logits *l, const pf_piece *piece)
{
    const size_t A = (size_t)pf_model_config(l->model)->vocab_size;
    const uint64_t shape[] = {piece->record->n_tokens, A};
    const float *rows = l->batch + (size_t)piece->row * A;
    const size_t count = (size_t)piece->count * A;
    if (l->to_file) {
        if (piece->first == 0) PF_TRY(pf_tensor_file_begin(&l->file, piece->record->name, 2, shape));
        PF_TRY(pf_tensor_file_write(&l->file, rows, count));
    } else {
        PF_TRY(pf_lent_add(&l->lent, rows, count));
        if (piece->is_last) PF_TRY(pf_lent_finish(&l->lent, piece->record, piece->record->n_tokens));
    }
    l->progress.tokens += (uint64_t)piece->count;
    l->progress.sequences += piece->is_last;
    return PF_OK;
}

pf_status pf_logits_step(pf_logits *l, pf_progress *progress)
{
    pf_piece_batch b;
    if (l->is_done) return PF_END;
    pf_lent_begin_step(&l->lent);
    const pf_status status = pf_pieces_next(l->pieces, &b);
    if (status == PF_END) {
        if (l->to_file) PF_TRY(pf_tensor_file_commit(&l->file));
        l->is_done = true;
    }
    PF_TRY(status);
    const size_t A = (size_t)pf_model_config(l->model)->vocab_size, count = (size_t)b.batch->n_rows * A;
    PF_TRY(pf_grow((void **)&l->batch, &l->batch_capacity, count, sizeof *l->batch, "logits of a batch"));
    PF_TRY(pf_model_forward(l->model, b.batch, &b.pass));
    PF_TRY(pf_model_read_logits(l->model, l->batch));
    for (int32_t i = 0; i < b.n_pieces; i++) PF_TRY(take_piece(l, &b.piece[i]));
    pf_lent_end_step(&l->lent);
    *progress = l->progress;
    return PF_OK;
}

size_t pf_logits_results(const pf_logits *l, const pf_sequence_result **results)
{
    *results = l->lent.result;
    return l->lent.n_results;
}

const char *pf_logits_warning(const pf_logits *l, size_t i)
{
    return pf_pieces_warning(l->pieces, i);
}
