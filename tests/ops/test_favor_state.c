// A causal state written without what kernels round up is the same state again.
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "ops/favor.h"
#include "support/suite.h"

static const pf_favor_config cases[] = {
    {.n_heads = 3, .head_size = 8, .n_features = 20, .kernel = PF_FAVOR_RELU, .projected = true, .causal = true},
    {.n_heads = 1, .head_size = 64, .n_features = 256, .kernel = PF_FAVOR_SOFTMAX, .projected = true, .causal = true},
    {.n_heads = 2, .head_size = 5, .n_features = 70, .kernel = PF_FAVOR_SOFTMAX_HYPERBOLIC, .projected = true, .causal = true},
    {.n_heads = 2, .head_size = 17, .n_features = 33, .kernel = PF_FAVOR_SOFTMAX_TRIG, .projected = true, .causal = true},
    {.n_heads = 2, .head_size = 12, .kernel = PF_FAVOR_EXP, .causal = true},
};
enum { CASES = sizeof cases / sizeof *cases };

static float *numbers(size_t count, uint64_t seed)
{
    float *x = calloc(count, sizeof *x);
    for (size_t i = 0; i < count; i++) x[i] = (float)(1 + pf_random_uniform(seed, PF_RANDOM_TEST, 0, i));
    return x;
}

START_TEST(a_state_comes_back)
{
    const pf_favor_config *config = &cases[_i];
    const int features = pf_favor_state_features(config), E = config->head_size, H = config->n_heads;
    const size_t count = (size_t)(H * features * (E + 1)), n_references = (size_t)(H * features);
    const size_t state_count = pf_favor_state_bytes(config, 1) / sizeof(float);
    const bool two = config->kernel == PF_FAVOR_SOFTMAX_HYPERBOLIC || config->kernel == PF_FAVOR_SOFTMAX_TRIG;
    ck_assert_int_eq(features, (two ? 2 : 1) * (config->projected ? config->n_features : E));
    ck_assert_int_eq(pf_favor_state_has_references(config), config->kernel != PF_FAVOR_RELU);
    float *sums = numbers(count, 1), *state = numbers(state_count, 2), *sums_back = calloc(count, sizeof(float));
    float *references = pf_favor_state_has_references(config) ? numbers(n_references, 3) : NULL;
    float *references_back = references ? calloc(n_references, sizeof(float)) : NULL;
    pf_favor_state_pack(config, sums, references, state);
    pf_favor_state_unpack(config, state, sums_back, references_back);
    ck_assert_mem_eq(sums, sums_back, count * sizeof *sums);
    if (references) ck_assert_mem_eq(references, references_back, n_references * sizeof *references);
    size_t set = 0; // the rest is padding, all zeros
    for (size_t i = 0; i < state_count; i++) set += state[i] != 0;
    ck_assert_uint_eq(set, count + (references ? n_references : 0));
    free(sums);
    free(sums_back);
    free(references);
    free(references_back);
    free(state);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("favor state");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, a_state_comes_back, 0, CASES);
    suite_add_tcase(s, all);
    return s;
}
