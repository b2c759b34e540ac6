// Logits of a stream of sequences. See performer/logits.h.
#include "performer/logits.h"

#include "base/memory.h"
#include "infer/lent.h"
#include "infer/model_digest.h"
#include "infer/resumable.h"
#include "infer/tensor_file.h"

struct pf_logits {
    pf_model *model;
    pf_logits_options options;
    pf_pieces *pieces;
    pf_tensor_file file;
    pf_lent lent;
    pf_resumable work; // with `resume`: the file is made of it at the end
    pf_provenance made_of;
    bool is_done;
    float *batch; // [rows of the batch, A]
    size_t batch_capacity;
    pf_progress progress;
};

// What an earlier run left is passed over.
static pf_status open_work(pf_logits *l)
{
    const char *output = l->options.output;
    pf_journal_entry entry;
    pf_status status;
    l->made_of.format = "performer-logits-1";
    PF_TRY(pf_model_digest(l->model, &l->made_of.model));
    PF_TRY(pf_text_add(&l->made_of.options, "logits, "));
    PF_TRY(pf_provenance_add_stream(&l->made_of, &l->options.stream));
    l->is_done = pf_stream_is_done(output);
    if (l->is_done) return pf_provenance_compare(output, &l->made_of, l->pieces, true);
    PF_TRY(pf_resumable_open(&l->work, output, &l->made_of, true));
    while ((status = pf_resumable_next(&l->work, l->pieces, NULL, &entry)) == PF_OK) {
    }
    l->progress.sequences = l->made_of.n_sequences;
    return status == PF_END ? PF_OK : status;
}

static pf_status open_all(pf_logits *l)
{
    const pf_logits_options *o = &l->options;
    const pf_pieces_options pieces = {
        .records = {.stream = o->stream, .keep_masks = true, .unique_names = true},
        .task = PF_PIECES_PLAIN,
    };
    PF_TRY(pf_model_need_tokens(l->model));
    PF_CHECK(o->output || !o->resume, PF_ERROR_USAGE, "logits without an output cannot be resumed");
    PF_TRY(pf_pieces_open(l->model, &pieces, &l->pieces));
    if (o->resume) {
        PF_TRY(pf_tensor_file_check(o->output));
        return open_work(l);
    }
    return o->output ? pf_tensor_file_open(o->output, &l->file) : PF_OK;
}

pf_status pf_logits_open(pf_model *model, const pf_logits_options *options, pf_logits **out)
{
    void *memory = NULL;
    *out = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_logits), "logits"));
    pf_logits *l = memory;
    l->model = model;
    l->options = *options;
    const pf_status status = open_all(l);
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
    pf_resumable_close(&l->work);
    pf_provenance_free(&l->made_of);
    pf_free(l->batch);
    pf_free(l);
}

// A record's tensor grows in the file, piece by piece: it may be longer than memory.
static pf_status write_rows(pf_logits *l, const pf_piece *piece, const float *rows, size_t count)
{
    const uint64_t shape[] = {piece->record->n_tokens, (uint64_t)pf_model_config(l->model)->vocab_size};
    if (piece->first == 0) PF_TRY(pf_tensor_file_begin(&l->file, piece->record->name, 2, shape));
    return pf_tensor_file_write(&l->file, rows, count);
}

static pf_status take_piece(pf_logits *l, const pf_piece *piece)
{
    const size_t A = (size_t)pf_model_config(l->model)->vocab_size;
    const float *rows = l->batch + (size_t)piece->row * A;
    const size_t count = (size_t)piece->count * A;
    l->progress.tokens += (uint64_t)piece->count;
    l->progress.sequences += piece->is_last;
    if (l->options.output && !l->options.resume) return write_rows(l, piece, rows, count);
    PF_TRY(pf_lent_add(&l->lent, rows, count));
    return piece->is_last ? pf_lent_finish(&l->lent, piece->record, piece->record->n_tokens) : PF_OK;
}

// The records that this step completed; `piece` tells which they are.
static pf_status keep(pf_logits *l, const pf_piece_batch *b)
{
    const pf_sequence_result *result = l->lent.result;
    for (int32_t i = 0; i < b->n_pieces; i++) {
        if (!b->piece[i].is_last) continue;
        PF_TRY(pf_resumable_add(&l->work, b->piece[i].record, result->values, result->count));
        result++;
    }
    return pf_resumable_flush(&l->work);
}

static pf_status write_kept(pf_logits *l)
{
    const uint64_t A = (uint64_t)pf_model_config(l->model)->vocab_size;
    pf_journal_entry entry;
    pf_status status;
    PF_TRY(pf_journal_sync(l->work.journal));
    PF_TRY(pf_journal_rewind(l->work.journal));
    PF_TRY(pf_tensor_file_open(l->options.output, &l->file));
    while ((status = pf_journal_next(l->work.journal, &entry)) == PF_OK) {
        const uint64_t shape[] = {entry.count / A, A};
        PF_TRY(pf_tensor_file_add(&l->file, entry.name, 2, shape, entry.numbers));
    }
    return status == PF_END ? PF_OK : status;
}

static pf_status finish(pf_logits *l)
{
    if (l->options.resume) PF_TRY(write_kept(l));
    if (l->options.output) PF_TRY(pf_tensor_file_commit(&l->file));
    if (l->options.resume) PF_TRY(pf_resumable_finish(&l->work));
    l->is_done = true;
    return PF_END;
}

pf_status pf_logits_step(pf_logits *l, pf_progress *progress)
{
    pf_piece_batch b;
    if (l->is_done) return PF_END;
    if (l->options.stop && *l->options.stop) return pf_resumable_stop(&l->work);
    pf_lent_begin_step(&l->lent);
    const pf_status status = pf_pieces_next(l->pieces, &b);
    if (status == PF_END) return finish(l);
    PF_TRY(status);
    const size_t A = (size_t)pf_model_config(l->model)->vocab_size, count = (size_t)b.batch->n_rows * A;
    PF_TRY(pf_grow((void **)&l->batch, &l->batch_capacity, count, sizeof *l->batch, "logits of a batch"));
    PF_TRY(pf_model_forward(l->model, b.batch, &b.pass));
    PF_TRY(pf_model_read_logits(l->model, l->batch));
    for (int32_t i = 0; i < b.n_pieces; i++) PF_TRY(take_piece(l, &b.piece[i]));
    pf_lent_end_step(&l->lent);
    if (l->options.resume) PF_TRY(keep(l, &b));
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
