// Training steps of a task carry the labels of their sequences and residues.
#include <stdlib.h>
#include <string.h>

#include "data/alphabet.h"
#include "data/loader.h"
#include "support/corpus.h"
#include "support/suite.h"
#include "support/temporary.h"

static pf_corpus *corpus;

static void create_corpus(void)
{
    temporary_create();
    corpus = test_random_corpus(50, 1, 60);
}

static void free_corpus(void)
{
    pf_corpus_free(corpus);
    temporary_remove();
}

static pf_loader *create(const pf_labels *labels, const struct pf_task_config *task, bool shuffle)
{
    const pf_loader_options options = {.shuffle = shuffle,
                                       .crop_random = true,
                                       .max_length = 32,
                                       .batch_tokens = 200,
                                       .micro_batch_tokens = 64,
                                       .micro_batch_sequences = 3,
                                       .labels = labels,
                                       .task = task};
    pf_loader *loader = NULL;
    ck_assert_msg(pf_loader_create(corpus, &options, &loader) == PF_OK, "%s", pf_error_message());
    return loader;
}

// Every residue's label is its place in the corpus: what a row is asked tells where it comes from.
START_TEST(labels_follow_their_residues_into_windows)
{
    struct pf_task_config task = {
        .type = PF_TASK_REGRESSION, .level = PF_TASK_RESIDUE, .mean = 100, .deviation = 2};
    pf_labels labels = {.type = task.type, .level = task.level, .count = (size_t)corpus->n_residues};
    labels.target = calloc(labels.count, sizeof *labels.target);
    labels.value = calloc(labels.count, sizeof *labels.value);
    for (size_t i = 0; i < labels.count; i++) {
        labels.target[i] = i % 3 ? 0 : PF_NO_TARGET;
        labels.value[i] = (double)i;
    }
    pf_loader *loader = create(&labels, &task, true);
    int windows = 0;
    for (int s = 0; s < 30; s++) {
        const pf_step *step = pf_loader_next(loader);
        uint64_t n_targets = 0;
        for (size_t m = 0; m < step->n_micro; m++) {
            const pf_batch *b = &step->micro[m];
            n_targets += (uint64_t)b->n_targets;
            windows += b->token[0] != PF_TOKEN_BEGIN;
            for (int32_t row = 0; row < b->n_rows; row++) {
                ck_assert_int_ne(b->token[row], PF_TOKEN_MASK);
                ck_assert_int_eq(b->target[row] == PF_NO_TARGET, b->value[row] != b->value[row]);
                if (b->target[row] == PF_NO_TARGET) continue;
                const size_t place = (size_t)(100 + 2 * (double)b->value[row] + 0.5);
                ck_assert_uint_ne(place % 3, 0);
                ck_assert_int_eq(corpus->residue[place], b->token[row]);
            }
        }
        ck_assert_uint_eq(step->n_targets, n_targets);
    }
    ck_assert_int_gt(windows, 0); // some begin inside their sequence
    pf_loader_free(loader);
    free(labels.target);
    free(labels.value);
}
END_TEST

START_TEST(a_sequences_label_stands_at_its_first_row)
{
    struct pf_task_config task = {.type = PF_TASK_CLASSIFICATION, .n_classes = 7, .deviation = 1};
    pf_labels labels = {.type = task.type, .count = corpus->n_sequences};
    labels.target = calloc(labels.count, sizeof *labels.target);
    for (size_t i = 0; i < labels.count; i++) labels.target[i] = (int32_t)(i % 7);
    pf_loader *loader = create(&labels, &task, false);
    size_t sequence = 0;
    for (int s = 0; s < 10; s++) {
        const pf_step *step = pf_loader_next(loader);
        ck_assert_uint_eq(step->n_targets, step->n_sequences);
        for (size_t m = 0; m < step->n_micro; m++) {
            const pf_batch *b = &step->micro[m];
            ck_assert_ptr_null(b->value);
            ck_assert_int_eq(b->n_targets, b->n_sequences);
            for (int32_t i = 0; i < b->n_sequences; i++, sequence++)
                ck_assert_int_eq(b->target[b->start[i]], (int32_t)(sequence % labels.count % 7));
        }
    }
    pf_loader_free(loader);
    free(labels.target);
}
END_TEST

START_TEST(joined_sequences_have_no_labels)
{
    const pf_labels labels = {.type = PF_TASK_CLASSIFICATION};
    const pf_loader_options options = {.concat = true,
                                       .max_length = 32,
                                       .batch_tokens = 200,
                                       .micro_batch_tokens = 64,
                                       .micro_batch_sequences = 3,
                                       .labels = &labels};
    pf_loader *loader = NULL;
    ck_assert_int_eq(pf_loader_create(corpus, &options, &loader), PF_ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "train.packing concat"));
    ck_assert_ptr_null(loader);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/loader_labels");
    TCase *tests = tcase_create("loader_labels");
    tcase_add_checked_fixture(tests, create_corpus, free_corpus);
    tcase_add_test(tests, labels_follow_their_residues_into_windows);
    tcase_add_test(tests, a_sequences_label_stands_at_its_first_row);
    tcase_add_test(tests, joined_sequences_have_no_labels);
    suite_add_tcase(suite, tests);
    return suite;
}
