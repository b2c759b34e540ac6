// The stored answers of the self-test, family by family. Taken from a device on which every kernel agrees
// with its double-precision reference (tests/ref). For a new family: tests/api/test_selftest.c prints the
// row.
#include "api/selftest.h"

const pf_selftest_family pf_selftest_families[] = {
    {"matmul tile", pf_selftest_tile, true, {148.88262, 316.007616, 121.104976}},
    {"matmul tile, both turned", pf_selftest_tile_both, false, {-63.3247747, 132.24998, -82.7769255}},
    {"matmul clblast", pf_selftest_clblast, false, {331.954477, 235.865436, 44.5161083}},
    {"layer_norm", pf_selftest_layer_norm, false, {-59.9155968, -37.6778273, 46.7558587}},
    {"activation", pf_selftest_activation, false, {-12.363844, 3.46795214, 17.6312366}},
    {"embedding", pf_selftest_embedding, false, {27.2052172, 14.537737, -40.8723735}},
    {"rotary", pf_selftest_rotary, false, {-20.5347437, 14.7143247, 1.04718454}},
    {"favor", pf_selftest_favor, false, {-1.33971344, 4.36766169, -12.3764023}},
    {"favor causal", pf_selftest_favor_causal, false, {-19.9731808, -8.24159451, -14.0943864}},
    {"softmax_attention", pf_selftest_exact, false, {-13.6462189, 18.7460744, -5.03693942}},
    {"softmax_attention causal", pf_selftest_exact_causal, false, {-32.0549285, 7.65365689, -0.649795029}},
    {"cross_entropy", pf_selftest_cross_entropy, true, {22.5445811, 4.25281537, 7.82733486}},
    {"pool, squared error", pf_selftest_task, false, {13.6473634, 9.03441805, 25.0618032}},
    {"norm, adamw", pf_selftest_optimizer, true, {0.60763682, 18.8729605, -10.7675012}},
    {"prefix_sum", pf_selftest_prefix_sum, false, {-9.86109433, 43.6551009, 49.6825161}},
};

const int pf_n_selftest_families = sizeof pf_selftest_families / sizeof *pf_selftest_families;
