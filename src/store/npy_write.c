// Writing .npy. See npy.h.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "store/npy.h"
#include "store/number_type.h"

size_t pf_npy_header(char *out, const char *descr, int rank, const uint64_t *shape)
{
    // Version 1.0: magic, length in two bytes, dictionary padded with blanks and a line end to a
    // multiple of 64. Room for the largest numbers everywhere, so the length never changes.
    const size_t widest = 10 + strlen("{'descr': '', 'fortran_order': False, 'shape': (,), }\n") + strlen(descr) +
                          22 * (size_t)rank;
    const size_t total = (widest + 63) / 64 * 64;
    size_t at = 10;
    at += (size_t)sprintf(out + at, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < rank; i++) at += (size_t)sprintf(out + at, "%s%" PRIu64, i ? ", " : "", shape[i]);
    at += (size_t)sprintf(out + at, "%s), }", rank == 1 ? "," : "");
    memset(out + at, ' ', total - at);
    out[total - 1] = '\n';
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)((total - 10) & 255);
    out[9] = (char)((total - 10) >> 8);
    return total;
}

pf_status pf_npy_close_shape(uint64_t *shape, int rank, uint64_t count)
{
    const int is_open = rank > 0 && shape[0] == PF_NPY_OPEN_END;
    uint64_t expected = 1;
    for (int i = is_open; i < rank; i++) expected *= shape[i];
    if (is_open) {
        PF_CHECK(expected ? count % expected == 0 : count == 0, PF_ERROR_USAGE,
                 "%" PRIu64 " numbers are no whole rows of %" PRIu64, count, expected);
        shape[0] = expected ? count / expected : 0;
        return PF_OK;
    }
    PF_CHECK(count == expected, PF_ERROR_USAGE, "%" PRIu64 " numbers, the shape says %" PRIu64, count, expected);
    return PF_OK;
}

struct pf_npy_writer {
    pf_writer *file;
    char *path;
    int rank;
    uint64_t shape[PF_NPY_MAX_RANK];
    uint64_t count;
    const char *descr;
};

static pf_status open_writer(const char *path, const char *descr, int rank, const uint64_t *shape, pf_npy_writer **out)
{
    *out = NULL;
    PF_CHECK(rank >= 0 && rank <= PF_NPY_MAX_RANK, PF_ERROR_USAGE, "%s: %d dimensions", path, rank);
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_npy_writer), "npy writer"));
    pf_npy_writer *writer = memory;
    writer->rank = rank;
    writer->descr = descr;
    if (rank) memcpy(writer->shape, shape, (size_t)rank * sizeof *shape);
    char header[PF_NPY_HEADER_BYTES];
    const size_t length = pf_npy_header(header, descr, rank, shape);
    pf_status status = pf_copy_text(&writer->path, path);
    if (status == PF_OK) status = pf_writer_open(path, &writer->file);
    if (status == PF_OK) status = pf_writer_write(writer->file, header, length);
    if (status == PF_OK) *out = writer;
    else pf_npy_writer_discard(writer);
    return status;
}

pf_status pf_npy_writer_open(const char *path, int rank, const uint64_t *shape, pf_npy_writer **out)
{
    return open_writer(path, "<f4", rank, shape, out);
}

pf_status pf_npy_writer_open_half(const char *path, int rank, const uint64_t *shape, pf_npy_writer **out)
{
    return open_writer(path, "<f2", rank, shape, out);
}

pf_status pf_npy_writer_write(pf_npy_writer *writer, const float *data, size_t count)
{
    enum { PART = 1024 };
    uint16_t half[PART];
    writer->count += count;
    if (strcmp(writer->descr, "<f4") == 0) return pf_writer_write(writer->file, data, count * sizeof *data);
    for (size_t first = 0; first < count; first += PART) {
        const size_t part = count - first < PART ? count - first : PART;
        for (size_t i = 0; i < part; i++) half[i] = pf_half_from_float(data[first + i]);
        PF_TRY(pf_writer_write(writer->file, half, part * sizeof *half));
    }
    return PF_OK;
}

static pf_status finish(pf_npy_writer *writer)
{
    const int is_open = writer->rank > 0 && writer->shape[0] == PF_NPY_OPEN_END;
    PF_TRY(pf_npy_close_shape(writer->shape, writer->rank, writer->count));
    if (!is_open) return PF_OK;
    char header[PF_NPY_HEADER_BYTES];
    const size_t length = pf_npy_header(header, writer->descr, writer->rank, writer->shape);
    return pf_writer_patch(writer->file, 0, header, length);
}

pf_status pf_npy_writer_commit(pf_npy_writer *writer)
{
    pf_status status = pf_context(finish(writer), "%s", writer->path);
    if (status == PF_OK) {
        status = pf_writer_commit(writer->file, NULL);
        writer->file = NULL;
    }
    pf_npy_writer_discard(writer);
    return status;
}

void pf_npy_writer_discard(pf_npy_writer *writer)
{
    if (!writer) return;
    pf_writer_discard(writer->file);
    pf_free(writer->path);
    pf_free(writer);
}

pf_status pf_npy_write(const char *path, const float *data, int rank, const uint64_t *shape)
{
    pf_npy_writer *writer = NULL;
    PF_TRY(pf_npy_writer_open(path, rank, shape, &writer));
    uint64_t count = 1;
    for (int i = 0; i < rank; i++) count *= shape[i];
    const pf_status status = pf_npy_writer_write(writer, data, (size_t)count);
    if (status == PF_OK) return pf_npy_writer_commit(writer);
    pf_npy_writer_discard(writer);
    return status;
}
