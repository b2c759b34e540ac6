// A sequence's share depends on itself, or on its cluster, and on nothing else; copies are dropped.
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"
#include "performer/split.h"
#include "support/suite.h"
#include "support/temporary.h"

static const char *write_text(const char *name, const char *text)
{
    const char *path = temporary(name);
    ck_assert_int_eq(pf_write_file(path, text, strlen(text), NULL), PF_OK);
    return path;
}

static pf_split *create(double valid, double test, const char *clusters)
{
    pf_split *split = NULL;
    const pf_split_options options = {.valid = valid, .test = test, .clusters = clusters};
    ck_assert_msg(pf_split_create(&options, &split) == PF_OK, "%s", pf_error_message());
    return split;
}

static pf_status place(pf_split *split, const char *id, const char *sequence, pf_split_part *part)
{
    const pf_fasta_record record = {.id = id,
                                    .sequence = sequence,
                                    .description = "",
                                    .id_length = strlen(id),
                                    .length = strlen(sequence),
                                    .number = 1,
                                    .line = 1};
    return pf_split_next(split, &record, part);
}

static pf_split_part part_of(pf_split *split, const char *id, const char *sequence)
{
    pf_split_part part;
    ck_assert_msg(place(split, id, sequence, &part) == PF_OK, "%s", pf_error_message());
    return part;
}

static void random_sequence(char out[31], uint64_t number)
{
    for (uint64_t i = 0; i < 30; i++)
        out[i] = "ACDEFGHIKLMNPQRSTVWY"[pf_random_below(20, 1, PF_RANDOM_TEST, number, i)];
    out[30] = '\0';
}

START_TEST(shares_have_the_asked_for_sizes)
{
    pf_split *split = create(0.1, 0.2, NULL);
    int count[4] = {0};
    char sequence[31];
    for (uint64_t i = 0; i < 10000; i++) {
        random_sequence(sequence, i);
        count[part_of(split, "id", sequence)]++;
    }
    // 10,000 draws: standard deviations of 30 and 40; five of them either way.
    ck_assert_int_ge(count[PF_SPLIT_VALID], 1000 - 150);
    ck_assert_int_le(count[PF_SPLIT_VALID], 1000 + 150);
    ck_assert_int_ge(count[PF_SPLIT_TEST], 2000 - 200);
    ck_assert_int_le(count[PF_SPLIT_TEST], 2000 + 200);
    ck_assert_int_eq(count[PF_SPLIT_COPY], 0);
    pf_split_free(split);
}
END_TEST

START_TEST(order_and_company_change_nothing)
{
    enum { MANY = 200 };
    pf_split *forward = create(0.3, 0.3, NULL), *backward = create(0.3, 0.3, NULL);
    pf_split_part parts[MANY];
    char sequence[31];
    for (uint64_t i = 0; i < MANY; i++) {
        random_sequence(sequence, i);
        parts[i] = part_of(forward, "a", sequence);
    }
    for (uint64_t i = MANY; i-- > 0;) {
        random_sequence(sequence, 1000 + i);
        part_of(backward, "c", sequence);
        random_sequence(sequence, i);
        ck_assert_int_eq(part_of(backward, "b", sequence), parts[i]);
    }
    pf_split_free(forward);
    pf_split_free(backward);
}
END_TEST

START_TEST(the_hash_is_part_of_the_format)
{
    // SHA-256("MKTA") starts with 19320b2e: 0.098 of the whole. What was shared out once stays there.
    pf_split *split = create(0.1, 0.1, NULL), *other = create(0.09, 0.1, NULL);
    pf_split *last = create(0.05, 0.04, NULL);
    ck_assert_int_eq(part_of(split, "a", "MKTA"), PF_SPLIT_VALID);
    ck_assert_int_eq(part_of(other, "a", "MKTA"), PF_SPLIT_TEST);
    ck_assert_int_eq(part_of(last, "a", "MKTA"), PF_SPLIT_TRAIN);
    pf_split_free(split);
    pf_split_free(other);
    pf_split_free(last);
}
END_TEST

START_TEST(a_seed_gives_other_parts_that_stay_as_they_are)
{
    enum { MANY = 2000 };
    pf_split *split[3] = {0};
    const uint64_t seeds[3] = {0, 1, 1};
    for (int s = 0; s < 3; s++) {
        const pf_split_options options = {.valid = 0.25, .test = 0.25, .seed = seeds[s]};
        ck_assert_msg(pf_split_create(&options, &split[s]) == PF_OK, "%s", pf_error_message());
    }
    char sequence[31];
    int alike = 0, test = 0;
    for (uint64_t i = 0; i < MANY; i++) {
        random_sequence(sequence, i);
        const pf_split_part one = part_of(split[1], "a", sequence);
        ck_assert_int_eq(part_of(split[2], "b", sequence), one);
        alike += part_of(split[0], "a", sequence) == one;
        test += one == PF_SPLIT_TEST;
    }
    // Shares of a quarter, a quarter and a half agree by chance in 3/8 of the cases: 750 with a deviation of 22.
    ck_assert_int_ge(alike, 750 - 110);
    ck_assert_int_le(alike, 750 + 110);
    ck_assert_int_ge(test, 500 - 97); // deviation 19
    ck_assert_int_le(test, 500 + 97);
    for (int s = 0; s < 3; s++) pf_split_free(split[s]);
}
END_TEST

