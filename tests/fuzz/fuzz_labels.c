// Labels files made from bytes: lines of a good one, with damage. What is accepted has every name once, and a
// label that is attached is one of the task's.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/labels.h"
#include "fuzz/target.h"

static const char *const pieces[] = {
    "a\tx\n", "b\ty\n", "c\tHHCH\n", "d\t1,2,nan\n", "e\t-1.5e3\r\n", "a", "\t", "\n", "\r",
    ",",      ".",      "x",         "\xEF\xBB\xBF", "\xff",          "9", " "};
enum { PIECES = sizeof pieces / sizeof *pieces };

static void read_row(const pf_label_table *table, const pf_label_row *row, struct pf_task_config *task)
{
    pf_label_reader reader;
    pf_status status;
    int32_t target;
    double value;
    size_t count = 0;
    pf_label_reader_start(&reader, table, row, task);
    while ((status = pf_label_reader_next(&reader, &target, &value)) == PF_OK) {
        if (target != PF_NO_TARGET && (target < 0 || target >= (task->n_classes ? task->n_classes : 1)))
            abort();
        if (task->type == PF_TASK_REGRESSION && (target == PF_NO_TARGET) != (value != value)) abort();
        if (++count > row->label_length + 1) abort();
    }
    if (status != PF_END && status != PF_ERROR_INPUT) abort();
}

static void check(const pf_label_table *table)
{
    struct pf_task_config task = {.n_classes = 2, .class_name = {"x", "y"}};
    for (size_t i = 0; i < table->count; i++) {
        const pf_label_row *row = &table->row[i];
        if (row->name_length == 0 || row->line == 0) abort();
        if (i && row->name_length == row[-1].name_length &&
            !memcmp(row->name, row[-1].name, row->name_length))
            abort();
        for (int way = 0; way < 4; way++) {
            task.type = way % 2 ? PF_TASK_REGRESSION : PF_TASK_CLASSIFICATION;
            task.level = way / 2 ? PF_TASK_RESIDUE : PF_TASK_SEQUENCE;
            task.n_classes = way % 2 ? 0 : 2;
            read_row(table, row, &task);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pf_text text = {0};
    if (size == 0) return 0;
    if (data[0] % 8) pf_text_add(&text, data[0] % 16 < 8 ? "id\tl\n" : "id\tk\tl\n");
    for (size_t i = 1; i < size && i < 40; i++) pf_text_add(&text, "%s", pieces[data[i] % PIECES]);
    for (size_t i = 40; i + 1 < size && i < 44 && text.length; i += 2)
        text.data[data[i] % text.length] = (char)data[i + 1];
    const int memory = memfd_create("fuzz", MFD_CLOEXEC);
    if (memory < 0 || write(memory, text.data, text.length) != (ssize_t)text.length) abort();
    char path[40];
    pf_label_table *table = NULL;
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    const pf_status status = pf_label_table_read(path, data[0] % 3 ? NULL : "l", &table);
    if ((status == PF_OK) != (table != NULL)) abort();
    if (status != PF_OK && status != PF_ERROR_INPUT && status != PF_ERROR_USAGE) abort();
    if (table) check(table);
    pf_label_table_free(table);
    close(memory);
    pf_text_free(&text);
    return 0;
}
