// Reading labels files. See label_table.h.
#include "data/label_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/fasta_input.h"

enum { LONGEST_LINE = 1 << 24, COLUMNS_SHOWN = 12, NAMES_SHOWN = 3 };

typedef struct field {
    const char *text;
    size_t length;
} field;

// The i-th field of a line, blanks around it left out.
static field field_of(const char *line, size_t length, size_t i)
{
    const char *end = line + length;
    for (; i > 0; i--) line = (const char *)memchr(line, '\t', (size_t)(end - line)) + 1;
    const char *tab = memchr(line, '\t', (size_t)(end - line));
    if (tab) end = tab;
    while (line < end && *line == ' ') line++;
    while (line < end && end[-1] == ' ') end--;
    return (field){line, (size_t)(end - line)};
}

static size_t count_fields(const char *line, size_t length)
{
    size_t count = 1;
    for (size_t i = 0; i < length; i++) count += line[i] == '\t';
    return count;
}

// Text in UTF-8 without control characters but tabs.
static pf_status check_bytes(const char *line, size_t length)
{
    PF_CHECK(length <= LONGEST_LINE, PF_ERROR_INPUT, "longer than %d bytes", LONGEST_LINE);
    for (size_t i = 0, taken; i < length; i += taken) {
        const unsigned char *at = (const unsigned char *)line + i;
        taken = pf_utf8_length(at, length - i);
        PF_CHECK(taken > 0, PF_ERROR_INPUT, "byte 0x%02x is not UTF-8 text", *at);
        PF_CHECK(*at != '\0', PF_ERROR_INPUT, "a NUL byte; expected text");
        PF_CHECK((*at >= 0x20 && *at != 0x7f) || *at == '\t', PF_ERROR_INPUT,
                 "control character 0x%02x; expected text with tabs between columns", *at);
    }
    return PF_OK;
}

// --- the header ---------------------------------------------------------------------------------

// " 'a', 'b' and 3 more", from the header's second column on.
static pf_status list_columns(const char *line, size_t length, size_t count, pf_text *out)
{
    char quoted[PF_QUOTE_BYTES];
    for (size_t i = 1; i < count && i <= COLUMNS_SHOWN; i++) {
        const field name = field_of(line, length, i);
        PF_TRY(pf_text_add(out, "%s'%s'", i > 1 ? ", " : "", pf_quote(quoted, name.text, name.length)));
    }
    return count > COLUMNS_SHOWN + 1 ? pf_text_add(out, " and %zu more", count - COLUMNS_SHOWN - 1) : PF_OK;
}

static pf_status find_column(pf_label_table *t, const char *line, size_t length, const char *column)
{
    size_t found = 0;
    for (size_t i = 0; i < t->n_columns; i++) {
        const field name = field_of(line, length, i);
        if (name.length != strlen(column) || memcmp(name.text, column, name.length) != 0) continue;
        PF_CHECK(i > 0, PF_ERROR_INPUT, "the first column holds the records' names, not labels");
        PF_CHECK(found == 0, PF_ERROR_INPUT, "two columns have that name");
        found = i;
    }
    PF_CHECK(found > 0, PF_ERROR_INPUT, "no such column");
    t->label_column = found;
    return PF_OK;
}

static pf_status read_header(pf_label_table *t, const char *line, size_t length, const char *column)
{
    char quoted[PF_QUOTE_BYTES];
    pf_text names = {0};
    t->n_columns = count_fields(line, length);
    PF_CHECK(t->n_columns > 1, PF_ERROR_INPUT,
             "'%s': one column; expected a header with the names of at least two, separated by tabs",
             pf_quote(quoted, line, length));
    pf_status status = list_columns(line, length, t->n_columns, &names);
    if (status == PF_OK && column) {
        status = find_column(t, line, length, column);
        if (status == PF_ERROR_INPUT)
            pf_context(status, "--label-column '%s' (there are %s)", pf_quote(quoted, column, strlen(column)),
                       names.data);
    } else if (status == PF_OK && t->n_columns > 2) {
        status = pf_fail(PF_ERROR_USAGE, "which labels? name a column with --label-column: %s", names.data);
    } else {
        t->label_column = 1;
    }
    pf_text_free(&names);
    PF_TRY(status);
    const field name = field_of(line, length, t->label_column);
    pf_text copy = {0};
    PF_TRY(pf_text_add_bytes(&copy, name.text, name.length));
    t->column = copy.data;
    return PF_OK;
}

// --- rows ---------------------------------------------------------------------------------------

static pf_status add_row(pf_label_table *t, const char *line, size_t length, size_t number)
{
    const size_t n_fields = count_fields(line, length);
    PF_CHECK(n_fields == t->n_columns, PF_ERROR_INPUT, "%zu column%s separated by tabs, the header has %zu",
             n_fields, n_fields == 1 ? "" : "s", t->n_columns);
    const field name = field_of(line, length, 0), label = field_of(line, length, t->label_column);
    PF_CHECK(name.length > 0, PF_ERROR_INPUT, "no name in the first column");
    PF_TRY(pf_grow((void **)&t->row, &t->capacity, t->count + 1, sizeof *t->row, "labels"));
    t->row[t->count++] = (pf_label_row){.name = name.text,
                                        .label = label.text,
                                        .name_length = name.length,
                                        .label_length = label.length,
                                        .line = number};
    return PF_OK;
}

