// The approximation study: its errors are those of the formulas, on random tensors and through a model.
#include "performer/approx.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "infer/approx_parts.h"
#include "model/init.h"
#include "model/projection.h"
#include "ref/favor_ref.h"
#include "ref/softmax_attention_ref.h"
#include "support/device.h"
#include "support/suite.h"

enum { L = 40, E = 8, M = 6, DRAWS = 3 };

static pf_approx_options small_options(void)
{
    pf_approx_options o;
    pf_approx_default(&o);
    o.n_projections = 1;
    o.projection[0] = PF_PROJECTION_IID;
    o.n_features = o.n_scales = 1;
    o.features[0] = M;
    o.draws = DRAWS;
    o.seed = 3;
    o.length = L;
    o.head_size = E;
    o.oprf_s = 1;
    o.scale[0] = 0.7;
    return o;
}

// ---- random tensors ----

typedef struct tensors {
    float q[L * E], k[L * E], v[L * E];
    double exact[L * E];
} tensors;

static void make_tensors(tensors *t, const pf_approx_options *o)
{
    float *const all[] = {t->q, t->k, t->v};
    for (uint64_t i = 0; i < 3; i++)
        for (uint64_t n = 0; n < L * E; n++)
            all[i][n] = (float)((i < 2 ? o->scale[0] : 1) * pf_random_normal(o->seed, PF_RANDOM_STUDY, i, n));
    const softmax_attention_ref exact = {.q = t->q,
                                         .k = t->k,
                                         .v = t->v,
                                         .n_queries = L,
                                         .n_keys = L,
                                         .head_size = E,
                                         .stride = E,
                                         .causal = o->causal};
    softmax_attention_reference(&exact, t->exact, NULL, NULL, NULL);
}

// Mean and deviation over the draws of the mean squared and the relative error, in double.
static pf_approx_row expected_row(const tensors *t, const pf_approx_options *o, pf_favor_kernel kernel)
{
    double mse[DRAWS], relative[DRAWS];
    pf_approx_row row = {.mse = 0};
    for (uint64_t n = 0; n < DRAWS; n++) {
        float w[M * E];
        double scratch[E * E], got[L * E], squares = 0, reference = 0;
        const pf_projection_request request = {.num_features = M,
                                               .head_size = E,
                                               .kind = PF_PROJECTION_IID,
                                               .seed = o->seed,
                                               .draw = (uint64_t)M << 32 | n};
        pf_projection_draw(w, &request, scratch);
        const favor_ref call = {.tokens = L,
                                .head_size = E,
                                .n_features = M,
                                .stride = E,
                                .kernel = kernel,
                                .causal = o->causal,
                                .renormalize = true,
                                .oprf_s = o->oprf_s,
                                .q = t->q,
                                .k = t->k,
                                .v = t->v,
                                .w = w};
        favor_ref_run(&call, got, NULL, NULL, NULL);
        for (int i = 0; i < L * E; i++) {
            squares += (got[i] - t->exact[i]) * (got[i] - t->exact[i]);
            reference += t->exact[i] * t->exact[i];
        }
        mse[n] = squares / (L * E), relative[n] = sqrt(squares / reference);
        row.mse += mse[n] / DRAWS, row.relative += relative[n] / DRAWS;
    }
    for (int n = 0; n < DRAWS; n++) {
        row.mse_deviation += pow(mse[n] - row.mse, 2) / (DRAWS - 1);
        row.relative_deviation += pow(relative[n] - row.relative, 2) / (DRAWS - 1);
    }
    row.mse_deviation = sqrt(row.mse_deviation), row.relative_deviation = sqrt(row.relative_deviation);
    return row;
}

// fp32 attention is right to 1e-5 of its results, and these errors are as large as the results; the deviation
// is a difference of draws. Trigonometric denominators near 0 magnify, hence 1e-3. The twin is two parts in a
// thousand off.
static bool is_near(double got, double expected)
{
    return fabs(got / expected - 1) < 1e-3;
}

