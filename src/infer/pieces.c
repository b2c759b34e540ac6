// Batches of pieces of records. See pieces.h.
#include "infer/pieces.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "data/alphabet.h"
#include "data/batch.h"
#include "ops/sequences.h"

// A record that lives as long as a batch has pieces of it.
typedef struct kept_record {
    pf_record record;
    pf_text name;
    uint8_t *residue;
    size_t residue_capacity;
} kept_record;

struct pf_pieces {
    pf_model *model;
    pf_pieces_options options;
    pf_records *records;
    pf_batch_builder builder;
    kept_record **kept; // [kept_capacity] those of this batch first
    size_t n_kept, kept_capacity;
    bool is_open;    // the last of `kept` has pieces that are still to come:
    uint64_t window; //     first token of the window,
    uint64_t first;  //     token,
    uint64_t pass;   //     masked copy of the window
    pf_piece *piece;
    size_t piece_capacity;
    int32_t n_pieces;
    pf_pass pass_options; // of the batch
};

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static pf_status create_builder(pf_pieces *p)
{
    const pf_model_limits *limits = pf_model_get_limits(p->model);
    pf_batch_builder_free(&p->builder);
    return pf_batch_builder_create(&p->builder, (uint64_t)limits->max_rows, (uint64_t)limits->max_sequences);
}

pf_status pf_pieces_open(pf_model *model, const pf_pieces_options *options, pf_pieces **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_pieces), "reader of batches"));
    pf_pieces *p = memory;
    p->model = model;
    p->options = *options;
    p->options.records.longest = (uint64_t)pf_model_config(model)->max_position_embeddings;
    pf_status status = pf_records_open(&p->options.records, &p->records);
    if (status == PF_OK) status = create_builder(p);
    if (status == PF_OK)
        *out = p;
    else
        pf_pieces_close(p);
    return status;
}

void pf_pieces_close(pf_pieces *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->kept_capacity && p->kept[i]; i++) {
        pf_text_free(&p->kept[i]->name);
        pf_free(p->kept[i]->residue);
        pf_free(p->kept[i]);
    }
    pf_free(p->kept);
    pf_free(p->piece);
    pf_batch_builder_free(&p->builder);
    pf_records_close(p->records);
    pf_free(p);
}

static pf_status keep_record(pf_pieces *p, const pf_record *record)
{
    PF_TRY(pf_grow((void **)&p->kept, &p->kept_capacity, p->n_kept + 2, sizeof *p->kept, "records"));
    if (!p->kept[p->n_kept]) {
        void *memory = NULL;
        PF_TRY(pf_alloc(&memory, 1, sizeof(kept_record), "record"));
        p->kept[p->n_kept] = memory;
    }
    kept_record *kept = p->kept[p->n_kept];
    kept->name.length = 0;
    PF_TRY(pf_text_add_bytes(&kept->name, record->name, record->name_length));
    PF_TRY(pf_grow((void **)&kept->residue, &kept->residue_capacity, record->n_residues, 1, "sequence"));
    memcpy(kept->residue, record->residue, record->n_residues);
    kept->record = *record;
    kept->record.name = kept->name.data;
    kept->record.residue = kept->residue;
    p->n_kept++;
    return PF_OK;
}

static const pf_record *current(const pf_pieces *p)
{
    return &p->kept[p->n_kept - 1]->record;
}

static pf_status open_record(pf_pieces *p)
{
    pf_record record;
    PF_TRY(pf_records_next(p->records, &record));
    PF_TRY(keep_record(p, &record));
    p->is_open = true;
    p->window = p->first = p->pass = 0;
    return PF_OK;
}

// Only the record whose pieces are not all given stays, in front.
static void drop_records(pf_pieces *p)
{
    if (p->is_open) {
        kept_record *open = p->kept[p->n_kept - 1];
        p->kept[p->n_kept - 1] = p->kept[0];
        p->kept[0] = open;
    }
    p->n_kept = p->is_open ? 1 : 0;
    p->n_pieces = 0;
    p->pass_options = (pf_pass){0};
    pf_batch_builder_clear(&p->builder);
}

static uint64_t window_tokens(const pf_pieces *p)
{
    return smaller(p->options.records.longest, current(p)->n_tokens - p->window);
}

static bool may_cut(const pf_pieces *p)
{
    return pf_model_config(p->model)->objective == PF_OBJECTIVE_CLM && !p->options.whole;
}

// Whether the window goes through in several batches.
static bool is_cut(const pf_pieces *p)
{
    return may_cut(p) && window_tokens(p) > p->builder.most_rows;
}

// Tokens of the next piece.
static uint64_t piece_tokens(const pf_pieces *p)
{
    const uint64_t left = p->window + window_tokens(p) - p->first;
    return is_cut(p) ? smaller(left, p->builder.most_rows / PF_CHUNK_ROWS * PF_CHUNK_ROWS) : left;
}

// Gives the model these limits, *size being `wanted` where the device has so much, else `least`: more than is
// needed, so that ever longer sequences do not mean ever new buffers.
static pf_status resize(pf_pieces *p, pf_model_limits *limits, int32_t *size, uint64_t wanted, uint64_t least)
{
    const pf_record *record = current(p);
    char quoted[PF_QUOTE_BYTES];
    *size = (int32_t)wanted;
    pf_status status = pf_model_resize(p->model, limits);
    if (status == PF_ERROR_DEVICE && wanted > least) {
        *size = (int32_t)least;
        status = pf_model_resize(p->model, limits);
    }
    if (status == PF_OK) return create_builder(p);
    return pf_context(status, "record %s, %llu tokens%s", pf_quote(quoted, record->name, record->name_length),
                      (unsigned long long)least,
                      may_cut(p) ? "" : " that a model which sees both sides (mlm) needs on the device at once");
}

