// Classes of sequences from a user's table of labels, for colours: the many first, the rare together.
#ifndef TOOLS_CLASSES_H
#define TOOLS_CLASSES_H

#include <stddef.h>
#include <stdint.h>

#include "performer/status.h"

enum {
    PF_MOST_CLASSES = 8
}; // as many colours as can be told apart; the last holds the rest where there are more

typedef struct pf_classes pf_classes;

// Reads a table whose first column has the names of sequences; the labels are those of `column`, NULL: the
// second. Errors: PF_ERROR_INPUT (no such file or column, a name twice), PF_ERROR_FAILED.
pf_status pf_classes_open(const char *path, const char *column, pf_classes **out);
void pf_classes_free(pf_classes *classes); // NULL is fine

// Counts a sequence; -1 for one that the table does not hold or leaves empty, else what pf_classes_rank
// takes.
int64_t pf_classes_find(pf_classes *classes, const char *id, size_t id_length);

// Where the classes that were counted stand by size, once all were; then the place of each. `name` is lent.
void pf_classes_sort(pf_classes *classes);
int pf_classes_count(const pf_classes *classes);
int pf_classes_rank(const pf_classes *classes, int64_t found); // -1 for -1
const char *pf_classes_name(const pf_classes *classes, int rank, uint64_t *sequences);

#endif
