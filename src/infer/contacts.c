// Contacts of residues from the attention of all heads. See performer/contacts.h. Maps come head by head and
// are added up in double, so that one map and two sums are all that is in memory.
#include "performer/contacts.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/performer.h"
#include "performer/attention_map.h"
#include "store/npy.h"

struct pf_contacts {
    pf_attention_maps *maps;
    char *directory;
    int n_layers, n_heads;
    float *weight; // [n_layers * n_heads] of the regression, layer by layer; NULL: the model has none
    double bias;
    double *sum;    // [n,n] of the weighted heads so far
    double *margin; // [n] sums of the rows of a map made symmetric
    float *score;   // [n,n]
    char *residues;
    size_t capacity; // residues that there is room for
};

// The regression lies among what the model carries along.
static pf_status read_regression(pf_contacts *c, pf_model *model)
{
    const pf_parameters *all = pf_model_params(model);
    const pf_parameter *weight = pf_parameters_find(all, "contact.weight"),
                       *bias = pf_parameters_find(all, "contact.bias");
    void *memory = NULL;
    if (!weight || !bias) return PF_OK;
    PF_TRY(pf_alloc(&memory, all->projections_size, sizeof(float), "contact regression"));
    float *carried = memory;
    pf_status status = pf_model_download(model, NULL, carried);
    if (status == PF_OK) status = pf_alloc(&memory, weight->count, sizeof(float), "contact regression");
    if (status == PF_OK) {
        c->weight = memory;
        memcpy(c->weight, carried + weight->offset, weight->count * sizeof(float));
        c->bias = (double)carried[bias->offset];
    }
    pf_free(carried);
    return status;
}

static pf_status open_all(pf_contacts *c, pf_model *model, const pf_contacts_options *o)
{
    const pf_attention_maps_options maps = {.stream = o->stream, .n_sequences = INT32_MAX};
    c->n_layers = pf_model_config(model)->num_hidden_layers;
    c->n_heads = pf_model_config(model)->num_attention_heads;
    if (o->directory) PF_TRY(pf_copy_text(&c->directory, o->directory));
    PF_TRY(pf_attention_maps_open(model, &maps, &c->maps));
    return read_regression(c, model);
}

pf_status pf_contacts_open(pf_model *model, const pf_contacts_options *options, pf_contacts **out)
{
    void *memory = NULL;
    *out = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_contacts), "contacts"));
    pf_contacts *c = memory;
    const pf_status status = open_all(c, model, options);
    if (status == PF_OK)
        *out = c;
    else
        pf_contacts_close(c);
    return status;
}

static void free_room(pf_contacts *c)
{
    pf_free(c->sum);
    pf_free(c->margin);
    pf_free(c->score);
    pf_free(c->residues);
    c->sum = c->margin = NULL;
    c->score = NULL;
    c->residues = NULL;
    c->capacity = 0;
}

void pf_contacts_close(pf_contacts *c)
{
    if (!c) return;
    pf_attention_maps_close(c->maps);
    free_room(c);
    pf_free(c->weight);
    pf_free(c->directory);
    pf_free(c);
}

static pf_status make_room(pf_contacts *c, size_t n)
{
    void *memory = NULL;
    if (n <= c->capacity && c->sum) return PF_OK;
    free_room(c);
    PF_TRY(pf_alloc(&memory, n * n, sizeof(double), "contacts"));
    c->sum = memory;
    PF_TRY(pf_alloc(&memory, n, sizeof(double), "contacts"));
    c->margin = memory;
    PF_TRY(pf_alloc(&memory, n * n, sizeof(float), "contacts"));
    c->score = memory;
    PF_TRY(pf_alloc(&memory, n + 1, 1, "contacts"));
    c->residues = memory;
    c->capacity = n;
    return PF_OK;
}

// The rows and columns of residues: a map's ends are letters '.', and a cropped sequence has no second one.
static void find_residues(const pf_attention_map *map, size_t *first, size_t *n)
{
    const size_t L = (size_t)map->length;
    *first = L > 0 && map->letters[0] == '.';
    *n = L - *first - (L > 1 && map->letters[L - 1] == '.');
}

// sum += weight * (S - rows x columns / total), S = A + A^T; the margins of S are alike.
static void add_head(pf_contacts *c, const pf_attention_map *map, size_t first, size_t n, double weight)
{
    const size_t L = (size_t)map->length;
    const float *A = map->weights + first * L + first;
    double total = 0;
    memset(c->margin, 0, n * sizeof *c->margin);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            c->margin[i] += (double)A[i * L + j];
            c->margin[j] += (double)A[i * L + j];
        }
    for (size_t i = 0; i < n; i++) total += c->margin[i];
    const double share = total != 0 ? 1 / total : 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            const double s = (double)A[i * L + j] + (double)A[j * L + i];
            c->sum[i * n + j] += weight * (s - c->margin[i] * c->margin[j] * share);
        }
}

static pf_status finish(pf_contacts *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            const double sum = c->sum[i * n + j];
            PF_CHECK(isfinite(sum), PF_ERROR_NUMERICAL,
                     "residues %zu and %zu: the model's attention is not finite", j + 1, i + 1);
            const double score = c->weight ? 1 / (1 + exp(-(sum + c->bias))) : sum;
            c->score[i * n + j] = c->score[j * n + i] = (float)score;
        }
    return PF_OK;
}

static pf_status write_file(const pf_contacts *c, const char *name, size_t n)
{
    const uint64_t shape[] = {n, n};
    pf_npy_writer *file = NULL;
    pf_text base = {0};
    char *path = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_text_add(&base, "%s.npy", name));
    PF_TRY_OR(done, pf_join_path(&path, c->directory, base.data));
    PF_TRY_OR(done, pf_npy_writer_open(path, 2, shape, &file));
    status = pf_npy_writer_write(file, c->score, n * n);
    if (status == PF_OK)
        status = pf_npy_writer_commit(file);
    else
        pf_npy_writer_discard(file);
done:
    pf_text_free(&base);
    pf_free(path);
    return status;
}

pf_status pf_contacts_next(pf_contacts *c, pf_contact_map *out)
{
    const double even = 1.0 / (c->n_layers * c->n_heads);
    pf_attention_map map;
    size_t first = 0, n = 0;
    do {
        PF_TRY(pf_attention_maps_next(c->maps, &map));
        if (map.is_first) {
            find_residues(&map, &first, &n);
            PF_TRY(make_room(c, n));
            memset(c->sum, 0, n * n * sizeof *c->sum);
            memcpy(c->residues, map.letters + first, n);
            c->residues[n] = '\0';
        }
        const size_t head = (size_t)(map.layer - 1) * (size_t)c->n_heads + (size_t)map.head - 1;
        add_head(c, &map, first, n, c->weight ? (double)c->weight[head] : even);
    } while (!map.is_last);
    PF_TRY(finish(c, n));
    if (c->directory) PF_TRY(write_file(c, map.name, n));
    *out = (pf_contact_map){map.name,    map.id,   map.id_length,    (int32_t)n,
                            c->residues, c->score, c->weight != NULL};
    return PF_OK;
}

const char *pf_contacts_warning(const pf_contacts *c, size_t i)
{
    return pf_attention_maps_warning(c->maps, i);
}
