// Results appear only once they are complete, and nothing is lost when they cannot be.
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/suite.h"
#include "tools/output.h"

static char folder[] = "test-output-XXXXXX";
static char path[64];

static void enter(void)
{
    strcpy(folder, "test-output-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/result", folder);
}

static void leave(void)
{
    char line[128];
    snprintf(line, sizeof line, "rm -rf %s", folder);
    ck_assert_int_eq(system(line), 0);
}

static const char *content(const char *file)
{
    static char text[256];
    FILE *in = fopen(file, "rb");
    if (!in) return NULL;
    text[fread(text, 1, sizeof text - 1, in)] = 0;
    fclose(in);
    return text;
}

static void put(const char *file, const char *text)
{
    FILE *out = fopen(file, "wb");
    fputs(text, out);
    fclose(out);
}

static int files_in_folder(void)
{
    char line[128];
    int count = -1;
    snprintf(line, sizeof line, "ls -A %s | wc -l", folder);
    FILE *list = popen(line, "r");
    ck_assert_int_eq(fscanf(list, "%d", &count), 1);
    pclose(list);
    return count;
}

START_TEST(a_file_is_replaced_by_the_commit_and_not_before)
{
    put(path, "old");
    pf_output *output;
    ck_assert_int_eq(pf_output_open(path, &output), PF_OK);
    pf_output_print(output, "%s %d", "new", 7);
    ck_assert_str_eq(content(path), "old");
    ck_assert_int_eq(pf_output_commit(output), PF_OK);
    ck_assert_str_eq(content(path), "new 7");
    ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

START_TEST(a_discarded_file_leaves_nothing)
{
    pf_output *output;
    put(path, "old");
    ck_assert_int_eq(pf_output_open(path, &output), PF_OK);
    pf_output_print(output, "new");
    pf_output_discard(output);
    ck_assert_str_eq(content(path), "old");
    ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

START_TEST(a_link_stays_and_its_file_is_replaced_with_the_same_rights)
{
    char link[64];
    snprintf(link, sizeof link, "%s/link", folder);
    put(path, "old");
    chmod(path, 0640);
    ck_assert_int_eq(symlink("result", link), 0);
    pf_output *output;
    ck_assert_int_eq(pf_output_open(link, &output), PF_OK);
    pf_output_print(output, "new");
    ck_assert_int_eq(pf_output_commit(output), PF_OK);
    struct stat there;
    ck_assert_int_eq(lstat(link, &there), 0);
    ck_assert(S_ISLNK(there.st_mode));
    ck_assert_int_eq(stat(path, &there), 0);
    ck_assert_int_eq(there.st_mode & 0777, 0640);
    ck_assert_str_eq(content(path), "new");
}
END_TEST

START_TEST(what_cannot_be_written_is_said)
{
    pf_output *output;
    ck_assert_int_eq(pf_output_open("no/such/folder/file", &output), PF_ERROR_FAILED);
    ck_assert_ptr_null(output);
    ck_assert_ptr_nonnull(strstr(pf_tool_message(), "no/such/folder/file: No such file or directory"));
    ck_assert_int_eq(pf_output_open(folder, &output), PF_ERROR_FAILED);
    ck_assert_int_eq(pf_output_open("/dev/full", &output), PF_OK);
    pf_output_print(output, "x");
    ck_assert_int_eq(pf_output_commit(output), PF_ERROR_FAILED);
    ck_assert_ptr_nonnull(strstr(pf_tool_message(), "/dev/full: No space left on device"));
}
END_TEST

START_TEST(foreign_text_is_made_harmless)
{
    static const char foreign[] = "a\"b\\\t\x1b[2J\xff\xc3\xa9\0z";
    pf_output *output;
    ck_assert_int_eq(pf_output_open(path, &output), PF_OK);
    pf_output_json_text(output, foreign, sizeof foreign - 1);
    pf_output_print(output, "\n");
    pf_output_plain_text(output, foreign, sizeof foreign - 1);
    ck_assert_int_eq(pf_output_commit(output), PF_OK);
    ck_assert_str_eq(content(path), "\"a\\\"b\\\\\\u0009\\u001b[2J\\ufffd\xc3\xa9\\u0000z\"\n"
                                    "a\"b\\\\x09\\x1B[2J\xff\xc3\xa9\\x00z");
}
END_TEST

START_TEST(a_directory_gets_its_files_with_the_commit)
{
    pf_output_directory *directory;
    char file[128];
    snprintf(path, sizeof path, "%s/a/b", folder);
    ck_assert_int_eq(pf_output_directory_open(path, &directory), PF_OK);
    snprintf(file, sizeof file, "%s/part", pf_output_staging(directory));
    put(file, "text");
    ck_assert_int_eq(pf_output_directory_commit(directory), PF_OK);
    snprintf(file, sizeof file, "%s/part", path);
    ck_assert_str_eq(content(file), "text");
    ck_assert_int_eq(pf_output_directory_open(path, &directory), PF_ERROR_USAGE);
    ck_assert_ptr_null(directory);
    ck_assert_ptr_nonnull(strstr(pf_tool_message(), "it holds 'part'"));
    ck_assert_str_eq(content(file), "text");
}
END_TEST

START_TEST(a_discarded_directory_is_gone_if_it_was_new)
{
    pf_output_directory *directory;
    char file[128];
    ck_assert_int_eq(pf_output_directory_open(path, &directory), PF_OK);
    snprintf(file, sizeof file, "%s/part", pf_output_staging(directory));
    put(file, "text");
    pf_output_directory_discard(directory);
    ck_assert_int_eq(files_in_folder(), 0);
    ck_assert_int_eq(pf_output_directory_open(folder, &directory), PF_OK); // empty is as good as new
    pf_output_directory_discard(directory);
    ck_assert_int_eq(access(folder, F_OK), 0);
}
END_TEST

START_TEST(a_file_in_the_place_of_a_directory_is_refused)
{
    pf_output_directory *directory;
    put(path, "old");
    ck_assert_int_eq(pf_output_directory_open(path, &directory), PF_ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(pf_tool_message(), "is a file"));
    ck_assert_str_eq(content(path), "old");
}
END_TEST

Suite *suite(void)
{
    Suite *all = suite_create("tools/output");
    TCase *group = tcase_create("output");
    tcase_add_checked_fixture(group, enter, leave);
    tcase_add_test(group, a_file_is_replaced_by_the_commit_and_not_before);
    tcase_add_test(group, a_discarded_file_leaves_nothing);
    tcase_add_test(group, a_link_stays_and_its_file_is_replaced_with_the_same_rights);
    tcase_add_test(group, what_cannot_be_written_is_said);
    tcase_add_test(group, foreign_text_is_made_harmless);
    tcase_add_test(group, a_directory_gets_its_files_with_the_commit);
    tcase_add_test(group, a_discarded_directory_is_gone_if_it_was_new);
    tcase_add_test(group, a_file_in_the_place_of_a_directory_is_refused);
    suite_add_tcase(all, group);
    return all;
}