static pf_status take_line(pf_label_table *t, const char *line, size_t length, size_t number,
                           const char *column)
{
    if (length && line[length - 1] == '\r') length--;
    PF_TRY(check_bytes(line, length));
    if (length == 0) return PF_OK;
    return t->n_columns == 0 ? read_header(t, line, length, column) : add_row(t, line, length, number);
}

static pf_status take_lines(pf_label_table *t, const char *column)
{
    const size_t mark = t->text.length >= 3 && memcmp(t->text.data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    size_t number = 1;
    for (size_t at = mark; at < t->text.length; number++) {
        const char *begin = t->text.data + at, *end = memchr(begin, '\n', t->text.length - at);
        const size_t length = end ? (size_t)(end - begin) : t->text.length - at;
        PF_TRY(pf_context(take_line(t, begin, length, number, column), "line %zu", number));
        at += length + 1;
    }
    PF_CHECK(t->n_columns > 0, PF_ERROR_INPUT,
             "empty; expected a header line and a line for each labelled record");
    PF_CHECK(t->count > 0, PF_ERROR_INPUT, "a header and no labels");
    return PF_OK;
}

static int compare_names(const char *a, size_t a_length, const char *b, size_t b_length)
{
    const int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_rows(const void *a, const void *b)
{
    const pf_label_row *left = a, *right = b;
    const int order = compare_names(left->name, left->name_length, right->name, right->name_length);
    return order ? order : (left->line > right->line) - (left->line < right->line);
}

static pf_status keep_names_once(pf_label_table *t)
{
    char quoted[PF_QUOTE_BYTES];
    size_t kept = 0;
    qsort(t->row, t->count, sizeof *t->row, compare_rows);
    for (size_t i = 1; i < t->count; i++) {
        const pf_label_row *a = &t->row[kept], *b = &t->row[i];
        if (compare_names(a->name, a->name_length, b->name, b->name_length) != 0) {
            t->row[++kept] = *b;
            continue;
        }
        PF_CHECK(compare_names(a->label, a->label_length, b->label, b->label_length) == 0, PF_ERROR_INPUT,
                 "lines %zu and %zu: '%s' has two different labels", a->line, b->line,
                 pf_quote(quoted, a->name, a->name_length));
    }
    t->count = kept + 1;
    return PF_OK;
}

// --- the table ----------------------------------------------------------------------------------

static pf_status fill(pf_label_table *t, const char *path, const char *column)
{
    PF_TRY(pf_fasta_input_read_all(path, &t->text));
    PF_TRY(take_lines(t, column));
    return keep_names_once(t);
}

pf_status pf_label_table_read(const char *path, const char *column, pf_label_table **out)
{
    void *memory = NULL;
    pf_text shown = {0};
    *out = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_label_table), "labels"));
    pf_label_table *t = memory;
    pf_status status =
        strcmp(path, "-") == 0 ? pf_text_add(&shown, "standard input") : pf_text_add_path(&shown, path);
    t->path = shown.data;
    if (status == PF_OK) status = pf_context(fill(t, path, column), "%s", t->path);
    if (status == PF_OK)
        *out = t;
    else
        pf_label_table_free(t);
    return status;
}

void pf_label_table_free(pf_label_table *t)
{
    if (!t) return;
    pf_free(t->path);
    pf_free(t->column);
    pf_free(t->row);
    pf_text_free(&t->text);
    pf_free(t);
}

const pf_label_row *pf_label_table_find(pf_label_table *t, const char *name, size_t length)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        pf_label_row *row = &t->row[middle];
        const int order = compare_names(row->name, row->name_length, name, length);
        if (order == 0) {
            row->is_used = true;
            return row;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

pf_status pf_label_table_warn_unused(const pf_label_table *t, pf_text *warnings)
{
    char quoted[PF_QUOTE_BYTES];
    size_t unused = 0;
    pf_text names = {0};
    pf_status status = PF_OK;
    for (size_t i = 0; i < t->count && status == PF_OK; i++)
        if (!t->row[i].is_used && unused++ < NAMES_SHOWN)
            status = pf_text_add(&names, "%s'%s'", unused > 1 ? ", " : "",
                                 pf_quote(quoted, t->row[i].name, t->row[i].name_length));
    if (status == PF_OK && unused > 0)
        status = pf_text_add(warnings, "%s: %zu label%s of records that are in no FASTA file: %s%s\n",
                             t->path, unused, unused == 1 ? " is" : "s are", names.data,
                             unused > NAMES_SHOWN ? ", ..." : "");
    pf_text_free(&names);
    return status;
}
