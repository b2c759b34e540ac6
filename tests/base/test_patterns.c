// Lists of name patterns: each is found in turn, and a name is matched whole.
#include "base/patterns.h"

#include "support/suite.h"

START_TEST(patterns_come_in_order)
{
    const char *list = "embed.*,,layers.[0-3].*,";
    char pattern[16];
    ck_assert(pf_patterns_next(&list, pattern, sizeof pattern));
    ck_assert_str_eq(pattern, "embed.*");
    ck_assert(pf_patterns_next(&list, pattern, sizeof pattern));
    ck_assert_str_eq(pattern, "");
    ck_assert(pf_patterns_next(&list, pattern, sizeof pattern));
    ck_assert_str_eq(pattern, "layers.[0-3].*");
    ck_assert(!pf_patterns_next(&list, pattern, sizeof pattern)); // a comma at the end names nothing
    list = "";
    ck_assert(!pf_patterns_next(&list, pattern, sizeof pattern));
}
END_TEST

START_TEST(a_pattern_is_cut_to_its_room)
{
    const char *list = "query,value";
    char pattern[4];
    ck_assert(pf_patterns_next(&list, pattern, sizeof pattern));
    ck_assert_str_eq(pattern, "que");
    ck_assert(pf_patterns_next(&list, pattern, sizeof pattern));
    ck_assert_str_eq(pattern, "val");
}
END_TEST

START_TEST(names_are_matched_whole)
{
    static const char list[] = "embed.*,layers.[0-3].*,head.?ias";
    ck_assert(pf_patterns_match(list, "embed.token.weight"));
    ck_assert(pf_patterns_match(list, "layers.2.attention.query.weight"));
    ck_assert(!pf_patterns_match(list, "layers.4.attention.query.weight"));
    ck_assert(pf_patterns_match(list, "head.bias"));
    ck_assert(!pf_patterns_match(list, "the.head.bias"));
    ck_assert(!pf_patterns_match(list, "embed"));
    ck_assert(!pf_patterns_match("", "embed.token.weight"));
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("base/patterns");
    TCase *tests = tcase_create("patterns");
    tcase_add_test(tests, patterns_come_in_order);
    tcase_add_test(tests, a_pattern_is_cut_to_its_room);
    tcase_add_test(tests, names_are_matched_whole);
    suite_add_tcase(s, tests);
    return s;
}
