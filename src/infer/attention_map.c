// Attention maps of sequences, to files and to the caller. See performer/attention_map.h.
//
// A map is made column by column and written row by row, so it is whole in memory once; of a layer as many
// heads at a time as take MOST_BYTES, one in any case. A group of heads costs a pass over all columns.
#include "performer/attention_map.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/alphabet.h"
#include "data/batch.h"
#include "infer/records.h"
#include "infer/weight_columns.h"
#include "store/npy.h"

enum { MOST_BYTES = 1 << 30, ID_IN_NAME = 80 };

struct pf_attention_maps {
    pf_model *model;
    pf_heads chosen;
    pf_long_sequences long_sequences;
    uint64_t n_cropped;
    pf_text warning;
    char *directory;
    char **ids; // [n_ids]; NULL once it was found
    int n_ids, n_ids_left;
    int32_t n_sequences; // without ids: that are still to come
    pf_records *records;
    pf_weight_columns columns;
    // the sequence at hand
    bool is_open;
    uint64_t number, n_residues;
    pf_text id, name;
    pf_batch_builder builder;
    char *letters;
    pf_npy_writer *file, *deviations_file;
    int next_layer;       // of the model, to be computed
    int layer;            // of the chosen ones
    int first_head, head; // of the chosen ones: the group's first, the one to be given next
    int n_group;          // heads in memory
    pf_weight_maps group;
    size_t group_capacity; // numbers
};

static pf_status copy_ids(pf_attention_maps *m, const pf_attention_maps_options *o)
{
    void *memory = NULL;
    m->n_sequences = o->n_sequences;
    PF_TRY(pf_alloc(&memory, (size_t)o->n_ids, sizeof(char *), "ids"));
    m->ids = memory;
    for (; m->n_ids < o->n_ids; m->n_ids++) PF_TRY(pf_copy_text(&m->ids[m->n_ids], o->ids[m->n_ids]));
    m->n_ids_left = m->n_ids;
    return PF_OK;
}

static pf_status open_all(pf_attention_maps *m, const pf_attention_maps_options *o)
{
    const struct pf_config *config = pf_model_config(m->model);
    pf_records_options records = {
        .stream = o->stream, // whole sequences: only those that are wanted are cropped, below
        .longest = (uint64_t)config->max_position_embeddings,
        .keep_masks = true,
    };
    PF_CHECK(o->draws == 0 || (o->draws >= 2 && o->draws <= 100000), PF_ERROR_USAGE,
             "%d draws, expected 0 or 2 to 100000", o->draws);
    PF_CHECK(o->stream.long_sequences != PF_LONG_WINDOW, PF_ERROR_USAGE,
             "a map is of one sequence as a whole: crop it or refuse it, windows have no map together");
    PF_CHECK(pf_model_get_limits(m->model)->probe, PF_ERROR_USAGE, "maps need a model opened with probe");
    m->columns = (pf_weight_columns){.model = m->model, .draws = o->draws, .seed = o->seed};
    PF_TRY(pf_heads_choose(config, &o->choice, &m->chosen));
    if (o->directory) PF_TRY(pf_copy_text(&m->directory, o->directory));
    PF_TRY(copy_ids(m, o));
    m->long_sequences = o->stream.long_sequences;
    records.stream.long_sequences = PF_LONG_WINDOW;
    return pf_records_open(&records, &m->records);
}

pf_status pf_attention_maps_open(pf_model *model, const pf_attention_maps_options *options,
                                 pf_attention_maps **out)
{
    void *memory = NULL;
    *out = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_attention_maps), "attention maps"));
    pf_attention_maps *m = memory;
    m->model = model;
    const pf_status status = open_all(m, options);
    if (status == PF_OK)
        *out = m;
    else
        pf_attention_maps_close(m);
    return status;
}

static void drop_files(pf_attention_maps *m)
{
    pf_npy_writer_discard(m->file);
    pf_npy_writer_discard(m->deviations_file);
    m->file = m->deviations_file = NULL;
}

