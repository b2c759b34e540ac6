// Likelihoods of a stream of sequences. See performer/score.h.
#include "performer/score.h"

#include <math.h>

#include "base/memory.h"
#include "infer/pieces.h"

struct pf_score {
    pf_model *model;
    pf_pieces *pieces;
    float *log_p; // [rows of the batch]
    size_t log_p_capacity;
    double sum;      // of the record that is not complete
    uint64_t scored; // its residues so far
    pf_score_result *results;
    size_t n_results, results_capacity;
};

static pf_status open_pieces(pf_score *s, const pf_score_options *options)
{
    const bool is_causal = pf_model_config(s->model)->objective == PF_OBJECTIVE_CLM;
    const pf_pieces_options pieces = {
        .records = {.stream = options->stream},
        .task = is_causal ? PF_PIECES_NEXT : PF_PIECES_MASKED,
        .stride = (uint64_t)options->stride,
    };
    PF_TRY(pf_model_need_tokens(s->model));
    PF_CHECK(!is_causal || options->stride == 0, PF_ERROR_USAGE,
             "--stride masks residues together; a causal model (objective clm) masks none: leave it out");
    return pf_pieces_open(s->model, &pieces, &s->pieces);
}

pf_status pf_score_open(pf_model *model, const pf_score_options *options, pf_score **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_score), "scores"));
    pf_score *s = memory;
    s->model = model;
    const pf_status status = open_pieces(s, options);
    if (status == PF_OK)
        *out = s;
    else
        pf_score_close(s);
    return status;
}

void pf_score_close(pf_score *s)
{
    if (!s) return;
    pf_pieces_close(s->pieces);
    pf_free(s->log_p);
    pf_free(s->results);
    pf_free(s);
}

static pf_status finish_record(pf_score *s, const pf_record *record)
{
    void *results = s->results;
    PF_TRY(pf_grow(&results, &s->results_capacity, s->n_results + 1, sizeof *s->results, "scores"));
    s->results = results;
    s->results[s->n_results++] = (pf_score_result){
        .id = record->name,
        .id_length = record->name_length,
        .length = record->n_residues,
        .log_likelihood = s->sum,
        .perplexity = s->scored ? exp(-s->sum / (double)s->scored) : (double)NAN,
    };
    s->sum = 0;
    s->scored = 0;
    return PF_OK;
}

// Sums run over a record's rows in order, so they do not depend on the batch.
static pf_status take_piece(pf_score *s, const pf_batch *batch, const pf_piece *piece)
{
    for (int32_t n = piece->row; n < piece->row + piece->count; n++) {
        if (batch->target[n] < 0 || batch->target[n] >= PF_RESIDUE_TOKENS) continue;
        s->sum += (double)s->log_p[n];
        s->scored++;
    }
    return piece->is_last ? finish_record(s, piece->record) : PF_OK;
}

pf_status pf_score_step(pf_score *s, const pf_score_result **results, size_t *n_results)
{
    pf_piece_batch b;
    void *log_p = s->log_p;
    PF_TRY(pf_pieces_next(s->pieces, &b));
    PF_TRY(
        pf_grow(&log_p, &s->log_p_capacity, (size_t)b.batch->n_rows, sizeof *s->log_p, "log-probabilities"));
    s->log_p = log_p;
    s->n_results = 0;
    PF_TRY(pf_model_forward(s->model, b.batch, &b.pass));
    PF_TRY(pf_model_loss(s->model, 0));
    PF_TRY(pf_model_read_target_log_p(s->model, s->log_p));
    for (int32_t i = 0; i < b.n_pieces; i++) PF_TRY(take_piece(s, b.batch, &b.piece[i]));
    *results = s->results;
    *n_results = s->n_results;
    return PF_OK;
}

const char *pf_score_warning(const pf_score *s, size_t i)
{
    return pf_pieces_warning(s->pieces, i);
}
