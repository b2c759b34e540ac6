// Embeddings in the formats that there are. See embed_output.h.
#include "infer/embed_output.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "infer/tensor_file.h"
#include "store/number_type.h"

// What is being written: one of the writers is in use.
typedef struct output {
    const char *path;
    const pf_embed_shape *shape;
    pf_journal *journal;
    uint64_t count; // of entries
    size_t longest; // characters of the longest id
} output;

pf_status pf_embed_check_output(const char *path, const pf_embed_shape *shape)
{
    char quoted[PF_QUOTE_BYTES];
    const bool pooled = shape->pooled;
    PF_CHECK(!shape->half || !pf_path_ends(path, ".tsv"), PF_ERROR_USAGE,
             "output %s: a table has no half precision; choose .npz, .safetensors or .npy",
             pf_quote(quoted, path, strlen(path)));
    const bool named = pf_path_ends(path, ".npz") || pf_path_ends(path, ".safetensors");
    if (named || (pooled && (pf_path_ends(path, ".npy") || pf_path_ends(path, ".tsv")))) return PF_OK;
    return pf_fail(PF_ERROR_USAGE, "output %s: its name must end in .npz or .safetensors%s",
                   pf_quote(quoted, path, strlen(path)), pooled ? ", .npy or .tsv" : " without pooling");
}

pf_status pf_embed_part_ending(const char *format, const pf_embed_shape *shape, const char **out)
{
    static const char *const endings[] = {".safetensors", ".npz", ".tsv"};
    char quoted[PF_QUOTE_BYTES];
    *out = NULL;
    for (int i = 0; i < 3; i++)
        if (!format || strcmp(format, endings[i] + 1) == 0) {
            *out = endings[i];
            break;
        }
    PF_CHECK(*out, PF_ERROR_USAGE, "parts of format '%s': they are safetensors, npz or tsv",
             pf_quote(quoted, format, strlen(format)));
    PF_CHECK(shape->pooled || strcmp(*out, ".tsv") != 0, PF_ERROR_USAGE,
             "parts of format tsv hold a row for each sequence; without pooling choose safetensors or npz");
    PF_CHECK(!shape->half || strcmp(*out, ".tsv") != 0, PF_ERROR_USAGE,
             "parts of format tsv: a table has no half precision; choose safetensors or npz");
    return PF_OK;
}

// The number of entries is the matrix's first dimension.
static pf_status count_entries(output *o)
{
    pf_journal_entry entry;
    pf_status status;
    PF_TRY(pf_journal_rewind(o->journal));
    for (; (status = pf_journal_next(o->journal, &entry)) == PF_OK; o->count++) {
        const size_t width = pf_npz_text_width(entry.name);
        if (width > o->longest) o->longest = width;
    }
    return status == PF_END ? pf_journal_rewind(o->journal) : status;
}

// [N,D] or [N,layers,D].
static int matrix_shape(const output *o, uint64_t shape[3])
{
    const bool several = o->shape->n_layers > 1;
    shape[0] = o->count;
    shape[1] = (uint64_t)(several ? o->shape->n_layers : o->shape->width);
    shape[2] = (uint64_t)o->shape->width;
    return several ? 3 : 2;
}

static pf_status write_npz(output *o)
{
    uint64_t shape[3];
    pf_npz *npz = NULL;
    pf_journal_entry entry;
    pf_status status;
    const int rank = matrix_shape(o, shape);
    PF_TRY(pf_npz_open(o->path, &npz));
    if (o->shape->half) pf_npz_use_half(npz);
    PF_TRY_OR(failed, pf_npz_begin(npz, "embeddings", rank, shape));
    while ((status = pf_journal_next(o->journal, &entry)) == PF_OK)
        PF_TRY_OR(failed, pf_npz_write(npz, entry.numbers, entry.count));
    if (status != PF_END) goto failed;
    PF_TRY_OR(failed, pf_npz_begin_texts(npz, "ids", o->longest, o->count));
    PF_TRY_OR(failed, pf_journal_rewind(o->journal));
    while ((status = pf_journal_next(o->journal, &entry)) == PF_OK)
        PF_TRY_OR(failed, pf_npz_write_text(npz, entry.name));
    if (status != PF_END) goto failed;
    return pf_npz_commit(npz);
failed:
    pf_npz_discard(npz);
    return status;
}

