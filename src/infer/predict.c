// What a task head says of a stream of sequences. See performer/predict.h.
#include "performer/predict.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "data/alphabet.h"
#include "infer/model_digest.h"
#include "infer/resumable.h"

// Results in a row: those of complete records, then those of the record that is not complete.
typedef struct row_store {
    double *value;   // [count,C]
    int32_t *choice; // [count]
    char *residue;   // [count]
    size_t value_capacity, choice_capacity, residue_capacity;
    size_t count, first; // first: of the record that is not complete
} row_store;

struct pf_predict {
    pf_model *model;
    const struct pf_task_config *task;
    pf_predict_options options;
    size_t C;
    pf_pieces *pieces;
    pf_resumable work; // with an output
    pf_provenance made_of;
    bool replays, is_done; // what an earlier run had finished comes first
    float *bits;           // of a finished record's doubles, as what is kept consists of floats
    size_t bits_capacity;
    float *outputs; // of a batch
    size_t outputs_capacity;
    double *p;        // [C] of one row
    double *mean;     // [C] over the windows of the record that is not complete, of a task on sequences,
    double n_weighed; // and their residues
    row_store rows;
    pf_prediction *results;
    size_t n_results, results_capacity;
};

static pf_status check_options(const pf_predict *s)
{
    const pf_predict_options *o = &s->options;
    PF_CHECK(
        s->task->type != PF_TASK_NONE, PF_ERROR_USAGE,
        "a language model has no head for labels; performer train --init MODEL --task classification (or "
        "regression) --labels TSV gives it one");
    if (o->threshold == 0) return PF_OK;
    PF_CHECK(s->task->type == PF_TASK_CLASSIFICATION && s->C == 2, PF_ERROR_USAGE,
             "a threshold is for two classes, this model has %zu %s", s->C,
             s->task->type == PF_TASK_REGRESSION ? "output of a regression" : "classes");
    PF_CHECK(o->threshold > 0 && o->threshold <= 1 && o->positive >= 0 && o->positive < 2, PF_ERROR_USAGE,
             "threshold %g for class %d: expected a probability above 0, for class 0 or 1", o->threshold,
             o->positive);
    return PF_OK;
}

static pf_status open_work(pf_predict *s)
{
    const pf_predict_options *o = &s->options;
    PF_CHECK(o->output || !o->resume, PF_ERROR_USAGE, "predictions without an output cannot be resumed");
    if (!o->output) return PF_OK;
    s->made_of.format = "performer-predictions-1";
    PF_TRY(pf_model_digest(s->model, &s->made_of.model));
    PF_TRY(pf_text_add(&s->made_of.options, "predict, threshold %.17g of class %d, ", o->threshold,
                       o->threshold > 0 ? o->positive : 0));
    PF_TRY(pf_provenance_add_stream(&s->made_of, &o->stream));
    s->is_done = o->resume && pf_stream_is_done(o->output);
    if (s->is_done) return pf_provenance_compare(o->output, &s->made_of, s->pieces, true);
    s->replays = o->resume;
    return pf_resumable_open(&s->work, o->output, &s->made_of, o->resume);
}

static pf_status open_all(pf_predict *s)
{
    const pf_pieces_options pieces = {.records = {.stream = s->options.stream}, .task = PF_PIECES_PLAIN};
    void *p = NULL, *mean = NULL;
    PF_TRY(check_options(s));
    PF_TRY(pf_alloc(&p, s->C, sizeof *s->p, "probabilities"));
    s->p = p;
    PF_TRY(pf_alloc(&mean, s->C, sizeof *s->mean, "means of windows"));
    s->mean = mean;
    PF_TRY(pf_pieces_open(s->model, &pieces, &s->pieces));
    return open_work(s);
}

pf_status pf_predict_open(pf_model *model, const pf_predict_options *options, pf_predict **out)
{
    void *memory = NULL;
    *out = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_predict), "predictions"));
    pf_predict *s = memory;
    s->model = model;
    s->task = &pf_model_config(model)->task;
    s->options = *options;
    s->C = (size_t)pf_config_outputs(pf_model_config(model));
    const pf_status status = open_all(s);
    if (status == PF_OK)
        *out = s;
    else
        pf_predict_close(s);
    return status;
}

void pf_predict_close(pf_predict *s)
{
    if (!s) return;
    pf_pieces_close(s->pieces);
    pf_resumable_close(&s->work);
    pf_provenance_free(&s->made_of);
    pf_free(s->bits);
    pf_free(s->outputs);
    pf_free(s->p);
    pf_free(s->mean);
    pf_free(s->rows.value);
    pf_free(s->rows.choice);
    pf_free(s->rows.residue);
    pf_free(s->results);
    pf_free(s);
}

