// Labels of a corpus. See labels.h.
#include "data/labels.h"

#include <math.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { NAMES_SHOWN = 3, CLASSES_SHOWN = 20, NUMBER_BYTES = 64 };
static const double largest = 1e100; // so that squares stay finite

// --- the parts of a label -----------------------------------------------------------------------

typedef struct part {
    const char *text;
    size_t length;
} part;

void pf_label_reader_start(pf_label_reader *r, const pf_label_table *table, const pf_label_row *row,
                           const struct pf_task_config *task)
{
    *r = (pf_label_reader){
        .table = table, .row = row, .task = task, .at = row->label, .end = row->label + row->label_length};
    r->by_character = task->level == PF_TASK_RESIDUE && task->type == PF_TASK_CLASSIFICATION &&
                      !memchr(row->label, ',', row->label_length);
}

// False behind the last.
static bool next_part(pf_label_reader *r, part *out)
{
    if (r->is_done) return false;
    if (r->by_character) {
        if (r->at == r->end) return false;
        *out = (part){r->at, pf_utf8_length((const unsigned char *)r->at, (size_t)(r->end - r->at))};
        r->at += out->length;
        return true;
    }
    const char *end = r->task->level == PF_TASK_RESIDUE ? memchr(r->at, ',', (size_t)(r->end - r->at)) : NULL;
    *out = (part){r->at, (size_t)((end ? end : r->end) - r->at)};
    if (end)
        r->at = end + 1;
    else
        r->is_done = true;
    for (; out->length && *out->text == ' '; out->length--) out->text++;
    while (out->length && out->text[out->length - 1] == ' ') out->length--;
    return true;
}

static bool is_word(const part *p, const char *word)
{
    return p->length == strlen(word) && memcmp(p->text, word, p->length) == 0;
}

static bool is_none(const struct pf_task_config *task, const part *p)
{
    if (p->length == 0) return true;
    if (task->level == PF_TASK_SEQUENCE) return false;
    if (task->type == PF_TASK_CLASSIFICATION) return is_word(p, ".") || is_word(p, "-");
    return is_word(p, "nan") || is_word(p, "NaN") || is_word(p, "NAN");
}

static pf_status fail_class(const pf_label_reader *r, const part *p)
{
    char quoted[PF_QUOTE_BYTES];
    pf_text names = {0};
    const int32_t n = r->task->n_classes;
    pf_status status = PF_OK;
    for (int32_t c = 0; c < n && c < CLASSES_SHOWN && status == PF_OK; c++) {
        const char *name = r->task->class_name[c];
        status = pf_text_add(&names, "%s'%s'", c ? ", " : "", pf_quote(quoted, name, strlen(name)));
    }
    if (status == PF_OK && n > CLASSES_SHOWN) status = pf_text_add(&names, ", ... (%d in all)", (int)n);
    if (status == PF_OK)
        status = pf_fail(PF_ERROR_INPUT, "%s: line %zu: class '%s' is not known; there are %s",
                         r->table->path, r->row->line, pf_quote(quoted, p->text, p->length), names.data);
    pf_text_free(&names);
    return status;
}

static pf_status read_number(const pf_label_reader *r, const part *p, double *value)
{
    char quoted[PF_QUOTE_BYTES], number[NUMBER_BYTES];
    pf_status status = PF_ERROR_INPUT;
    if (p->length < sizeof number && !memchr(p->text, '\0', p->length)) {
        memcpy(number, p->text, p->length);
        number[p->length] = '\0';
        status = pf_parse_number(number, -largest, largest, value);
    }
    PF_CHECK(status == PF_OK, PF_ERROR_INPUT,
             "%s: line %zu: '%s' is no label of a regression; expected a number%s", r->table->path,
             r->row->line, pf_quote(quoted, p->text, p->length),
             r->task->level == PF_TASK_RESIDUE ? " for each residue, separated by commas"
                                               : ", or nothing for no label");
    return PF_OK;
}

pf_status pf_label_reader_next(pf_label_reader *r, int32_t *target, double *value)
{
    part p;
    if (!next_part(r, &p)) return PF_END;
    *target = PF_NO_TARGET;
    *value = (double)NAN;
    if (is_none(r->task, &p)) return PF_OK;
    if (r->task->type == PF_TASK_REGRESSION) {
        PF_TRY(read_number(r, &p, value));
        *target = 0;
        return PF_OK;
    }
    for (int32_t c = 0; c < r->task->n_classes && *target < 0; c++)
        if (is_word(&p, r->task->class_name[c])) *target = c;
    return *target < 0 ? fail_class(r, &p) : PF_OK;
}

// --- classes ------------------------------------------------------------------------------------

static int compare_classes(const void *a, const void *b)
{
    return strcmp(a, b);
}

