// Embeddings of a stream of sequences. See performer/embed.h.
//
// Pooling is done here, in double and in the order of the rows, so a sequence's numbers do not depend on what
// else is in its batch; the device's rows come over anyway for `none`, and copying them is small beside
// computing them.
#include "performer/embed.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "infer/embed_manifest.h"
#include "infer/embed_output.h"
#include "infer/lent.h"
#include "infer/model_digest.h"
#include "infer/pieces.h"
#include "store/number_type.h"

struct pf_embed {
    pf_model *model;
    pf_embed_options options;
    char *path, *work_path;
    pf_embed_shape shape;
    pf_pieces *pieces;
    pf_journal *journal; // NULL: results are lent
    pf_lent lent;
    pf_embed_facts facts;
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

static pf_status work_path(const char *output, char **out)
{
    pf_text text = {0};
    const pf_status status = pf_text_add(&text, "%s.partial", output);
    if (status == PF_OK)
        *out = text.data;
    else
        pf_text_free(&text);
    return status;
}

bool pf_embed_is_done(const char *output)
{
    char *path = NULL;
    if (work_path(output, &path) != PF_OK) return false;
    const bool is_done = pf_exists(output) && !pf_exists(path);
    pf_free(path);
    return is_done;
}

static size_t cells(const pf_embed *e) // layers x D
{
    return (size_t)e->shape.n_layers * (size_t)e->shape.width;
}

static pf_status describe_options(const pf_embed *e, pf_text *text)
{
    static const char *const pools[] = {
        [PF_POOL_MEAN] = "mean", [PF_POOL_BEGIN] = "begin", [PF_POOL_MAX] = "max", [PF_POOL_NONE] = "none"};
    static const char *const longs[] = {
        [PF_LONG_CROP] = "crop", [PF_LONG_WINDOW] = "window", [PF_LONG_ERROR] = "error"};
    const pf_model_limits *limits = pf_model_get_limits(e->model);
    const pf_stream_options *s = &e->options.stream;
    PF_TRY(pf_text_add(text, "pool %s, long %s, shard %lld/%lld, layers", pools[e->options.pool],
                       longs[s->long_sequences], (long long)(s->n_shards ? s->shard : 1),
                       (long long)(s->n_shards ? s->n_shards : 1)));
    for (int i = 0; i < limits->n_captured; i++) PF_TRY(pf_text_add(text, " %d", limits->captured[i]));
    return e->options.half ? pf_text_add(text, ", half precision") : PF_OK;
}

// What decides the numbers: model, weights, options. Two runs of one key may share a work file.
static pf_status make_key(pf_embed *e, pf_digest *out)
{
    pf_text text = {0};
    pf_status status;
    PF_TRY(pf_model_digest(e->model, &e->facts.model));
    PF_TRY(describe_options(e, &e->facts.options));
    PF_TRY_OR(done, pf_text_add_bytes(&text, (const char *)&e->facts.model, sizeof e->facts.model));
    PF_TRY_OR(done, pf_text_add(&text, "%s", e->facts.options.data));
    *out = pf_digest_of(text.data, text.length);
done:
    pf_text_free(&text);
    return status;
}

// Passes over the records that the work file has; they must be the input's first.
static pf_status pass_over_finished(pf_embed *e)
{
    pf_journal_entry entry;
    pf_status status;
    while ((status = pf_journal_next(e->journal, &entry)) == PF_OK) {
        pf_record record;
        status = pf_pieces_skip(e->pieces, &record);
        if (status != PF_OK && status != PF_END) return status;
        const pf_digest content =
            status == PF_OK ? pf_digest_of(record.residue, record.n_residues) : entry.content;
        PF_CHECK(status == PF_OK && strcmp(record.name, entry.name) == 0 &&
                     memcmp(&content, &entry.content, sizeof content) == 0,
                 PF_ERROR_USAGE,
                 "%s was begun with other sequences; give the same files, or start anew without --resume",
                 e->work_path);
        PF_TRY(pf_embed_facts_add(&e->facts, record.name, record.name_length, content));
        e->progress.sequences++;
    }
    return status == PF_END ? PF_OK : status;
}

// The output stands: whether it is what this run would make.
static pf_status check_finished(pf_embed *e)
{
    pf_record record;
    pf_status status;
    while ((status = pf_pieces_skip(e->pieces, &record)) == PF_OK)
        PF_TRY(pf_embed_facts_add(&e->facts, record.name, record.name_length,
                                  pf_digest_of(record.residue, record.n_residues)));
    if (status != PF_END) return status;
    e->is_done = true;
    return pf_embed_manifest_compare(e->path, &e->facts);
}

static pf_status open_all(pf_embed *e)
{
    const pf_embed_options *o = &e->options;
    pf_digest key;
    void *memory = NULL;
    const pf_pieces_options pieces = {
        .records = {.stream = o->stream, .unique_names = !e->shape.pooled},
        .task = PF_PIECES_PLAIN,
    };
    PF_CHECK(e->shape.n_layers > 0, PF_ERROR_USAGE, "embeddings need a model opened with layers");
    if (o->output) PF_TRY(pf_embed_check_output(o->output, &e->shape));
    PF_TRY(pf_alloc(&memory, cells(e), sizeof(double), "sums"));
    e->sums = memory;
    PF_TRY(pf_pieces_open(e->model, &pieces, &e->pieces));
    PF_CHECK(o->output || !o->resume, PF_ERROR_USAGE, "embeddings without an output cannot be resumed");
    PF_CHECK(o->output || !o->half, PF_ERROR_USAGE, "half precision is for a file");
    if (!o->output) return PF_OK;
    PF_TRY(pf_copy_text(&e->path, o->output));
    PF_TRY(work_path(o->output, &e->work_path));
    PF_TRY(make_key(e, &key));
    if (o->resume && pf_embed_is_done(o->output)) return check_finished(e);
    PF_TRY(pf_journal_open(e->work_path, key, o->resume, &e->journal));
    return o->resume ? pass_over_finished(e) : PF_OK;
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
    pf_journal_close(e->journal);
    pf_lent_free(&e->lent);
    pf_text_free(&e->facts.options);
    pf_free(e->path);
    pf_free(e->work_path);
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
    if (!e->journal) {
        PF_TRY(pf_lent_add(&e->lent, e->result, count));
        return pf_lent_finish(&e->lent, record, e->shape.pooled ? 1 : e->n_residues);
    }
    const pf_digest content = pf_digest_of(record->residue, record->n_residues);
    PF_TRY(pf_embed_facts_add(&e->facts, record->name, record->name_length, content));
    return pf_journal_append(e->journal, &(pf_journal_entry){
                                             .name = record->name,
                                             .name_length = record->name_length,
                                             .content = content,
                                             .numbers = e->result,
                                             .count = count,
                                         });
}

static pf_status stopped(pf_embed *e)
{
    if (!e->journal) return pf_fail(PF_INTERRUPTED, "stopped");
    PF_TRY(pf_journal_sync(e->journal));
    return pf_fail(PF_INTERRUPTED, "stopped; %llu sequences are kept in %s, go on with --resume",
                   (unsigned long long)e->progress.sequences, e->work_path);
}

static pf_status finish(pf_embed *e)
{
    e->is_done = !e->journal;
    if (e->is_done) return PF_END;
    PF_TRY(pf_journal_sync(e->journal));
    PF_TRY(pf_embed_write_output(e->path, &e->shape, e->journal));
    PF_TRY(pf_embed_manifest_write(e->path, &e->facts));
    PF_TRY(pf_journal_remove(e->journal));
    e->is_done = true;
    return PF_END;
}

pf_status pf_embed_step(pf_embed *e, pf_progress *progress)
{
    pf_piece_batch b;
    if (e->is_done) return PF_END;
    if (e->options.stop && *e->options.stop) return stopped(e);
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