// The head's outputs as what the user asked for, in double: p [C].
static pf_status read_row(pf_predict *s, const pf_record *record, const float *output)
{
    char quoted[PF_QUOTE_BYTES];
    double largest = (double)output[0], sum = 0;
    for (size_t c = 0; c < s->C; c++) {
        PF_CHECK(isfinite(output[c]), PF_ERROR_NUMERICAL, "record \"%s\": an output of the model is %g",
                 pf_quote(quoted, record->name, record->name_length), (double)output[c]);
        if ((double)output[c] > largest) largest = (double)output[c];
    }
    if (s->task->type == PF_TASK_REGRESSION) {
        s->p[0] = s->task->mean + s->task->deviation * (double)output[0];
        return PF_OK;
    }
    for (size_t c = 0; c < s->C; c++) sum += s->p[c] = exp((double)output[c] - largest);
    for (size_t c = 0; c < s->C; c++) s->p[c] /= sum;
    return PF_OK;
}

static int32_t choose(const pf_predict *s, const double *p)
{
    const int32_t positive = s->options.positive;
    int32_t best = 0;
    if (s->options.threshold > 0) return p[positive] >= s->options.threshold ? positive : 1 - positive;
    for (size_t c = 1; c < s->C; c++)
        if (p[c] > p[best]) best = (int32_t)c;
    return best;
}

static pf_status add_row(pf_predict *s, const double *p, char residue)
{
    row_store *r = &s->rows;
    PF_TRY(pf_grow((void **)&r->value, &r->value_capacity, (r->count + 1) * s->C, sizeof *r->value,
                   "predictions"));
    PF_TRY(pf_grow((void **)&r->choice, &r->choice_capacity, r->count + 1, sizeof *r->choice, "predictions"));
    PF_TRY(pf_grow((void **)&r->residue, &r->residue_capacity, r->count + 1, 1, "residues"));
    memcpy(r->value + r->count * s->C, p, s->C * sizeof *p);
    r->choice[r->count] = s->task->type == PF_TASK_CLASSIFICATION ? choose(s, p) : 0;
    r->residue[r->count++] = residue;
    return PF_OK;
}

// Rows of what was shown before are forgotten.
static void begin_step(pf_predict *s)
{
    row_store *r = &s->rows;
    const size_t left = r->count - r->first;
    if (r->first > 0 && left > 0) {
        memmove(r->value, r->value + r->first * s->C, left * s->C * sizeof *r->value);
        memmove(r->choice, r->choice + r->first, left * sizeof *r->choice);
        memmove(r->residue, r->residue + r->first, left);
    }
    r->count = left;
    r->first = 0;
    s->n_results = 0;
}

// Where the rows lie is final only now.
static void end_step(pf_predict *s)
{
    size_t at = 0;
    for (size_t i = 0; i < s->n_results; i++) {
        pf_prediction *result = &s->results[i];
        result->value = s->rows.value + at * s->C;
        if (s->task->type == PF_TASK_CLASSIFICATION) result->choice = s->rows.choice + at;
        if (s->task->level == PF_TASK_RESIDUE) result->residue = s->rows.residue + at;
        at += result->n_rows;
    }
}

// The rows since the last record are this one's.
static pf_status add_result(pf_predict *s, const pf_record *record)
{
    PF_TRY(pf_grow((void **)&s->results, &s->results_capacity, s->n_results + 1, sizeof *s->results,
                   "predictions"));
    s->results[s->n_results++] = (pf_prediction){
        .id = record->name,
        .id_length = record->name_length,
        .length = record->n_residues,
        .n_rows = s->rows.count - s->rows.first,
    };
    s->rows.first = s->rows.count;
    return PF_OK;
}

static pf_status keep(pf_predict *s, const pf_record *record)
{
    const size_t first = s->rows.first * s->C, count = s->rows.count * s->C - first, n_bits = 2 * count;
    if (!s->work.journal) return PF_OK;
    PF_TRY(pf_grow((void **)&s->bits, &s->bits_capacity, n_bits + 1, sizeof *s->bits, "predictions"));
    memcpy(s->bits, s->rows.value + first, count * sizeof *s->rows.value);
    return pf_resumable_add(&s->work, record, s->bits, n_bits);
}

static pf_status finish_record(pf_predict *s, const pf_record *record)
{
    if (s->task->level == PF_TASK_SEQUENCE) {
        PF_TRY(add_row(s, s->mean, '\0'));
        s->n_weighed = 0;
    }
    PF_TRY(keep(s, record));
    return add_result(s, record);
}

