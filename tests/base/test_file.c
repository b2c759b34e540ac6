// Files: readers see the old file or the new one, never something between; failures name the path.
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "support/suite.h"
#include "support/temporary.h"

static int count_entries(const char *directory)
{
    int count = 0;
    DIR *stream = opendir(directory);
    while (readdir(stream)) count++;
    closedir(stream);
    return count - 2;
}

static void assert_content(const char *path, const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    ck_assert_msg(pf_read_file(path, 1 << 20, &text, &size) == PF_OK, "%s", pf_error_message());
    ck_assert_uint_eq(size, strlen(expected));
    ck_assert_str_eq(text, expected);
    pf_free(text);
}

START_TEST(what_is_written_comes_back)
{
    ck_assert_int_eq(pf_write_file(temporary("a"), "hello", 5, NULL), PF_OK);
    assert_content(temporary("a"), "hello");
    ck_assert_int_eq(pf_write_file(temporary("a"), "", 0, NULL), PF_OK);
    assert_content(temporary("a"), "");
    ck_assert_int_eq(count_entries(temporary("")), 1);
}
END_TEST

START_TEST(digests_are_sha256)
{
    // FIPS 180-2, appendix B.1.
    const char *expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    char digest[65];
    uint64_t size = 0;
    ck_assert_int_eq(pf_write_file(temporary("abc"), "abc", 3, digest), PF_OK);
    ck_assert_str_eq(digest, expected);
    ck_assert_int_eq(pf_file_sha256(temporary("abc"), digest, &size), PF_OK);
    ck_assert_str_eq(digest, expected);
    ck_assert_uint_eq(size, 3);
}
END_TEST

START_TEST(the_old_file_stays_until_the_commit)
{
    ck_assert_int_eq(pf_write_file(temporary("a"), "old", 3, NULL), PF_OK);
    pf_writer *writer = NULL;
    ck_assert_int_eq(pf_writer_open(temporary("a"), &writer), PF_OK);
    ck_assert_int_eq(pf_writer_write(writer, "new", 3), PF_OK);
    assert_content(temporary("a"), "old");
    pf_writer_discard(writer);
    assert_content(temporary("a"), "old");
    ck_assert_int_eq(count_entries(temporary("")), 1);
    ck_assert_int_eq(pf_writer_open(temporary("a"), &writer), PF_OK);
    ck_assert_int_eq(pf_writer_write(writer, "ne", 2), PF_OK);
    ck_assert_int_eq(pf_writer_write(writer, "w", 1), PF_OK);
    ck_assert_uint_eq(pf_writer_bytes(writer), 3);
    ck_assert_int_eq(pf_writer_commit(writer, NULL), PF_OK);
    assert_content(temporary("a"), "new");
    ck_assert_int_eq(count_entries(temporary("")), 1);
}
END_TEST

START_TEST(two_writers_of_one_path_do_not_meet)
{
    pf_writer *first = NULL, *second = NULL;
    ck_assert_int_eq(pf_writer_open(temporary("a"), &first), PF_OK);
    ck_assert_int_eq(pf_writer_open(temporary("a"), &second), PF_OK);
    ck_assert_int_eq(pf_writer_write(first, "first", 5), PF_OK);
    ck_assert_int_eq(pf_writer_write(second, "second", 6), PF_OK);
    ck_assert_int_eq(pf_writer_commit(second, NULL), PF_OK);
    assert_content(temporary("a"), "second");
    ck_assert_int_eq(pf_writer_commit(first, NULL), PF_OK);
    assert_content(temporary("a"), "first");
}
END_TEST

START_TEST(patches_stay_within_what_was_written)
{
    pf_writer *writer = NULL;
    char digest[65] = "untouched";
    ck_assert_int_eq(pf_writer_open(temporary("a"), &writer), PF_OK);
    ck_assert_int_eq(pf_writer_write(writer, "0123456789", 10), PF_OK);
    ck_assert_int_eq(pf_writer_patch(writer, 2, "ab", 2), PF_OK);
    ck_assert_int_eq(pf_writer_patch(writer, 9, "xy", 2), PF_ERROR_USAGE);
    ck_assert_int_eq(pf_writer_patch(writer, UINT64_MAX, "xy", 2), PF_ERROR_USAGE);
    ck_assert_int_eq(pf_writer_write(writer, "!", 1), PF_OK);
    ck_assert_int_eq(pf_writer_commit(writer, digest), PF_OK);
    ck_assert_str_eq(digest, ""); // a patched file's digest is asked of the file
    assert_content(temporary("a"), "01ab456789!");
}
END_TEST

