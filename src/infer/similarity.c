// Similarity of amino acids to attention. See performer/similarity.h.
//
// Values that are one-hot by amino acid sum the weights to all residues of a kind in one pass, whatever the
// length of the sequences.
#include "performer/similarity.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "data/alphabet.h"
#include "infer/correlation.h"
#include "infer/heads.h"
#include "infer/pieces.h"

enum { LETTERS = PF_SIMILARITY_LETTERS };

// Of a head, from a letter to another.
typedef struct table {
    double given[LETTERS][LETTERS];  // w
    double chance[LETTERS][LETTERS]; // c
} table;

struct pf_similarity {
    pf_model *model;
    pf_heads chosen;
    pf_pieces *pieces;
    table *tables; // [n_tables] of the chosen layers and heads
    int n_tables;
    float *values, *out;
    size_t values_capacity, out_capacity;
    uint64_t sequences, residues, tokens;
};

static pf_status open_all(pf_similarity *s, const pf_similarity_options *o)
{
    const pf_pieces_options pieces = {
        .records = {.stream = o->stream}, .task = PF_PIECES_PLAIN, .whole = true};
    void *memory = NULL;
    PF_CHECK(pf_model_get_limits(s->model)->probe, PF_ERROR_USAGE,
             "similarity needs a model opened with probe");
    PF_TRY(pf_heads_choose(pf_model_config(s->model), &o->choice, &s->chosen));
    s->n_tables = s->chosen.n_layers * s->chosen.n_heads;
    PF_TRY(pf_alloc(&memory, (size_t)s->n_tables, sizeof(table), "weights of heads"));
    s->tables = memory;
    return pf_pieces_open(s->model, &pieces, &s->pieces);
}

pf_status pf_similarity_open(pf_model *model, const pf_similarity_options *options, pf_similarity **out)
{
    void *memory = NULL;
    *out = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_similarity), "similarity"));
    pf_similarity *s = memory;
    s->model = model;
    const pf_status status = open_all(s, options);
    if (status == PF_OK)
        *out = s;
    else
        pf_similarity_close(s);
    return status;
}

void pf_similarity_close(pf_similarity *s)
{
    if (!s) return;
    pf_pieces_close(s->pieces);
    pf_heads_free(&s->chosen);
    pf_free(s->tables);
    pf_free(s->values);
    pf_free(s->out);
    pf_free(s);
}

// ---- one layer of a batch ----

// Values of letters first .. first+E-1: a residue has a 1 in its letter's number, in every head.
static void set_values(pf_similarity *s, const pf_batch *batch, int first)
{
    const struct pf_config *config = pf_model_config(s->model);
    const size_t D = (size_t)config->hidden_size, E = (size_t)pf_config_head_size(config);
    memset(s->values, 0, (size_t)batch->n_rows * D * sizeof *s->values);
    for (int32_t n = 0; n < batch->n_rows; n++) {
        const int letter = batch->token[n] - first;
        if (batch->token[n] >= LETTERS || letter < 0 || letter >= (int)E) continue;
        for (size_t at = (size_t)letter; at < D; at += E) s->values[(size_t)n * D + at] = 1;
    }
}

// out [letter blocks][N,D]
static pf_status probe_layer(pf_similarity *s, const pf_batch *batch, int layer)
{
    const struct pf_config *config = pf_model_config(s->model);
    const int E = pf_config_head_size(config);
    const size_t size = (size_t)batch->n_rows * (size_t)config->hidden_size;
    for (int block = 0; block * E < LETTERS; block++) {
        set_values(s, batch, block * E);
        PF_TRY(pf_model_probe(
            s->model,
            &(pf_probe){.layer = layer, .values = s->values, .out = s->out + (size_t)block * size}));
    }
    return PF_OK;
}

static double weight(const pf_similarity *s, const pf_batch *batch, int32_t row, int head, int letter)
{
    const struct pf_config *config = pf_model_config(s->model);
    const size_t D = (size_t)config->hidden_size, E = (size_t)pf_config_head_size(config), a = (size_t)letter;
    const size_t block = a / E * (size_t)batch->n_rows;
    return (double)s->out[(block + (size_t)row) * D + (size_t)head * E + a % E];
}

// One head of one sequence.
static void add_sequence(const pf_similarity *s, const pf_batch *batch, int32_t b, int head, table *to)
{
    double sum[LETTERS][LETTERS] = {{0}}, gives[LETTERS] = {0}, gets[LETTERS] = {0}, all = 0;
    for (int32_t n = batch->start[b]; n < batch->start[b + 1]; n++) {
        const int x = batch->token[n];
        for (int y = 0; x < LETTERS && y < LETTERS; y++) sum[x][y] += weight(s, batch, n, head, y);
    }
    for (int x = 0; x < LETTERS; x++)
        for (int y = 0; y < LETTERS; y++) gives[x] += sum[x][y], gets[y] += sum[x][y], all += sum[x][y];
    for (int x = 0; x < LETTERS; x++)
        for (int y = 0; y < LETTERS; y++) {
            to->given[x][y] += sum[x][y];
            if (all != 0) to->chance[x][y] += gives[x] * gets[y] / all;
        }
}

