// Labels go to the records and residues that they are of, and whatever is wrong with a labels file is said
// with its line.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/labels.h"
#include "support/corpus.h"
#include "support/suite.h"
#include "support/temporary.h"

static const char fasta[] = ">a first\nMKT\n>b\nAYTG\n>c\nW\n>d\nMM\n";

static pf_corpus *named_corpus(const char *text)
{
    const char *path = temporary("named.fa");
    pf_corpus *corpus = NULL;
    ck_assert_int_eq(pf_write_file(path, text, strlen(text), NULL), PF_OK);
    ck_assert_msg(pf_corpus_load_named(&path, 1, &corpus) == PF_OK, "%s", pf_error_message());
    return corpus;
}

static pf_status read_bytes(const char *text, size_t length, const char *column, pf_label_table **out)
{
    const char *path = temporary("labels.tsv");
    ck_assert_int_eq(pf_write_file(path, text, length, NULL), PF_OK);
    return pf_label_table_read(path, column, out);
}

static pf_label_table *read_table(const char *text, const char *column)
{
    pf_label_table *table = NULL;
    ck_assert_msg(read_bytes(text, strlen(text), column, &table) == PF_OK, "%s", pf_error_message());
    return table;
}

static const char *label_of(pf_label_table *table, const char *name)
{
    static char label[64];
    const pf_label_row *row = pf_label_table_find(table, name, strlen(name));
    if (!row) return "(none)";
    ck_assert_uint_lt(row->label_length, sizeof label);
    memcpy(label, row->label, row->label_length);
    label[row->label_length] = '\0';
    return label;
}

// --- tables -------------------------------------------------------------------------------------

START_TEST(files_of_any_system_are_read)
{
    static const char *const texts[] = {"name\tlabel\nb\ttwo words\na\tone\n",
                                        "name\tlabel\r\nb\ttwo words\r\na\tone", // no last line break
                                        "\xEF\xBB\xBFname\tlabel\n\nb\ttwo words \n a\t one\n\n\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        pf_label_table *table = read_table(texts[i], NULL);
        ck_assert_uint_eq(table->count, 2);
        ck_assert_str_eq(table->column, "label");
        ck_assert_str_eq(label_of(table, "a"), "one");
        ck_assert_str_eq(label_of(table, "b"), "two words");
        ck_assert_str_eq(label_of(table, "name"), "(none)");
        pf_label_table_free(table);
    }
}
END_TEST

START_TEST(columns_are_known_by_name)
{
    pf_label_table *table = read_table("id\tclass\tpH\na\tx\t7\nb\ty\t\n", "pH");
    ck_assert_str_eq(label_of(table, "a"), "7");
    ck_assert_str_eq(label_of(table, "b"), "");
    pf_label_table_free(table);
}
END_TEST

START_TEST(a_name_may_stand_twice_with_the_same_label)
{
    pf_label_table *table = read_table("id\tl\nb\tx\na\ty\nb\tx\nb\tx\n", NULL);
    ck_assert_uint_eq(table->count, 2);
    ck_assert_str_eq(label_of(table, "b"), "x");
    pf_label_table_free(table);
}
END_TEST

START_TEST(every_mistake_is_named_with_its_line)
{
    static const struct {
        const char *text, *column, *says;
        pf_status status;
    } cases[] = {
        {"", NULL, "labels.tsv: empty; expected a header", PF_ERROR_INPUT},
        {"\n\n", NULL, "empty; expected a header", PF_ERROR_INPUT},
        {"id\tl\n", NULL, "a header and no labels", PF_ERROR_INPUT},
        {"id,l\na,1\n", NULL, "line 1: 'id,l': one column; expected", PF_ERROR_INPUT},
        {"id\tl\tm\na\t1\t2\n", NULL, "line 1: which labels? name a column with --label-column: 'l', 'm'",
         PF_ERROR_USAGE},
        {"id\tl\na\t1\n", "k", "line 1: --label-column 'k' (there are 'l'): no such column", PF_ERROR_INPUT},
        {"id\tl\na\t1\n", "id", "the first column holds the records' names", PF_ERROR_INPUT},
        {"id\tl\tl\na\t1\t2\n", "l", "two columns have that name", PF_ERROR_INPUT},
        {"id\tl\na\t1\nb\n", NULL, "line 3: 1 column separated by tabs, the header has 2", PF_ERROR_INPUT},
        {"id\tl\na\t1\nb\t1\t\n", NULL, "line 3: 3 columns separated by tabs, the header has 2",
         PF_ERROR_INPUT},
        {"id\tl\na\t1\n\t2\n", NULL, "line 3: no name in the first column", PF_ERROR_INPUT},
        {"id\tl\na\t\xff\n", NULL, "line 2: byte 0xff is not UTF-8 text", PF_ERROR_INPUT},
        {"id\tl\r\na\tx\ry\n", NULL, "line 2: control character 0x0d", PF_ERROR_INPUT},
        {"id\tl\na\tx\n\nb\ty\na\tz\n", NULL, "lines 2 and 5: 'a' has two different labels", PF_ERROR_INPUT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pf_label_table *table = NULL;
        ck_assert_int_eq(read_bytes(cases[i].text, strlen(cases[i].text), cases[i].column, &table),
                         cases[i].status);
        ck_assert_msg(strstr(pf_error_message(), cases[i].says), "%s", pf_error_message());
        ck_assert_ptr_null(table);
    }
    pf_label_table *table = NULL;
    ck_assert_int_eq(read_bytes("id\tl\na\tx\0y\n", 11, NULL, &table), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "line 2: a NUL byte"));
    ck_assert_int_eq(pf_label_table_read(temporary("none"), NULL, &table), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "none: No such file"));
}
END_TEST

