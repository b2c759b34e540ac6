// The grammar of FASTA files as they are found. See fasta_parse.h.
#include "data/fasta_parse.h"

#include <string.h>

#include "base/memory.h"
#include "data/fasta_detect.h"
#include "performer/fasta.h"

// What a byte is inside a sequence: an upper-case letter for a residue, or one of these.
enum { OTHER = 0, LINE_END = 1, BLANK = 2, STOP = 3 };

static const unsigned char classes[256] = {
    ['\n'] = LINE_END, ['\r'] = LINE_END, [' '] = BLANK, ['\t'] = BLANK, ['*'] = STOP, ['A'] = 'A',
    ['B'] = 'B',       ['C'] = 'C',       ['D'] = 'D',   ['E'] = 'E',    ['F'] = 'F',  ['G'] = 'G',
    ['H'] = 'H',       ['I'] = 'I',       ['J'] = 'X',   ['K'] = 'K',    ['L'] = 'L',  ['M'] = 'M',
    ['N'] = 'N',       ['O'] = 'O',       ['P'] = 'P',   ['Q'] = 'Q',    ['R'] = 'R',  ['S'] = 'S',
    ['T'] = 'T',       ['U'] = 'U',       ['V'] = 'V',   ['W'] = 'W',    ['X'] = 'X',  ['Y'] = 'Y',
    ['Z'] = 'Z',       ['a'] = 'A',       ['b'] = 'B',   ['c'] = 'C',    ['d'] = 'D',  ['e'] = 'E',
    ['f'] = 'F',       ['g'] = 'G',       ['h'] = 'H',   ['i'] = 'I',    ['j'] = 'X',  ['k'] = 'K',
    ['l'] = 'L',       ['m'] = 'M',       ['n'] = 'N',   ['o'] = 'O',    ['p'] = 'P',  ['q'] = 'Q',
    ['r'] = 'R',       ['s'] = 'S',       ['t'] = 'T',   ['u'] = 'U',    ['v'] = 'V',  ['w'] = 'W',
    ['x'] = 'X',       ['y'] = 'Y',       ['z'] = 'Z',
};

static pf_status at_line(const pf_fasta_parser *parser, pf_status status)
{
    return pf_context(status, "line %llu", (unsigned long long)parser->line);
}

// An error about the byte at the reader's place.
static pf_status refuse_byte(const pf_fasta_parser *parser, unsigned char byte, const char *reason)
{
    const uint64_t column = pf_fasta_input_offset(parser->input) - parser->line_start + 1;
    const char shown[] = {' ', '\'', (char)byte, '\'', '\0'};
    return at_line(parser, pf_fail(PF_ERROR_INPUT, "column %llu: 0x%02x%s: %s", (unsigned long long)column,
                                   byte, byte > 0x20 && byte < 0x7f ? shown : "", reason));
}

static pf_status refuse_residue(const pf_fasta_parser *parser, unsigned char byte)
{
    const char *reason = "not a residue; expected letters";
    if (memchr("-._~", byte, 4) && byte)
        reason = "a gap: this looks like an alignment; remove the gaps first, e.g. with seqkit seq -g";
    else if (byte >= '0' && byte <= '9')
        reason = "a digit in a sequence: this looks like GenBank or EMBL; convert it to FASTA";
    else if (byte == '>')
        reason = "a header inside a line; is a line end lost?";
    else if (byte == 0)
        reason = "a NUL byte; a text file has none";
    else if (byte > 0x7f)
        reason = "not ASCII, so not a residue";
    return refuse_byte(parser, byte, reason);
}

static void advance_line(pf_fasta_parser *parser, size_t bytes)
{
    pf_fasta_input_skip(parser->input, bytes);
    parser->line++;
    parser->line_start = pf_fasta_input_offset(parser->input);
}

