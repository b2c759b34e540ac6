// Manifests and checkpoints: a checkpoint counts when every file is there as it was written; the
// newest that counts is found, and those passed over are named.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "store/manifest.h"
#include "support/suite.h"
#include "support/temporary.h"

static pf_status make_checkpoint(const char *directory)
{
    char *first = NULL, *second = NULL, digest[65];
    pf_manifest *manifest = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_make_directory(directory));
    PF_TRY_OR(done, pf_join_path(&first, directory, "first"));
    PF_TRY_OR(done, pf_join_path(&second, directory, "second"));
    PF_TRY_OR(done, pf_manifest_create(&manifest));
    PF_TRY_OR(done, pf_write_file(first, "hello", 5, digest));
    PF_TRY_OR(done, pf_manifest_add(manifest, directory, "first", digest));
    PF_TRY_OR(done, pf_write_file(second, "", 0, digest));
    PF_TRY_OR(done, pf_manifest_add(manifest, directory, "second", digest));
    PF_TRY_OR(done, pf_manifest_write(manifest, directory));
done:
    pf_manifest_free(manifest);
    pf_free(first);
    pf_free(second);
    return status;
}

static void write_text(const char *path, const char *text)
{
    ck_assert_int_eq(pf_write_file(path, text, strlen(text), NULL), PF_OK);
}

static void assert_refused(const char *words)
{
    ck_assert_int_eq(pf_manifest_verify(temporary("c")), PF_ERROR_INPUT);
    ck_assert_msg(strstr(pf_error_message(), words), "\"%s\" is not in \"%s\"", words, pf_error_message());
}

START_TEST(what_was_written_verifies)
{
    ck_assert_msg(make_checkpoint(temporary("c")) == PF_OK, "%s", pf_error_message());
    ck_assert_msg(pf_manifest_verify(temporary("c")) == PF_OK, "%s", pf_error_message());
}
END_TEST

START_TEST(a_changed_or_missing_file_is_named)
{
    ck_assert_int_eq(make_checkpoint(temporary("c")), PF_OK);
    write_text(temporary("c/first"), "hellp");
    assert_refused("c/first: its content");
    write_text(temporary("c/first"), "hell");
    assert_refused("c/first: 4 bytes, its manifest says 5");
    ck_assert_int_eq(remove(temporary("c/first")), 0);
    assert_refused("c/first: is missing");
    ck_assert_int_eq(pf_make_directory(temporary("c/first")), PF_OK);
    assert_refused("c/first: is missing");
    ck_assert_int_eq(remove(temporary("c/manifest.json")), 0);
    assert_refused("manifest.json");
}
END_TEST

START_TEST(a_manifest_that_is_none_is_refused)
{
    static const char *const texts[] = {
        "", "{}", "[]", "{\"files\": []}", "{\"files\": {}}", "{\"files\": [1]}", "{\"files\": [{}]}",
        "{\"files\": [{\"name\": \"../first\", \"bytes\": 5, \"sha256\": \"0\"}]}",
        "{\"files\": [{\"name\": \"first\", \"bytes\": 5.0, \"sha256\": \"0\"}]}",
        "{\"files\": [{\"name\": \"first\", \"bytes\": 5}]}"};
    ck_assert_int_eq(make_checkpoint(temporary("c")), PF_OK);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_text(temporary("c/manifest.json"), texts[i]);
        assert_refused("manifest.json");
    }
}
END_TEST

// Every byte of the manifest changed in turn: refused, or it says the same (a blank, an unknown key).
START_TEST(a_damaged_manifest_never_lets_damage_through)
{
    char *text = NULL;
    size_t length = 0;
    ck_assert_int_eq(make_checkpoint(temporary("c")), PF_OK);
    ck_assert_int_eq(pf_read_file(temporary("c/manifest.json"), 4096, &text, &length), PF_OK);
    write_text(temporary("c/first"), "hellp");
    for (size_t i = 0; i < length; i++) {
        text[i] ^= 1;
        ck_assert_int_eq(pf_write_file(temporary("c/manifest.json"), text, length, NULL), PF_OK);
        text[i] ^= 1;
        ck_assert_int_eq(pf_manifest_verify(temporary("c")), PF_ERROR_INPUT);
    }
    pf_free(text);
}
END_TEST