START_TEST(huge_lines_are_refused)
{
    pf_text text = {0};
    pf_label_table *table = NULL;
    ck_assert_int_eq(pf_text_add(&text, "id\tl\na\t%*d\n", 1 << 24, 1), PF_OK);
    ck_assert_int_eq(read_bytes(text.data, text.length, NULL, &table), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "line 2: longer than 16777216 bytes"));
    pf_text_free(&text);
}
END_TEST

// --- labels of a corpus -------------------------------------------------------------------------

typedef struct attached {
    pf_label_table *table;
    pf_corpus *corpus;
    pf_labels *labels;
    struct pf_task_config task;
    pf_text warnings;
} attached;

// Classes are those of the labels unless the task has some.
static pf_status attach(const char *tsv, struct pf_task_config task, attached *out)
{
    *out = (attached){.corpus = named_corpus(fasta), .table = read_table(tsv, NULL), .task = task};
    pf_status status = PF_OK;
    if (task.type == PF_TASK_CLASSIFICATION && task.n_classes == 0)
        status = pf_labels_classes(out->table, out->corpus, &out->task);
    const pf_labels_call call = {out->table, &out->task, out->corpus, "training", &out->warnings};
    return status == PF_OK ? pf_labels_attach(&call, &out->labels) : status;
}

static void attach_well(const char *tsv, struct pf_task_config task, attached *out)
{
    ck_assert_msg(attach(tsv, task, out) == PF_OK, "%s", pf_error_message());
}

static void release(attached *a)
{
    pf_labels_free(a->labels);
    pf_label_table_free(a->table);
    pf_corpus_free(a->corpus);
    pf_text_free(&a->warnings);
}

static const struct pf_task_config of_classes = {.type = PF_TASK_CLASSIFICATION, .deviation = 1};
static const struct pf_task_config of_numbers = {.type = PF_TASK_REGRESSION, .deviation = 1};
static const struct pf_task_config of_residues = {
    .type = PF_TASK_CLASSIFICATION, .level = PF_TASK_RESIDUE, .deviation = 1};
static const struct pf_task_config of_residue_numbers = {
    .type = PF_TASK_REGRESSION, .level = PF_TASK_RESIDUE, .deviation = 1};

START_TEST(classes_are_numbered_in_the_order_of_their_bytes)
{
    attached a;
    attach_well("id\tl\nd\tmembrane\nc\tCytoplasm\nb\tinner\na\tmembrane\nnobody\tAAA\n", of_classes, &a);
    ck_assert_int_eq(a.task.n_classes, 3); // what no record has is no class
    ck_assert_str_eq(a.task.class_name[0], "Cytoplasm");
    ck_assert_str_eq(a.task.class_name[1], "inner");
    ck_assert_str_eq(a.task.class_name[2], "membrane");
    ck_assert_uint_eq(a.labels->count, 4);
    ck_assert_uint_eq(a.labels->n_labelled, 4);
    ck_assert_mem_eq(a.labels->target, ((const int32_t[]){2, 1, 0, 2}), 4 * sizeof(int32_t));
    ck_assert_ptr_null(a.labels->value);
    ck_assert_ptr_null(a.warnings.data);
    ck_assert_int_eq(pf_label_table_warn_unused(a.table, &a.warnings), PF_OK);
    ck_assert_ptr_nonnull(
        strstr(a.warnings.data, "1 label is of records that are in no FASTA file: 'nobody'"));
    release(&a);
}
END_TEST

