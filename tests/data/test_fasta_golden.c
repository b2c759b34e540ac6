// Every case of tests/golden/fasta through the library. The program is held to them by `check`.
#include <jansson.h>
#include <regex.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "performer/fasta.h"
#include "support/suite.h"
#include "support/temporary.h"

#define FOLDER PF_TEST_SOURCE "/golden/fasta/"

static json_t *cases;

static void load_cases(void)
{
    json_error_t error;
    cases = json_load_file(FOLDER "index.json", 0, &error);
    ck_assert_msg(cases, "%s", error.text);
}

static void free_cases(void)
{
    json_decref(cases);
}

static const char *text_of(json_t *one, const char *key)
{
    return json_string_value(json_object_get(one, key));
}

static bool says(const char *text, const char *pattern)
{
    regex_t compiled;
    ck_assert_int_eq(regcomp(&compiled, pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB), 0);
    const bool found = regexec(&compiled, text, 0, NULL, 0) == 0;
    regfree(&compiled);
    return found;
}

// Cases that are not files beside the index are made in the temporary directory.
static const char *path_of(json_t *one)
{
    static char path[512];
    const char *file = text_of(one, "file");
    snprintf(path, sizeof path, FOLDER "%s", file);
    if (access(path, F_OK) == 0) return path;
    snprintf(path, sizeof path, "%s", temporary(file));
    if (strcmp(file, "a-directory") == 0) ck_assert_int_eq(pf_make_directory(path), PF_OK);
    if (strcmp(file, "long-line.fa") == 0) {
        FILE *out = fopen(path, "w");
        fputs(">long\n", out);
        for (int i = 0; i < 262144; i++) fputs("ACDEFGHIKLMNPQRSTVWY", out);
        fputs("\n>short\nMK\n", out);
        fclose(out);
    }
    return path;
}

static void check_refusal(json_t *one, const char *path)
{
    const char *message = pf_error_message();
    const char *after = strstr(message, path);
    ck_assert_msg(after == message, "%s: the path is not in front: %s", path, message);
    after += strlen(path);
    ck_assert_msg(says(after, text_of(one, "says")), "%s: %s", path, message);
    char place[64];
    snprintf(place, sizeof place, "line %d:", (int)json_integer_value(json_object_get(one, "line")));
    if (json_is_integer(json_object_get(one, "line")))
        ck_assert_msg(strstr(after, place), "%s: %s", path, message);
}

static void check_record(json_t *one, const pf_fasta_record *record)
{
    json_t *expected = json_array_get(json_object_get(one, "records"), record->number - 1);
    if (!json_object_get(one, "records")) return;
    ck_assert_msg(expected, "%s: record %d is too many", text_of(one, "file"), (int)record->number);
    ck_assert_str_eq(record->id, json_string_value(json_array_get(expected, 0)));
    ck_assert_str_eq(record->sequence, json_string_value(json_array_get(expected, 1)));
    ck_assert_uint_eq(record->length, strlen(record->sequence));
    ck_assert_uint_eq(record->id_length, strlen(record->id));
}

static void check_summary(json_t *one, const pf_fasta_statistics *s)
{
    const struct {
        const char *key;
        uint64_t value;
    } known[] = {{"records", s->records},
                 {"residues", s->residues},
                 {"longest", s->longest},
                 {"replaced", s->replaced},
                 {"stops_dropped", s->stops_dropped},
                 {"lower_case", s->lower_case},
                 {"duplicate_ids", s->duplicate_ids},
                 {"empty", s->empty}};
    size_t checked = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        json_t *expected = json_object_get(json_object_get(one, "summary"), known[i].key);
        if (!expected) continue;
        ck_assert_msg((uint64_t)json_integer_value(expected) == known[i].value, "%s: %s is %llu",
                      text_of(one, "file"), known[i].key, (unsigned long long)known[i].value);
        checked++;
    }
    ck_assert_uint_eq(checked, json_object_size(json_object_get(one, "summary")));
    if (json_object_get(one, "records"))
        ck_assert_uint_eq(s->records, json_array_size(json_object_get(one, "records")));
}

static void check_warnings(json_t *one, const pf_fasta *fasta, const char *path)
{
    bool found = !text_of(one, "warns");
    for (size_t i = 0; i < pf_fasta_warning_count(fasta); i++) {
        const char *warning = pf_fasta_get_warning(fasta, i);
        ck_assert_ptr_eq(strstr(warning, path), warning);
        if (text_of(one, "warns") && says(warning + strlen(path), text_of(one, "warns"))) found = true;
    }
    ck_assert_msg(found, "%s: no warning says %s", path, text_of(one, "warns"));
    if (!text_of(one, "warns")) ck_assert_uint_eq(pf_fasta_warning_count(fasta), 0);
}

START_TEST(every_case_comes_out_as_the_index_says)
{
    size_t i;
    json_t *one;
    json_array_foreach(cases, i, one)
    {
        const char *path = path_of(one);
        pf_fasta *fasta = NULL;
        pf_fasta_record record;
        pf_status status = pf_fasta_open(path, NULL, &fasta);
        if (status != PF_OK) ck_assert_ptr_null(fasta);
        while (status == PF_OK) {
            status = pf_fasta_next(fasta, &record);
            if (status == PF_OK) check_record(one, &record);
        }
        const int expected = (int)json_integer_value(json_object_get(one, "exit"));
        ck_assert_msg(status == (expected ? (pf_status)expected : PF_END), "%s: %d %s", path, status,
                      pf_error_message());
        if (expected) {
            check_refusal(one, path);
        } else {
            check_summary(one, pf_fasta_get_statistics(fasta));
            check_warnings(one, fasta, path);
        }
        pf_fasta_close(fasta);
    }
    ck_assert_uint_gt(i, 30);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/fasta_golden");
    TCase *tests = tcase_create("fasta_golden");
    tcase_add_checked_fixture(tests, temporary_create, temporary_remove);
    tcase_add_checked_fixture(tests, load_cases, free_cases);
    tcase_add_test(tests, every_case_comes_out_as_the_index_says);
    suite_add_tcase(suite, tests);
    return suite;
}
