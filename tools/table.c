// Reading tab-separated tables. See table.h.
#include "tools/table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report.h"

static int count_fields(const char *row)
{
    int count = 1;
    for (; *row; row++) count += *row == '\t';
    return count;
}

static pf_status keep_row(pf_table *t, const char *row, size_t number, size_t *capacity)
{
    if (t->n_rows == *capacity) {
        const size_t more = *capacity ? 2 * *capacity : 64;
        char **rows = realloc(t->row, more * sizeof *rows);
        if (rows) t->row = rows;
        size_t *lines = rows ? realloc(t->line, more * sizeof *lines) : NULL;
        if (!lines) return pf_tool_fail(PF_ERROR_FAILED, "%s: out of memory", t->name);
        t->line = lines;
        *capacity = more;
    }
    t->row[t->n_rows] = strdup(row);
    if (!t->row[t->n_rows]) return pf_tool_fail(PF_ERROR_FAILED, "%s: out of memory", t->name);
    t->line[t->n_rows++] = number;
    return PF_OK;
}

static pf_status take_line(pf_table *t, char *line, size_t length, size_t number, size_t *capacity)
{
    while (length && (line[length - 1] == '\n' || line[length - 1] == '\r')) line[--length] = '\0';
    if (strlen(line) != length)
        return pf_tool_fail(PF_ERROR_INPUT, "%s: line %zu: a NUL byte; a table of text was expected", t->name,
                            number);
    if (length == 0) return PF_OK;
    const int n_fields = count_fields(line);
    if (t->n_rows == 0)
        t->n_columns = n_fields;
    else if (n_fields != t->n_columns)
        return pf_tool_fail(PF_ERROR_INPUT, "%s: line %zu: %d fields separated by tabs, the header has %d",
                            t->name, number, n_fields, t->n_columns);
    return keep_row(t, line, number, capacity);
}

static pf_status read_lines(FILE *in, pf_table *t)
{
    char *line = NULL;
    size_t room = 0, capacity = 0, number = 0;
    ssize_t length;
    pf_status status = PF_OK;
    errno = 0;
    while (status == PF_OK && (length = getline(&line, &room, in)) >= 0)
        status = take_line(t, line, (size_t)length, ++number, &capacity);
    free(line);
    if (status != PF_OK) return status;
    if (ferror(in)) return pf_tool_fail(PF_ERROR_INPUT, "%s: %s", t->name, strerror(errno));
    if (t->n_rows == 0)
        return pf_tool_fail(PF_ERROR_INPUT, "%s: empty; a table with a header row was expected", t->name);
    return PF_OK;
}

pf_status pf_table_read(const char *path, pf_table *out)
{
    const bool is_standard = strcmp(path, "-") == 0;
    pf_table t = {.name = is_standard ? "standard input" : path};
    FILE *in = is_standard ? stdin : fopen(path, "r");
    if (!in) return pf_tool_fail(PF_ERROR_INPUT, "%s: %s", path, strerror(errno));
    const pf_status status = read_lines(in, &t);
    if (!is_standard) fclose(in);
    if (status == PF_OK)
        *out = t;
    else
        pf_table_free(&t);
    return status;
}

void pf_table_free(pf_table *t)
{
    for (size_t i = 0; i < t->n_rows; i++) free(t->row[i]);
    free(t->row);
    free(t->line);
    *t = (pf_table){0};
}

const char *pf_table_field(const pf_table *t, size_t row, int column, size_t *length)
{
    const char *field = t->row[row];
    for (int i = 0; i < column; i++) field = strchr(field, '\t') + 1;
    *length = strcspn(field, "\t");
    return field;
}

int pf_table_column(const pf_table *t, const char *name)
{
    for (int i = 0; i < t->n_columns; i++) {
        size_t length;
        const char *field = pf_table_field(t, 0, i, &length);
        if (length == strlen(name) && memcmp(field, name, length) == 0) return i;
    }
    return -1;
}