START_TEST(a_link_is_replaced_not_followed)
{
    ck_assert_int_eq(pf_write_file(temporary("target"), "mine", 4, NULL), PF_OK);
    ck_assert_int_eq(symlink(temporary("target"), temporary("link")), 0);
    ck_assert_int_eq(pf_write_file(temporary("link"), "new", 3, NULL), PF_OK);
    assert_content(temporary("target"), "mine");
    assert_content(temporary("link"), "new");
}
END_TEST

START_TEST(a_device_is_written_not_replaced)
{
    ck_assert_int_eq(pf_write_file("/dev/null", "abc", 3, NULL), PF_OK);
    struct stat about;
    ck_assert_int_eq(stat("/dev/null", &about), 0);
    ck_assert(S_ISCHR(about.st_mode));
}
END_TEST

START_TEST(a_full_disk_is_an_error_and_leaves_the_old_file)
{
    ck_assert_int_eq(pf_write_file("/dev/full", "abc", 3, NULL), PF_ERROR_FAILED);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "/dev/full"));
    // The same for a regular file, by the size limit of this test's own process.
    ck_assert_int_eq(pf_write_file(temporary("a"), "old", 3, NULL), PF_OK);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {1000, RLIM_INFINITY}, before;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit.rlim_max = before.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    char block[3000] = {0};
    const pf_status status = pf_write_file(temporary("a"), block, sizeof block, NULL);
    setrlimit(RLIMIT_FSIZE, &before);
    ck_assert_int_eq(status, PF_ERROR_FAILED);
    assert_content(temporary("a"), "old");
    ck_assert_int_eq(count_entries(temporary("")), 1);
}
END_TEST

START_TEST(what_is_no_file_is_refused_by_name)
{
    char *text = NULL;
    size_t size = 77;
    ck_assert_int_eq(pf_read_file(temporary("missing"), 100, &text, &size), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "missing"));
    ck_assert_int_eq(pf_read_file(temporary(""), 100, &text, &size), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "directory"));
    ck_assert_int_eq(mkfifo(temporary("fifo"), 0600), 0);
    ck_assert_int_eq(pf_read_file(temporary("fifo"), 100, &text, &size), PF_ERROR_INPUT);
    ck_assert_int_eq(pf_read_file("/dev/zero", 100, &text, &size), PF_ERROR_INPUT);
    ck_assert_int_eq(pf_write_file(temporary("large"), "12345678901", 11, NULL), PF_OK);
    ck_assert_int_eq(pf_read_file(temporary("large"), 10, &text, &size), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "at most 10"));
    ck_assert_ptr_null(text);
    ck_assert_uint_eq(size, 77);
    ck_assert_int_eq(pf_write_file(temporary(""), "a", 1, NULL), PF_ERROR_FAILED);
    ck_assert_int_eq(pf_write_file(temporary("no/such"), "a", 1, NULL), PF_ERROR_FAILED);
}
END_TEST

START_TEST(directories_are_made_and_removed_whole)
{
    ck_assert_int_eq(pf_make_directory(temporary("a/b/c/")), PF_OK);
    ck_assert_int_eq(pf_make_directory(temporary("a/b/c")), PF_OK);
    ck_assert(pf_is_directory(temporary("a/b/c")));
    ck_assert_int_eq(pf_write_file(temporary("a/b/f"), "x", 1, NULL), PF_OK);
    ck_assert_int_eq(pf_make_directory(temporary("a/b/f/g")), PF_ERROR_FAILED);
    ck_assert_int_eq(pf_write_file(temporary("kept"), "x", 1, NULL), PF_OK);
    ck_assert_int_eq(pf_make_directory(temporary("outside/in")), PF_OK);
    ck_assert_int_eq(symlink(temporary("outside"), temporary("a/link")), 0);
    ck_assert_int_eq(pf_remove_tree(temporary("a")), PF_OK);
    ck_assert(!pf_exists(temporary("a")));
    ck_assert(pf_exists(temporary("outside/in")));
    ck_assert(pf_exists(temporary("kept")));
    ck_assert_int_eq(pf_remove_tree(temporary("a")), PF_OK);
    ck_assert_int_eq(pf_remove_tree(temporary("kept")), PF_ERROR_FAILED);
}
END_TEST