void pf_attention_maps_close(pf_attention_maps *m)
{
    if (!m) return;
    drop_files(m);
    for (int i = 0; i < m->n_ids; i++) pf_free(m->ids[i]);
    pf_free(m->ids);
    pf_free(m->directory);
    pf_free(m->letters);
    pf_free(m->group.weights);
    pf_free(m->group.deviations);
    pf_text_free(&m->id);
    pf_text_free(&m->name);
    pf_text_free(&m->warning);
    pf_batch_builder_free(&m->builder);
    pf_weight_columns_free(&m->columns);
    pf_heads_free(&m->chosen);
    pf_records_close(m->records);
    pf_free(m);
}

// ---- the next sequence ----

static bool is_wanted(pf_attention_maps *m, const char *id)
{
    if (m->n_ids == 0) return m->n_sequences > 0 && m->n_sequences-- > 0;
    for (int i = 0; i < m->n_ids; i++)
        if (m->ids[i] && strcmp(m->ids[i], id) == 0) {
            pf_free(m->ids[i]);
            m->ids[i] = NULL;
            m->n_ids_left--;
            return true;
        }
    return false;
}

static pf_status fail_missing(const pf_attention_maps *m)
{
    char quoted[PF_QUOTE_BYTES];
    for (int i = 0; i < m->n_ids; i++)
        PF_CHECK(!m->ids[i], PF_ERROR_INPUT,
                 "no sequence has the id \"%s\"; an id is what stands between > and the first blank",
                 pf_quote(quoted, m->ids[i], strlen(m->ids[i])));
    return PF_END;
}

static pf_status find_record(pf_attention_maps *m, pf_record *record)
{
    do {
        if (m->n_ids ? m->n_ids_left == 0 : m->n_sequences == 0) return PF_END;
        const pf_status status = pf_records_next(m->records, record);
        if (status == PF_END) return fail_missing(m);
        PF_TRY(status);
    } while (!is_wanted(m, record->name));
    return PF_OK;
}

// The id as part of a file's name: what could mean something to a shell or a file system becomes _.
static pf_status make_name(pf_attention_maps *m, const pf_record *record)
{
    m->id.length = m->name.length = 0;
    PF_TRY(pf_text_add_bytes(&m->id, record->name, record->name_length));
    PF_TRY(pf_text_add(&m->name, "%llu-", (unsigned long long)m->number));
    for (size_t i = 0; i < record->name_length && i < ID_IN_NAME; i++) {
        const char c = record->name[i];
        const bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                              c == '.' || c == '-';
        PF_TRY(pf_text_add(&m->name, "%c", is_plain ? c : '_'));
    }
    return PF_OK;
}

static pf_status open_file(const pf_attention_maps *m, const char *ending, pf_npy_writer **out)
{
    const uint64_t L = (uint64_t)m->columns.length;
    const uint64_t shape[] = {(uint64_t)m->chosen.n_layers, (uint64_t)m->chosen.n_heads, L, L};
    pf_text name = {0};
    char *path = NULL;
    pf_status status;
    if (!m->directory) return PF_OK;
    PF_TRY_OR(done, pf_text_add(&name, "%s%s", m->name.data, ending));
    PF_TRY_OR(done, pf_join_path(&path, m->directory, name.data));
    PF_TRY_OR(done, pf_npy_writer_open(path, 4, shape, out));
done:
    pf_text_free(&name);
    pf_free(path);
    return status;
}

// Room for a sequence of `length` tokens, in the model and here.
static pf_status make_room(pf_attention_maps *m, size_t length)
{
    void *memory = NULL;
    if (length <= m->builder.most_rows) return PF_OK;
    pf_model_limits limits = *pf_model_get_limits(m->model);
    if ((size_t)limits.max_rows < length) {
        limits.max_rows = (int32_t)length;
        PF_TRY(pf_model_resize(m->model, &limits));
    }
    pf_batch_builder_free(&m->builder);
    PF_TRY(pf_batch_builder_create(&m->builder, length, 1));
    pf_free(m->letters);
    m->letters = NULL;
    PF_TRY(pf_alloc(&memory, length, 1, "letters"));
    m->letters = memory;
    return PF_OK;
}

