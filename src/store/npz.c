// Writing .npz: a zip archive of .npy files, stored (APPNOTE.TXT 6.3, with its zip64 records where
// sizes, offsets or the number of files need them). Each entry's checksum and sizes are filled in
// when it ends; its header always has the zip64 field, as NumPy's own archives do.
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "store/npy.h"
#include "store/number_type.h"

enum {
    LOCAL_BYTES = 30,
    LOCAL_EXTRA_BYTES = 20,
    CENTRAL_BYTES = 46,
    CENTRAL_EXTRA_BYTES = 28,
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    VERSION = 45,         // zip64
    FLAG_UTF8 = 1 << 11,
    DATE_1980 = 1 << 5 | 1, // the same bytes in every run
    MAX_NAME = 65000,
    DESCR_BYTES = 32,
};

static const uint32_t in_zip64 = 0xffffffffu;

struct pf_npz {
    pf_writer *file;
    char *path;
    pf_text central;      // directory of the finished entries
    uint64_t entries;
    char *name;           // of the entry that is open, NULL: none
    uint64_t start;       // its local header
    int rank;
    uint64_t shape[PF_NPY_MAX_RANK];
    uint64_t count;       // numbers so far
    uint32_t crc;         // of the numbers
    int is_half;
    size_t text_width;    // of the entry that is open, an array of texts: characters of each; 0: of numbers
    uint32_t *text;       // [text_width]
};

static char *put(char *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) at[i] = (char)(value >> 8 * i & 255);
    return at + bytes;
}

pf_status pf_npz_open(const char *path, pf_npz **out)
{
    *out = NULL;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_npz), "npz writer"));
    pf_npz *npz = memory;
    pf_status status = pf_copy_text(&npz->path, path);
    if (status == PF_OK) status = pf_writer_open(path, &npz->file);
    if (status == PF_OK) *out = npz;
    else pf_npz_discard(npz);
    return status;
}

// --- entries ------------------------------------------------------------------------------------

static size_t local_header(char *out, const char *name, uint32_t crc, uint64_t bytes)
{
    char *at = put(out, 0x04034b50, 4);
    at = put(at, VERSION, 2);
    at = put(at, FLAG_UTF8, 2);
    at = put(at, 0, 2); // stored
    at = put(at, 0, 2); // time
    at = put(at, DATE_1980, 2);
    at = put(at, crc, 4);
    at = put(at, in_zip64, 4);
    at = put(at, in_zip64, 4);
    at = put(at, strlen(name), 2);
    at = put(at, LOCAL_EXTRA_BYTES, 2);
    memcpy(at, name, strlen(name));
    at = put(at + strlen(name), 1, 2); // zip64 field
    at = put(at, 16, 2);
    at = put(at, bytes, 8);
    at = put(at, bytes, 8);
    return (size_t)(at - out);
}

static pf_status add_central(pf_npz *npz, uint32_t crc, uint64_t bytes)
{
    const int large = bytes >= in_zip64 || npz->start >= in_zip64;
    char entry[CENTRAL_BYTES + CENTRAL_EXTRA_BYTES];
    char *at = put(entry, 0x02014b50, 4);
    at = put(at, 3 << 8 | VERSION, 2); // made on Unix
    at = put(at, VERSION, 2);
    at = put(at, FLAG_UTF8, 2);
    at = put(at, 0, 2);
    at = put(at, 0, 2);
    at = put(at, DATE_1980, 2);
    at = put(at, crc, 4);
    at = put(at, large ? in_zip64 : bytes, 4);
    at = put(at, large ? in_zip64 : bytes, 4);
    at = put(at, strlen(npz->name), 2);
    at = put(at, large ? CENTRAL_EXTRA_BYTES : 0, 2);
    at = put(at, 0, 2);                 // comment
    at = put(at, 0, 2);                 // disk
    at = put(at, 0, 2);                 // internal attributes
    at = put(at, (uint64_t)0100644 << 16, 4); // a plain file
    at = put(at, large ? in_zip64 : npz->start, 4);
    PF_TRY(pf_text_add_bytes(&npz->central, entry, CENTRAL_BYTES));
    PF_TRY(pf_text_add_bytes(&npz->central, npz->name, strlen(npz->name)));
    if (!large) return PF_OK;
    at = put(entry, 1, 2);
    at = put(at, CENTRAL_EXTRA_BYTES - 4, 2);
    at = put(at, bytes, 8);
    at = put(at, bytes, 8);
    put(at, npz->start, 8);
    return pf_text_add_bytes(&npz->central, entry, CENTRAL_EXTRA_BYTES);
}