static pf_status add_class(const pf_label_reader *r, const part *p, struct pf_task_config *task)
{
    char quoted[PF_QUOTE_BYTES];
    for (int32_t c = 0; c < task->n_classes; c++)
        if (is_word(p, task->class_name[c])) return PF_OK;
    PF_CHECK(p->length < PF_CLASS_BYTES, PF_ERROR_INPUT, "%s: line %zu: class '%s' has %zu bytes, at most %d",
             r->table->path, r->row->line, pf_quote(quoted, p->text, p->length), p->length,
             PF_CLASS_BYTES - 1);
    PF_CHECK(task->n_classes < PF_MAX_CLASSES, PF_ERROR_INPUT,
             "%s: line %zu: more than %d classes; numbers are for --task regression", r->table->path,
             r->row->line, PF_MAX_CLASSES);
    memcpy(task->class_name[task->n_classes], p->text, p->length);
    task->class_name[task->n_classes++][p->length] = '\0';
    return PF_OK;
}

pf_status pf_labels_classes(pf_label_table *table, const pf_corpus *corpus, struct pf_task_config *task)
{
    task->n_classes = 0;
    memset(task->class_name, 0, sizeof task->class_name);
    for (size_t i = 0; i < corpus->n_sequences; i++) {
        const char *name = pf_corpus_name(corpus, i);
        const pf_label_row *row = pf_label_table_find(table, name, strlen(name));
        pf_label_reader reader;
        part p;
        if (!row) continue;
        pf_label_reader_start(&reader, table, row, task);
        while (next_part(&reader, &p))
            if (!is_none(task, &p)) PF_TRY(add_class(&reader, &p, task));
    }
    char quoted[PF_QUOTE_BYTES];
    const char *only = task->class_name[0];
    PF_CHECK(task->n_classes != 1, PF_ERROR_INPUT,
             "%s: all labels of the training sequences are '%s'; there is nothing to tell apart", table->path,
             pf_quote(quoted, only, strlen(only)));
    PF_CHECK(task->n_classes > 0, PF_ERROR_INPUT, "%s: no training sequence has a label", table->path);
    qsort(task->class_name, (size_t)task->n_classes, sizeof *task->class_name, compare_classes);
    return PF_OK;
}

// --- a corpus -----------------------------------------------------------------------------------

typedef struct attachment {
    const pf_labels_call *call;
    const pf_label_row **row; // [n_sequences] NULL: none
    bool *keep;               // [n_sequences]
    pf_labels *labels;
} attachment;

// Rows of records, and which records have a label at all.
static pf_status find_rows(attachment *a)
{
    const pf_labels_call *call = a->call;
    const pf_corpus *corpus = call->corpus;
    char quoted[PF_QUOTE_BYTES];
    size_t missing = 0;
    pf_text names = {0};
    pf_status status = PF_OK;
    for (size_t i = 0; i < corpus->n_sequences && status == PF_OK; i++) {
        const char *name = pf_corpus_name(corpus, i);
        pf_label_reader reader;
        part p;
        a->row[i] = pf_label_table_find(call->table, name, strlen(name));
        if (a->row[i]) pf_label_reader_start(&reader, call->table, a->row[i], call->task);
        while (a->row[i] && !a->keep[i] && next_part(&reader, &p)) a->keep[i] = !is_none(call->task, &p);
        if (!a->keep[i] && missing++ < NAMES_SHOWN)
            status =
                pf_text_add(&names, "%s'%s'", missing > 1 ? ", " : "", pf_quote(quoted, name, strlen(name)));
    }
    if (status == PF_OK && missing == corpus->n_sequences)
        status =
            pf_fail(PF_ERROR_INPUT,
                    "%s: no %s sequence has a label; they are called %s, the first column of the labels has "
                    "'%s'",
                    call->table->path, call->what, names.data,
                    pf_quote(quoted, call->table->row[0].name, call->table->row[0].name_length));
    else if (status == PF_OK && missing > 0)
        status = pf_text_add(call->warnings, "%zu %s sequence%s left out, without a label in %s: %s%s\n",
                             missing, call->what, missing == 1 ? " is" : "s are", call->table->path,
                             names.data, missing > NAMES_SHOWN ? ", ..." : "");
    pf_text_free(&names);
    return status;
}

static void drop_unlabelled(attachment *a)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->call->corpus->n_sequences; i++)
        if (a->keep[i]) a->row[kept++] = a->row[i];
    pf_corpus_keep(a->call->corpus, a->keep);
}

static pf_status fail_count(const attachment *a, size_t sequence, size_t count, size_t wanted)
{
    const pf_label_row *row = a->row[sequence];
    char quoted[PF_QUOTE_BYTES];
    return pf_fail(PF_ERROR_INPUT, "%s: line %zu: %zu%s labels for '%s', whose sequence has %zu residues",
                   a->call->table->path, row->line, count, count > wanted ? " or more" : "",
                   pf_quote(quoted, row->name, row->name_length), wanted);
}