// Maps of as many heads as MOST_BYTES hold, at least one.
static pf_status make_group(pf_attention_maps *m, size_t length)
{
    const size_t map = length * length, each = map * sizeof(float) * (m->columns.draws ? 2 : 1);
    size_t count = MOST_BYTES / each;
    void *memory = NULL;
    if (count < 1) count = 1;
    if (count > (size_t)m->chosen.n_heads) count = (size_t)m->chosen.n_heads;
    m->n_group = (int)count;
    if (count * map <= m->group_capacity) return PF_OK;
    pf_free(m->group.weights);
    pf_free(m->group.deviations);
    m->group = (pf_weight_maps){0};
    m->group_capacity = 0;
    PF_TRY(pf_alloc(&memory, count * map, sizeof(float), "attention maps"));
    m->group.weights = memory;
    if (m->columns.draws)
        PF_TRY(pf_alloc(&memory, count * map, sizeof(float), "deviations of attention maps"));
    m->group.deviations = m->columns.draws ? memory : NULL;
    m->group_capacity = count * map;
    return PF_OK;
}

static pf_status begin_forward(pf_attention_maps *m)
{
    const pf_pass pass = {0};
    m->next_layer = 0;
    return pf_model_forward_begin(m->model, &m->builder.batch, &pass);
}

// How many of the record's tokens the map is of.
static pf_status crop(pf_attention_maps *m, const pf_record *record, uint64_t *n_tokens)
{
    char quoted[PF_QUOTE_BYTES];
    const uint64_t longest = (uint64_t)pf_model_config(m->model)->max_position_embeddings;
    uint64_t count = record->n_residues + 2;
    if (count > longest) {
        PF_CHECK(m->long_sequences == PF_LONG_CROP, PF_ERROR_INPUT,
                 "sequence \"%s\": %llu residues and two ends, the model takes %llu tokens; --long crop "
                 "takes the first",
                 pf_quote(quoted, record->name, record->name_length), (unsigned long long)record->n_residues,
                 (unsigned long long)longest);
        count = longest;
        m->n_cropped++;
    }
    PF_CHECK(count <= PF_MAP_MOST_TOKENS, PF_ERROR_INPUT,
             "sequence \"%s\": %llu tokens, a map has at most %d; cut the sequence",
             pf_quote(quoted, record->name, record->name_length), (unsigned long long)count,
             PF_MAP_MOST_TOKENS);
    *n_tokens = count;
    return PF_OK;
}

static pf_status open_sequence(pf_attention_maps *m)
{
    pf_record record;
    uint64_t n_tokens = 0;
    PF_TRY(find_record(m, &record));
    PF_TRY(crop(m, &record, &n_tokens));
    const size_t length = (size_t)n_tokens;
    m->number++;
    m->n_residues = record.n_residues;
    PF_TRY(make_name(m, &record));
    PF_TRY(make_room(m, length));
    PF_TRY(make_group(m, length));
    PF_TRY(pf_weight_columns_begin(&m->columns, (int32_t)length));
    pf_batch_builder_clear(&m->builder);
    pf_batch_builder_add(&m->builder, length, 0);
    pf_alphabet_window(m->builder.token, record.residue, record.n_residues, 0, length);
    for (size_t t = 0; t < length; t++) m->letters[t] = pf_alphabet_letter(m->builder.token[t]);
    PF_TRY(begin_forward(m));
    PF_TRY(open_file(m, ".npy", &m->file));
    if (m->columns.draws) PF_TRY(open_file(m, ".deviation.npy", &m->deviations_file));
    m->is_open = true;
    m->layer = -1;
    m->first_head = m->head = m->chosen.n_heads; // the layer before the first one is done
    m->group.n_heads = 0;
    return PF_OK;
}