START_TEST(errors_on_random_tensors_are_those_of_the_formulas)
{
    pf_approx_options options = small_options();
    options.causal = _i == 1;
    tensors *t = calloc(1, sizeof *t);
    pf_approx *approx = NULL;
    make_tensors(t, &options);
    must(pf_approx_open(test_device(), &options, &approx));
    ck_assert_int_eq(pf_approx_describe(approx).steps, 4);
    const pf_approx_row *rows = NULL;
    int n_rows = 0;
    for (int step = 0; step < 4; step++) {
        must(pf_approx_step(approx, &rows, &n_rows));
        ck_assert_int_eq(n_rows, 1);
        const pf_approx_row expected = expected_row(t, &options, rows[0].kernel);
        ck_assert_msg(is_near(rows[0].mse, expected.mse), "%s: %g, expected %g",
                      pf_favor_kernel_name(rows[0].kernel), rows[0].mse, expected.mse);
        ck_assert(!is_near(rows[0].mse, expected.mse * 1.002));
        ck_assert(is_near(rows[0].mse_deviation, expected.mse_deviation));
        ck_assert(is_near(rows[0].relative, expected.relative));
        ck_assert(is_near(rows[0].relative_deviation, expected.relative_deviation));
        ck_assert_int_eq(rows[0].draws, DRAWS);
        ck_assert_uint_eq(rows[0].not_finite, 0);
    }
    ck_assert_int_eq(pf_approx_step(approx, &rows, &n_rows), PF_END);
    pf_approx_close(approx);
    free(t);
}
END_TEST

START_TEST(a_draw_that_is_no_number_is_counted_and_left_out)
{
    const float expected[] = {1, 2}, good[] = {1, 3}, bad[] = {1, NAN};
    pf_approx_errors errors = {.not_finite = 0};
    pf_approx_row row = {.layer = 7};
    pf_approx_fill(&row, &errors);
    ck_assert(isnan(row.mse) && isnan(row.mse_deviation) && row.draws == 0);
    pf_approx_add(&errors, good, expected, 2);
    pf_approx_add(&errors, bad, expected, 2);
    pf_approx_fill(&row, &errors);
    ck_assert(row.mse == 0.5 && row.relative == sqrt(0.2) && isnan(row.mse_deviation));
    ck_assert(row.draws == 1 && row.not_finite == 1 && row.layer == 7);
}
END_TEST

START_TEST(what_estimates_nothing_is_refused)
{
    pf_approx_options o[] = {small_options(), small_options(), small_options(), small_options(),
                             small_options()};
    pf_approx *approx = NULL;
    o[0].kernel[1] = PF_FAVOR_RELU;
    o[1].projection[0] = PF_PROJECTION_NONE;
    o[2].projection[0] = PF_PROJECTION_HADAMARD, o[2].head_size = 12;
    o[3].draws = 0;
    o[4].features[0] = 0;
    for (size_t i = 0; i < sizeof o / sizeof *o; i++) {
        ck_assert_int_eq(pf_approx_open(test_device(), &o[i], &approx), PF_ERROR_USAGE);
        ck_assert_ptr_null(approx);
    }
}
END_TEST

// ---- a model ----

enum { ROWS = 50, LAYERS = 2 };

static pf_model *make_model(void)
{
    static const char *const settings[] = {"hidden_size=32",         "num_hidden_layers=2",
                                           "num_attention_heads=2",  "intermediate_size=40",
                                           "attention.type=softmax", "max_position_embeddings=40",
                                           "compute.matmul=tile",    "position_embedding_type=rotary"};
    const pf_model_limits limits = {.max_rows = ROWS, .max_sequences = 2, .max_length = 40};
    struct pf_config config;
    pf_model *model = NULL;
    pf_config_default(&config);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) must(pf_config_set(&config, settings[i]));
    must(pf_config_finish(&config, PF_CONFIG_USER));
    must(pf_model_create(test_device(), &config, &limits, &model));
    const pf_parameters *params = pf_model_params(model);
    float *trained = calloc(params->trained_size, sizeof *trained);
    float *projections = calloc(params->projections_size + 1, sizeof *projections);
    must(pf_init_parameters(&config, params, 5, trained, projections));
    // Fresh queries and keys are of a size (|z|^2 about 8) that few features cannot estimate: smaller ones.
    for (int layer = 0; layer < LAYERS; layer++)
        for (size_t i = 0; i < 2 * 32 * 32; i++) trained[params->layer[layer].qkv_weight + i] *= 0.4f;
    must(pf_model_upload(model, trained, NULL));
    free(trained);
    free(projections);
    return model;
}

