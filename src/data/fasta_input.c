// Bytes from files, pipes and gzip members. See fasta_input.h.
//
// zlib's gzread hides what this reader must tell: it takes a cut file for a complete one while
// bytes remain, and ignores what follows the last member in silence. So the members are walked
// here, on inflate alone.
#include "data/fasta_input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"

enum { RAW_BYTES = 1 << 17, PLAIN_BYTES = 1 << 18, GZIP_WINDOW = 15 + 16 };

// A stretch of bytes: begin .. end of `data` are still to be used.
typedef struct window {
    unsigned char *data;
    size_t begin, end, capacity;
} window;

struct pf_fasta_input {
    int file;
    bool owns_file;       // not standard input
    bool is_gzip, at_end; // at_end: nothing more will come into `plain`
    bool raw_ended;       // the file itself is used up
    bool in_member;       // between a member's first byte and its last
    bool is_blocked;      // the first member has BGZF's extra field
    bool member_is_empty; // the current or last member held no byte
    bool has_garbage, has_stream;
    uint64_t raw_offset, offset;
    window raw, plain; // a plain file has no use for `raw` after the first look
    z_stream stream;
};

static size_t window_size(const window *w)
{
    return w->end - w->begin;
}

// Moves what is left to the front, so that the rest of the room lies behind it.
static void window_compact(window *w)
{
    if (w->begin == 0) return;
    memmove(w->data, w->data + w->begin, window_size(w));
    w->end -= w->begin;
    w->begin = 0;
}

// Reads once into `w`; sets raw_ended at the end of the file.
static pf_status read_file(pf_fasta_input *input, window *w)
{
    window_compact(w);
    ssize_t got;
    do {
        got = read(input->file, w->data + w->end, w->capacity - w->end);
    } while (got < 0 && errno == EINTR);
    PF_CHECK(got >= 0, PF_ERROR_INPUT, "%s", strerror(errno));
    input->raw_ended = got == 0;
    w->end += (size_t)got;
    return PF_OK;
}

static pf_status want_raw(pf_fasta_input *input, size_t wanted)
{
    while (window_size(&input->raw) < wanted && !input->raw_ended) PF_TRY(read_file(input, &input->raw));
    return PF_OK;
}

static void use_raw(pf_fasta_input *input, size_t count)
{
    input->raw.begin += count;
    input->raw_offset += count;
}

static bool starts_member(const window *raw)
{
    const unsigned char *bytes = raw->data + raw->begin;
    return window_size(raw) >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

// Between members: goes into the next one, or finds that there is none.
static pf_status next_member(pf_fasta_input *input)
{
    bool padded = false;
    PF_TRY(want_raw(input, 2));
    while (window_size(&input->raw) && input->raw.data[input->raw.begin] == 0) {
        padded = true;
        use_raw(input, 1);
        PF_TRY(want_raw(input, 2));
    }
    if (starts_member(&input->raw) && !padded) {
        inflateReset(&input->stream);
        input->in_member = true;
        input->member_is_empty = true;
        return PF_OK;
    }
    input->has_garbage = window_size(&input->raw) > 0;
    input->at_end = true;
    return PF_OK;
}

// Inflates into the room behind `plain`.
static pf_status inflate_some(pf_fasta_input *input)
{
    z_stream *stream = &input->stream;
    window *raw = &input->raw, *plain = &input->plain;
    if (window_size(raw) == 0) PF_TRY(want_raw(input, 1));
    PF_CHECK(window_size(raw) > 0, PF_ERROR_INPUT, "gzip data is cut short: unexpected end after %llu bytes",
             (unsigned long long)input->raw_offset);
    stream->next_in = raw->data + raw->begin;
    stream->avail_in = (uInt)window_size(raw);
    stream->next_out = plain->data + plain->end;
    stream->avail_out = (uInt)(plain->capacity - plain->end);
    const int code = inflate(stream, Z_NO_FLUSH);
    const size_t made = plain->capacity - plain->end - stream->avail_out;
    use_raw(input, window_size(raw) - stream->avail_in);
    plain->end += made;
    if (made) input->member_is_empty = false;
    if (code == Z_STREAM_END) input->in_member = false;
    if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR || made > 0) return PF_OK;
    PF_CHECK(code != Z_MEM_ERROR, PF_ERROR_FAILED, "no memory to unpack gzip data");
    return pf_fail(PF_ERROR_INPUT, "gzip data is damaged near byte %llu: %s",
                   (unsigned long long)input->raw_offset,
                   code == Z_NEED_DICT ? "it needs a dictionary"
                   : stream->msg       ? stream->msg
                                       : "unknown reason");
}

static pf_status fill_gzip(pf_fasta_input *input)
{
    window_compact(&input->plain);
    if (!input->in_member) return next_member(input);
    return inflate_some(input);
}

