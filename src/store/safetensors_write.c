// Writing safetensors. See safetensors.h. The header is padded with spaces to a multiple of 64 bytes,
// so that what follows is aligned for readers that map it.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "store/safetensors.h"

enum { ALIGNMENT = 64, COPY_BYTES = 1 << 16 };

struct pf_safetensors_writer {
    pf_writer *file;
    char *path;
    uint64_t promised; // bytes of tensors that the header names
    uint64_t start;    // where they begin
};

static uint64_t count_bytes(const pf_tensor_spec *tensor)
{
    uint64_t bytes = pf_number_type_bytes(tensor->type);
    for (int i = 0; i < tensor->rank; i++) bytes *= tensor->shape[i];
    return bytes;
}

static pf_status add_metadata(pf_text *header, const pf_metadata *metadata, int count)
{
    PF_TRY(pf_text_add(header, "\"__metadata__\":{"));
    for (int i = 0; i < count; i++) {
        PF_TRY(pf_text_add(header, "%s", i ? "," : ""));
        PF_TRY(pf_text_add_json(header, metadata[i].key, strlen(metadata[i].key)));
        PF_TRY(pf_text_add(header, ":"));
        PF_TRY(pf_text_add_json(header, metadata[i].value, strlen(metadata[i].value)));
    }
    return pf_text_add(header, "}");
}

static pf_status add_tensor(pf_text *header, const pf_tensor_spec *tensor, uint64_t begin)
{
    PF_TRY(pf_text_add_json(header, tensor->name, strlen(tensor->name)));
    PF_TRY(pf_text_add(header, ":{\"dtype\":\"%s\",\"shape\":[", pf_number_type_name(tensor->type)));
    for (int i = 0; i < tensor->rank; i++) PF_TRY(pf_text_add(header, "%s%" PRIu64, i ? "," : "", tensor->shape[i]));
    return pf_text_add(header, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin, begin + count_bytes(tensor));
}

static pf_status make_header(pf_text *header, const pf_tensor_spec *tensors, int n_tensors,
                             const pf_metadata *metadata, int n_metadata)
{
    static const char zeros[8] = {0};
    PF_TRY(pf_text_add_bytes(header, zeros, sizeof zeros)); // room for the length
    PF_TRY(pf_text_add(header, "{"));
    if (n_metadata) PF_TRY(add_metadata(header, metadata, n_metadata));
    uint64_t offset = 0;
    for (int i = 0; i < n_tensors; i++) {
        PF_TRY(pf_text_add(header, "%s", i || n_metadata ? "," : ""));
        PF_TRY(add_tensor(header, &tensors[i], offset));
        offset += count_bytes(&tensors[i]);
    }
    PF_TRY(pf_text_add(header, "}"));
    while (header->length % ALIGNMENT) PF_TRY(pf_text_add(header, " "));
    const uint64_t length = header->length - sizeof length;
    memcpy(header->data, &length, sizeof length);
    return PF_OK;
}

pf_status pf_safetensors_writer_open(const char *path, const pf_tensor_spec *tensors, int n_tensors,
                                     const pf_metadata *metadata, int n_metadata, pf_safetensors_writer **out)
{
    *out = NULL;
    pf_text header = {0};
    void *memory = NULL;
    pf_safetensors_writer *writer = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_alloc(&memory, 1, sizeof *writer, "safetensors writer"));
    writer = memory;
    PF_TRY_OR(done, pf_copy_text(&writer->path, path));
    PF_TRY_OR(done, make_header(&header, tensors, n_tensors, metadata, n_metadata));
    PF_TRY_OR(done, pf_writer_open(path, &writer->file));
    PF_TRY_OR(done, pf_writer_write(writer->file, header.data, header.length));
    for (int i = 0; i < n_tensors; i++) writer->promised += count_bytes(&tensors[i]);
    writer->start = header.length;
    *out = writer;
done:
    pf_text_free(&header);
    if (status != PF_OK) pf_safetensors_discard(writer);
    return status;
}

pf_status pf_safetensors_write(pf_safetensors_writer *writer, const void *bytes, size_t count)
{
    PF_CHECK(count <= writer->promised - (pf_writer_bytes(writer->file) - writer->start), PF_ERROR_USAGE,
             "%s: more bytes than its header says", writer->path);
    return pf_writer_write(writer->file, bytes, count);
}

pf_status pf_safetensors_commit(pf_safetensors_writer *writer, char *sha256_hex)
{
    const uint64_t written = pf_writer_bytes(writer->file) - writer->start;
    pf_status status;
    if (written != writer->promised) {
        status = pf_fail(PF_ERROR_USAGE, "%s: %" PRIu64 " bytes, its header says %" PRIu64, writer->path, written,
                         writer->promised);
    } else {
        status = pf_writer_commit(writer->file, sha256_hex);
        writer->file = NULL;
    }
    pf_safetensors_discard(writer);
    return status;
}

void pf_safetensors_discard(pf_safetensors_writer *writer)
{
    if (!writer) return;
    pf_writer_discard(writer->file);
    pf_free(writer->path);
    pf_free(writer);
}

// --- spooling -----------------------------------------------------------------------------------

struct pf_safetensors_spool {
    char *path, *data_path;
    FILE *data;
    pf_tensor_spec *tensor; // owns the names
    size_t count, capacity;
    size_t *slot;           // hash table of the names: number + 1, 0 empty; at most half full
    size_t slots;
    uint64_t missing_bytes; // of the tensor begun last
};

static uint64_t hash_name(const char *name) // FNV-1a
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash;
}