// The reader stands at LF or CR. The first line end decides what the others may be.
static pf_status take_line_end(pf_fasta_parser *parser)
{
    const unsigned char *bytes;
    size_t count;
    PF_TRY(pf_fasta_input_peek(parser->input, 2, &bytes, &count));
    const bool has_return = bytes[0] == '\r', has_feed = !has_return || (count > 1 && bytes[1] == '\n');
    if (has_feed && parser->ends == PF_ENDS_CR)
        return refuse_byte(parser, bytes[0], "LF as a line end, where the first lines end in a lone CR");
    if (!has_feed && parser->ends == PF_ENDS_LF)
        return refuse_byte(parser, bytes[0], "a lone CR as a line end, where the first lines end in LF");
    parser->ends = has_feed ? PF_ENDS_LF : PF_ENDS_CR;
    advance_line(parser, has_return && has_feed ? 2 : 1);
    return PF_OK;
}

// Lends the bytes up to the line's end, as many as are at hand; *count 0 there and at the end of
// the input. A NUL is an error.
static pf_status peek_line(pf_fasta_parser *parser, const unsigned char **bytes, size_t *count)
{
    size_t available;
    PF_TRY(pf_fasta_input_peek(parser->input, 1, bytes, &available));
    size_t n = 0;
    while (n < available && (*bytes)[n] != '\n' && (*bytes)[n] != '\r' && (*bytes)[n] != '\0') n++;
    if (n == 0 && available > 0 && (*bytes)[0] == '\0') return refuse_residue(parser, 0);
    *count = n;
    return PF_OK;
}

// Takes the rest of the line, its end too.
static pf_status skip_line(pf_fasta_parser *parser)
{
    const unsigned char *bytes;
    size_t count;
    for (;;) {
        PF_TRY(peek_line(parser, &bytes, &count));
        if (count == 0) break;
        pf_fasta_input_skip(parser->input, count);
    }
    PF_TRY(pf_fasta_input_peek(parser->input, 1, &bytes, &count));
    return count ? take_line_end(parser) : PF_OK;
}

static pf_status refuse_text(pf_fasta_parser *parser)
{
    const unsigned char *bytes;
    size_t count, n = 0;
    PF_TRY(pf_fasta_input_peek(parser->input, 80, &bytes, &count));
    const char *format = pf_fasta_detect_text(bytes, count);
    if (format) return at_line(parser, pf_fail(PF_ERROR_INPUT, "this is %s", format));
    while (n < count && n < 40 && bytes[n] != '\n' && bytes[n] != '\r') n++;
    char quoted[PF_QUOTE_BYTES];
    return at_line(parser, pf_fail(PF_ERROR_INPUT,
                                   "expected a header that starts with '>' before any other text, "
                                   "found '%s'",
                                   pf_quote(quoted, (const char *)bytes, n)));
}

// Skips blank lines and comments in front of the first header.
static pf_status find_first_header(pf_fasta_parser *parser)
{
    const unsigned char *bytes;
    size_t count;
    for (;;) {
        PF_TRY(pf_fasta_input_peek(parser->input, 80, &bytes, &count));
        if (count == 0) return PF_END;
        const bool starts_line = pf_fasta_input_offset(parser->input) == parser->line_start;
        if (starts_line && bytes[0] == '>') return PF_OK;
        if (starts_line && bytes[0] == '#' && pf_fasta_detect_text(bytes, count)) return refuse_text(parser);
        if (starts_line && (bytes[0] == ';' || bytes[0] == '#'))
            PF_TRY(skip_line(parser));
        else if (classes[bytes[0]] == LINE_END)
            PF_TRY(take_line_end(parser));
        else if (classes[bytes[0]] == BLANK)
            pf_fasta_input_skip(parser->input, 1);
        else if (bytes[0] == '\0')
            return refuse_residue(parser, 0);
        else
            return refuse_text(parser);
    }
}

// Where in a header the reader is.
typedef enum header_part { BEFORE_ID, IN_ID, BEFORE_DESCRIPTION, IN_DESCRIPTION, IGNORED } header_part;

static size_t skip_blanks(const unsigned char *bytes, size_t count)
{
    size_t n = 0;
    while (n < count && classes[bytes[n]] == BLANK) n++;
    return n;
}

