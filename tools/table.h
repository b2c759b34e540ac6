// Tables that users bring: tab-separated lines below a header row.
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include <stddef.h>

#include "performer/status.h"

typedef struct pf_table {
    const char *name; // for messages; lent
    char **row;       // [n_rows] whole lines without their ends; row 0 is the header
    size_t *line;     // [n_rows] their numbers in the file
    size_t n_rows;
    int n_columns;
} pf_table;

// Reads all of a file, "-": standard input; lines that are empty are left out. Errors: PF_ERROR_INPUT for a
// file that is not there, has no header, or a row with another number of fields.
pf_status pf_table_read(const char *path, pf_table *out);
void pf_table_free(pf_table *table);

// The number of the column of that name, -1: none.
int pf_table_column(const pf_table *table, const char *name);

// A field of a row, where it lies; not NUL-terminated.
const char *pf_table_field(const pf_table *table, size_t row, int column, size_t *length);

#endif
