// Classes of sequences. See classes.h.
#include "tools/classes.h"

#include <stdlib.h>
#include <string.h>

#include "tools/report.h"
#include "tools/table.h"

typedef struct class
{
    const char *name; // within `text`
    uint64_t sequences;
    int rank;
} class;

// A row of the table.
typedef struct entry {
    const char *id, *label; // within the row, which they cut into strings
    int64_t class;          // -1: no label
    size_t line;
} entry;

struct pf_classes {
    pf_table table;
    entry *entry; // sorted by id
    size_t n_entries;
    class *class; // sorted by name
    int64_t n_classes;
    int *by_rank; // classes, most sequences first
    uint64_t others;
    int n_shown;
};

static int compare_ids(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->id, ((const entry *)b)->id);
}

static int compare_labels(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->label, ((const entry *)b)->label);
}

// Ends the fields of a row, so that id and label are strings.
static entry take_row(pf_table *t, size_t row, int column)
{
    size_t id_length, label_length;
    const char *id = pf_table_field(t, row, 0, &id_length);
    const char *label = pf_table_field(t, row, column, &label_length);
    char *line = t->row[row];
    line[label - line + (ptrdiff_t)label_length] = '\0';
    line[id - line + (ptrdiff_t)id_length] = '\0';
    return (entry){id, label, -1, t->line[row]};
}

// Entries sorted by label: a class for each that is not empty.
static pf_status make_classes(pf_classes *c)
{
    c->class = calloc(c->n_entries + 1, sizeof *c->class);
    c->by_rank = calloc(c->n_entries + 1, sizeof *c->by_rank);
    if (!c->class || !c->by_rank) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    for (size_t i = 0; i < c->n_entries; i++) {
        entry *e = &c->entry[i];
        if (!*e->label) continue;
        if (c->n_classes == 0 || strcmp(c->class[c->n_classes - 1].name, e->label) != 0)
            c->class[c->n_classes++].name = e->label;
        e->class = c->n_classes - 1;
    }
    return PF_OK;
}

static pf_status index_table(pf_classes *c, int column)
{
    c->n_entries = c->table.n_rows - 1;
    c->entry = calloc(c->n_entries + 1, sizeof *c->entry);
    if (!c->entry) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    for (size_t i = 0; i < c->n_entries; i++) c->entry[i] = take_row(&c->table, i + 1, column);
    qsort(c->entry, c->n_entries, sizeof *c->entry, compare_labels);
    const pf_status status = make_classes(c);
    if (status != PF_OK) return status;
    qsort(c->entry, c->n_entries, sizeof *c->entry, compare_ids);
    for (size_t i = 1; i < c->n_entries; i++)
        if (!strcmp(c->entry[i - 1].id, c->entry[i].id))
            return pf_tool_fail(PF_ERROR_INPUT,
                                "%s: lines %zu and %zu both name '%s'; a row a sequence was expected",
                                c->table.name, c->entry[i - 1].line, c->entry[i].line, c->entry[i].id);
    return PF_OK;
}

static pf_status find_column(const pf_table *t, const char *name, int *column)
{
    *column = name ? pf_table_column(t, name) : 1;
    if (*column < 0) return pf_tool_fail(PF_ERROR_INPUT, "%s: no column '%s' in its header", t->name, name);
    if (t->n_columns < 2 || *column == 0)
        return pf_tool_fail(PF_ERROR_INPUT,
                            "%s: names and labels were expected, in columns separated by tabs", t->name);
    return PF_OK;
}

pf_status pf_classes_open(const char *path, const char *column, pf_classes **out)
{
    pf_classes *c = calloc(1, sizeof *c);
    int at = 1;
    *out = NULL;
    if (!c) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    pf_status status = pf_table_read(path, &c->table);
    if (status == PF_OK) status = find_column(&c->table, column, &at);
    if (status == PF_OK) status = index_table(c, at);
    if (status == PF_OK)
        *out = c;
    else
        pf_classes_free(c);
    return status;
}

void pf_classes_free(pf_classes *c)
{
    if (!c) return;
    pf_table_free(&c->table);
    free(c->entry);
    free(c->class);
    free(c->by_rank);
    free(c);
}

int64_t pf_classes_find(pf_classes *c, const char *id, size_t id_length)
{
    size_t low = 0, high = c->n_entries;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        int order = strncmp(c->entry[middle].id, id, id_length);
        if (order == 0) order = c->entry[middle].id[id_length] != '\0';
        if (order == 0) {
            const int64_t found = c->entry[middle].class;
            if (found >= 0) c->class[found].sequences++;
            return found;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

static int compare_sizes(const void *a, const void *b, void *given)
{
    const pf_classes *c = given;
    const int left = *(const int *)a, right = *(const int *)b;
    const uint64_t l = c->class[left].sequences, r = c->class[right].sequences;
    return l != r ? (l < r) - (l > r) : left - right;
}

void pf_classes_sort(pf_classes *c)
{
    int seen = 0;
    for (int64_t i = 0; i < c->n_classes; i++)
        if (c->class[i].sequences) c->by_rank[seen++] = (int)i;
    qsort_r(c->by_rank, (size_t)seen, sizeof *c->by_rank, compare_sizes, c);
    c->n_shown = seen < PF_MOST_CLASSES ? seen : PF_MOST_CLASSES;
    c->others = 0;
    for (int i = 0; i < seen; i++) {
        class *k = &c->class[c->by_rank[i]];
        k->rank = i < PF_MOST_CLASSES ? i : PF_MOST_CLASSES - 1;
        if (seen > PF_MOST_CLASSES && k->rank == PF_MOST_CLASSES - 1) c->others += k->sequences;
    }
}

int pf_classes_count(const pf_classes *c)
{
    return c->n_shown;
}

int pf_classes_rank(const pf_classes *c, int64_t found)
{
    return found < 0 ? -1 : c->class[found].rank;
}

const char *pf_classes_name(const pf_classes *c, int rank, uint64_t *sequences)
{
    const class *k = &c->class[c->by_rank[rank]];
    const bool is_rest = rank == PF_MOST_CLASSES - 1 && c->others;
    *sequences = is_rest ? c->others : k->sequences;
    return is_rest ? "others" : k->name;
}