// A model that sees both sides needs all of a window at once.
static pf_status make_room(pf_pieces *p, uint64_t tokens)
{
    pf_model_limits limits = *pf_model_get_limits(p->model);
    return resize(p, &limits, &limits.max_rows, smaller(2 * tokens, p->options.records.longest), tokens);
}

// A causal one needs a chunk, and what it carries: only exact layers keep something of every token.
static pf_status make_carry(pf_pieces *p, uint64_t tokens)
{
    pf_model_limits limits = *pf_model_get_limits(p->model);
    const uint64_t longest = p->options.records.longest;
    if (limits.carry && tokens <= (uint64_t)limits.max_length) return PF_OK;
    limits.carry = true;
    limits.carry_sequences = 1;
    if (limits.max_rows < PF_CHUNK_ROWS) limits.max_rows = PF_CHUNK_ROWS;
    const bool keeps_all = pf_model_keeps_all_keys(p->model);
    return resize(p, &limits, &limits.max_length, keeps_all ? smaller(2 * tokens, longest) : longest, tokens);
}

// The window's residues: tokens *begin .. *end-1 of it.
static void residues_of(const pf_record *record, uint64_t first, uint64_t count, uint64_t *begin,
                        uint64_t *end)
{
    *begin = first == 0 ? 1 : 0;
    *end = smaller(count, record->n_residues + 1 - smaller(first, record->n_residues + 1));
    if (*begin > *end) *begin = *end;
}

static uint64_t count_passes(const pf_pieces *p, uint64_t count)
{
    uint64_t begin, end;
    if (p->options.task != PF_PIECES_MASKED) return 1;
    residues_of(current(p), p->first, count, &begin, &end);
    const uint64_t passes = p->options.stride ? smaller(p->options.stride, end - begin) : end - begin;
    return passes ? passes : 1; // a window without residues has no targets, but ends its record
}

static void set_targets(pf_pieces *p, int32_t row, uint64_t count, uint64_t n_passes)
{
    const pf_record *record = current(p);
    int32_t *token = p->builder.token + row, *target = p->builder.target + row;
    if (p->options.task == PF_PIECES_NEXT) {
        for (uint64_t t = 0; t + 1 < count; t++) target[t] = token[t + 1];
        if (p->first + count < record->n_tokens)
            pf_alphabet_window(target + count - 1, record->residue, record->n_residues, p->first + count, 1);
    }
    if (p->options.task == PF_PIECES_MASKED) {
        uint64_t begin, end;
        residues_of(record, p->first, count, &begin, &end);
        for (uint64_t t = begin + p->pass; t < end; t += n_passes) {
            target[t] = token[t];
            token[t] = PF_TOKEN_MASK;
        }
    }
}

static pf_status add_piece(pf_pieces *p, uint64_t count)
{
    const pf_record *record = current(p);
    const uint64_t n_passes = count_passes(p, count);
    PF_TRY(
        pf_grow((void **)&p->piece, &p->piece_capacity, (size_t)p->n_pieces + 1, sizeof *p->piece, "pieces"));
    const int32_t row = pf_batch_builder_add(&p->builder, count, 0);
    pf_alphabet_window(p->builder.token + row, record->residue, record->n_residues, p->first, count);
    set_targets(p, row, count, n_passes);
    const bool is_last = p->pass + 1 == n_passes && p->first + count == record->n_tokens;
    p->piece[p->n_pieces++] = (pf_piece){record, p->first, row, (int32_t)count, is_last};
    if (++p->pass == n_passes) {
        p->pass = 0;
        p->first += count;
        if (p->first == p->window + window_tokens(p)) p->window = p->first;
    }
    p->is_open = !is_last;
    return PF_OK;
}

static pf_status fill(pf_pieces *p)
{
    for (;;) {
        if (!p->is_open) {
            const pf_status status = open_record(p);
            if (status == PF_END) return PF_OK;
            PF_TRY(status);
        }
        const uint64_t window = window_tokens(p);
        const bool is_long = window > p->builder.most_rows;
        if (is_long && p->n_pieces > 0) return PF_OK;
        if (is_long) PF_TRY(may_cut(p) ? make_carry(p, window) : make_room(p, window));
        const uint64_t count = piece_tokens(p);
        if (is_cut(p)) {
            p->pass_options = (pf_pass){.carry = true, .first_position = (int32_t)(p->first - p->window)};
            return add_piece(p, count);
        }
        if (!pf_batch_builder_fits(&p->builder, count)) return PF_OK;
        PF_TRY(add_piece(p, count));
    }
}

pf_status pf_pieces_next(pf_pieces *p, pf_piece_batch *out)
{
    drop_records(p);
    PF_TRY(fill(p));
    if (p->n_pieces == 0) return PF_END;
    *out = (pf_piece_batch){&p->builder.batch, p->piece, p->n_pieces, p->pass_options};
    return PF_OK;
}

pf_status pf_pieces_skip(pf_pieces *p, pf_record *out)
{
    return pf_records_next(p->records, out);
}

const char *pf_pieces_warning(const pf_pieces *p, size_t i)
{
    return pf_records_warning(p->records, i);
}
