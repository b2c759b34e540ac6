// Embeddings of a stream of sequences. See performer/embed.h.
//
// Pooling is done here, in double and in the order of the rows, so a sequence's numbers do not depend on what
// else is in its batch; the device's rows come over anyway for `none`, and copying them is small beside
// computing them.
#include "performer/embed.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "infer/embed_parts.h"
#include "infer/lent.h"
#include "infer/model_digest.h"
#include "store/manifest.h"
#include "store/number_type.h"

struct pf_embed {
    pf_model *model;
    pf_embed_options options;
    pf_embed_shape shape;
    pf_pieces *pieces;
    pf_lent lent;      // without an output
    pf_resumable work; // one file
    pf_embed_parts *parts;
    pf_provenance made_of;
    bool is_done;
    float *rows; // [layers][N,D] of a batch
    size_t rows_capacity;
    double *sums; // [layers,D] of the record that is not complete; `none`: not used
    float *each;  // `none`: [residues so far,layers,D]
    size_t each_capacity;
    uint64_t n_residues; // so far
    float *result;
    size_t result_capacity;
    pf_progress progress;
};

static size_t cells(const pf_embed *e) // layers x D
{
    return (size_t)e->shape.n_layers * (size_t)e->shape.width;
}

static pf_status describe(pf_embed *e, const char *part_ending)
{
    static const char *const pools[] = {
        [PF_POOL_MEAN] = "mean", [PF_POOL_BEGIN] = "begin", [PF_POOL_MAX] = "max", [PF_POOL_NONE] = "none"};
    const pf_model_limits *limits = pf_model_get_limits(e->model);
    pf_text *text = &e->made_of.options;
    e->made_of.format = part_ending ? "performer-embedding-parts-1" : "performer-embeddings-1";
    PF_TRY(pf_model_digest(e->model, &e->made_of.model));
    PF_TRY(pf_text_add(text, "pool %s, ", pools[e->options.pool]));
    PF_TRY(pf_provenance_add_stream(&e->made_of, &e->options.stream));
    PF_TRY(pf_text_add(text, ", layers"));
    for (int i = 0; i < limits->n_captured; i++) PF_TRY(pf_text_add(text, " %d", limits->captured[i]));
    if (e->options.half) PF_TRY(pf_text_add(text, ", half precision"));
    if (!part_ending) return PF_OK;
    return pf_text_add(text, ", parts of %lld, %s", (long long)e->options.part_size, part_ending + 1);
}

// Everything stands already: whether it is what this run would make.
static pf_status check_finished(pf_embed *e)
{
    e->is_done = true;
    PF_TRY(pf_provenance_compare(e->options.output, &e->made_of, e->pieces, e->options.part_size > 0));
    return e->options.part_size ? pf_manifest_verify(e->options.output) : PF_OK;
}

// What an earlier run left is passed over.
static pf_status open_work(pf_embed *e, const char *part_ending)
{
    const pf_embed_options *o = &e->options;
    pf_journal_entry entry;
    pf_status status = PF_END;
    if (part_ending) {
        const pf_embed_parts_options parts = {
            .directory = o->output,
            .ending = part_ending,
            .size = (uint64_t)o->part_size,
            .shape = &e->shape,
            .made_of = &e->made_of,
            .resume = o->resume,
        };
        PF_TRY(pf_embed_parts_open(&parts, e->pieces, &e->parts));
    } else {
        PF_TRY(pf_resumable_open(&e->work, o->output, &e->made_of, o->resume));
        while (o->resume && (status = pf_resumable_next(&e->work, e->pieces, NULL, &entry)) == PF_OK) {
        }
    }
    e->progress.sequences = e->made_of.n_sequences;
    return status == PF_END ? PF_OK : status;
}

static pf_status check_options(const pf_embed *e, const char **part_ending)
{
    const pf_embed_options *o = &e->options;
    *part_ending = NULL;
    PF_CHECK(e->shape.n_layers > 0, PF_ERROR_USAGE, "embeddings need a model opened with layers");
    PF_CHECK(o->output || !o->resume, PF_ERROR_USAGE, "embeddings without an output cannot be resumed");
    PF_CHECK(o->output || !o->half, PF_ERROR_USAGE, "half precision is for a file");
    PF_CHECK(o->part_size >= 0, PF_ERROR_USAGE, "parts of %lld sequences: expected at least one in each",
             (long long)o->part_size);
    PF_CHECK(o->part_size || !o->part_format, PF_ERROR_USAGE,
             "the format of parts is given, their size is not");
    PF_CHECK(o->output || !o->part_size, PF_ERROR_USAGE, "parts need a directory as output");
    if (o->part_size) return pf_embed_part_ending(o->part_format, &e->shape, part_ending);
    return o->output ? pf_embed_check_output(o->output, &e->shape) : PF_OK;
}