static pf_status add_description(pf_fasta_parser *parser, const unsigned char *bytes, size_t count)
{
    const size_t room = PF_FASTA_DESCRIPTION_BYTES - parser->description.length;
    if (count > room && !parser->is_cut) {
        parser->is_cut = true;
        if (parser->cut_descriptions++ == 0) parser->first_cut_line = parser->header_line;
    }
    return pf_text_add_bytes(&parser->description, bytes, count < room ? count : room);
}

// Shares out `count` bytes of a header; *part goes on from piece to piece.
static pf_status add_header(pf_fasta_parser *parser, header_part *part, const unsigned char *bytes,
                            size_t count)
{
    size_t n = 0;
    if (*part == BEFORE_ID) {
        n = skip_blanks(bytes, count);
        if (n < count) *part = IN_ID;
    }
    if (*part == IN_ID) {
        const size_t begin = n;
        while (n < count && classes[bytes[n]] != BLANK && bytes[n] != '\1') n++;
        PF_TRY(pf_text_add_bytes(&parser->id, bytes + begin, n - begin));
        if (n < count) *part = bytes[n] == '\1' ? IGNORED : BEFORE_DESCRIPTION;
    }
    if (*part == BEFORE_DESCRIPTION) {
        n += skip_blanks(bytes + n, count - n);
        if (n < count) *part = IN_DESCRIPTION;
    }
    if (*part == IN_DESCRIPTION) {
        const unsigned char *stop = memchr(bytes + n, '\1', count - n);
        if (stop) *part = IGNORED;
        return add_description(parser, bytes + n, stop ? (size_t)(stop - bytes) - n : count - n);
    }
    return PF_OK;
}

// The reader stands at '>'; takes the line.
static pf_status take_header(pf_fasta_parser *parser)
{
    header_part part = BEFORE_ID;
    parser->had_header = true;
    parser->header_line = parser->line;
    parser->id.length = parser->description.length = parser->sequence.length = 0;
    parser->pending_stops = 0;
    parser->is_cut = false;
    PF_TRY(pf_text_add_bytes(&parser->id, "", 0));
    PF_TRY(pf_text_add_bytes(&parser->description, "", 0));
    PF_TRY(pf_text_add_bytes(&parser->sequence, "", 0));
    pf_fasta_input_skip(parser->input, 1);
    for (;;) {
        const unsigned char *bytes;
        size_t count = 0;
        PF_TRY(peek_line(parser, &bytes, &count));
        if (count == 0) break;
        PF_TRY(add_header(parser, &part, bytes, count));
        pf_fasta_input_skip(parser->input, count);
        if (parser->id.length > parser->most_residues)
            return at_line(parser, pf_fail(PF_ERROR_INPUT, "a sequence name without end"));
    }
    if (parser->id.length == 0)
        return at_line(parser, pf_fail(PF_ERROR_INPUT, "no name behind '>': every sequence needs an id"));
    return skip_line(parser);
}

static pf_status check_length(const pf_fasta_parser *parser, uint64_t residues)
{
    if (residues <= parser->most_residues) return PF_OK;
    return at_line(parser, pf_fail(PF_ERROR_INPUT, "a sequence of more than %llu residues",
                                   (unsigned long long)parser->most_residues));
}

// A residue follows: the stops that were held back are inside the sequence, so they become X.
static pf_status place_stops(pf_fasta_parser *parser)
{
    pf_text *sequence = &parser->sequence;
    const uint64_t length = sequence->length + parser->pending_stops;
    PF_TRY(check_length(parser, length));
    PF_TRY(pf_grow((void **)&sequence->data, &sequence->capacity, (size_t)length + 1, 1, "sequence"));
    memset(sequence->data + sequence->length, 'X', (size_t)parser->pending_stops);
    parser->replaced += parser->pending_stops;
    parser->pending_stops = 0;
    sequence->length = (size_t)length;
    return PF_OK;
}