// Writes an entry's local header, once to keep its place and once to fill it in.
static pf_status write_local(pf_npz *npz, uint32_t crc, uint64_t bytes, int is_patch)
{
    const size_t room = LOCAL_BYTES + LOCAL_EXTRA_BYTES + strlen(npz->name);
    void *header = NULL;
    PF_TRY(pf_alloc(&header, room, 1, "zip header"));
    const size_t length = local_header(header, npz->name, crc, bytes);
    const pf_status status = is_patch ? pf_writer_patch(npz->file, npz->start, header, length)
                                      : pf_writer_write(npz->file, header, length);
    pf_free(header);
    return status;
}

static pf_status open_entry(pf_npz *npz, const char *name)
{
    PF_CHECK(strlen(name) <= MAX_NAME, PF_ERROR_USAGE, "%s: a name of %zu bytes, at most %d", npz->path, strlen(name),
             MAX_NAME);
    pf_text text = {0};
    const pf_status status = pf_text_add(&text, "%s.npy", name);
    if (status != PF_OK) {
        pf_text_free(&text);
        return status;
    }
    npz->name = text.data;
    npz->start = pf_writer_bytes(npz->file);
    npz->count = 0;
    npz->crc = (uint32_t)crc32(0, NULL, 0);
    return write_local(npz, 0, 0, 0);
}

// `header` is what the entry's array begins with, now that its shape is known.
static pf_status close_entry(pf_npz *npz, const char *header, size_t length, uint64_t data_bytes)
{
    const uint32_t header_crc = (uint32_t)crc32_z(0, (const Bytef *)header, length);
    const uint32_t crc = (uint32_t)crc32_combine(header_crc, npz->crc, (z_off_t)data_bytes);
    const uint64_t bytes = length + data_bytes;
    PF_TRY(pf_writer_patch(npz->file, npz->start + LOCAL_BYTES + LOCAL_EXTRA_BYTES + strlen(npz->name), header, length));
    PF_TRY(write_local(npz, crc, bytes, 1));
    PF_TRY(add_central(npz, crc, bytes));
    npz->entries++;
    pf_free(npz->name);
    npz->name = NULL;
    return PF_OK;
}

// The type of what the open entry holds, and its bytes.
static size_t element(const pf_npz *npz, char descr[DESCR_BYTES])
{
    if (npz->text_width)
        snprintf(descr, DESCR_BYTES, "<U%zu", npz->text_width);
    else
        snprintf(descr, DESCR_BYTES, "%s", npz->is_half ? "<f2" : "<f4");
    if (npz->text_width) return npz->text_width * sizeof(uint32_t);
    return npz->is_half ? sizeof(uint16_t) : sizeof(float);
}

void pf_npz_use_half(pf_npz *npz)
{
    npz->is_half = 1;
}

static pf_status end_array(pf_npz *npz)
{
    if (!npz->name) return PF_OK;
    PF_TRY(pf_context(pf_npy_close_shape(npz->shape, npz->rank, npz->count), "%s: %.100s", npz->path, npz->name));
    char header[PF_NPY_HEADER_BYTES], descr[DESCR_BYTES];
    const size_t bytes = element(npz, descr);
    const size_t length = pf_npy_header(header, descr, npz->rank, npz->shape);
    npz->text_width = 0;
    return close_entry(npz, header, length, npz->count * bytes);
}

// Begins an array of numbers, or of texts if the width is set.
static pf_status begin(pf_npz *npz, const char *name, int rank, const uint64_t *shape)
{
    PF_TRY(open_entry(npz, name));
    npz->rank = rank;
    if (rank) memcpy(npz->shape, shape, (size_t)rank * sizeof *shape);
    char header[PF_NPY_HEADER_BYTES], descr[DESCR_BYTES];
    element(npz, descr);
    return pf_writer_write(npz->file, header, pf_npy_header(header, descr, rank, shape));
}

pf_status pf_npz_begin(pf_npz *npz, const char *name, int rank, const uint64_t *shape)
{
    PF_TRY(end_array(npz));
    PF_CHECK(rank >= 0 && rank <= PF_NPY_MAX_RANK, PF_ERROR_USAGE, "%s: %d dimensions", npz->path, rank);
    return begin(npz, name, rank, shape);
}

static pf_status write_bytes(pf_npz *npz, const void *data, size_t bytes)
{
    PF_TRY(pf_writer_write(npz->file, data, bytes));
    npz->crc = (uint32_t)crc32_z(npz->crc, data, bytes);
    return PF_OK;
}

