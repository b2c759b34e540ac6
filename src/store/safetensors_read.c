// Reading safetensors. See safetensors.h. The order of checks is that of the format's reference
// reader: length, text, entries, then ranges against each other and against the file.
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"
#include "store/safetensors.h"

enum { PREFIX_BYTES = 8, CHUNK_BYTES = 1 << 16 };

struct pf_safetensors {
    char *path;
    int file;             // -1: parsed from memory
    json_t *header;       // owns the names
    int count;
    pf_tensor_info *tensor; // in file order
    int *by_name;           // their numbers in the order of names
};

// --- one entry ----------------------------------------------------------------------------------

static pf_status read_whole(const json_t *value, const char *what, uint64_t *out)
{
    PF_CHECK(json_is_integer(value) && json_integer_value(value) >= 0, PF_ERROR_INPUT,
             "%s: expected whole numbers from 0", what);
    *out = (uint64_t)json_integer_value(value);
    return PF_OK;
}

static bool multiply(uint64_t *product, uint64_t factor)
{
    if (factor != 0 && *product > UINT64_MAX / factor) return false;
    *product *= factor;
    return true;
}

static pf_status read_shape(const json_t *shape, pf_tensor_info *tensor)
{
    PF_CHECK(json_is_array(shape), PF_ERROR_INPUT, "shape: expected a list");
    PF_CHECK(json_array_size(shape) <= PF_MAX_RANK, PF_ERROR_INPUT, "shape: %zu dimensions, at most %d are read",
             json_array_size(shape), PF_MAX_RANK);
    tensor->rank = (int)json_array_size(shape);
    // Every dimension counts for the overflow, also beside a 0.
    uint64_t nonzero = 1;
    bool is_empty = false;
    for (int i = 0; i < tensor->rank; i++) {
        PF_TRY(read_whole(json_array_get(shape, (size_t)i), "shape", &tensor->shape[i]));
        is_empty |= tensor->shape[i] == 0;
        PF_CHECK(multiply(&nonzero, tensor->shape[i] ? tensor->shape[i] : 1), PF_ERROR_INPUT,
                 "shape: more numbers than can be counted");
    }
    tensor->count = is_empty ? 0 : nonzero;
    tensor->bytes = tensor->count;
    PF_CHECK(multiply(&tensor->bytes, pf_number_type_bytes(tensor->type)), PF_ERROR_INPUT,
             "shape: more bytes than can be counted");
    return PF_OK;
}

static pf_status read_entry(const json_t *entry, pf_tensor_info *tensor)
{
    PF_CHECK(json_is_object(entry), PF_ERROR_INPUT, "expected an object with dtype, shape and data_offsets");
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    const json_t *offsets = json_object_get(entry, "data_offsets");
    PF_CHECK(type, PF_ERROR_INPUT, "dtype: expected a text");
    PF_CHECK(json_object_size(entry) == 3 && json_object_get(entry, "shape") && offsets, PF_ERROR_INPUT,
             "expected dtype, shape and data_offsets and nothing else");
    PF_TRY(pf_number_type_read(type, &tensor->type));
    PF_TRY(read_shape(json_object_get(entry, "shape"), tensor));
    PF_CHECK(json_is_array(offsets) && json_array_size(offsets) == 2, PF_ERROR_INPUT,
             "data_offsets: expected two numbers");
    uint64_t end = 0;
    PF_TRY(read_whole(json_array_get(offsets, 0), "data_offsets", &tensor->offset));
    PF_TRY(read_whole(json_array_get(offsets, 1), "data_offsets", &end));
    PF_CHECK(end >= tensor->offset, PF_ERROR_INPUT, "data_offsets: end %llu is before begin %llu",
             (unsigned long long)end, (unsigned long long)tensor->offset);
    PF_CHECK(end - tensor->offset == tensor->bytes, PF_ERROR_INPUT,
             "data_offsets span %llu bytes, dtype and shape need %llu", (unsigned long long)(end - tensor->offset),
             (unsigned long long)tensor->bytes);
    return PF_OK;
}

// --- all entries --------------------------------------------------------------------------------

static int compare_offsets(const void *a, const void *b)
{
    const pf_tensor_info *left = a, *right = b;
    if (left->offset != right->offset) return left->offset < right->offset ? -1 : 1;
    if (left->bytes != right->bytes) return left->bytes < right->bytes ? -1 : 1;
    return strcmp(left->name, right->name);
}

static int compare_names(const void *a, const void *b, void *tensors)
{
    const pf_tensor_info *tensor = tensors;
    return strcmp(tensor[*(const int *)a].name, tensor[*(const int *)b].name);
}

static pf_status in_tensor(pf_status status, const char *name)
{
    char quoted[PF_QUOTE_BYTES];
    return pf_context(status, "tensor %s", pf_quote(quoted, name, strlen(name)));
}