// p of logits (0, 0) is (1/2, 1/2), that of (log 3, 0) is (3/4, 1/4): log(2/3)/2 + log(2)/2 nats apart. A row
// that is the same counts 0, one shifted as a whole too; what is not finite counts not at all.
START_TEST(divergence_is_that_of_the_predictions)
{
    const float exact[] = {0, 0, 1, 2}, got[] = {logf(3), 0, 801, 802}, bad[] = {NAN, 0, 1, 2};
    pf_approx_errors errors = {.not_finite = 0};
    pf_approx_row row = {.layer = 7};
    pf_approx_add_divergence(&errors, exact, exact, 2, 2);
    ck_assert_double_eq(errors.divergence.mean, 0);
    errors = (pf_approx_errors){.not_finite = 0};
    pf_approx_add_divergence(&errors, got, exact, 2, 2);
    pf_approx_add_divergence(&errors, bad, exact, 2, 2);
    pf_approx_fill(&row, &errors);
    // logf(3) has 24 bits
    ck_assert_double_eq_tol(row.divergence, (log(2.0 / 3) + log(2)) / 2 / 2, 1e-7);
    ck_assert_double_nan(row.divergence_deviation);
}
END_TEST

// The reference of the stream study is the model itself where its attention is exact, to the bit; and
// estimates come near it as M grows (independent features: a hundredth of the variance, so less than a
// quarter of the error).
START_TEST(the_stream_is_held_against_exact_attention)
{
    static const int32_t start[] = {0, 17, ROWS - 8};
    int32_t token[ROWS], target[ROWS];
    const uint64_t number[] = {0, 1};
    for (int i = 0; i < ROWS; i++) token[i] = (i * 7 + i / 5) % 20, target[i] = PF_NO_TARGET;
    const pf_batch batch = {.n_sequences = 2,
                            .n_rows = start[2],
                            .longest = start[2] - start[1],
                            .start = start,
                            .token = token,
                            .target = target,
                            .number = number};
    const pf_approx_options options = {.draws = 5, .seed = 1};
    const pf_pass pass = {0};
    pf_model *model = make_model();
    pf_approx_stream s = {.oprf_s = 1};
    pf_approx_row few[LAYERS + 1], many[LAYERS + 1];
    float logits[ROWS * PF_VOCAB_SIZE];
    must(pf_approx_stream_create(&s, model, &batch));
    must(pf_model_forward(model, &batch, &pass));
    must(pf_model_read_logits(model, logits));
    const size_t count = (size_t)batch.n_rows * PF_VOCAB_SIZE;
    ck_assert_mem_eq(logits, s.exact + (size_t)LAYERS * (size_t)batch.n_rows * 32, count * sizeof(float));
    for (int k = PF_FAVOR_SOFTMAX; k <= PF_FAVOR_SOFTMAX_OPRF; k++) {
        const pf_approx_estimator a = {(pf_favor_kernel)k, 8, PF_PROJECTION_IID},
                                  b = {a.kernel, 800, a.projection};
        must(pf_approx_stream_run(&s, &options, &a, few));
        must(pf_approx_stream_run(&s, &options, &b, many));
        for (int i = 0; i <= LAYERS; i++)
            ck_assert_msg(many[i].relative < few[i].relative / 4, "kernel %d, %d", k, i);
        ck_assert_double_nan(many[0].divergence);
        ck_assert_msg(many[LAYERS].divergence < few[LAYERS].divergence / 4, "kernel %d", k);
        ck_assert_double_gt(many[LAYERS].divergence, 0);
        // One layer alone, after and before all of them: its estimates come near exact attention, too.
        for (int layer = 0; layer < LAYERS; layer++) {
            must(pf_approx_stream_alone(&s, &options, &a, layer, &few[layer]));
            must(pf_approx_stream_alone(&s, &options, &b, layer, &many[layer]));
            ck_assert_msg(many[layer].relative < few[layer].relative / 4, "kernel %d, %d alone", k, layer);
            ck_assert_double_gt(many[layer].divergence, 0);
        }
    }
    pf_approx_stream_free(&s);
    pf_model_free(model);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("approx");
    TCase *cases = tcase_create("approx");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, errors_on_random_tensors_are_those_of_the_formulas, 0, 2);
    tcase_add_test(cases, a_draw_that_is_no_number_is_counted_and_left_out);
    tcase_add_test(cases, what_estimates_nothing_is_refused);
    tcase_add_test(cases, divergence_is_that_of_the_predictions);
    tcase_add_test(cases, the_stream_is_held_against_exact_attention);
    suite_add_tcase(suite, cases);
    return suite;
}