// Takes residues for as long as there are any among `bytes`; returns how many. The room is there.
static size_t take_residues(pf_fasta_parser *parser, const unsigned char *bytes, size_t count)
{
    char *out = parser->sequence.data + parser->sequence.length;
    size_t n = 0;
    uint64_t lower = 0, replaced = 0;
    for (; n < count && classes[bytes[n]] >= 'A'; n++) {
        out[n] = (char)classes[bytes[n]];
        lower += bytes[n] >= 'a';
        replaced += (bytes[n] & 0xdf) == 'J';
    }
    parser->sequence.length += n;
    parser->lower_case += lower;
    parser->replaced += replaced;
    return n;
}

// '*': the mask token, or held back until it is known what follows.
static pf_status take_stop(pf_fasta_parser *parser)
{
    if (!parser->keep_masks) {
        parser->pending_stops++;
        return PF_OK;
    }
    parser->masks++;
    PF_TRY(pf_text_add_bytes(&parser->sequence, "*", 1));
    return check_length(parser, parser->sequence.length);
}

// Takes bytes of a sequence line up to its end, as many as are at hand; *done at the line's end and
// at the end of the input.
static pf_status take_sequence_piece(pf_fasta_parser *parser, bool *done)
{
    const unsigned char *bytes;
    size_t count, n = 0;
    PF_TRY(pf_fasta_input_peek(parser->input, 1, &bytes, &count));
    *done = count == 0 || classes[bytes[0]] == LINE_END;
    if (*done) return PF_OK;
    switch (classes[bytes[0]]) {
    case OTHER:
        return refuse_residue(parser, bytes[0]);
    case BLANK:
        n = skip_blanks(bytes, count);
        break;
    case STOP:
        PF_TRY(take_stop(parser));
        n = 1;
        break;
    default:
        if (parser->pending_stops) PF_TRY(place_stops(parser));
        PF_TRY(check_length(parser, parser->sequence.length + 1));
        const uint64_t room = parser->most_residues - parser->sequence.length;
        if (count > room) count = (size_t)room;
        PF_TRY(pf_grow((void **)&parser->sequence.data, &parser->sequence.capacity,
                       parser->sequence.length + count + 1, 1, "sequence"));
        n = take_residues(parser, bytes, count);
    }
    pf_fasta_input_skip(parser->input, n);
    return PF_OK;
}

static pf_status take_sequence_line(pf_fasta_parser *parser)
{
    for (bool done = false; !done;) PF_TRY(take_sequence_piece(parser, &done));
    return skip_line(parser); // which is at its end: this takes the line end, if there is one
}

pf_status pf_fasta_parse_start(pf_fasta_parser *parser, bool *had_mark)
{
    const unsigned char *bytes;
    size_t count;
    *had_mark = false;
    parser->line = 1;
    PF_TRY(pf_fasta_input_peek(parser->input, PF_INPUT_PEEK_BYTES, &bytes, &count));
    const char *format = pf_fasta_detect_binary(bytes, count);
    PF_CHECK(!format, PF_ERROR_INPUT, "this is %s", format);
    if (count >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        *had_mark = true;
        pf_fasta_input_skip(parser->input, 3);
        parser->line_start = 3;
    }
    return PF_OK;
}

pf_status pf_fasta_parse_record(pf_fasta_parser *parser)
{
    if (!parser->had_header) PF_TRY(find_first_header(parser));
    const unsigned char *bytes;
    size_t count;
    PF_TRY(pf_fasta_input_peek(parser->input, 1, &bytes, &count));
    if (count == 0) return PF_END;
    PF_TRY(take_header(parser));
    for (;;) {
        PF_TRY(pf_fasta_input_peek(parser->input, 1, &bytes, &count));
        if (count == 0 || bytes[0] == '>') break;
        PF_TRY(bytes[0] == ';' ? skip_line(parser) : take_sequence_line(parser));
    }
    parser->stops_dropped += parser->pending_stops;
    if (parser->sequence.length) parser->sequence.data[parser->sequence.length] = '\0';
    return PF_OK;
}

void pf_fasta_parse_free(pf_fasta_parser *parser)
{
    pf_text_free(&parser->id);
    pf_text_free(&parser->description);
    pf_text_free(&parser->sequence);
}