static pf_status read_sequence(attachment *a, size_t sequence)
{
    const pf_corpus *corpus = a->call->corpus;
    pf_labels *labels = a->labels;
    const bool residues = labels->level == PF_TASK_RESIDUE;
    const size_t first = residues ? (size_t)corpus->start[sequence] : sequence;
    const size_t wanted = residues ? (size_t)(corpus->start[sequence + 1] - corpus->start[sequence]) : 1;
    pf_label_reader reader;
    pf_status status;
    int32_t target;
    double value;
    size_t n = 0;
    pf_label_reader_start(&reader, a->call->table, a->row[sequence], a->call->task);
    while ((status = pf_label_reader_next(&reader, &target, &value)) == PF_OK) {
        if (n == wanted) return fail_count(a, sequence, n + 1, wanted);
        labels->target[first + n] = target;
        if (labels->value) labels->value[first + n] = value;
        labels->n_labelled += target != PF_NO_TARGET;
        n++;
    }
    if (status != PF_END) return status;
    return n == wanted ? PF_OK : fail_count(a, sequence, n, wanted);
}

static void measure(pf_labels *labels)
{
    double mean = 0, squares = 0, n = 0;
    for (size_t i = 0; labels->value && i < labels->count; i++)
        if (labels->target[i] != PF_NO_TARGET) mean += (labels->value[i] - mean) / ++n;
    for (size_t i = 0; labels->value && i < labels->count; i++)
        if (labels->target[i] != PF_NO_TARGET)
            squares += (labels->value[i] - mean) * (labels->value[i] - mean);
    labels->mean = mean;
    labels->deviation = n > 0 ? sqrt(squares / n) : 0;
}

static void put_bytes(struct sha256_ctx *context, uint64_t number)
{
    uint8_t bytes[8];
    for (int b = 0; b < 8; b++) bytes[b] = (uint8_t)(number >> 8 * b);
    sha256_update(context, sizeof bytes, bytes);
}

static void take_fingerprint(pf_labels *labels)
{
    struct sha256_ctx context;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&context);
    for (size_t i = 0; i < labels->count; i++) {
        uint64_t number = (uint64_t)(int64_t)labels->target[i];
        if (labels->value && labels->target[i] != PF_NO_TARGET)
            memcpy(&number, &labels->value[i], sizeof number);
        put_bytes(&context, number);
    }
    sha256_digest(&context, sizeof digest, digest);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++) snprintf(labels->fingerprint + 2 * i, 3, "%02x", digest[i]);
}

static pf_status create_labels(attachment *a)
{
    const struct pf_task_config *task = a->call->task;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_labels), "labels"));
    pf_labels *labels = a->labels = memory;
    labels->type = task->type;
    labels->level = task->level;
    labels->count =
        task->level == PF_TASK_RESIDUE ? (size_t)a->call->corpus->n_residues : a->call->corpus->n_sequences;
    PF_TRY(pf_alloc((void **)&labels->target, labels->count, sizeof(int32_t), "labels"));
    if (task->type == PF_TASK_REGRESSION)
        PF_TRY(pf_alloc((void **)&labels->value, labels->count, sizeof(double), "labels"));
    for (size_t i = 0; i < a->call->corpus->n_sequences; i++) PF_TRY(read_sequence(a, i));
    measure(labels);
    take_fingerprint(labels);
    return PF_OK;
}

pf_status pf_labels_attach(const pf_labels_call *call, pf_labels **out)
{
    attachment a = {.call = call};
    const size_t n = call->corpus->n_sequences;
    pf_status status;
    *out = NULL;
    PF_TRY_OR(done, pf_alloc((void **)&a.row, n, sizeof *a.row, "labels"));
    PF_TRY_OR(done, pf_alloc((void **)&a.keep, n, sizeof *a.keep, "labels"));
    PF_TRY_OR(done, find_rows(&a));
    drop_unlabelled(&a);
    PF_TRY_OR(done, create_labels(&a));
    *out = a.labels;
    a.labels = NULL;
done:
    pf_labels_free(a.labels);
    pf_free(a.row);
    pf_free(a.keep);
    return status;
}

void pf_labels_free(pf_labels *labels)
{
    if (!labels) return;
    pf_free(labels->target);
    pf_free(labels->value);
    pf_free(labels);
}

// --- windows ------------------------------------------------------------------------------------

int32_t pf_labels_window(const pf_labels *labels, const pf_corpus *corpus, const struct pf_task_config *task,
                         pf_label_window window, int32_t *target, float *value)
{
    const bool residues = labels->level == PF_TASK_RESIDUE;
    const uint64_t n_residues = corpus->start[window.sequence + 1] - corpus->start[window.sequence];
    int32_t count = 0;
    for (size_t i = 0; i < window.length; i++) {
        const uint64_t place = window.first + i; // 0: begin, n_residues + 1: end
        const bool has = residues ? place >= 1 && place <= n_residues : i == 0;
        const size_t at = residues ? (size_t)(corpus->start[window.sequence] + place - 1) : window.sequence;
        target[i] = has ? labels->target[at] : PF_NO_TARGET;
        count += target[i] != PF_NO_TARGET;
        if (!labels->value) continue;
        value[i] = target[i] != PF_NO_TARGET ? (float)((labels->value[at] - task->mean) / task->deviation)
                                             : NAN;
    }
    return count;
}