// One record that an earlier run had finished; PF_END behind the last.
static pf_status replay(pf_predict *s)
{
    const bool by_residue = s->task->level == PF_TASK_RESIDUE;
    pf_journal_entry entry;
    pf_record record;
    PF_TRY(pf_resumable_next(&s->work, s->pieces, &record, &entry));
    const size_t count = entry.count / (2 * s->C);
    PF_CHECK(entry.count == 2 * s->C * count && (by_residue ? count <= record.n_residues : count == 1),
             PF_ERROR_INPUT, "%s: an entry that is no prediction; start anew without --resume", s->work.path);
    for (size_t row = 0; row < count; row++) {
        memcpy(s->p, entry.numbers + 2 * s->C * row, s->C * sizeof *s->p);
        PF_TRY(add_row(s, s->p, by_residue ? pf_alphabet_letter(record.residue[row]) : '\0'));
    }
    return add_result(s, &record);
}

static pf_status take_residues(pf_predict *s, const pf_piece *piece)
{
    const pf_record *record = piece->record;
    for (int32_t i = 0; i < piece->count; i++) {
        const uint64_t t = piece->first + (uint64_t)i;
        if (t < 1 || t > record->n_residues) continue;
        PF_TRY(read_row(s, record, s->outputs + (size_t)(piece->row + i) * s->C));
        PF_TRY(add_row(s, s->p, pf_alphabet_letter(record->residue[t - 1])));
    }
    return PF_OK;
}

static uint64_t count_residues(const pf_piece *piece)
{
    const uint64_t first = piece->first > 1 ? piece->first : 1, last = piece->record->n_residues;
    const uint64_t end = piece->first + (uint64_t)piece->count;
    const uint64_t stop = end < last + 1 ? end : last + 1;
    return stop > first ? stop - first : 0;
}

// The running mean, which of a single window is that window's to the bit. A window of nothing but the end
// says nothing, unless it is all there is.
static pf_status take_window(pf_predict *s, const pf_piece *piece, size_t number)
{
    const double weight = (double)count_residues(piece);
    const bool is_first = piece->first == 0;
    if (is_first) s->n_weighed = 0;
    if (weight == 0 && !is_first) return PF_OK;
    PF_TRY(read_row(s, piece->record, s->outputs + number * s->C));
    s->n_weighed += weight;
    const double share = s->n_weighed > 0 ? weight / s->n_weighed : 1;
    for (size_t c = 0; c < s->C; c++)
        s->mean[c] = share == 1 ? s->p[c] : s->mean[c] + share * (s->p[c] - s->mean[c]);
    return PF_OK;
}

static pf_status compute(pf_predict *s)
{
    pf_piece_batch b;
    PF_TRY(pf_pieces_next(s->pieces, &b));
    const bool by_residue = s->task->level == PF_TASK_RESIDUE;
    const size_t n_outputs = (size_t)(by_residue ? b.batch->n_rows : b.batch->n_sequences);
    PF_TRY(pf_grow((void **)&s->outputs, &s->outputs_capacity, n_outputs * s->C, sizeof *s->outputs,
                   "outputs of a batch"));
    PF_TRY(pf_model_forward(s->model, b.batch, &b.pass));
    PF_TRY(pf_model_read_logits(s->model, s->outputs));
    for (int32_t i = 0; i < b.n_pieces; i++) {
        PF_TRY(by_residue ? take_residues(s, &b.piece[i]) : take_window(s, &b.piece[i], (size_t)i));
        if (b.piece[i].is_last) PF_TRY(finish_record(s, b.piece[i].record));
    }
    return s->work.journal ? pf_resumable_flush(&s->work) : PF_OK;
}

pf_status pf_predict_step(pf_predict *s, const pf_prediction **predictions, size_t *n_predictions)
{
    if (s->is_done) return PF_END;
    if (s->options.stop && *s->options.stop) return pf_resumable_stop(&s->work);
    begin_step(s);
    pf_status status = s->replays ? replay(s) : PF_END;
    if (status == PF_END) {
        s->replays = false;
        status = compute(s);
    }
    PF_TRY(status);
    end_step(s);
    *predictions = s->results;
    *n_predictions = s->n_results;
    return PF_OK;
}

pf_status pf_predict_finish(pf_predict *s)
{
    return s->work.journal ? pf_resumable_finish(&s->work) : PF_OK;
}

const char *pf_predict_warning(const pf_predict *s, size_t i)
{
    return pf_pieces_warning(s->pieces, i);
}
