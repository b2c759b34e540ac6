// Reading .npy. See npy.h. The header is a Python dictionary as text; only the literals that NumPy
// writes are understood, nothing is evaluated.
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"
#include "store/npy.h"
#include "store/number_type.h"

enum { MAX_HEADER = 1 << 16, CHUNK_BYTES = 1 << 16, MAX_TEXT = 100 };

typedef struct npy_header {
    char descr[MAX_TEXT];
    int is_fortran; // -1: not said
    int rank;       // -1: not said
    uint64_t shape[PF_NPY_MAX_RANK];
} npy_header;

// --- the dictionary -----------------------------------------------------------------------------

static void skip_blanks(const char **at)
{
    while (**at == ' ' || **at == '\n' || **at == '\t') (*at)++;
}

static int take(const char **at, char wanted)
{
    skip_blanks(at);
    if (**at != wanted) return 0;
    (*at)++;
    return 1;
}

static int take_word(const char **at, const char *word)
{
    skip_blanks(at);
    if (strncmp(*at, word, strlen(word)) != 0) return 0;
    *at += strlen(word);
    return 1;
}

// A quoted text without escapes.
static int take_text(const char **at, char out[MAX_TEXT])
{
    skip_blanks(at);
    const char quote = **at;
    if (quote != '\'' && quote != '"') return 0;
    const char *end = strchr(*at + 1, quote);
    if (!end || end - *at - 1 >= MAX_TEXT) return 0;
    const size_t length = (size_t)(end - *at - 1);
    memcpy(out, *at + 1, length);
    out[length] = 0;
    *at = end + 1;
    return 1;
}

static pf_status take_shape(const char **at, npy_header *header)
{
    PF_CHECK(header->rank < 0 && take(at, '('), PF_ERROR_INPUT, "header: shape: expected one (...)");
    header->rank = 0;
    while (!take(at, ')')) {
        PF_CHECK(header->rank < PF_NPY_MAX_RANK, PF_ERROR_INPUT, "more than %d dimensions", PF_NPY_MAX_RANK);
        skip_blanks(at);
        PF_CHECK(isdigit((unsigned char)**at), PF_ERROR_INPUT, "header: shape: expected whole numbers");
        uint64_t size = 0;
        for (; isdigit((unsigned char)**at); (*at)++) {
            PF_CHECK(size <= (UINT64_MAX >> 1) / 10 - 1, PF_ERROR_INPUT, "header: shape: too large");
            size = 10 * size + (uint64_t)(**at - '0');
        }
        header->shape[header->rank++] = size;
        skip_blanks(at);
        PF_CHECK(take(at, ',') || **at == ')', PF_ERROR_INPUT, "header: shape: expected ',' or ')'");
    }
    return PF_OK;
}

static pf_status take_entry(const char **at, npy_header *header)
{
    char key[MAX_TEXT];
    PF_CHECK(take_text(at, key) && take(at, ':'), PF_ERROR_INPUT, "header: expected 'key': value");
    if (strcmp(key, "shape") == 0) return take_shape(at, header);
    if (strcmp(key, "descr") == 0) {
        skip_blanks(at);
        PF_CHECK(**at != '[', PF_ERROR_INPUT, "an array of records, expected float32 or float64");
        PF_CHECK(!*header->descr && take_text(at, header->descr), PF_ERROR_INPUT, "header: descr: expected one text");
        return PF_OK;
    }
    if (strcmp(key, "fortran_order") == 0) {
        const int is_true = take_word(at, "True");
        PF_CHECK(header->is_fortran < 0 && (is_true || take_word(at, "False")), PF_ERROR_INPUT,
                 "header: fortran_order: expected True or False, once");
        header->is_fortran = is_true;
        return PF_OK;
    }
    char quoted[PF_QUOTE_BYTES];
    return pf_fail(PF_ERROR_INPUT, "header: key '%s' is not known", pf_quote(quoted, key, strlen(key)));
}

static pf_status parse_header(const char *text, npy_header *header)
{
    *header = (npy_header){.is_fortran = -1, .rank = -1};
    PF_CHECK(take(&text, '{'), PF_ERROR_INPUT, "header: expected a dictionary {...}");
    while (!take(&text, '}')) {
        PF_TRY(take_entry(&text, header));
        skip_blanks(&text);
        PF_CHECK(take(&text, ',') || *text == '}', PF_ERROR_INPUT, "header: expected ',' or '}'");
    }
    skip_blanks(&text);
    PF_CHECK(*text == 0, PF_ERROR_INPUT, "header: text behind the dictionary");
    PF_CHECK(*header->descr && header->is_fortran >= 0 && header->rank >= 0, PF_ERROR_INPUT,
             "header: expected descr, fortran_order and shape");
    return PF_OK;
}

static pf_status check_type(const npy_header *header, pf_number_type *type)
{
    const char *descr = header->descr;
    PF_CHECK(!strchr(descr, 'O'), PF_ERROR_INPUT, "an array of Python objects, expected float32 or float64");
    PF_CHECK(*descr != '>', PF_ERROR_INPUT, "big-endian numbers; save x.astype('<f4')");
    const int is_float = strcmp(descr, "<f4") == 0, is_double = strcmp(descr, "<f8") == 0;
    char quoted[PF_QUOTE_BYTES];
    PF_CHECK(is_float || is_double, PF_ERROR_INPUT, "numbers of type '%s', expected '<f4' or '<f8'; save "
             "x.astype('float32')", pf_quote(quoted, descr, strlen(descr)));
    PF_CHECK(!header->is_fortran || header->rank < 2, PF_ERROR_INPUT,
             "Fortran order; save numpy.ascontiguousarray(x)");
    *type = is_float ? PF_F32 : PF_F64;
    return PF_OK;
}