static pf_status fill(pf_fasta_input *input)
{
    if (input->is_gzip) return fill_gzip(input);
    PF_TRY(read_file(input, &input->plain));
    input->at_end = input->raw_ended;
    return PF_OK;
}

static pf_status start_gzip(pf_fasta_input *input)
{
    enum { FLAGS = 3, HAS_EXTRA = 4, EXTRA = 12 };
    PF_CHECK(inflateInit2(&input->stream, GZIP_WINDOW) == Z_OK, PF_ERROR_FAILED,
             "no memory to unpack gzip data");
    input->has_stream = true;
    PF_TRY(want_raw(input, EXTRA + 2));
    const unsigned char *header = input->raw.data + input->raw.begin;
    input->is_blocked = window_size(&input->raw) >= EXTRA + 2 && header[FLAGS] & HAS_EXTRA &&
                        header[EXTRA] == 'B' && header[EXTRA + 1] == 'C';
    input->in_member = true;
    input->member_is_empty = true;
    return PF_OK;
}

// Looks at the first bytes: gzip, or plain bytes that only change their window.
static pf_status start(pf_fasta_input *input)
{
    struct stat about;
    PF_CHECK(fstat(input->file, &about) == 0, PF_ERROR_INPUT, "%s", strerror(errno));
    PF_CHECK(!S_ISDIR(about.st_mode), PF_ERROR_INPUT, "%s", strerror(EISDIR));
    PF_TRY(pf_alloc((void **)&input->raw.data, RAW_BYTES, 1, "reading buffer"));
    PF_TRY(pf_alloc((void **)&input->plain.data, PLAIN_BYTES, 1, "reading buffer"));
    input->raw.capacity = RAW_BYTES;
    input->plain.capacity = PLAIN_BYTES;
    PF_TRY(want_raw(input, 2));
    input->is_gzip = starts_member(&input->raw);
    if (input->is_gzip) return start_gzip(input);
    memcpy(input->plain.data, input->raw.data, input->raw.end);
    input->plain.end = input->raw.end;
    input->at_end = input->raw_ended;
    return PF_OK;
}

pf_status pf_fasta_input_open(const char *path, pf_fasta_input **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_fasta_input), "FASTA reader"));
    pf_fasta_input *input = memory;
    input->owns_file = strcmp(path, "-") != 0;
    input->file = input->owns_file ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    pf_status status = PF_OK;
    if (input->file < 0) status = pf_fail(PF_ERROR_INPUT, "%s", strerror(errno));
    if (status == PF_OK) status = start(input);
    if (status == PF_OK)
        *out = input;
    else
        pf_fasta_input_close(input);
    return status;
}

pf_status pf_fasta_input_open_text(const char *text, size_t bytes, pf_fasta_input **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_fasta_input), "FASTA reader"));
    pf_fasta_input *input = memory;
    const pf_status status = pf_alloc((void **)&input->plain.data, bytes + 1, 1, "FASTA text");
    if (status != PF_OK) {
        pf_fasta_input_close(input);
        return status;
    }
    if (bytes) memcpy(input->plain.data, text, bytes);
    input->plain.capacity = input->plain.end = bytes;
    input->at_end = input->raw_ended = true;
    *out = input;
    return PF_OK;
}

void pf_fasta_input_close(pf_fasta_input *input)
{
    if (!input) return;
    if (input->has_stream) inflateEnd(&input->stream);
    if (input->owns_file && input->file >= 0) close(input->file);
    pf_free(input->raw.data);
    pf_free(input->plain.data);
    pf_free(input);
}

pf_status pf_fasta_input_peek(pf_fasta_input *input, size_t wanted, const unsigned char **bytes,
                              size_t *count)
{
    while (window_size(&input->plain) < wanted && !input->at_end) PF_TRY(fill(input));
    *bytes = input->plain.data + input->plain.begin;
    *count = window_size(&input->plain);
    return PF_OK;
}

void pf_fasta_input_skip(pf_fasta_input *input, size_t count)
{
    input->plain.begin += count;
    input->offset += count;
}

uint64_t pf_fasta_input_offset(const pf_fasta_input *input)
{
    return input->offset;
}

bool pf_fasta_input_has_garbage(const pf_fasta_input *input)
{
    return input->has_garbage;
}

bool pf_fasta_input_lacks_end_block(const pf_fasta_input *input)
{
    return input->at_end && input->is_blocked && !input->member_is_empty;
}

pf_status pf_fasta_input_read_all(const char *path, pf_text *text)
{
    pf_fasta_input *input = NULL;
    PF_TRY(pf_fasta_input_open(path, &input));
    pf_status status;
    const unsigned char *bytes;
    size_t count;
    while ((status = pf_fasta_input_peek(input, 1, &bytes, &count)) == PF_OK && count > 0) {
        PF_TRY_OR(done, pf_text_add_bytes(text, bytes, count));
        pf_fasta_input_skip(input, count);
    }
done:
    pf_fasta_input_close(input);
    return status;
}