static pf_status check_metadata(json_t *metadata)
{
    PF_CHECK(json_is_object(metadata), PF_ERROR_INPUT, "__metadata__: expected an object of texts");
    const char *key;
    json_t *value;
    char quoted[PF_QUOTE_BYTES];
    json_object_foreach(metadata, key, value)
        PF_CHECK(json_is_string(value), PF_ERROR_INPUT, "__metadata__: %s: expected a text",
                 pf_quote(quoted, key, strlen(key)));
    return PF_OK;
}

// One range after the other from 0 to the end: no overlap means that a small file cannot claim much
// memory, no hole or tail means that it is nothing else besides.
static pf_status check_ranges(const pf_safetensors *file, uint64_t data_bytes)
{
    uint64_t end = 0;
    for (int i = 0; i < file->count; i++) {
        const pf_tensor_info *tensor = &file->tensor[i];
        if (tensor->offset != end)
            return in_tensor(pf_fail(PF_ERROR_INPUT, "data begin at %llu, the tensor before ends at %llu",
                                     (unsigned long long)tensor->offset, (unsigned long long)end), tensor->name);
        end += tensor->bytes; // cannot wrap: both ends were 63-bit numbers
    }
    PF_CHECK(end == data_bytes, PF_ERROR_INPUT, "tensors take %llu bytes, %llu follow the header",
             (unsigned long long)end, (unsigned long long)data_bytes);
    return PF_OK;
}

static pf_status read_entries(pf_safetensors *file, uint64_t data_bytes)
{
    const size_t entries = json_object_size(file->header);
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, entries, sizeof *file->tensor, "tensor table"));
    file->tensor = memory;
    memory = NULL;
    PF_TRY(pf_alloc(&memory, entries, sizeof *file->by_name, "tensor names"));
    file->by_name = memory;
    const char *name;
    json_t *entry;
    json_object_foreach(file->header, name, entry) {
        if (strcmp(name, "__metadata__") == 0) {
            PF_TRY(check_metadata(entry));
            continue;
        }
        PF_CHECK(*name, PF_ERROR_INPUT, "a tensor without a name");
        pf_tensor_info *tensor = &file->tensor[file->count];
        tensor->name = name;
        PF_TRY(in_tensor(read_entry(entry, tensor), name));
        file->count++;
    }
    qsort(file->tensor, (size_t)file->count, sizeof *file->tensor, compare_offsets);
    for (int i = 0; i < file->count; i++) file->by_name[i] = i;
    qsort_r(file->by_name, (size_t)file->count, sizeof *file->by_name, compare_names, file->tensor);
    return check_ranges(file, data_bytes);
}

static pf_status parse_header(pf_safetensors *file, const char *text, size_t length, uint64_t data_bytes)
{
    json_error_t error;
    file->header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    char quoted[PF_QUOTE_BYTES];
    PF_CHECK(file->header, PF_ERROR_INPUT, "header, byte %d: %s", error.position,
             pf_quote(quoted, error.text, strlen(error.text)));
    PF_CHECK(json_is_object(file->header), PF_ERROR_INPUT, "header: expected a JSON object");
    PF_TRY(read_entries(file, data_bytes));
    for (int i = 0; i < file->count; i++) file->tensor[i].offset += PREFIX_BYTES + length;
    return PF_OK;
}

// --- the file -----------------------------------------------------------------------------------

// Exactly `count` bytes: whoever asks has seen that they are there.
static pf_status read_at(int file, void *out, size_t count, uint64_t offset)
{
    for (size_t done = 0; done < count;) {
        const ssize_t got = pread(file, (char *)out + done, count - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        PF_CHECK(got >= 0, PF_ERROR_INPUT, "cannot be read: %s", strerror(errno));
        PF_CHECK(got > 0, PF_ERROR_INPUT, "became shorter while it was read");
        done += (size_t)got;
    }
    return PF_OK;
}

static pf_status open_file(pf_safetensors *file, uint64_t *size)
{
    file->file = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    PF_CHECK(file->file >= 0, PF_ERROR_INPUT, "cannot be opened: %s", strerror(errno));
    struct stat about;
    PF_CHECK(fstat(file->file, &about) == 0, PF_ERROR_INPUT, "cannot be examined: %s", strerror(errno));
    PF_CHECK(S_ISREG(about.st_mode), PF_ERROR_INPUT, "is not a regular file");
    *size = (uint64_t)about.st_size;
    return PF_OK;
}

// What people have in place of a safetensors file, by its first bytes.
static const struct {
    const char *begin, *what;
} others[] = {
    {"PK\003\004", "a pickle of PyTorch, which tools/to-safetensors turns into one"},
    {"\200\002", "a pickle of PyTorch, which tools/to-safetensors turns into one"},
    {"version ", "a pointer of Git LFS, for which `git lfs pull` fetches the file"},
    {"<", "a page of text"},
    {"{", "JSON"},
};

static pf_status explain_header(const char first[PREFIX_BYTES], uint64_t length, uint64_t size)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        PF_CHECK(strncmp(first, others[i].begin, strlen(others[i].begin)) != 0, PF_ERROR_INPUT,
                 "no safetensors file but %s", others[i].what);
    return pf_fail(PF_ERROR_INPUT, "header of %llu bytes in a file of %llu: no safetensors file, or cut short",
                   (unsigned long long)length, (unsigned long long)size);
}