static pf_status open_all(pf_embed *e)
{
    const pf_embed_options *o = &e->options;
    const char *part_ending;
    void *memory = NULL;
    const int64_t n_shards = o->stream.n_shards ? o->stream.n_shards : 1;
    const pf_pieces_options pieces = {
        .records = {.stream = o->stream,
                    .unique_names = !e->shape.pooled,
                    .names_span = (uint64_t)o->part_size * (uint64_t)n_shards},
        .task = PF_PIECES_PLAIN,
    };
    PF_TRY(check_options(e, &part_ending));
    PF_TRY(pf_alloc(&memory, cells(e), sizeof(double), "sums"));
    e->sums = memory;
    PF_TRY(pf_pieces_open(e->model, &pieces, &e->pieces));
    if (!o->output) return PF_OK;
    PF_TRY(describe(e, part_ending));
    return o->resume && pf_stream_is_done(o->output) ? check_finished(e) : open_work(e, part_ending);
}

pf_status pf_embed_open(pf_model *model, const pf_embed_options *options, pf_embed **out)
{
    void *memory = NULL;
    *out = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_embed), "embeddings"));
    pf_embed *e = memory;
    e->model = model;
    e->options = *options;
    e->shape = (pf_embed_shape){options->pool != PF_POOL_NONE, pf_model_get_limits(model)->n_captured,
                                pf_model_config(model)->hidden_size, options->half};
    const pf_status status = open_all(e);
    if (status == PF_OK)
        *out = e;
    else
        pf_embed_close(e);
    return status;
}

void pf_embed_close(pf_embed *e)
{
    if (!e) return;
    pf_pieces_close(e->pieces);
    pf_embed_parts_close(e->parts);
    pf_resumable_close(&e->work);
    pf_lent_free(&e->lent);
    pf_provenance_free(&e->made_of);
    pf_free(e->rows);
    pf_free(e->sums);
    pf_free(e->each);
    pf_free(e->result);
    pf_free(e);
}

static void clear_sums(pf_embed *e)
{
    for (size_t i = 0; i < cells(e); i++) e->sums[i] = e->options.pool == PF_POOL_MAX ? -(double)INFINITY : 0;
    e->n_residues = 0;
}

static void pool_row(pf_embed *e, size_t layer, const float *row)
{
    const size_t D = (size_t)e->shape.width;
    double *sums = e->sums + layer * D;
    for (size_t d = 0; d < D; d++) {
        const double x = (double)row[d];
        if (e->options.pool == PF_POOL_MAX)
            sums[d] = x > sums[d] || isnan(x) ? x : sums[d];
        else
            sums[d] += x;
    }
}

// Row `n` of the batch, token `t` of its record.
static pf_status take_row(pf_embed *e, const pf_record *record, size_t n_rows, size_t n, uint64_t t)
{
    const size_t D = (size_t)e->shape.width, layers = (size_t)e->shape.n_layers;
    const bool is_residue = t >= 1 && t <= record->n_residues;
    if (e->options.pool == PF_POOL_BEGIN ? t != 0 : !is_residue) return PF_OK;
    const uint64_t place = e->n_residues++;
    if (e->shape.pooled) {
        for (size_t l = 0; l < layers; l++) pool_row(e, l, e->rows + (l * n_rows + n) * D);
        return PF_OK;
    }
    PF_TRY(pf_grow((void **)&e->each, &e->each_capacity, (place + 1) * cells(e), sizeof *e->each,
                   "rows of a sequence"));
    for (size_t l = 0; l < layers; l++)
        memcpy(e->each + place * cells(e) + l * D, e->rows + (l * n_rows + n) * D, D * sizeof *e->each);
    return PF_OK;
}