static pf_status make_room(pf_similarity *s, const pf_batch *batch)
{
    const struct pf_config *config = pf_model_config(s->model);
    const size_t size = (size_t)batch->n_rows * (size_t)config->hidden_size,
                 E = (size_t)pf_config_head_size(config);
    PF_TRY(pf_grow((void **)&s->values, &s->values_capacity, size, sizeof *s->values, "one-hot values"));
    return pf_grow((void **)&s->out, &s->out_capacity, size * ((LETTERS + E - 1) / E), sizeof *s->out,
                   "weights");
}

static pf_status add_batch(pf_similarity *s, const pf_batch *batch)
{
    const pf_pass pass = {0};
    int next = 0;
    PF_TRY(make_room(s, batch));
    PF_TRY(pf_model_forward_begin(s->model, batch, &pass));
    for (int layer = 0; layer < pf_model_config(s->model)->num_hidden_layers; layer++) {
        for (int l = 0; l < s->chosen.n_layers; l++) {
            if (s->chosen.layers[l] != layer) continue;
            PF_TRY(pf_run_to_layer(s->model, layer, &next));
            PF_TRY(probe_layer(s, batch, layer));
            for (int h = 0; h < s->chosen.n_heads; h++)
                for (int32_t b = 0; b < batch->n_sequences; b++)
                    add_sequence(s, batch, b, s->chosen.heads[h], &s->tables[l * s->chosen.n_heads + h]);
        }
    }
    return PF_OK;
}

pf_status pf_similarity_step(pf_similarity *s, uint64_t *sequences, uint64_t *tokens)
{
    pf_piece_batch b;
    PF_TRY(pf_pieces_next(s->pieces, &b));
    PF_TRY(add_batch(s, b.batch));
    for (int32_t i = 0; i < b.n_pieces; i++) s->sequences += b.piece[i].is_last;
    for (int32_t n = 0; n < b.batch->n_rows; n++) s->residues += b.batch->token[n] < PF_RESIDUE_TOKENS;
    s->tokens += (uint64_t)b.batch->n_rows;
    *sequences = s->sequences;
    *tokens = s->tokens;
    return PF_OK;
}

const char *pf_similarity_warning(const pf_similarity *s, size_t i)
{
    return pf_pieces_warning(s->pieces, i);
}

// ---- the result ----

// Points of which a correlation is sought.
typedef struct points {
    double *x, *y;
    int count;
} points;

static void add_point(points *p, double x, double y)
{
    if (!isfinite(x) || !isfinite(y)) return;
    p->x[p->count] = x;
    p->y[p->count++] = y;
}

// p_h(Y): the share of Y in what head h gives.
static double share(const table *t, int y)
{
    double to = 0, all = 0;
    for (int x = 0; x < LETTERS; x++) {
        to += t->given[x][y];
        for (int z = 0; z < LETTERS; z++) all += t->given[x][z];
    }
    return to / all;
}

static double log_odds(double given, double chance)
{
    return given > 0 && chance > 0 ? log2(given / chance) : (double)NAN;
}

static double received(const pf_similarity *s, points *p, int a, int b)
{
    p->count = 0;
    for (int h = 0; h < s->n_tables; h++) add_point(p, share(&s->tables[h], a), share(&s->tables[h], b));
    return pf_correlation(p->x, p->y, p->count);
}

static double given(const pf_similarity *s, points *p, int a, int b)
{
    p->count = 0;
    for (int h = 0; h < s->n_tables; h++)
        for (int z = 0; z < LETTERS; z++) {
            const table *t = &s->tables[h];
            if (z == a || z == b) continue;
            add_point(p, log_odds(t->given[a][z], t->chance[a][z]),
                      log_odds(t->given[b][z], t->chance[b][z]));
        }
    return pf_correlation(p->x, p->y, p->count);
}

static double pair(const pf_similarity *s, int x, int y)
{
    double sum = 0, chance = 0;
    for (int h = 0; h < s->n_tables; h++)
        sum += s->tables[h].given[x][y], chance += s->tables[h].chance[x][y];
    return log_odds(sum, chance);
}

pf_status pf_similarity_get(const pf_similarity *s, pf_similarity_result *out)
{
    void *memory = NULL;
    const size_t most = (size_t)s->n_tables * LETTERS;
    PF_TRY(pf_alloc(&memory, 2 * most, sizeof(double), "correlations"));
    points p = {.x = memory, .y = (double *)memory + most};
    *out = (pf_similarity_result){.sequences = s->sequences, .residues = s->residues, .n_heads = s->n_tables};
    for (int a = 0; a < LETTERS; a++)
        for (int b = 0; b <= a; b++) {
            out->received.at[a][b] = out->received.at[b][a] = a == b ? 1 : received(s, &p, a, b);
            out->given.at[a][b] = out->given.at[b][a] = a == b ? 1 : given(s, &p, a, b);
            out->pairs.at[a][b] = out->pairs.at[b][a] = (pair(s, a, b) + pair(s, b, a)) / 2;
        }
    pf_free(memory);
    return PF_OK;
}
