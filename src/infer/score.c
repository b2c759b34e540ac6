// Likelihoods of a stream of sequences. See performer/score.h.
#include "performer/score.h"

#include <math.h>

#include <string.h>

#include "base/memory.h"
#include "infer/model_digest.h"
#include "infer/resumable.h"

// What is kept of a finished record, as the bits of so many floats.
typedef struct kept_score {
    double log_likelihood, perplexity;
} kept_score;

struct pf_score {
    pf_model *model;
    pf_score_options options;
    pf_pieces *pieces;
    pf_resumable work; // with an output
    pf_provenance made_of;
    bool replays, is_done; // what an earlier run had finished comes first
    float *log_p;          // [rows of the batch]
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

static pf_status open_work(pf_score *s)
{
    const pf_score_options *o = &s->options;
    PF_CHECK(o->output || !o->resume, PF_ERROR_USAGE, "scores without an output cannot be resumed");
    if (!o->output) return PF_OK;
    s->made_of.format = "performer-scores-1";
    PF_TRY(pf_model_digest(s->model, &s->made_of.model));
    PF_TRY(pf_text_add(&s->made_of.options, "score, stride %lld, ", (long long)o->stride));
    PF_TRY(pf_provenance_add_stream(&s->made_of, &o->stream));
    s->is_done = o->resume && pf_stream_is_done(o->output);
    if (s->is_done) return pf_provenance_compare(o->output, &s->made_of, s->pieces, true);
    s->replays = o->resume;
    return pf_resumable_open(&s->work, o->output, &s->made_of, o->resume);
}

pf_status pf_score_open(pf_model *model, const pf_score_options *options, pf_score **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_score), "scores"));
    pf_score *s = memory;
    s->model = model;
    s->options = *options;
    pf_status status = open_pieces(s, options);
    if (status == PF_OK) status = open_work(s);
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
    pf_resumable_close(&s->work);
    pf_provenance_free(&s->made_of);
    pf_free(s->log_p);
    pf_free(s->results);
    pf_free(s);
}

static pf_status add_result(pf_score *s, const pf_record *record, kept_score score)
{
    void *results = s->results;
    PF_TRY(pf_grow(&results, &s->results_capacity, s->n_results + 1, sizeof *s->results, "scores"));
    s->results = results;
    s->results[s->n_results++] = (pf_score_result){
        .id = record->name,
        .id_length = record->name_length,
        .length = record->n_residues,
        .log_likelihood = score.log_likelihood,
        .perplexity = score.perplexity,
    };
    return PF_OK;
}

static pf_status finish_record(pf_score *s, const pf_record *record)
{
    float bits[sizeof(kept_score) / sizeof(float)];
    const kept_score score = {s->sum, s->scored ? exp(-s->sum / (double)s->scored) : (double)NAN};
    s->sum = 0;
    s->scored = 0;
    memcpy(bits, &score, sizeof score);
    if (s->work.journal) PF_TRY(pf_resumable_add(&s->work, record, bits, sizeof bits / sizeof *bits));
    return add_result(s, record, score);
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

// One record that an earlier run had finished; PF_END behind the last.
static pf_status replay(pf_score *s)
{
    pf_journal_entry entry;
    pf_record record;
    kept_score score;
    PF_TRY(pf_resumable_next(&s->work, s->pieces, &record, &entry));
    PF_CHECK(entry.count * sizeof(float) == sizeof score, PF_ERROR_INPUT,
             "%s: an entry that is no score; start anew without --resume", s->work.path);
    memcpy(&score, entry.numbers, sizeof score);
    return add_result(s, &record, score);
}

static pf_status compute(pf_score *s)
{
    pf_piece_batch b;
    void *log_p = s->log_p;
    PF_TRY(pf_pieces_next(s->pieces, &b));
    PF_TRY(
        pf_grow(&log_p, &s->log_p_capacity, (size_t)b.batch->n_rows, sizeof *s->log_p, "log-probabilities"));
    s->log_p = log_p;
    PF_TRY(pf_model_forward(s->model, b.batch, &b.pass));
    PF_TRY(pf_model_loss(s->model, 0));
    PF_TRY(pf_model_read_target_log_p(s->model, s->log_p));
    for (int32_t i = 0; i < b.n_pieces; i++) PF_TRY(take_piece(s, b.batch, &b.piece[i]));
    return s->work.journal ? pf_resumable_flush(&s->work) : PF_OK;
}

pf_status pf_score_step(pf_score *s, const pf_score_result **results, size_t *n_results)
{
    if (s->is_done) return PF_END;
    if (s->options.stop && *s->options.stop) return pf_resumable_stop(&s->work);
    s->n_results = 0;
    pf_status status = s->replays ? replay(s) : PF_END;
    if (status == PF_END) {
        s->replays = false;
        status = compute(s);
    }
    PF_TRY(status);
    *results = s->results;
    *n_results = s->n_results;
    return PF_OK;
}

pf_status pf_score_finish(pf_score *s)
{
    return s->work.journal ? pf_resumable_finish(&s->work) : PF_OK;
}

const char *pf_score_warning(const pf_score *s, size_t i)
{
    return pf_pieces_warning(s->pieces, i);
}
