// The memory plan by its numbers: what training keeps grows with the root of the number of layers when layers
// are computed again, is about half in 16 bits, and is never more than without.
#include <math.h>
#include <stdio.h>

#include "model/plan.h"
#include "support/device.h"
#include "support/suite.h"

enum { D = 64, F = 128, ROWS = 1024 };

static pf_plan plan_of(int layers, const char *recompute, const char *storage)
{
    char count[64], again[64], stored[64];
    snprintf(count, sizeof count, "num_hidden_layers=%d", layers);
    snprintf(again, sizeof again, "train.recompute=%s", recompute);
    snprintf(stored, sizeof stored, "compute.storage=%s", storage);
    const char *const settings[] = {"hidden_size=64",
                                    "num_attention_heads=4",
                                    "intermediate_size=128",
                                    "max_position_embeddings=1024",
                                    "compute.matmul=tile",
                                    count,
                                    again,
                                    stored};
    const pf_model_limits limits = {
        .max_rows = ROWS, .max_sequences = 1, .max_length = ROWS, .training = true};
    struct pf_config config;
    pf_parameters *parameters = NULL;
    pf_matmul *matmul = NULL;
    pf_plan plan;
    pf_config_default(&config);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) must(pf_config_set(&config, settings[i]));
    must(pf_config_finish(&config, PF_CONFIG_USER));
    must(pf_parameters_create(&config, &parameters));
    must(pf_matmul_create(test_device(), PF_MATMUL_TILE, &matmul));
    const pf_plan_request request = {&config, &limits, parameters, test_device(), matmul};
    must(pf_plan_make(&request, &plan));
    pf_matmul_free(matmul);
    pf_parameters_free(parameters);
    return plan;
}

static double kept(int layers, const char *recompute, const char *storage)
{
    const pf_plan plan = plan_of(layers, recompute, storage);
    return (double)pf_plan_kept_bytes(&plan);
}

// Streams of D numbers a row that a layer of this shape keeps: x, x_middle, q k v, o, u and a few numbers a
// head, and FAVOR's sums, [M,E+1] a head.
static double layer_streams(void)
{
    return kept(2, "off", "fp32") / 2 / (ROWS * D * sizeof(float));
}

START_TEST(memory_with_recompute_grows_with_the_root_of_the_layers)
{
    static const int depths[] = {6, 12, 24, 48, 96, 192, 384};
    const double stream = ROWS * D * sizeof(float), c = layer_streams();
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        const double n = depths[i], on = kept(depths[i], "on", "fp32"), off = kept(depths[i], "off", "fp32");
        // n/k streams and k layers, at the best whole k: not more than a layer above the optimum over all k.
        ck_assert_double_le(on, stream * (2 * sqrt(n * c) + c));
        ck_assert_double_lt(on, off);
        ck_assert_double_gt(off, 0.99 * n * c * stream); // the twin: without, it grows with the layers
        if (i < 2) continue;
        ck_assert_double_le(on, 2.1 * kept(depths[i - 2], "on", "fp32")); // but for k being a whole number
        ck_assert_double_ge(off, 3.9 * kept(depths[i - 2], "off", "fp32"));
    }
}
END_TEST

START_TEST(what_is_chosen_takes_least)
{
    static const char *const storages[] = {"fp32", "bf16"};
    for (int s = 0; s < 2; s++) {
        const double on = kept(24, "on", storages[s]);
        for (int k = 1; k <= 24; k++) {
            char text[8];
            snprintf(text, sizeof text, "%d", k);
            ck_assert_double_le(on, kept(24, text, storages[s]));
        }
    }
    ck_assert_int_eq(plan_of(24, "24", "fp32").segment, 24);
    ck_assert_int_eq(plan_of(24, "1000", "fp32").segment, 24);
    ck_assert_int_eq(plan_of(24, "off", "fp32").segment, 24);
    ck_assert_int_eq(plan_of(24, "5", "fp32").segment, 5);
}
END_TEST

START_TEST(sixteen_bits_take_half)
{
    const double c = layer_streams() * ROWS * D * sizeof(float);
    for (int layers = 2; layers <= 96; layers *= 2) {
        const double packed = kept(layers, "off", "bf16"), whole = kept(layers, "off", "fp32");
        // One layer lies open, the others packed, but for the sums of attention.
        ck_assert_double_le(packed, 0.6 * whole + c);
        ck_assert_double_ge(packed, 0.5 * whole);
        ck_assert(kept(layers, "off", "fp16") == packed);
        ck_assert_double_le(kept(layers, "on", "bf16"), kept(layers, "on", "fp32"));
    }
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("plan");
    TCase *all = tcase_create("all");
    tcase_add_test(all, memory_with_recompute_grows_with_the_root_of_the_layers);
    tcase_add_test(all, what_is_chosen_takes_least);
    tcase_add_test(all, sixteen_bits_take_half);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