START_TEST(the_newest_whole_checkpoint_is_found)
{
    char *directory = NULL;
    int64_t step = 0;
    pf_text passed_over = {0};
    ck_assert_int_eq(pf_checkpoint_find(temporary("run"), &directory, &step, NULL), PF_END);
    ck_assert_int_eq(pf_make_directory(temporary("run/checkpoints/step-12")), PF_OK);
    ck_assert_int_eq(pf_make_directory(temporary("run/checkpoints/.tmp-step-000000000099")), PF_OK);
    ck_assert_int_eq(pf_checkpoint_find(temporary("run"), &directory, &step, NULL), PF_END);
    ck_assert_int_eq(make_checkpoint(temporary("run/checkpoints/step-000000000100")), PF_OK);
    ck_assert_int_eq(make_checkpoint(temporary("run/checkpoints/step-000000000020")), PF_OK);
    ck_assert_int_eq(pf_make_directory(temporary("run/checkpoints/step-000000000300")), PF_OK);
    ck_assert_int_eq(pf_checkpoint_find(temporary("run"), &directory, &step, &passed_over), PF_OK);
    ck_assert_int_eq(step, 100);
    ck_assert_str_eq(directory, temporary("run/checkpoints/step-000000000100"));
    ck_assert_ptr_nonnull(strstr(passed_over.data, "step-000000000300"));
    ck_assert_ptr_null(strstr(passed_over.data, "step-000000000020"));
    pf_free(directory);
    write_text(temporary("run/checkpoints/step-000000000100/first"), "jello");
    ck_assert_int_eq(pf_checkpoint_find(temporary("run"), &directory, &step, &passed_over), PF_OK);
    ck_assert_int_eq(step, 20);
    pf_free(directory);
    pf_text_free(&passed_over);
    int64_t *steps = NULL;
    int count = 0;
    ck_assert_int_eq(pf_checkpoint_list(temporary("run"), &steps, &count), PF_OK);
    ck_assert_int_eq(count, 3);
    ck_assert(steps[0] == 20 && steps[1] == 100 && steps[2] == 300);
    pf_free(steps);
}
END_TEST

START_TEST(names_of_checkpoints_sort_as_their_steps)
{
    char name[PF_CHECKPOINT_NAME];
    pf_checkpoint_name(name, 1000);
    ck_assert_str_eq(name, "step-000000001000");
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    pf_status status = PF_ERROR_FAILED;
    for (long n = 0; status != PF_OK; n++) {
        pf_alloc_fail_after(n, _i);
        status = make_checkpoint(temporary("run/checkpoints/step-000000000001"));
        pf_alloc_fail_after(-1, 0);
        ck_assert_int_lt(n, 100);
    }
    status = PF_ERROR_FAILED;
    for (long n = 0; status != PF_OK; n++) {
        char *directory = NULL;
        int64_t step = 0;
        pf_alloc_fail_after(n, _i);
        status = pf_checkpoint_find(temporary("run"), &directory, &step, NULL);
        pf_alloc_fail_after(-1, 0);
        ck_assert((directory != NULL) == (status == PF_OK));
        ck_assert_int_ne(status, PF_END); // no memory is not "no checkpoint"
        pf_free(directory);
        ck_assert_int_lt(n, 100);
    }
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("manifest");
    TCase *cases = tcase_create("manifest");
    tcase_add_checked_fixture(cases, temporary_create, temporary_remove);
    tcase_add_test(cases, what_was_written_verifies);
    tcase_add_test(cases, a_changed_or_missing_file_is_named);
    tcase_add_test(cases, a_manifest_that_is_none_is_refused);
    tcase_add_test(cases, a_damaged_manifest_never_lets_damage_through);
    tcase_add_test(cases, the_newest_whole_checkpoint_is_found);
    tcase_add_test(cases, names_of_checkpoints_sort_as_their_steps);
    tcase_add_loop_test(cases, no_memory_is_an_error, 0, 2);
    suite_add_tcase(suite, cases);
    return suite;
}