static pf_status read_file(pf_safetensors *file)
{
    uint64_t size = 0, length = 0;
    PF_TRY(open_file(file, &size));
    PF_CHECK(size >= PREFIX_BYTES, PF_ERROR_INPUT, "%llu bytes, a safetensors file has at least %d",
             (unsigned long long)size, PREFIX_BYTES);
    PF_TRY(read_at(file->file, &length, PREFIX_BYTES, 0));
    char first[PREFIX_BYTES];
    memcpy(first, &length, PREFIX_BYTES);
    if (length > size - PREFIX_BYTES) return explain_header(first, length, size);
    PF_CHECK(length <= PF_HEADER_LIMIT, PF_ERROR_INPUT, "header of %llu bytes, at most %d are read",
             (unsigned long long)length, PF_HEADER_LIMIT);
    void *text = NULL;
    PF_TRY(pf_alloc(&text, (size_t)length, 1, "header"));
    pf_status status = read_at(file->file, text, (size_t)length, PREFIX_BYTES);
    if (status == PF_OK) status = parse_header(file, text, (size_t)length, size - PREFIX_BYTES - length);
    pf_free(text);
    return status;
}

static pf_status new_file(const char *path, pf_safetensors **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_safetensors), "safetensors file"));
    pf_safetensors *file = memory;
    file->file = -1;
    const pf_status status = pf_copy_text(&file->path, path);
    if (status == PF_OK) *out = file;
    else pf_free(file);
    return status;
}

pf_status pf_safetensors_open(const char *path, pf_safetensors **out)
{
    *out = NULL;
    pf_safetensors *file = NULL;
    PF_TRY(new_file(path, &file));
    const pf_status status = read_file(file);
    if (status == PF_OK) *out = file;
    else pf_safetensors_close(file);
    return pf_context(status, "%s", path);
}

pf_status pf_safetensors_parse(const char *header, size_t length, uint64_t data_bytes, pf_safetensors **out)
{
    *out = NULL;
    pf_safetensors *file = NULL;
    PF_TRY(new_file("memory", &file));
    const pf_status status = parse_header(file, header, length, data_bytes);
    if (status == PF_OK) *out = file;
    else pf_safetensors_close(file);
    return status;
}

void pf_safetensors_close(pf_safetensors *file)
{
    if (!file) return;
    if (file->file >= 0) close(file->file);
    json_decref(file->header);
    pf_free(file->tensor);
    pf_free(file->by_name);
    pf_free(file->path);
    pf_free(file);
}

int pf_safetensors_count(const pf_safetensors *file)
{
    return file->count;
}

const pf_tensor_info *pf_safetensors_get(const pf_safetensors *file, int i)
{
    return &file->tensor[i];
}

const pf_tensor_info *pf_safetensors_find(const pf_safetensors *file, const char *name)
{
    int low = 0, high = file->count;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        const pf_tensor_info *tensor = &file->tensor[file->by_name[middle]];
        const int order = strcmp(name, tensor->name);
        if (order == 0) return tensor;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

const char *pf_safetensors_metadata(const pf_safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

const char *pf_safetensors_path(const pf_safetensors *file)
{
    return file->path;
}

pf_status pf_safetensors_read(const pf_safetensors *file, const pf_tensor_info *tensor, void *out)
{
    const pf_status status = read_at(file->file, out, (size_t)tensor->bytes, tensor->offset);
    return pf_context(in_tensor(status, tensor->name), "%s", file->path);
}

static pf_status read_converted(const pf_safetensors *file, const pf_tensor_info *tensor, uint64_t first,
                                uint64_t count, float *out)
{
    PF_CHECK(first <= tensor->count && count <= tensor->count - first, PF_ERROR_USAGE,
             "numbers %llu to %llu of %llu", (unsigned long long)first, (unsigned long long)(first + count),
             (unsigned long long)tensor->count);
    const size_t width = pf_number_type_bytes(tensor->type);
    if (tensor->type == PF_F32) return read_at(file->file, out, (size_t)(count * width), tensor->offset + first * width);
    double chunk[CHUNK_BYTES / sizeof(double)]; // aligned for every type
    for (uint64_t done = 0; done < count;) {
        const uint64_t left = count - done, most = CHUNK_BYTES / width;
        const size_t now = (size_t)(left < most ? left : most);
        PF_TRY(read_at(file->file, chunk, now * width, tensor->offset + (first + done) * width));
        PF_TRY(pf_numbers_to_float(out + done, chunk, now, tensor->type));
        done += now;
    }
    return PF_OK;
}

pf_status pf_safetensors_read_float(const pf_safetensors *file, const pf_tensor_info *tensor, uint64_t first,
                                    uint64_t count, float *out)
{
    const pf_status status = read_converted(file, tensor, first, count, out);
    return pf_context(in_tensor(status, tensor->name), "%s", file->path);
}