static pf_status close_sequence(pf_attention_maps *m)
{
    pf_npy_writer *file = m->file, *deviations = m->deviations_file;
    m->file = m->deviations_file = NULL;
    m->is_open = false;
    const pf_status status = file ? pf_npy_writer_commit(file) : PF_OK;
    if (status != PF_OK || !deviations) {
        pf_npy_writer_discard(deviations);
        return status;
    }
    return pf_npy_writer_commit(deviations);
}

// ---- the next map ----

// The next group of heads, of this layer or the next. PF_END behind the last.
static pf_status compute_group(pf_attention_maps *m)
{
    if (m->head == m->chosen.n_heads) {
        if (m->layer + 1 == m->chosen.n_layers) return PF_END;
        m->layer++;
        m->head = 0;
    }
    const int layer = m->chosen.layers[m->layer], left = m->chosen.n_heads - m->head;
    if (layer < m->next_layer - 1) PF_TRY(begin_forward(m)); // layers are chosen in any order
    PF_TRY(pf_run_to_layer(m->model, layer, &m->next_layer));
    m->first_head = m->head;
    m->group.heads = m->chosen.heads + m->head;
    m->group.n_heads = m->n_group < left ? m->n_group : left;
    return pf_weight_columns_run(&m->columns, layer, &m->group);
}

static pf_status give(pf_attention_maps *m, pf_attention_map *out)
{
    const size_t L = (size_t)m->columns.length, at = (size_t)(m->head - m->first_head) * L * L;
    const float *weights = m->group.weights + at,
                *deviations = m->group.deviations ? m->group.deviations + at : NULL;
    if (m->file) PF_TRY(pf_npy_writer_write(m->file, weights, L * L));
    if (m->deviations_file) PF_TRY(pf_npy_writer_write(m->deviations_file, deviations, L * L));
    *out = (pf_attention_map){
        .name = m->name.data,
        .id = m->id.data ? m->id.data : "",
        .id_length = m->id.length,
        .n_residues = m->n_residues,
        .length = m->columns.length,
        .letters = m->letters,
        .layer = m->chosen.layers[m->layer] + 1,
        .head = m->chosen.heads[m->head] + 1,
        .weights = weights,
        .deviations = deviations,
        .is_first = m->layer == 0 && m->head == 0,
        .is_last = m->layer + 1 == m->chosen.n_layers && m->head + 1 == m->chosen.n_heads,
    };
    m->head++;
    return out->is_last ? close_sequence(m) : PF_OK;
}

// Said once, when all is done.
static pf_status warn_of_crops(pf_attention_maps *m)
{
    if (m->n_cropped == 0 || m->warning.length) return PF_END;
    PF_TRY(pf_text_add(
        &m->warning,
        "%llu sequence%s longer than the model's %d tokens (begin and end counted): maps are of their first "
        "tokens; --long error refuses",
        (unsigned long long)m->n_cropped, m->n_cropped == 1 ? " is" : "s are",
        pf_model_config(m->model)->max_position_embeddings));
    return PF_END;
}

pf_status pf_attention_maps_next(pf_attention_maps *m, pf_attention_map *out)
{
    const pf_status status = m->is_open ? PF_OK : open_sequence(m);
    if (status == PF_END) return warn_of_crops(m);
    PF_TRY(status);
    if (m->head == m->first_head + m->group.n_heads || m->group.n_heads == 0) PF_TRY(compute_group(m));
    return give(m, out);
}

const char *pf_attention_maps_warning(const pf_attention_maps *m, size_t i)
{
    const bool has_own = m->warning.length > 0;
    if (i == 0 && has_own) return m->warning.data;
    return pf_records_warning(m->records, i - has_own);
}