// The record's numbers: [layers,D], or [layers,residues,D] without pooling.
static pf_status make_result(pf_embed *e, size_t *count)
{
    const size_t D = (size_t)e->shape.width, layers = (size_t)e->shape.n_layers, n = e->n_residues;
    *count = e->shape.pooled ? cells(e) : n * cells(e);
    PF_TRY(pf_grow((void **)&e->result, &e->result_capacity, *count + 1, sizeof *e->result, "embedding"));
    if (!e->shape.pooled) {
        for (size_t l = 0; l < layers; l++)
            for (size_t i = 0; i < n; i++)
                memcpy(e->result + (l * n + i) * D, e->each + i * cells(e) + l * D, D * sizeof *e->result);
        return PF_OK;
    }
    const double divisor = e->options.pool == PF_POOL_MEAN && n > 0 ? (double)n : 1;
    for (size_t i = 0; i < cells(e); i++) e->result[i] = n > 0 ? (float)(e->sums[i] / divisor) : 0;
    return PF_OK;
}

// Better no file than one with infinities that nobody expects.
static pf_status check_half(const pf_embed *e, const pf_record *record, size_t count)
{
    char quoted[PF_QUOTE_BYTES];
    for (size_t i = 0; i < count; i++)
        PF_CHECK(!(fabsf(e->result[i]) > (float)PF_LARGEST_HALF), PF_ERROR_USAGE,
                 "record \"%s\": an embedding holds %g, half precision ends at %d; leave out --half",
                 pf_quote(quoted, record->name, record->name_length), (double)e->result[i], PF_LARGEST_HALF);
    return PF_OK;
}

static pf_status take_piece(pf_embed *e, const pf_piece *piece, size_t n_rows)
{
    const pf_record *record = piece->record;
    size_t count;
    if (piece->first == 0) clear_sums(e);
    for (int32_t i = 0; i < piece->count; i++)
        PF_TRY(take_row(e, record, n_rows, (size_t)(piece->row + i), piece->first + (uint64_t)i));
    e->progress.tokens += (uint64_t)piece->count;
    if (!piece->is_last) return PF_OK;
    PF_TRY(make_result(e, &count));
    if (e->options.half) PF_TRY(check_half(e, record, count));
    e->progress.sequences++;
    if (e->parts) return pf_embed_parts_add(e->parts, record, e->result, count);
    if (e->work.journal) return pf_resumable_add(&e->work, record, e->result, count);
    PF_TRY(pf_lent_add(&e->lent, e->result, count));
    return pf_lent_finish(&e->lent, record, e->shape.pooled ? 1 : e->n_residues);
}

static pf_status finish(pf_embed *e)
{
    if (e->parts) PF_TRY(pf_embed_parts_finish(e->parts));
    if (e->work.journal) {
        PF_TRY(pf_journal_sync(e->work.journal));
        PF_TRY(pf_embed_write_output(e->work.output, &e->shape, e->work.journal));
        PF_TRY(pf_resumable_finish(&e->work));
    }
    e->is_done = true;
    return PF_END;
}

pf_status pf_embed_step(pf_embed *e, pf_progress *progress)
{
    pf_piece_batch b;
    if (e->is_done) return PF_END;
    if (e->options.stop && *e->options.stop)
        return e->parts ? pf_embed_parts_stop(e->parts) : pf_resumable_stop(&e->work);
    pf_lent_begin_step(&e->lent);
    const pf_status status = pf_pieces_next(e->pieces, &b);
    if (status == PF_END) return finish(e);
    PF_TRY(status);
    const size_t n_rows = (size_t)b.batch->n_rows, D = (size_t)e->shape.width;
    PF_TRY(
        pf_grow((void **)&e->rows, &e->rows_capacity, n_rows * cells(e), sizeof *e->rows, "rows of a batch"));
    PF_TRY(pf_model_forward(e->model, b.batch, &b.pass));
    for (int l = 0; l < e->shape.n_layers; l++)
        PF_TRY(pf_model_read_layer(e->model, l, e->rows + (size_t)l * n_rows * D));
    for (int32_t i = 0; i < b.n_pieces; i++) PF_TRY(take_piece(e, &b.piece[i], n_rows));
    pf_lent_end_step(&e->lent);
    *progress = e->progress;
    return PF_OK;
}

size_t pf_embed_results(const pf_embed *e, const pf_sequence_result **results)
{
    *results = e->lent.result;
    return e->lent.n_results;
}

const char *pf_embed_warning(const pf_embed *e, size_t i)
{
    return pf_pieces_warning(e->pieces, i);
}