START_TEST(a_model_keeps_the_order_of_its_classes)
{
    attached a;
    struct pf_task_config task = of_classes;
    task.n_classes = 2;
    strcpy(task.class_name[0], "y");
    strcpy(task.class_name[1], "x");
    attach_well("id\tl\na\tx\nb\ty\nc\tx\nd\ty\n", task, &a);
    ck_assert_mem_eq(a.labels->target, ((const int32_t[]){1, 0, 1, 0}), 4 * sizeof(int32_t));
    release(&a);
    ck_assert_int_eq(attach("id\tl\na\tx\nb\tz\n", task, &a), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(
        strstr(pf_error_message(), "labels.tsv: line 3: class 'z' is not known; there are 'y', 'x'"));
    ck_assert_ptr_null(a.labels);
    release(&a);
}
END_TEST

START_TEST(records_without_a_label_leave_the_corpus)
{
    attached a;
    attach_well("id\tl\na\t1\nb\t\nd\t-2.5\n", of_numbers, &a);
    ck_assert_uint_eq(a.corpus->n_sequences, 2);
    ck_assert_uint_eq(a.corpus->n_residues, 5);
    ck_assert_uint_eq(a.corpus->longest, 3);
    ck_assert_str_eq(pf_corpus_name(a.corpus, 1), "d");
    ck_assert_mem_eq(a.corpus->residue, "\x0a\x08\x10\x0a\x0a", 5); // M K T, M M
    ck_assert_double_eq(a.labels->value[1], -2.5);
    ck_assert_double_eq(a.labels->mean, -0.75);
    ck_assert_double_eq(a.labels->deviation, 1.75);
    ck_assert_ptr_nonnull(strstr(a.warnings.data, "2 training sequences are left out, without a label"));
    ck_assert_ptr_nonnull(strstr(a.warnings.data, ": 'b', 'c'"));
    release(&a);
}
END_TEST

START_TEST(residues_have_a_character_or_a_part_each)
{
    attached a;
    attach_well("id\tl\na\tHHC\nb\t.H-C\nc\t.\nd\tC , H\n", of_residues, &a);
    ck_assert_int_eq(a.task.n_classes, 2);
    ck_assert_uint_eq(a.corpus->n_sequences, 3); // c has none
    ck_assert_uint_eq(a.labels->count, 9);
    ck_assert_uint_eq(a.labels->n_labelled, 7);
    ck_assert_mem_eq(a.labels->target, ((const int32_t[]){1, 1, 0, -1, 1, -1, 0, 0, 1}), 9 * sizeof(int32_t));
    release(&a);
    attach_well("id\tl\na\t1,,3\nb\tnan,NaN,,\nc\t0.5\nd\t-1,2\n", of_residue_numbers, &a);
    ck_assert_uint_eq(a.corpus->n_sequences, 3);
    ck_assert_mem_eq(a.labels->target, ((const int32_t[]){0, -1, 0, 0, 0, 0}), 6 * sizeof(int32_t));
    ck_assert_double_eq(a.labels->value[2], 3);
    ck_assert(isnan(a.labels->value[1]));
    release(&a);
}
END_TEST

START_TEST(windows_carry_their_residues_labels)
{
    attached a;
    int32_t target[6];
    float value[6];
    struct pf_task_config task = of_residue_numbers;
    attach_well("id\tl\nb\t1,2,,4\n", task, &a);
    task.mean = 2, task.deviation = 0.5;
    const pf_label_window whole = {0, 0, 6}, middle = {0, 2, 3}; // begin A Y T G end; Y T G
    ck_assert_int_eq(pf_labels_window(a.labels, a.corpus, &task, whole, target, value), 3);
    ck_assert_mem_eq(target, ((const int32_t[]){-1, 0, 0, -1, 0, -1}), sizeof target);
    ck_assert(isnan(value[0]) && isnan(value[3]) && isnan(value[5]));
    ck_assert(value[1] == -2 && value[2] == 0 && value[4] == 4);
    ck_assert_int_eq(pf_labels_window(a.labels, a.corpus, &task, middle, target, value), 2);
    ck_assert_mem_eq(target, ((const int32_t[]){0, -1, 0}), 3 * sizeof *target);
    release(&a);
    attach_well("id\tl\na\tx\nb\ty\n", of_classes,
                &a); // of a sequence: at its first row, wherever the window is
    const pf_label_window later = {1, 2, 3};
    ck_assert_int_eq(pf_labels_window(a.labels, a.corpus, &a.task, later, target, NULL), 1);
    ck_assert_mem_eq(target, ((const int32_t[]){1, -1, -1}), 3 * sizeof *target);
    release(&a);
}
END_TEST

START_TEST(labels_that_do_not_fit_are_named)
{
    static char many[1 << 14];
    char *end = many + sprintf(many, "id\tl\nb\t");
    for (int i = 0; i < 300; i++) end += sprintf(end, "%sc%d", i ? "," : "", i);
    static const char long_name[] =
        "id\tl\na\t0123456789012345678901234567890123456789012345678901234567890123\n";
    const struct {
        const char *text;
        struct pf_task_config task;
        const char *says;
    } cases[] = {
        {"id\tl\na\t1\nb\tx\n", of_numbers, "line 3: 'x' is no label of a regression; expected a number"},
        {"id\tl\na\t1\nb\tinf\n", of_numbers, "line 3: 'inf' is no label"},
        {"id\tl\na\t1\nb\tnan\n", of_numbers, "line 3: 'nan' is no label"},
        {"id\tl\na\t1\nb\t1,2\n", of_numbers, "line 3: '1,2' is no label"},
        {"id\tl\na\tx\nb\tx\n", of_classes, "all labels of the training sequences are 'x'"},
        {"id\tl\nz\tx\ny\tx\n", of_classes, "no training sequence has a label"},
        {long_name, of_classes, "has 64 bytes, at most 63"},
        {many, of_residues, "more than 256 classes"},
        {"id\tl\nA\t1\nB\t2\n", of_numbers,
         "no training sequence has a label; they are called 'a', 'b', 'c', the first column of the labels "
         "has 'A'"},
        {"id\tl\na\tHHC\nb\tHHC\n", of_residues, "line 3: 3 labels for 'b', whose sequence has 4 residues"},
        {"id\tl\na\tHHCH\n", of_residues, "line 2: 4 or more labels for 'a', whose sequence has 3 residues"},
        {"id\tl\na\t1,2\n", of_residue_numbers, "line 2: 2 labels for 'a', whose sequence has 3 residues"},
        {"id\tl\na\t1,2,x\n", of_residue_numbers, "line 2: 'x' is no label of a regression"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        attached a;
        ck_assert_int_eq(attach(cases[i].text, cases[i].task, &a), PF_ERROR_INPUT);
        ck_assert_msg(strstr(pf_error_message(), cases[i].says), "%s", pf_error_message());
        ck_assert_ptr_null(a.labels);
        release(&a);
    }
}
END_TEST

START_TEST(the_fingerprint_follows_the_labels_of_the_records)
{
    attached a, b;
    attach_well("id\tl\na\t1\nb\t2\n", of_numbers, &a);
    attach_well("id\tl\nz\t9\nb\t2.0\na\t1\nc\t\n", of_numbers, &b);
    ck_assert_str_eq(a.labels->fingerprint, b.labels->fingerprint);
    release(&b);
    attach_well("id\tl\na\t1\nb\t3\n", of_numbers, &b);
    ck_assert_str_ne(a.labels->fingerprint, b.labels->fingerprint);
    release(&b);
    release(&a);
}
END_TEST

START_TEST(lack_of_memory_is_survived)
{
    for (long n = 0;; n++) {
        attached a = {.corpus = named_corpus(fasta), .task = of_classes};
        const char *path = temporary("labels.tsv"), tsv[] = "id\tl\na\tx\nb\ty\nc\t\n";
        ck_assert_int_eq(pf_write_file(path, tsv, strlen(tsv), NULL), PF_OK);
        pf_alloc_fail_after(n, 0);
        pf_status status = pf_label_table_read(path, NULL, &a.table);
        if (status == PF_OK) status = pf_labels_classes(a.table, a.corpus, &a.task);
        const pf_labels_call call = {a.table, &a.task, a.corpus, "training", &a.warnings};
        if (status == PF_OK) status = pf_labels_attach(&call, &a.labels);
        pf_alloc_fail_after(-1, 0);
        ck_assert(status == PF_OK || status == PF_ERROR_FAILED);
        ck_assert((status == PF_OK) == (a.labels != NULL));
        release(&a);
        if (status == PF_OK) break;
    }
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/labels");
    TCase *tests = tcase_create("labels");
    tcase_add_checked_fixture(tests, temporary_create, temporary_remove);
    tcase_add_test(tests, files_of_any_system_are_read);
    tcase_add_test(tests, columns_are_known_by_name);
    tcase_add_test(tests, a_name_may_stand_twice_with_the_same_label);
    tcase_add_test(tests, every_mistake_is_named_with_its_line);
    tcase_add_test(tests, huge_lines_are_refused);
    tcase_add_test(tests, classes_are_numbered_in_the_order_of_their_bytes);
    tcase_add_test(tests, a_model_keeps_the_order_of_its_classes);
    tcase_add_test(tests, records_without_a_label_leave_the_corpus);
    tcase_add_test(tests, residues_have_a_character_or_a_part_each);
    tcase_add_test(tests, windows_carry_their_residues_labels);
    tcase_add_test(tests, labels_that_do_not_fit_are_named);
    tcase_add_test(tests, the_fingerprint_follows_the_labels_of_the_records);
    tcase_add_test(tests, lack_of_memory_is_survived);
    suite_add_tcase(suite, tests);
    return suite;
}
