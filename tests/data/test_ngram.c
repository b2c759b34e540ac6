// The n-gram baselines follow Witten and Bell's formula to the letter, and see what is there to see.
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/ngram.h"
#include "support/corpus.h"
#include "support/suite.h"
#include "support/temporary.h"

// n(hc) by looking at every place of the corpus.
static double count_of(const pf_corpus *corpus, const uint8_t *h, size_t length, int c)
{
    double n = 0;
    for (size_t s = 0; s < corpus->n_sequences; s++)
        for (uint64_t i = corpus->start[s] + length; i < corpus->start[s + 1]; i++)
            n += corpus->residue[i] == c && memcmp(corpus->residue + i - length, h, length) == 0;
    return n;
}

// The formula, as it is written.
static double probability(const pf_corpus *corpus, const uint8_t *h, size_t length, int c)
{
    double n = 0, t = 0;
    for (int letter = 0; letter < PF_RESIDUES; letter++) {
        const double seen = count_of(corpus, h, length, letter);
        n += seen;
        t += seen > 0;
    }
    const double shorter = length ? probability(corpus, h + 1, length - 1, c) : 1.0 / 20;
    return n > 0 ? (count_of(corpus, h, length, c) + t * shorter) / (n + t) : shorter;
}

START_TEST(probabilities_are_the_formula)
{
    // Few letters, so that long contexts repeat.
    pf_corpus *corpus =
        test_corpus(">a\nACACDDACAXACDACACACCDDAACAACACDDACAC\n>b\nACADACACDC\n>c\nM\n>d\nDDDDDDDD\n");
    pf_ngram *ngram = NULL;
    ck_assert_int_eq(pf_ngram_create(corpus, &ngram), PF_OK);
    // Letters of the corpus, and histories that it does not have.
    const uint8_t text[] = {0, 1, 0, 1, 2, 2, 0, 1, 0, 23, 0, 1, 2, 0,
                            1, 0, 1, 0, 9, 9, 0, 1, 2, 2,  2, 2, 2, 2};
    for (size_t place = 0; place < sizeof text; place++) {
        double p[PF_NGRAM_ORDERS][PF_RESIDUES];
        pf_ngram_predict(ngram, text, place, p);
        for (size_t order = 1; order <= PF_NGRAM_ORDERS; order++) {
            const size_t length = order - 1 < place ? order - 1 : place;
            for (int c = 0; c < PF_RESIDUES; c += c == 3 ? 20 : 1) {
                const double expected = probability(corpus, text + place - length, length, c);
                // The same operations in the same order: rounding alone could differ.
                ck_assert_double_eq_tol(p[order - 1][c], expected, 1e-15);
                ck_assert_double_gt(p[order - 1][c], 0);
            }
        }
    }
    pf_ngram_free(ngram);
    pf_corpus_free(corpus);
}
END_TEST