// They stand in the header, which is made in memory: all ids are there once.
static pf_status list_ids(const output *o, pf_text *json)
{
    pf_journal_entry entry;
    pf_status status;
    PF_TRY(pf_text_add(json, "["));
    while ((status = pf_journal_next(o->journal, &entry)) == PF_OK) {
        if (json->length > 1) PF_TRY(pf_text_add(json, ","));
        PF_TRY(pf_text_add_json(json, entry.name, strlen(entry.name)));
    }
    if (status != PF_END) return status;
    PF_TRY(pf_journal_rewind(o->journal));
    return pf_text_add(json, "]");
}

static pf_status write_row(pf_safetensors_writer *writer, bool half, const pf_journal_entry *entry)
{
    enum { PART = 1024 };
    uint16_t part[PART];
    if (!half) return pf_safetensors_write(writer, entry->numbers, entry->count * sizeof *entry->numbers);
    for (uint64_t first = 0; first < entry->count; first += PART) {
        const size_t count = entry->count - first < PART ? (size_t)(entry->count - first) : PART;
        for (size_t i = 0; i < count; i++) part[i] = pf_half_from_float(entry->numbers[first + i]);
        PF_TRY(pf_safetensors_write(writer, part, count * sizeof *part));
    }
    return PF_OK;
}

static pf_status write_safetensors(output *o)
{
    pf_text ids = {0};
    pf_safetensors_writer *writer = NULL;
    pf_journal_entry entry;
    pf_tensor_spec spec = {.name = "embeddings", .type = o->shape->half ? PF_F16 : PF_F32};
    pf_status status;
    spec.rank = matrix_shape(o, spec.shape);
    PF_TRY_OR(done, list_ids(o, &ids));
    PF_TRY_OR(done,
              pf_safetensors_writer_open(o->path, &spec, 1, &(pf_metadata){"ids", ids.data}, 1, &writer));
    while ((status = pf_journal_next(o->journal, &entry)) == PF_OK)
        PF_TRY_OR(done, write_row(writer, o->shape->half, &entry));
    if (status != PF_END) goto done;
    status = pf_safetensors_commit(writer, NULL);
    writer = NULL;
done:
    pf_safetensors_discard(writer);
    pf_text_free(&ids);
    return status;
}

static pf_status write_lines_of_ids(const output *o, pf_writer *writer)
{
    pf_journal_entry entry;
    pf_status status;
    while ((status = pf_journal_next(o->journal, &entry)) == PF_OK) {
        PF_TRY(pf_writer_write(writer, entry.name, strlen(entry.name)));
        PF_TRY(pf_writer_write(writer, "\n", 1));
    }
    return status == PF_END ? pf_journal_rewind(o->journal) : status;
}

static pf_status write_id_file(const output *o)
{
    pf_text path = {0};
    pf_writer *writer = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_text_add(&path, "%s.ids.txt", o->path));
    PF_TRY_OR(done, pf_writer_open(path.data, &writer));
    PF_TRY_OR(done, write_lines_of_ids(o, writer));
    status = pf_writer_commit(writer, NULL);
    writer = NULL;
done:
    pf_writer_discard(writer);
    pf_text_free(&path);
    return status;
}