// --- the file -----------------------------------------------------------------------------------

static pf_status read_at(int file, void *out, size_t count, uint64_t offset)
{
    for (size_t done = 0; done < count;) {
        const ssize_t got = pread(file, (char *)out + done, count - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        PF_CHECK(got >= 0, PF_ERROR_INPUT, "cannot be read: %s", strerror(errno));
        PF_CHECK(got > 0, PF_ERROR_INPUT, "is cut short");
        done += (size_t)got;
    }
    return PF_OK;
}

// Magic, version and length; *start is where the dictionary begins.
static pf_status read_prefix(int file, uint64_t *start, uint32_t *length)
{
    uint8_t prefix[12] = {0};
    PF_TRY(read_at(file, prefix, 10, 0));
    PF_CHECK(memcmp(prefix, "PK", 2) != 0, PF_ERROR_INPUT, "is an .npz archive, expected one array as .npy");
    PF_CHECK(memcmp(prefix, "\x93NUMPY", 6) == 0, PF_ERROR_INPUT, "is no .npy file");
    PF_CHECK(prefix[6] >= 1 && prefix[6] <= 3 && prefix[7] == 0, PF_ERROR_INPUT,
             ".npy version %d.%d, expected 1.0 to 3.0", prefix[6], prefix[7]);
    *start = prefix[6] == 1 ? 10 : 12;
    *length = (uint32_t)(prefix[8] | prefix[9] << 8);
    if (prefix[6] > 1) {
        PF_TRY(read_at(file, prefix, 4, 8));
        memcpy(length, prefix, 4);
    }
    PF_CHECK(*length <= MAX_HEADER, PF_ERROR_INPUT, "header of %u bytes, at most %d are read", *length, MAX_HEADER);
    return PF_OK;
}

static pf_status read_header(int file, npy_header *header, uint64_t *data_start)
{
    uint64_t start = 0;
    uint32_t length = 0;
    PF_TRY(read_prefix(file, &start, &length));
    void *text = NULL;
    PF_TRY(pf_alloc(&text, (size_t)length + 1, 1, "npy header"));
    pf_status status = read_at(file, text, length, start);
    if (status == PF_OK && strlen(text) != length) status = pf_fail(PF_ERROR_INPUT, "header: a NUL byte");
    if (status == PF_OK) status = parse_header(text, header);
    pf_free(text);
    *data_start = start + length;
    return status;
}

static pf_status check_size(const npy_header *header, uint64_t width, uint64_t data_bytes, uint64_t *count)
{
    uint64_t bytes = width;
    for (int i = 0; i < header->rank; i++) {
        const uint64_t size = header->shape[i];
        PF_CHECK(size == 0 || bytes <= UINT64_MAX / size, PF_ERROR_INPUT, "shape: more bytes than can be counted");
        bytes *= size;
    }
    PF_CHECK(bytes == data_bytes, PF_ERROR_INPUT, "%llu bytes of numbers, type and shape need %llu",
             (unsigned long long)data_bytes, (unsigned long long)bytes);
    *count = bytes / width;
    return PF_OK;
}

static pf_status read_numbers(int file, pf_number_type type, uint64_t start, pf_npy_array *array)
{
    const uint64_t width = pf_number_type_bytes(type), most = CHUNK_BYTES / width;
    double chunk[CHUNK_BYTES / sizeof(double)]; // aligned for both types
    for (uint64_t done = 0; done < array->count;) {
        const uint64_t left = array->count - done;
        const size_t now = (size_t)(left < most ? left : most);
        PF_TRY(read_at(file, chunk, now * (size_t)width, start + done * width));
        PF_TRY(pf_numbers_to_float(array->data + done, chunk, now, type));
        done += now;
    }
    return PF_OK;
}

static pf_status read_array(int file, pf_npy_array *array)
{
    struct stat about;
    npy_header header;
    uint64_t start = 0;
    pf_number_type type = PF_F32;
    PF_CHECK(fstat(file, &about) == 0, PF_ERROR_INPUT, "cannot be examined: %s", strerror(errno));
    PF_CHECK(S_ISREG(about.st_mode), PF_ERROR_INPUT, "is not a regular file");
    PF_TRY(read_header(file, &header, &start));
    PF_TRY(check_type(&header, &type));
    PF_TRY(check_size(&header, pf_number_type_bytes(type), (uint64_t)about.st_size - start, &array->count));
    array->rank = header.rank;
    memcpy(array->shape, header.shape, sizeof array->shape);
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, (size_t)array->count, sizeof(float), "array"));
    array->data = memory;
    return read_numbers(file, type, start, array);
}

pf_status pf_npy_read(const char *path, pf_npy_array *out)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    PF_CHECK(file >= 0, PF_ERROR_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
    pf_npy_array array = {0};
    const pf_status status = read_array(file, &array);
    close(file);
    if (status != PF_OK) {
        pf_npy_free(&array);
        return pf_context(status, "%s", path);
    }
    *out = array;
    return PF_OK;
}

void pf_npy_free(pf_npy_array *array)
{
    pf_free(array->data);
    *array = (pf_npy_array){0};
}