START_TEST(later_copies_are_dropped)
{
    pf_split *split = create(0, 0, NULL);
    ck_assert_int_eq(part_of(split, "a", "MKTA"), PF_SPLIT_TRAIN);
    ck_assert_int_eq(part_of(split, "b", "MKT"), PF_SPLIT_TRAIN);
    ck_assert_int_eq(part_of(split, "c", "MKTA"), PF_SPLIT_COPY);
    ck_assert_int_eq(part_of(split, "a", "MKTA"), PF_SPLIT_COPY);
    pf_split_free(split);
}
END_TEST

START_TEST(relatives_stay_together)
{
    pf_text text = {0};
    char id[20], sequence[31];
    for (int i = 0; i < 300; i++)
        ck_assert_int_eq(pf_text_add(&text, "rep%d\tm%d\r\n", i / 10 * 10, i), PF_OK);
    pf_split *split = create(0.3, 0.3, write_text("c.tsv", text.data));
    pf_text_free(&text);
    int count[4] = {0};
    pf_split_part first = PF_SPLIT_TRAIN;
    for (int i = 0; i < 300; i++) {
        random_sequence(sequence, (uint64_t)i);
        snprintf(id, sizeof id, "m%d", i);
        const pf_split_part part = part_of(split, id, sequence);
        if (i % 10 == 0) {
            first = part;
            count[part]++;
        }
        ck_assert_int_eq(part, first);
    }
    ck_assert_int_gt(count[PF_SPLIT_VALID], 0);
    ck_assert_int_gt(count[PF_SPLIT_TEST], 0);
    ck_assert_int_gt(count[PF_SPLIT_TRAIN], 0);
    pf_split_free(split);
}
END_TEST

START_TEST(shortened_ids_are_found)
{
    pf_split *split = create(0.1, 0.1, write_text("c.tsv", "P69905\tP69905\nP69905\tNP_1.1\n"));
    const pf_split_part part = part_of(split, "sp|P69905|HBA_HUMAN", "MVLS");
    ck_assert_int_eq(part_of(split, "gi|123|ref|NP_1.1|", "MKTA"), part);
    ck_assert_int_eq(part_of(split, "P69905", "GSHM"), part);
    pf_split_part untouched = PF_SPLIT_COPY;
    ck_assert_int_eq(place(split, "tr|Q1|Q1_X", "LEDP", &untouched), PF_ERROR_INPUT);
    ck_assert_int_eq(untouched, PF_SPLIT_COPY);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "'tr|Q1|Q1_X'"));
    ck_assert_int_eq(place(split, "other", "LEDPA", &untouched), PF_ERROR_INPUT);
    pf_split_free(split);
}
END_TEST

START_TEST(wrong_cluster_files_are_refused_with_their_line)
{
    static const struct {
        const char *text, *says;
    } wrong[] = {{"a\tb\nc\n", "line 2: expected two columns"},
                 {"a\tb\tc\n", "line 1: expected two columns"},
                 {"\tb\n", "line 1: expected two columns"},
                 {"a\t\n", "line 1: expected two columns"},
                 {"", "no clusters"},
                 {"\n\n", "no clusters"},
                 {"a\tb\nc\td\nc\tb", "member 'b' is in two clusters"}};
    pf_split *split = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const pf_split_options options = {.clusters = write_text("c.tsv", wrong[i].text)};
        ck_assert_int_eq(pf_split_create(&options, &split), PF_ERROR_INPUT);
        ck_assert_msg(strstr(pf_error_message(), wrong[i].says), "%s", pf_error_message());
        ck_assert_ptr_nonnull(strstr(pf_error_message(), "c.tsv: "));
    }
    const pf_split_options missing = {.clusters = temporary("none.tsv")};
    ck_assert_int_eq(pf_split_create(&missing, &split), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "none.tsv: No such file"));
    ck_assert_ptr_null(split);
}
END_TEST

START_TEST(impossible_shares_are_refused)
{
    static const double wrong[][2] = {{-0.1, 0.5}, {0.5, -0.1}, {0.5, 0.5}, {1, 0}, {0.0 / 0.0, 0}};
    pf_split *split = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const pf_split_options options = {.valid = wrong[i][0], .test = wrong[i][1]};
        ck_assert_int_eq(pf_split_create(&options, &split), PF_ERROR_USAGE);
    }
    ck_assert_ptr_null(split);
}
END_TEST

START_TEST(every_lack_of_memory_is_an_error_and_leaks_nothing)
{
    const char *path = write_text("c.tsv", "a\ta\na\tb\n");
    for (long n = 0;; n++) {
        pf_split *split = NULL;
        pf_split_part part;
        pf_alloc_fail_after(n, 0);
        const pf_split_options options = {.clusters = path};
        pf_status status = pf_split_create(&options, &split);
        if (status == PF_OK) status = place(split, "a", "MK", &part);
        pf_alloc_fail_after(-1, 0);
        pf_split_free(split);
        if (status == PF_OK) break;
        ck_assert_int_eq(status, PF_ERROR_FAILED);
        ck_assert_int_lt(n, 50);
    }
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/split");
    TCase *tests = tcase_create("split");
    tcase_add_checked_fixture(tests, temporary_create, temporary_remove);
    tcase_add_test(tests, shares_have_the_asked_for_sizes);
    tcase_add_test(tests, order_and_company_change_nothing);
    tcase_add_test(tests, the_hash_is_part_of_the_format);
    tcase_add_test(tests, a_seed_gives_other_parts_that_stay_as_they_are);
    tcase_add_test(tests, later_copies_are_dropped);
    tcase_add_test(tests, relatives_stay_together);
    tcase_add_test(tests, shortened_ids_are_found);
    tcase_add_test(tests, wrong_cluster_files_are_refused_with_their_line);
    tcase_add_test(tests, impossible_shares_are_refused);
    tcase_add_test(tests, every_lack_of_memory_is_an_error_and_leaks_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}
