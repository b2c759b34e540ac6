// Workloads: sizes that make no sense are refused, what they are worth is counted right, and nothing stays on the
// device.
#include <check.h>
#include <string.h>

#include "performer/bench.h"
#include "support/device.h"
#include "support/suite.h"

START_TEST(a_product_counts_two_operations_for_each_multiply_add)
{
    pf_workload *work = NULL;
    const uint64_t before = pf_device_bytes(test_device());
    const pf_matmul_workload what = {.m = 30, .n = 20, .k = 10, .batch = 3, .provider = PF_MATMUL_TILE};
    ck_assert_int_eq(pf_workload_matmul(test_device(), &what, &work), PF_OK);
    ck_assert_double_eq(pf_workload_describe(work)->flops, 2.0 * 30 * 20 * 10 * 3);
    ck_assert_str_eq(pf_workload_describe(work)->provider, "tile");
    ck_assert_uint_ge(pf_workload_describe(work)->device_bytes, 4 * 3 * (30 * 10 + 10 * 20 + 30 * 20));
    double seconds = 0;
    ck_assert_int_eq(pf_workload_run(work, &seconds), PF_OK);
    ck_assert(seconds > 0);
    pf_workload_free(work);
    ck_assert_uint_eq(pf_device_bytes(test_device()), before);
}
END_TEST

START_TEST(attention_counts_what_the_method_needs)
{
    const double L = 40, H = 2, E = 8, M = 12;
    const struct {
        pf_attention_workload what;
        double flops;
    } cases[] = {
        {{.kernel = PF_FAVOR_RELU}, 2 * L * H * (2 * E * M + 2 * M * (E + 1))},
        {{.kernel = PF_FAVOR_RELU, .backward = true, .causal = true}, 6 * L * H * (2 * E * M + 2 * M * (E + 1))},
        {{.kernel = PF_FAVOR_SOFTMAX_HYPERBOLIC}, 2 * L * H * (2 * E * M + 4 * M * (E + 1))},
        {{.is_exact = true}, 4 * L * L * E * H},
        {{.is_exact = true, .causal = true, .backward = true}, 7 * L * L * E * H},
    };
    const uint64_t before = pf_device_bytes(test_device());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pf_workload *work = NULL;
        pf_attention_workload what = cases[i].what;
        what.batch = 1, what.length = (int)L, what.heads = (int)H, what.head_size = (int)E, what.n_features = (int)M;
        ck_assert_int_eq(pf_workload_attention(test_device(), &what, &work), PF_OK);
        ck_assert_double_eq(pf_workload_describe(work)->flops, cases[i].flops);
        pf_workload_free(work);
    }
    ck_assert_uint_eq(pf_device_bytes(test_device()), before);
}
END_TEST

START_TEST(workloads_are_measured_in_turn)
{
    pf_workload *work[2] = {NULL};
    double seconds[2] = {0};
    const pf_matmul_workload small = {.m = 8, .n = 8, .k = 8}, large = {.m = 256, .n = 256, .k = 256};
    ck_assert_int_eq(pf_workload_matmul(test_device(), &small, &work[0]), PF_OK);
    ck_assert_int_eq(pf_workload_matmul(test_device(), &large, &work[1]), PF_OK);
    ck_assert_int_eq(pf_workloads_measure(work, 2, (pf_rounds){.repeats = 3}, seconds), PF_OK);
    ck_assert(seconds[0] > 0);
    ck_assert(seconds[1] > seconds[0]); // 32,768 times the arithmetic
    ck_assert_int_eq(pf_workloads_measure(work, 2, (pf_rounds){.repeats = 0}, seconds), PF_ERROR_USAGE);
    pf_workload_free(work[0]);
    pf_workload_free(work[1]);
}
END_TEST

static void make_config(struct pf_config *config)
{
    static const char text[] = "{\"hidden_size\": 16, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, "
                               "\"intermediate_size\": 24, \"max_position_embeddings\": 32, "
                               "\"attention\": {\"num_features\": 8}}";
    pf_config_default(config);
    ck_assert_int_eq(pf_config_read(config, text, strlen(text), "test", PF_CONFIG_USER), PF_OK);
    ck_assert_int_eq(pf_config_finish(config, PF_CONFIG_USER), PF_OK);
}

START_TEST(a_model_tells_its_tokens_and_leaves_nothing)
{
    static struct pf_config config;
    make_config(&config);
    const uint64_t before = pf_device_bytes(test_device());
    for (int training = 0; training < 2; training++) {
        pf_workload *work = NULL;
        double seconds = 0;
        const pf_model_workload what = {&config, 2, 20, training};
        ck_assert_int_eq(pf_workload_model(test_device(), &what, &work), PF_OK);
        ck_assert_double_eq(pf_workload_describe(work)->tokens, 40);
        ck_assert_int_eq(pf_workload_run(work, &seconds), PF_OK);
        ck_assert(seconds > 0);
        pf_workload_free(work);
    }
    ck_assert_uint_eq(pf_device_bytes(test_device()), before);
}
END_TEST

START_TEST(sizes_without_sense_are_refused)
{
    static struct pf_config config;
    pf_workload *work = NULL;
    make_config(&config);
    const pf_matmul_workload product = {.m = 8, .n = 0, .k = 8};
    ck_assert_int_eq(pf_workload_matmul(test_device(), &product, &work), PF_ERROR_USAGE);
    pf_attention_workload attention = {.batch = 1, .length = 8, .heads = 1, .head_size = 8};
    ck_assert_int_eq(pf_workload_attention(test_device(), &attention, &work), PF_ERROR_USAGE); // no features
    attention.is_exact = true, attention.length = 0;
    ck_assert_int_eq(pf_workload_attention(test_device(), &attention, &work), PF_ERROR_USAGE);
    const pf_model_workload empty = {&config, 0, 20, true}, beyond = {&config, 1, 33, false};
    ck_assert_int_eq(pf_workload_model(test_device(), &empty, &work), PF_ERROR_USAGE);
    ck_assert_int_eq(pf_workload_model(test_device(), &beyond, &work), PF_ERROR_USAGE);
    ck_assert_ptr_null(work);
    pf_workload_free(NULL);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("bench");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 300); // on an empty kernel cache a driver's compiler takes most of it
    tcase_add_test(all, a_product_counts_two_operations_for_each_multiply_add);
    tcase_add_test(all, attention_counts_what_the_method_needs);
    tcase_add_test(all, workloads_are_measured_in_turn);
    tcase_add_test(all, a_model_tells_its_tokens_and_leaves_nothing);
    tcase_add_test(all, sizes_without_sense_are_refused);
    suite_add_tcase(s, all);
    return s;
}
