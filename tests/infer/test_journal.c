// What a killed run leaves is read back up to the last whole entry, wherever it was cut or damaged; names
// never repeat.
#include "infer/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "infer/names.h"
#include "support/suite.h"
#include "support/temporary.h"

enum { ENTRIES = 3 };

static const pf_digest key = {{1, 2}}, other_key = {{1, 3}};
static const float numbers[] = {1, 2, 3, 4, 5};
static const pf_journal_entry entries[ENTRIES] = {{"first", 5, {{7, 8}}, numbers, 5},
                                                  {"", 0, {{9, 9}}, NULL, 0},
                                                  {"third one", 9, {{1, 1}}, numbers + 1, 3}};

#define must(call) ck_assert_msg((call) == PF_OK, "%s", pf_error_message())

static pf_journal *open_journal(bool resume)
{
    pf_journal *journal = NULL;
    must(pf_journal_open(temporary("work"), key, resume, &journal));
    return journal;
}

static void write_all(void)
{
    pf_journal *journal = open_journal(false);
    for (int i = 0; i < ENTRIES; i++) must(pf_journal_append(journal, &entries[i]));
    must(pf_journal_sync(journal));
    pf_journal_close(journal);
}

// Whole entries from the front of the file; each must be as it was written.
static int count_entries(pf_journal *journal)
{
    pf_journal_entry got;
    int count = 0;
    pf_status status;
    while ((status = pf_journal_next(journal, &got)) == PF_OK) {
        const pf_journal_entry *expected = &entries[count++];
        ck_assert_str_eq(got.name, expected->name);
        ck_assert_mem_eq(&got.content, &expected->content, sizeof got.content);
        ck_assert_uint_eq(got.count, expected->count);
        if (got.count) ck_assert_mem_eq(got.numbers, expected->numbers, got.count * sizeof *got.numbers);
    }
    ck_assert_int_eq(status, PF_END);
    return count;
}

START_TEST(entries_come_back)
{
    write_all();
    pf_journal *journal = open_journal(true);
    ck_assert_int_eq(count_entries(journal), ENTRIES);
    must(pf_journal_rewind(journal));
    ck_assert_int_eq(count_entries(journal), ENTRIES);
    must(pf_journal_remove(journal));
    pf_journal_close(journal);
    ck_assert(!pf_exists(temporary("work")));
}
END_TEST

// Cut at every byte, or one byte flipped: what is whole in front of it comes back, and appending goes on from
// there.
START_TEST(damage_costs_what_is_behind_it_only)
{
    write_all();
    char *file = NULL;
    size_t size = 0;
    must(pf_read_file(temporary("work"), 1 << 20, &file, &size));
    const size_t head = 24, entry = 40; // of the file; of each entry, before name and numbers
    const size_t ends[] = {head + entry + 5 + 20, head + 2 * entry + 25, head + 3 * entry + 25 + 9 + 12};
    ck_assert_uint_eq(ends[2], size);
    for (size_t at = head; at < size; at++) {
        const bool cuts = _i == 0;
        if (!cuts) file[at] ^= 1;
        must(pf_write_file(temporary("work"), file, cuts ? at : size, NULL));
        if (!cuts) file[at] ^= 1;
        const int whole = at < ends[0] ? 0 : at < ends[1] ? 1 : 2;
        pf_journal *journal = open_journal(true);
        ck_assert_int_eq(count_entries(journal), whole);
        for (int i = whole; i < ENTRIES; i++) must(pf_journal_append(journal, &entries[i]));
        must(pf_journal_rewind(journal));
        ck_assert_int_eq(count_entries(journal), ENTRIES);
        pf_journal_close(journal);
    }
    pf_free(file);
}
END_TEST

START_TEST(another_key_is_refused_and_the_file_stays)
{
    pf_journal *journal = NULL;
    write_all();
    ck_assert_int_eq(pf_journal_open(temporary("work"), other_key, true, &journal), PF_ERROR_USAGE);
    ck_assert_ptr_null(journal);
    journal = open_journal(true);
    ck_assert_int_eq(count_entries(journal), ENTRIES);
    pf_journal_close(journal);
}
END_TEST

START_TEST(nothing_is_there_before_the_first_entry)
{
    pf_journal *journal = open_journal(true);
    ck_assert_int_eq(count_entries(journal), 0);
    ck_assert(!pf_exists(temporary("work")));
    must(pf_journal_remove(journal));
    pf_journal_close(journal);
}
END_TEST

static void expect_name(pf_names *names, const char *id, const char *expected)
{
    pf_text name = {0};
    must(pf_names_make(names, id, strlen(id), &name));
    ck_assert_str_eq(name.data, expected);
    pf_text_free(&name);
}

START_TEST(names_never_repeat)
{
    pf_names names = {0};
    expect_name(&names, "a", "a");
    expect_name(&names, "a#3", "a#3");
    expect_name(&names, "a", "a#2");
    expect_name(&names, "a", "a#4"); // a#3 is taken
    expect_name(&names, "a#2", "a#2#2");
    for (int i = 0; i < 1000; i++) { // the table grows
        char id[32], expected[32];
        snprintf(id, sizeof id, "b%d", i / 2);
        snprintf(expected, sizeof expected, i % 2 ? "b%d#2" : "b%d", i / 2);
        expect_name(&names, id, expected);
    }
    expect_name(&names, "a", "a#5");
    pf_names_free(&names);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("work files");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, temporary_create, temporary_remove);
    tcase_add_test(all, entries_come_back);
    tcase_add_loop_test(all, damage_costs_what_is_behind_it_only, 0, 2);
    tcase_add_test(all, another_key_is_refused_and_the_file_stays);
    tcase_add_test(all, nothing_is_there_before_the_first_entry);
    tcase_add_test(all, names_never_repeat);
    tcase_set_timeout(all, 60);
    suite_add_tcase(s, all);
    return s;
}