// Where the name is, or the empty slot where it would go.
static size_t *find_slot(const pf_safetensors_spool *spool, const char *name)
{
    size_t i = (size_t)(hash_name(name) % spool->slots);
    while (spool->slot[i] && strcmp(spool->tensor[spool->slot[i] - 1].name, name) != 0) i = (i + 1) % spool->slots;
    return &spool->slot[i];
}

static pf_status enlarge_table(pf_safetensors_spool *spool)
{
    if (spool->slots >= 2 * (spool->count + 1)) return PF_OK;
    const size_t slots = spool->slots ? 2 * spool->slots : 64;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, slots, sizeof *spool->slot, "table of names"));
    pf_free(spool->slot);
    spool->slot = memory;
    spool->slots = slots;
    for (size_t i = 0; i < spool->count; i++) *find_slot(spool, spool->tensor[i].name) = i + 1;
    return PF_OK;
}

pf_status pf_safetensors_spool_open(const char *path, pf_safetensors_spool **out)
{
    *out = NULL;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_safetensors_spool), "safetensors spool"));
    pf_safetensors_spool *spool = memory;
    pf_text name = {0};
    pf_status status;
    PF_TRY_OR(done, pf_copy_text(&spool->path, path));
    PF_TRY_OR(done, pf_text_add(&name, "%s.data-%ld", path, (long)getpid()));
    spool->data_path = name.data;
    spool->data = fopen(spool->data_path, "wx+e");
    if (!spool->data)
        status = pf_fail(PF_ERROR_FAILED, "%s: cannot be created: %s", spool->data_path, strerror(errno));
done:
    if (status == PF_OK) {
        *out = spool;
        return PF_OK;
    }
    if (!spool->data_path) pf_text_free(&name);
    pf_safetensors_spool_discard(spool);
    return status;
}

pf_status pf_safetensors_spool_begin(pf_safetensors_spool *spool, const pf_tensor_spec *tensor)
{
    PF_CHECK(spool->missing_bytes == 0, PF_ERROR_USAGE, "%s: %llu bytes of the tensor before are missing", spool->path,
             (unsigned long long)spool->missing_bytes);
    PF_TRY(enlarge_table(spool));
    PF_TRY(pf_grow((void **)&spool->tensor, &spool->capacity, spool->count + 1, sizeof *tensor, "tensor table"));
    size_t *slot = find_slot(spool, tensor->name);
    char quoted[PF_QUOTE_BYTES];
    PF_CHECK(*slot == 0, PF_ERROR_USAGE, "%s: tensor %s is there already", spool->path,
             pf_quote(quoted, tensor->name, strlen(tensor->name)));
    char *name = NULL;
    PF_TRY(pf_copy_text(&name, tensor->name));
    spool->tensor[spool->count] = *tensor;
    spool->tensor[spool->count].name = name;
    *slot = ++spool->count;
    spool->missing_bytes = count_bytes(tensor);
    return PF_OK;
}

pf_status pf_safetensors_spool_write(pf_safetensors_spool *spool, const void *bytes, size_t count)
{
    PF_CHECK(count <= spool->missing_bytes, PF_ERROR_USAGE, "%s: %zu bytes, the tensor has %llu left", spool->path, count,
             (unsigned long long)spool->missing_bytes);
    spool->missing_bytes -= count;
    PF_CHECK(fwrite(bytes, 1, count, spool->data) == count, PF_ERROR_FAILED, // the stream keeps the error for the commit
             "%s: cannot be written: %s", spool->data_path, strerror(errno));
    return PF_OK;
}

pf_status pf_safetensors_spool_add(pf_safetensors_spool *spool, const pf_tensor_spec *tensor, const void *bytes)
{
    PF_TRY(pf_safetensors_spool_begin(spool, tensor));
    return pf_safetensors_spool_write(spool, bytes, (size_t)count_bytes(tensor));
}

static pf_status copy_data(pf_safetensors_spool *spool, pf_safetensors_writer *writer)
{
    char block[COPY_BYTES];
    rewind(spool->data); // flushes; a failure shows as missing bytes
    size_t got;
    while ((got = fread(block, 1, sizeof block, spool->data)) > 0)
        PF_TRY(pf_safetensors_write(writer, block, got));
    PF_CHECK(!ferror(spool->data), PF_ERROR_FAILED, "%s: cannot be read back", spool->data_path);
    return PF_OK;
}

pf_status pf_safetensors_spool_commit(pf_safetensors_spool *spool, const pf_metadata *metadata, int n_metadata)
{
    pf_safetensors_writer *writer = NULL;
    pf_status status = !ferror(spool->data) && fflush(spool->data) == 0
                           ? PF_OK
                           : pf_fail(PF_ERROR_FAILED, "%s: cannot be written: %s", spool->data_path, strerror(errno));
    if (status == PF_OK)
        status = pf_safetensors_writer_open(spool->path, spool->tensor, (int)spool->count, metadata, n_metadata,
                                            &writer);
    if (status == PF_OK) status = copy_data(spool, writer);
    if (status == PF_OK) status = pf_safetensors_commit(writer, NULL);
    else pf_safetensors_discard(writer);
    pf_safetensors_spool_discard(spool);
    return status;
}

void pf_safetensors_spool_discard(pf_safetensors_spool *spool)
{
    if (!spool) return;
    if (spool->data) {
        fclose(spool->data);
        unlink(spool->data_path);
    }
    for (size_t i = 0; i < spool->count; i++) pf_free((char *)(uintptr_t)spool->tensor[i].name);
    pf_free(spool->tensor);
    pf_free(spool->slot);
    pf_free(spool->data_path);
    pf_free(spool->path);
    pf_free(spool);
}
