// The set tells new digests from old ones, however many there are and whatever their bits.
#include "base/memory.h"
#include "data/hash_set.h"
#include "support/suite.h"

START_TEST(what_was_added_is_there_and_nothing_else)
{
    enum { MANY = 20000 };
    pf_hash_set set = {0};
    for (int pass = 0; pass < 2; pass++)
        for (uint64_t i = 0; i < MANY; i++) {
            bool was_there;
            ck_assert_int_eq(pf_hash_set_add(&set, pf_digest_of(&i, sizeof i), &was_there), PF_OK);
            ck_assert_int_eq(was_there, pass);
        }
    pf_hash_set_free(&set);
}
END_TEST

START_TEST(digests_that_share_a_slot_stay_apart)
{
    pf_hash_set set = {0};
    bool was_there;
    for (uint64_t i = 0; i < 100; i++) {
        ck_assert_int_eq(pf_hash_set_add(&set, (pf_digest){{i, 16}}, &was_there), PF_OK);
        ck_assert(!was_there);
    }
    ck_assert_int_eq(pf_hash_set_add(&set, (pf_digest){{0, 0}}, &was_there), PF_OK);
    ck_assert(!was_there);
    ck_assert_int_eq(pf_hash_set_add(&set, (pf_digest){{0, 0}}, &was_there), PF_OK);
    ck_assert(was_there);
    pf_hash_set_free(&set);
}
END_TEST

START_TEST(a_digest_is_the_start_of_sha256)
{
    // FIPS 180-2, appendix B.1: SHA-256("abc") = ba7816bf 8f01cfea 414140de 5dae2223 ...
    const pf_digest digest = pf_digest_of("abc", 3);
    ck_assert_uint_eq(digest.words[0], 0xba7816bf8f01cfeaULL);
    ck_assert_uint_eq(digest.words[1], 0x414140de5dae2223ULL);
}
END_TEST

START_TEST(a_set_survives_the_lack_of_memory)
{
    pf_hash_set set = {0};
    bool was_there = true;
    pf_alloc_fail_after(0, 0);
    ck_assert_int_eq(pf_hash_set_add(&set, (pf_digest){{1, 1}}, &was_there), PF_ERROR_FAILED);
    ck_assert(was_there);
    ck_assert_int_eq(pf_hash_set_add(&set, (pf_digest){{1, 1}}, &was_there), PF_OK);
    ck_assert(!was_there);
    pf_hash_set_free(&set);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/hash_set");
    TCase *tests = tcase_create("hash_set");
    tcase_add_test(tests, what_was_added_is_there_and_nothing_else);
    tcase_add_test(tests, digests_that_share_a_slot_stay_apart);
    tcase_add_test(tests, a_digest_is_the_start_of_sha256);
    tcase_add_test(tests, a_set_survives_the_lack_of_memory);
    suite_add_tcase(suite, tests);
    return suite;
}