START_TEST(scores_are_means_over_the_evaluation_s_targets)
{
    pf_corpus *corpus = test_random_corpus(30, 5, 40);
    pf_ngram *ngram = NULL;
    ck_assert_int_eq(pf_ngram_create(corpus, &ngram), PF_OK);
    for (int causal = 0; causal < 2; causal++) {
        const pf_evaluation_options options = {
            .is_causal = causal, .max_length = 20, .most_rows = 64, .most_sequences = 5, .seed = 2};
        pf_ngram_score score;
        ck_assert_int_eq(pf_ngram_evaluate(ngram, corpus, &options, &score), PF_OK);
        pf_evaluation *evaluation = NULL;
        const pf_batch *batch;
        double loss = 0, n = 0, right = 0;
        ck_assert_int_eq(pf_evaluation_create(corpus, &options, &evaluation), PF_OK);
        while (pf_evaluation_next(evaluation, &batch) == PF_OK)
            for (int32_t b = 0; b < batch->n_sequences; b++)
                for (int32_t i = batch->start[b]; i < batch->start[b + 1]; i++) {
                    if (batch->target[i] < 0 || batch->target[i] >= PF_RESIDUES) continue;
                    const uint8_t *residue = corpus->residue + corpus->start[batch->number[b]];
                    const int32_t place = i - batch->start[b] - (causal ? 0 : 1);
                    ck_assert_int_eq(residue[place], batch->target[i]);
                    double p[PF_NGRAM_ORDERS][PF_RESIDUES];
                    pf_ngram_predict(ngram, residue, (uint64_t)place, p);
                    int best = 0;
                    for (int c = 0; c < PF_RESIDUES; c++)
                        if (p[2][c] > p[2][best]) best = c;
                    loss -= log(p[2][residue[place]]);
                    right += best == residue[place];
                    n++;
                }
        ck_assert_uint_eq(score.n_targets, (uint64_t)n);
        ck_assert_double_eq_tol(score.perplexity[2], exp(loss / n), 1e-12);
        ck_assert_double_eq_tol(score.accuracy[2], right / n, 1e-15);
        for (int k = 0; k < PF_NGRAM_ORDERS; k++)
            ck_assert_double_ge(score.perplexity[k], score.perplexity[score.best - 1]);
        pf_evaluation_free(evaluation);
    }
    pf_ngram_free(ngram);
    pf_corpus_free(corpus);
}
END_TEST

START_TEST(the_order_of_the_text_is_the_best_order)
{
    // Each letter follows from the two before it: A C D D A C D D ... is of order 3 (D D or C D).
    pf_text text = {0};
    ck_assert_int_eq(pf_text_add(&text, ">a\n"), PF_OK);
    for (int i = 0; i < 2000; i++) ck_assert_int_eq(pf_text_add(&text, "ACDD"), PF_OK);
    pf_corpus *corpus = test_corpus(text.data);
    pf_text_free(&text);
    pf_ngram *ngram = NULL;
    pf_ngram_score score;
    const pf_evaluation_options options = {
        .is_causal = true, .max_length = 9000, .most_rows = 9000, .most_sequences = 1};
    ck_assert_int_eq(pf_ngram_create(corpus, &ngram), PF_OK);
    ck_assert_int_eq(pf_ngram_evaluate(ngram, corpus, &options, &score), PF_OK);
    ck_assert_double_gt(score.perplexity[0], 2.5);
    ck_assert_double_gt(score.perplexity[1], 1.3);
    ck_assert_double_lt(score.perplexity[2], 1.01);
    ck_assert_double_gt(score.accuracy[2], 0.999);
    ck_assert_int_ge(score.best, 3);
    pf_ngram_free(ngram);
    pf_corpus_free(corpus);
}
END_TEST

START_TEST(no_target_and_no_memory_are_errors)
{
    pf_corpus *corpus = test_corpus(">a\nA\n");
    pf_ngram *ngram = NULL;
    pf_ngram_score score;
    const pf_evaluation_options options = {.max_length = 1, .most_rows = 1, .most_sequences = 1};
    for (long n = 0;; n++) {
        pf_alloc_fail_after(n, 0);
        const pf_status status = pf_ngram_create(corpus, &ngram);
        pf_alloc_fail_after(-1, 0);
        if (status == PF_OK) break;
        ck_assert_int_eq(status, PF_ERROR_FAILED);
        ck_assert_ptr_null(ngram);
    }
    ck_assert_int_eq(pf_ngram_evaluate(ngram, corpus, &options, &score), PF_ERROR_INPUT);
    pf_ngram_free(ngram);
    pf_corpus_free(corpus);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/ngram");
    TCase *tests = tcase_create("ngram");
    tcase_add_checked_fixture(tests, temporary_create, temporary_remove);
    tcase_add_test(tests, probabilities_are_the_formula);
    tcase_add_test(tests, scores_are_means_over_the_evaluation_s_targets);
    tcase_add_test(tests, the_order_of_the_text_is_the_best_order);
    tcase_add_test(tests, no_target_and_no_memory_are_errors);
    suite_add_tcase(suite, tests);
    return suite;
}