START_TEST(a_directory_takes_the_place_of_another)
{
    for (int i = 0; i < 3; i++) { // nothing there, an empty directory, one with files
        if (i == 1) ck_assert_int_eq(pf_remove_tree(temporary("there")), PF_OK);
        if (i == 1) ck_assert_int_eq(pf_make_directory(temporary("there")), PF_OK);
        ck_assert_int_eq(pf_make_directory(temporary("fresh")), PF_OK);
        ck_assert_int_eq(pf_write_file(temporary(i == 2 ? "fresh/new" : "fresh/old"), "x", 1, NULL), PF_OK);
        ck_assert_int_eq(pf_replace_directory(temporary("fresh"), temporary("there")), PF_OK);
        ck_assert(!pf_exists(temporary("fresh")));
    }
    ck_assert(pf_exists(temporary("there/new")));
    ck_assert(!pf_exists(temporary("there/old")));
    ck_assert_int_eq(pf_replace_directory(temporary("none"), temporary("there")), PF_ERROR_FAILED);
    ck_assert(pf_exists(temporary("there/new")));
}
END_TEST

// Locks are of open files, so a second one of the same process is kept out just as another process is.
START_TEST(a_locked_directory_keeps_others_out)
{
    int one = -1, two = -1;
    ck_assert_int_eq(pf_lock_directory(temporary(""), &one), PF_OK);
    ck_assert_int_eq(pf_lock_directory(temporary(""), &two), PF_ERROR_USAGE);
    ck_assert_int_eq(two, -1);
    pf_unlock_directory(one);
    ck_assert_int_eq(pf_lock_directory(temporary(""), &two), PF_OK);
    pf_unlock_directory(two);
    ck_assert_int_eq(pf_lock_directory(temporary("none"), &one), PF_ERROR_FAILED);
}
END_TEST

START_TEST(paths_are_joined_with_one_slash)
{
    char *path = NULL;
    ck_assert_int_eq(pf_join_path(&path, "a", "b"), PF_OK);
    ck_assert_str_eq(path, "a/b");
    pf_free(path);
    ck_assert_int_eq(pf_join_path(&path, "/", "b"), PF_OK);
    ck_assert_str_eq(path, "/b");
    pf_free(path);
}
END_TEST

START_TEST(no_memory_leaves_nothing_behind)
{
    for (long n = 0, done = 0; !done; n++) {
        pf_alloc_fail_after(n, _i);
        const pf_status status = pf_write_file(temporary("a"), "x", 1, NULL);
        pf_alloc_fail_after(-1, 0);
        done = status == PF_OK;
        if (!done) ck_assert_int_eq(count_entries(temporary("")), 0);
        ck_assert_int_lt(n, 20);
    }
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("file");
    TCase *cases = tcase_create("file");
    tcase_add_checked_fixture(cases, temporary_create, temporary_remove);
    tcase_add_test(cases, what_is_written_comes_back);
    tcase_add_test(cases, digests_are_sha256);
    tcase_add_test(cases, the_old_file_stays_until_the_commit);
    tcase_add_test(cases, two_writers_of_one_path_do_not_meet);
    tcase_add_test(cases, patches_stay_within_what_was_written);
    tcase_add_test(cases, a_link_is_replaced_not_followed);
    tcase_add_test(cases, a_device_is_written_not_replaced);
    tcase_add_test(cases, a_full_disk_is_an_error_and_leaves_the_old_file);
    tcase_add_test(cases, what_is_no_file_is_refused_by_name);
    tcase_add_test(cases, directories_are_made_and_removed_whole);
    tcase_add_test(cases, a_directory_takes_the_place_of_another);
    tcase_add_test(cases, a_locked_directory_keeps_others_out);
    tcase_add_test(cases, paths_are_joined_with_one_slash);
    tcase_add_loop_test(cases, no_memory_leaves_nothing_behind, 0, 2);
    suite_add_tcase(suite, cases);
    return suite;
}
