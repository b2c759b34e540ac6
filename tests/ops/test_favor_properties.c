// What FAVOR attention promises whatever its features, in both directions: v scaled scales o, one key gives its v, and
// what multiplies all weights of a query alike changes nothing, however far beyond fp32 it is.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/favor_case.h"
#include "support/device.h"
#include "support/suite.h"

enum { TOKENS = 37, E = 8, M = 16, COUNT = TOKENS * E, BOTH_MASKS = 2 };

typedef struct inputs {
    float q[COUNT], k[COUNT], v[COUNT], g[COUNT], w[M * E];
} inputs;

static inputs *inputs_create(double deviation)
{
    inputs *in = malloc(sizeof *in);
    float *const arrays[] = {in->q, in->k, in->v, in->g};
    for (unsigned i = 0; i < 4; i++) test_normal(arrays[i], COUNT, i < 2 ? deviation : 1, 40 + i);
    test_normal(in->w, M * E, 1, 44);
    return in;
}

// Tests are numbered by kernel and mask.
static favor_result run(const inputs *in, int number, int tokens)
{
    const int32_t first = 0, length = tokens;
    return favor_case_run(&(favor_case){
        .config = {.n_heads = 1, .head_size = E, .n_features = M, .kernel = (pf_favor_kernel)(number / BOTH_MASKS),
                   .projected = true, .causal = number % BOTH_MASKS, .renormalize = true, .trains = true, .epsilon = 0.1f,
                   .oprf_s = 0.5f},
        .rows = tokens, .n_sequences = 1, .first_row = &first, .length = &length,
        .q = in->q, .k = in->k, .v = in->v, .g = in->g, .w = in->w,
    });
}

static bool same_bits(const float *a, const float *b, double factor)
{
    for (int i = 0; i < COUNT; i++)
        if (a[i] != (float)((double)b[i] * factor)) return false;
    return true;
}

// A power of two is no rounding: o, dq and dk (of the same gradient) have the same bits but for it, dv has the same.
START_TEST(scaling_v_scales_the_output)
{
    inputs *in = inputs_create(1);
    favor_result one = run(in, _i, TOKENS);
    for (int i = 0; i < COUNT; i++) in->v[i] *= 8;
    favor_result other = run(in, _i, TOKENS);
    ck_assert(same_bits(other.o, one.o, 8) && same_bits(other.dv, one.dv, 1));
    ck_assert(same_bits(other.dq, one.dq, 8) && same_bits(other.dk, one.dk, 8));
    ck_assert(!same_bits(other.o, one.o, 1));
    favor_result_free(&one), favor_result_free(&other);
    free(in);
}
END_TEST

// o = (sum of features' w v) / (sum of w): up to 32 terms; features of both signs leave a thirtieth of what they add up.
// (A denominator below 1e-6 would be moved: with these inputs none is.)
START_TEST(a_single_key_gives_its_value)
{
    inputs *in = inputs_create(1);
    favor_result got = run(in, _i, 1);
    for (int i = 0; i < E; i++)
        ck_assert_msg(fabs((double)(got.o[i] - in->v[i])) <= 3e-5 * fabs((double)in->v[i]), "o %g, v %g", (double)got.o[i],
                      (double)in->v[i]);
    favor_result_free(&got);
    free(in);
}
END_TEST

static double largest(const float *x)
{
    double most = 0;
    for (int i = 0; i < COUNT; i++) most = fmax(most, fabs((double)x[i]));
    return most;
}

static void compare(const char *what, const float *got, const float *expected, double tolerance)
{
    const double size = largest(expected);
    for (int i = 0; i < COUNT; i++)
        ck_assert_msg(fabs((double)(got[i] - expected[i])) <= tolerance * size, "%s[%d]: %g, expected %g", what, i,
                      (double)got[i], (double)expected[i]);
}

// A column that no feature sees, the same number in all keys: each score gets the constant -y^2/2 = -640 (trig: +640),
// e^-640 is 0 and e^640 infinite in fp32. Exponents are sums with it, so their rounding is that of 640: 3e-5 each, and a
// hundred of them in a gradient.
START_TEST(a_constant_added_to_all_scores_changes_nothing)
{
    const int number = _i + PF_FAVOR_SOFTMAX * BOTH_MASKS;
    const bool is_trig = number / BOTH_MASKS == PF_FAVOR_SOFTMAX_TRIG;
    inputs *in = inputs_create(0.5);
    for (int m = 0; m < M; m++) in->w[m * E + E - 1] = 0;
    for (int t = 0; t < TOKENS; t++) in->k[t * E + E - 1] = in->q[t * E + E - 1] = 0;
    favor_result without = run(in, number, TOKENS);
    for (int t = 0; t < TOKENS; t++) in->k[t * E + E - 1] = 60.2f;
    favor_result with = run(in, number, TOKENS);
    compare("o", with.o, without.o, is_trig ? 1e-3 : 1e-4);
    compare("dq", with.dq, without.dq, is_trig ? 1e-2 : 1e-3);
    compare("dv", with.dv, without.dv, is_trig ? 1e-3 : 1e-4);
    ck_assert(largest(with.dk) < (double)INFINITY); // its column of the constant is another number, and a finite one
    favor_result_free(&without), favor_result_free(&with);
    free(in);
}
END_TEST

// One key far from all others, and one query: everything stays a number, and rows before the loud key do not hear it.
START_TEST(a_loud_key_spoils_nothing)
{
    enum { LOUD = 20 };
    inputs *in = inputs_create(1);
    favor_result before = run(in, _i, TOKENS);
    for (int e = 0; e < E; e++) in->k[LOUD * E + e] *= 30, in->q[(LOUD + 1) * E + e] *= 30;
    favor_result after = run(in, _i, TOKENS);
    const float *const parts[] = {after.o, after.dq, after.dk, after.dv};
    const pf_favor_kernel kernel = (pf_favor_kernel)(_i / BOTH_MASKS);
    // e^u of |u| over 88 is no float: with exp alone the sums of the bidirectional form leave fp32, in the reference too.
    const bool is_beyond = kernel == PF_FAVOR_EXP && _i % BOTH_MASKS == 0;
    for (int p = 0; p < 4 && !is_beyond; p++)
        for (int i = 0; i < COUNT; i++) ck_assert_msg(isfinite(parts[p][i]), "part %d, number %d", p, i);
    if (_i % BOTH_MASKS) ck_assert(memcmp(before.o, after.o, LOUD * E * sizeof(float)) == 0);
    favor_result_free(&before), favor_result_free(&after);
    free(in);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("favor_properties");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, scaling_v_scales_the_output, 0, PF_FAVOR_KERNELS * BOTH_MASKS);
    tcase_add_loop_test(all, a_single_key_gives_its_value, 0, PF_FAVOR_KERNELS * BOTH_MASKS);
    tcase_add_loop_test(all, a_constant_added_to_all_scores_changes_nothing, 0,
                        (PF_FAVOR_SOFTMAX_OPRF - PF_FAVOR_SOFTMAX + 1) * BOTH_MASKS);
    tcase_add_loop_test(all, a_loud_key_spoils_nothing, 0, PF_FAVOR_KERNELS * BOTH_MASKS);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
