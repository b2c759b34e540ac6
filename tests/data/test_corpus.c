// A corpus is the files' sequences in order; its fingerprint tells when anything in them changed.
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/alphabet.h"
#include "data/corpus.h"
#include "support/corpus.h"
#include "support/suite.h"
#include "support/temporary.h"

static const char *write_text(const char *name, const char *text)
{
    const char *path = temporary(name);
    ck_assert_int_eq(pf_write_file(path, text, strlen(text), NULL), PF_OK);
    return path;
}

START_TEST(files_follow_each_other_and_empty_records_are_left_out)
{
    const char *paths[] = {write_text("a.fa", ">a\nMKT\n>none\n"), write_text("b.fa", ">b\nX\n>c\nAY\n")};
    pf_corpus *corpus = NULL;
    ck_assert_int_eq(pf_corpus_load(paths, 2, &corpus), PF_OK);
    ck_assert_uint_eq(corpus->n_sequences, 3);
    ck_assert_uint_eq(corpus->n_residues, 6);
    ck_assert_uint_eq(corpus->longest, 3);
    ck_assert_uint_eq(corpus->start[1], 3);
    ck_assert_uint_eq(corpus->start[2], 4);
    ck_assert_uint_eq(corpus->start[3], 6);
    ck_assert_mem_eq(corpus->residue, "\x0a\x08\x10\x17\x00\x13", 6);
    ck_assert_uint_eq(corpus->n_warnings, 1);
    ck_assert_ptr_nonnull(strstr(corpus->warnings[0].data, "a.fa: skipped 1 empty record"));
    pf_corpus_free(corpus);
}
END_TEST

START_TEST(windows_hold_begin_and_end_where_they_reach_them)
{
    pf_corpus *corpus = test_corpus(">a\nMK\n>b\nAYT\n");
    int32_t token[5];
    ck_assert_uint_eq(pf_corpus_length(corpus, 1), 5);
    pf_corpus_tokens(corpus, 1, 0, 5, token);
    ck_assert_mem_eq(token, ((const int32_t[]){PF_TOKEN_BEGIN, 0, 19, 16, PF_TOKEN_END}), sizeof token);
    pf_corpus_tokens(corpus, 1, 1, 2, token);
    ck_assert_mem_eq(token, ((const int32_t[]){0, 19}), 2 * sizeof *token);
    pf_corpus_tokens(corpus, 0, 2, 2, token);
    ck_assert_mem_eq(token, ((const int32_t[]){8, PF_TOKEN_END}), 2 * sizeof *token);
    pf_corpus_free(corpus);
}
END_TEST

static void fingerprint_of(const char *text, char out[PF_FINGERPRINT_BYTES])
{
    pf_corpus *corpus = test_corpus(text);
    memcpy(out, corpus->fingerprint, PF_FINGERPRINT_BYTES);
    pf_corpus_free(corpus);
}

START_TEST(the_fingerprint_is_that_of_the_tokens)
{
    char first[PF_FINGERPRINT_BYTES], other[PF_FINGERPRINT_BYTES];
    fingerprint_of(">a\nMKT\n>b\nAY\n", first);
    ck_assert_uint_eq(strlen(first), 64);
    fingerprint_of(">renamed x\nmk\nt\n\n>b\nAY*", other);
    ck_assert_str_eq(first, other);
    static const char *const changed[] = {">a\nMKTA\n>b\nY\n", ">a\nMKT\n>b\nAX\n", ">b\nAY\n>a\nMKT\n",
                                          ">a\nMKT\n>b\nAY\n>c\nM\n", ">a\nMKTAY\n"};
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        fingerprint_of(changed[i], other);
        ck_assert_str_ne(first, other);
    }
}
END_TEST

START_TEST(a_bad_file_names_itself_and_leaves_nothing)
{
    const char *paths[] = {write_text("a.fa", ">a\nMKT\n"), write_text("bad.fa", ">b\nM?\n")};
    pf_corpus *corpus = NULL;
    ck_assert_int_eq(pf_corpus_load(paths, 2, &corpus), PF_ERROR_INPUT);
    ck_assert_ptr_null(corpus);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "bad.fa: line 2"));
    ck_assert_int_eq(pf_corpus_load(paths, 0, &corpus), PF_ERROR_USAGE);
}
END_TEST

START_TEST(every_lack_of_memory_is_an_error_and_leaks_nothing)
{
    const char *path = write_text("a.fa", ">a\nMKT\n>none\n>b\nAY\n");
    for (long n = 0;; n++) {
        pf_corpus *corpus = NULL;
        pf_alloc_fail_after(n, 0);
        const pf_status status = pf_corpus_load(&path, 1, &corpus);
        pf_alloc_fail_after(-1, 0);
        pf_corpus_free(corpus);
        if (status == PF_OK) break;
        ck_assert_ptr_null(corpus);
        ck_assert_int_eq(status, PF_ERROR_FAILED);
        ck_assert_int_lt(n, 200);
    }
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/corpus");
    TCase *tests = tcase_create("corpus");
    tcase_add_checked_fixture(tests, temporary_create, temporary_remove);
    tcase_add_test(tests, files_follow_each_other_and_empty_records_are_left_out);
    tcase_add_test(tests, windows_hold_begin_and_end_where_they_reach_them);
    tcase_add_test(tests, the_fingerprint_is_that_of_the_tokens);
    tcase_add_test(tests, a_bad_file_names_itself_and_leaves_nothing);
    tcase_add_test(tests, every_lack_of_memory_is_an_error_and_leaks_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}