pf_status pf_npz_write(pf_npz *npz, const float *data, size_t count)
{
    enum { PART = 1024 };
    uint16_t half[PART];
    npz->count += count;
    if (!npz->is_half) return write_bytes(npz, data, count * sizeof *data);
    for (size_t first = 0; first < count; first += PART) {
        const size_t part = count - first < PART ? count - first : PART;
        for (size_t i = 0; i < part; i++) half[i] = pf_half_from_float(data[first + i]);
        PF_TRY(write_bytes(npz, half, part * sizeof *half));
    }
    return PF_OK;
}

// --- texts --------------------------------------------------------------------------------------

// The next character of UTF-8 text; U+FFFD for each byte that belongs to none.
static uint32_t next_character(const unsigned char **at)
{
    const unsigned char *text = *at;
    const int length = text[0] < 0x80 ? 1 : text[0] < 0xC2 ? 0 : text[0] < 0xE0 ? 2 : text[0] < 0xF0 ? 3 : text[0] < 0xF5 ? 4 : 0;
    uint32_t character = length == 1 ? text[0] : length ? text[0] & (0x7fu >> length) : 0xFFFD;
    for (int i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80) { // the text's own NUL stops here too
            ++*at;
            return 0xFFFD;
        }
        character = character << 6 | (text[i] & 0x3f);
    }
    const int is_bad = (length == 3 && character < 0x800) || (length == 4 && character < 0x10000) ||
                       character > 0x10FFFF || (character >= 0xD800 && character < 0xE000);
    *at += is_bad || length == 0 ? 1 : length;
    return is_bad ? 0xFFFD : character;
}

size_t pf_npz_text_width(const char *text)
{
    size_t count = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at; count++) next_character(&at);
    return count;
}

pf_status pf_npz_begin_texts(pf_npz *npz, const char *name, size_t width, uint64_t count)
{
    void *row = NULL;
    PF_TRY(end_array(npz));
    if (width == 0) width = 1; // NumPy has no texts of width 0
    PF_TRY(pf_alloc(&row, width, sizeof(uint32_t), "text"));
    pf_free(npz->text);
    npz->text = row;
    npz->text_width = width;
    return begin(npz, name, 1, &count);
}

pf_status pf_npz_write_text(pf_npz *npz, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    memset(npz->text, 0, npz->text_width * sizeof *npz->text);
    for (size_t i = 0; *at && i < npz->text_width; i++) npz->text[i] = next_character(&at);
    npz->count++;
    return write_bytes(npz, npz->text, npz->text_width * sizeof *npz->text);
}

// --- the end ------------------------------------------------------------------------------------

static pf_status write_end(pf_npz *npz)
{
    const uint64_t start = pf_writer_bytes(npz->file), bytes = npz->central.length;
    if (bytes) PF_TRY(pf_writer_write(npz->file, npz->central.data, (size_t)bytes));
    const int large = start >= in_zip64 || bytes >= in_zip64 || npz->entries >= 0xffff;
    char record[END64_BYTES + LOCATOR_BYTES + END_BYTES];
    char *at = record;
    if (large) {
        at = put(at, 0x06064b50, 4);
        at = put(at, END64_BYTES - 12, 8);
        at = put(at, 3 << 8 | VERSION, 2);
        at = put(at, VERSION, 2);
        at = put(at, 0, 8); // disks
        at = put(at, npz->entries, 8);
        at = put(at, npz->entries, 8);
        at = put(at, bytes, 8);
        at = put(at, start, 8);
        at = put(at, 0x07064b50, 4);
        at = put(at, 0, 4);
        at = put(at, start + bytes, 8);
        at = put(at, 1, 4);
    }
    at = put(at, 0x06054b50, 4);
    at = put(at, 0, 4); // disks
    at = put(at, large ? 0xffff : npz->entries, 2);
    at = put(at, large ? 0xffff : npz->entries, 2);
    at = put(at, large ? in_zip64 : bytes, 4);
    at = put(at, large ? in_zip64 : start, 4);
    at = put(at, 0, 2);
    return pf_writer_write(npz->file, record, (size_t)(at - record));
}

pf_status pf_npz_commit(pf_npz *npz)
{
    pf_status status = end_array(npz);
    if (status == PF_OK) status = write_end(npz);
    if (status == PF_OK) {
        status = pf_writer_commit(npz->file, NULL);
        npz->file = NULL;
    }
    pf_npz_discard(npz);
    return status;
}

void pf_npz_discard(pf_npz *npz)
{
    if (!npz) return;
    pf_writer_discard(npz->file);
    pf_text_free(&npz->central);
    pf_free(npz->name);
    pf_free(npz->text);
    pf_free(npz->path);
    pf_free(npz);
}
