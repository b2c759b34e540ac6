// The endless list: file order or a fresh permutation each epoch, and every place reached alike by
// walking and by seeking.
#include <string.h>

#include "data/alphabet.h"
#include "data/endless.h"
#include "support/corpus.h"
#include "support/suite.h"
#include "support/temporary.h"

enum { SEQUENCES = 37 };

static pf_corpus *corpus;

static void create_corpus(void)
{
    temporary_create();
    corpus = test_random_corpus(SEQUENCES, 1, 9);
}

static void free_corpus(void)
{
    pf_corpus_free(corpus);
    temporary_remove();
}

static pf_endless create(bool shuffle, uint64_t seed)
{
    pf_endless list;
    ck_assert_int_eq(pf_endless_create(&list, corpus, shuffle, seed), PF_OK);
    return list;
}

START_TEST(without_shuffle_it_is_the_file_again_and_again)
{
    pf_endless list = create(false, 0);
    for (size_t i = 0; i < 3 * SEQUENCES; i++, pf_endless_advance(&list))
        ck_assert_uint_eq(pf_endless_sequence(&list), i % SEQUENCES);
    pf_endless_free(&list);
}
END_TEST

START_TEST(with_shuffle_every_epoch_is_a_permutation_of_its_own)
{
    pf_endless list = create(true, 3);
    size_t order[3][SEQUENCES];
    for (int epoch = 0; epoch < 3; epoch++) {
        bool seen[SEQUENCES] = {false};
        for (int i = 0; i < SEQUENCES; i++, pf_endless_advance(&list)) {
            order[epoch][i] = pf_endless_sequence(&list);
            ck_assert(!seen[order[epoch][i]]);
            seen[order[epoch][i]] = true;
        }
    }
    ck_assert(memcmp(order[0], order[1], sizeof order[0]) != 0);
    ck_assert(memcmp(order[1], order[2], sizeof order[0]) != 0);
    pf_endless_free(&list);
}
END_TEST

START_TEST(every_place_is_drawn_evenly)
{
    // 2,000 seeds, sequence 0 at each place 54 times on average; 5.5 standard deviations are 40.
    int count[SEQUENCES] = {0};
    for (uint64_t seed = 0; seed < 2000; seed++) {
        pf_endless list = create(true, seed);
        for (int i = 0; i < SEQUENCES; i++, pf_endless_advance(&list))
            if (pf_endless_sequence(&list) == 0) count[i]++;
        pf_endless_free(&list);
    }
    for (int i = 0; i < SEQUENCES; i++) {
        ck_assert_int_gt(count[i], 14);
        ck_assert_int_lt(count[i], 94);
    }
}
END_TEST

START_TEST(seeking_and_walking_lead_to_the_same_place)
{
    pf_endless walked = create(true, 8), sought = create(true, 8);
    for (uint64_t i = 0; i < 4 * SEQUENCES; i++, pf_endless_advance(&walked)) {
        pf_endless_seek(&sought, i);
        ck_assert_uint_eq(pf_endless_sequence(&walked), pf_endless_sequence(&sought));
    }
    pf_endless_seek(&sought, 2); // and back
    pf_endless_seek(&walked, 2);
    ck_assert_uint_eq(pf_endless_sequence(&walked), pf_endless_sequence(&sought));
    pf_endless_free(&walked);
    pf_endless_free(&sought);
}
END_TEST

START_TEST(the_stream_of_tokens_is_the_same_in_any_pieces)
{
    enum { TOKENS = 1500 };
    int32_t whole[TOKENS], piece[TOKENS];
    pf_endless list = create(true, 1);
    pf_endless_take_tokens(&list, TOKENS, whole);
    ck_assert_uint_gt(list.epoch, 2);
    ck_assert_int_eq(whole[0], PF_TOKEN_BEGIN);
    int begins = 0, ends = 0;
    for (int i = 0; i < TOKENS; i++) {
        begins += whole[i] == PF_TOKEN_BEGIN;
        ends += whole[i] == PF_TOKEN_END;
        if (i) ck_assert_int_eq(whole[i - 1] == PF_TOKEN_END, whole[i] == PF_TOKEN_BEGIN);
    }
    ck_assert_int_le(begins - ends, 1);
    for (uint64_t at = 0; at < TOKENS; at += 7) {
        pf_endless_seek_tokens(&list, at);
        pf_endless_take_tokens(&list, TOKENS - (size_t)at, piece);
        ck_assert_mem_eq(piece, whole + at, (TOKENS - at) * sizeof *whole);
    }
    pf_endless_free(&list);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/endless");
    TCase *tests = tcase_create("endless");
    tcase_add_checked_fixture(tests, create_corpus, free_corpus);
    tcase_add_test(tests, without_shuffle_it_is_the_file_again_and_again);
    tcase_add_test(tests, with_shuffle_every_epoch_is_a_permutation_of_its_own);
    tcase_add_test(tests, every_place_is_drawn_evenly);
    tcase_add_test(tests, seeking_and_walking_lead_to_the_same_place);
    tcase_add_test(tests, the_stream_of_tokens_is_the_same_in_any_pieces);
    suite_add_tcase(suite, tests);
    return suite;
}
