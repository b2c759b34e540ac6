// Bidirectional FAVOR attention on the device equals the quadratic formula, for every shape and mix of sequences; a
// sequence's bits are its own. Feature maps: test_favor_maps.c.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/favor_batch.h"
#include "ref/favor_ref.h"
#include "support/device.h"
#include "support/suite.h"

static const struct {
    int head_size, n_features;
} shapes[] = {{8, 16}, {8, 1}, {12, 100}, {16, 256}, {64, 256}, {64, 100}, {64, 1}, {96, 100}, {128, 256}, {128, 16}, {12, 0}};

START_TEST(every_shape_equals_the_formula)
{
    favor_batch c = favor_batch_of(PF_FAVOR_RELU, shapes[_i].head_size, shapes[_i].n_features);
    favor_batch_test(c);
}
END_TEST

START_TEST(several_blocks_equal_the_formula)
{
    if (test_small()) return;
    favor_batch c = favor_batch_of(PF_FAVOR_RELU, 16, 100);
    c.length[0] = 600, c.length[1] = 256, c.length[2] = 257, c.length[3] = 512;
    favor_batch_test(c);
}
END_TEST

// A denominator of almost 0 becomes 2e-6, a constant for the gradient.
START_TEST(a_denominator_near_zero_is_moved)
{
    favor_batch c = favor_batch_of(PF_FAVOR_RELU, 8, 16);
    c.config.epsilon = 0;
    if (test_small()) c.n_sequences = 2;
    favor_batch_make(&c, NULL);
    for (int i = 0; i < 16 * 8; i++) c.w[i] = fabsf(c.w[i]);
    const size_t row = (size_t)c.first[0] * 3 * (size_t)c.width;
    for (int e = 0; e < 8; e++) c.qkv[row + 8 + (size_t)e] = -fabsf(c.qkv[row + 8 + (size_t)e]); // all its features are 0
    favor_batch_run(&c);
    favor_batch_check(&c, FAVOR_TOLERANCE, FAVOR_GRADIENT_TOLERANCE);
    for (int e = 0; e < 8; e++) ck_assert(c.o[(size_t)c.first[0] * (size_t)c.width + 8 + (size_t)e] == 0.0f);
    favor_batch_free(&c);
}
END_TEST

START_TEST(a_sequence_has_the_same_bits_in_any_company)
{
    favor_batch c = favor_batch_of(PF_FAVOR_RELU, 64, 100);
    c.length[3] = test_small() ? 20 : 520;
    if (test_small()) c.length[2] = 3;
    favor_batch alone = c, again = c;
    alone.n_sequences = 1, alone.gap = 0, alone.length[0] = c.length[3];
    again.gap = 11;
    favor_batch_make(&c, NULL), favor_batch_make(&again, NULL);
    favor_batch_make(&alone, (const unsigned[]){4});
    favor_batch_run(&c), favor_batch_run(&alone), favor_batch_run(&again);
    favor_batch_same_bits(&c, 3, &alone, 0);
    for (int b = 0; b < c.n_sequences; b++) favor_batch_same_bits(&c, b, &again, b);
    favor_batch_free(&c), favor_batch_free(&alone), favor_batch_free(&again);
}
END_TEST

START_TEST(what_no_model_asks_for_is_refused)
{
    pf_favor *op = NULL;
    favor_batch c = favor_batch_of(PF_FAVOR_RELU, 8, 16);
    c.config.head_size = PF_MAX_HEAD_SIZE + 1;
    ck_assert_int_eq(pf_favor_create(test_device(), &c.config, &op), PF_ERROR_USAGE);
    c = favor_batch_of(PF_FAVOR_SOFTMAX, 8, 0);
    ck_assert_int_eq(pf_favor_create(test_device(), &c.config, &op), PF_ERROR_USAGE);
    ck_assert_ptr_null(op);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("favor");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, every_shape_equals_the_formula, 0, sizeof shapes / sizeof *shapes);
    tcase_add_test(all, several_blocks_equal_the_formula);
    tcase_add_test(all, a_denominator_near_zero_is_moved);
    tcase_add_test(all, a_sequence_has_the_same_bits_in_any_company);
    tcase_add_test(all, what_no_model_asks_for_is_refused);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
