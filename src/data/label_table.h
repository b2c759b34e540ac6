// A labels file as it is: a TSV with a header line, records' names in the first column. Which label a record
// has; what it means is labels.h's.
#ifndef PF_DATA_LABEL_TABLE_H
#define PF_DATA_LABEL_TABLE_H

#include <stdbool.h>

#include "base/text.h"

// A record's name and label, without blanks around them. Lent by the table, not NUL-terminated.
typedef struct pf_label_row {
    const char *name, *label;
    size_t name_length, label_length;
    size_t line;
    bool is_used; // a record asked for it
} pf_label_row;

typedef struct pf_label_table {
    char *path;        // fit for messages
    char *column;      // of the labels
    pf_text text;      // the file
    pf_label_row *row; // [count] sorted by name, each name once
    size_t count, capacity;
    size_t n_columns, name_column, label_column; // name_column is 0
} pf_label_table;

// `column`: name of the labels' column, or NULL for the second of two. "-" is standard input, gzip is
// unpacked. Errors: PF_ERROR_INPUT with path and line: no such column, another number of fields than the
// header has, bytes that are not text, a name that has two labels; PF_ERROR_USAGE where a column must be
// named; PF_ERROR_FAILED.
pf_status pf_label_table_read(const char *path, const char *column, pf_label_table **out);
void pf_label_table_free(pf_label_table *table);

// The row of a record of that name, NULL: none. The row counts as used.
const pf_label_row *pf_label_table_find(pf_label_table *table, const char *name, size_t length);

// A line about rows that no record asked for; nothing where all were used.
pf_status pf_label_table_warn_unused(const pf_label_table *table, pf_text *warnings);

#endif