static pf_status write_npy(output *o)
{
    uint64_t shape[3];
    pf_npy_writer *writer = NULL;
    pf_journal_entry entry;
    pf_status status;
    const int rank = matrix_shape(o, shape);
    PF_TRY(write_id_file(o)); // before the matrix, which says that all is done
    PF_TRY((o->shape->half ? pf_npy_writer_open_half : pf_npy_writer_open)(o->path, rank, shape, &writer));
    while ((status = pf_journal_next(o->journal, &entry)) == PF_OK)
        PF_TRY_OR(failed, pf_npy_writer_write(writer, entry.numbers, entry.count));
    if (status != PF_END) goto failed;
    return pf_npy_writer_commit(writer);
failed:
    pf_npy_writer_discard(writer);
    return status;
}

// Lines of one entry: one for each layer.
static pf_status add_lines(const output *o, const pf_journal_entry *entry, pf_text *text)
{
    text->length = 0;
    for (int l = 0; l < o->shape->n_layers; l++) {
        PF_TRY(pf_text_add_path(text, entry->name)); // control characters would break the table
        if (o->shape->n_layers > 1) PF_TRY(pf_text_add(text, "\t%d", l));
        for (int d = 0; d < o->shape->width; d++) {
            PF_TRY(pf_text_add(text, "\t"));
            PF_TRY(pf_text_add_float(text, entry->numbers[l * o->shape->width + d]));
        }
        PF_TRY(pf_text_add(text, "\n"));
    }
    return PF_OK;
}

static pf_status add_header(const output *o, pf_text *text)
{
    PF_TRY(pf_text_add(text, o->shape->n_layers > 1 ? "id\tlayer" : "id"));
    for (int d = 0; d < o->shape->width; d++) PF_TRY(pf_text_add(text, "\t%d", d));
    return pf_text_add(text, "\n");
}

static pf_status write_tsv(output *o)
{
    pf_text text = {0};
    pf_writer *writer = NULL;
    pf_journal_entry entry;
    pf_status status;
    PF_TRY_OR(done, pf_writer_open(o->path, &writer));
    PF_TRY_OR(done, add_header(o, &text));
    PF_TRY_OR(done, pf_writer_write(writer, text.data, text.length));
    while ((status = pf_journal_next(o->journal, &entry)) == PF_OK) {
        PF_TRY_OR(done, add_lines(o, &entry, &text));
        PF_TRY_OR(done, pf_writer_write(writer, text.data, text.length));
    }
    if (status != PF_END) goto done;
    status = pf_writer_commit(writer, NULL);
    writer = NULL;
done:
    pf_writer_discard(writer);
    pf_text_free(&text);
    return status;
}

static pf_status write_each(output *o)
{
    pf_tensor_file file = {0};
    pf_journal_entry entry;
    pf_status status;
    const uint64_t layers = (uint64_t)o->shape->n_layers, width = (uint64_t)o->shape->width;
    PF_TRY(pf_journal_rewind(o->journal));
    PF_TRY(pf_tensor_file_open(o->path, &file));
    if (o->shape->half) pf_tensor_file_use_half(&file);
    while ((status = pf_journal_next(o->journal, &entry)) == PF_OK) {
        const uint64_t rows = entry.count / (layers * width);
        const uint64_t several[] = {layers, rows, width}, one[] = {rows, width};
        status = pf_tensor_file_add(&file, entry.name, layers > 1 ? 3 : 2, layers > 1 ? several : one,
                                    entry.numbers);
        if (status != PF_OK) break;
    }
    if (status == PF_END) return pf_tensor_file_commit(&file);
    pf_tensor_file_discard(&file);
    return status;
}

static pf_status write_matrix(output *o)
{
    PF_TRY(count_entries(o));
    if (pf_path_ends(o->path, ".npz")) return write_npz(o);
    if (pf_path_ends(o->path, ".safetensors")) return write_safetensors(o);
    return pf_path_ends(o->path, ".npy") ? write_npy(o) : write_tsv(o);
}

pf_status pf_embed_write_output(const char *path, const pf_embed_shape *shape, pf_journal *journal)
{
    output o = {.path = path, .shape = shape, .journal = journal};
    return shape->pooled ? write_matrix(&o) : write_each(&o);
}
