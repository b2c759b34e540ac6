// Attention maps: the weights of the formulas in double precision, for every kind of head; what their files
// and averages over draws hold; and what similarity of amino acids makes of them.
#include "performer/attention_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/alphabet.h"
#include "infer/map_model.h"
#include "model/projection.h"
#include "ref/favor_ref.h"
#include "ref/softmax_attention_ref.h"
#include "store/npy.h"
#include "support/device.h"
#include "support/suite.h"
#include "support/temporary.h"

enum { L = 39 };

static struct pf_config config; // of the models at hand

static pf_model *make_model(int kind, int32_t rows)
{
    pf_model *model = map_model(kind, rows);
    config = *pf_model_config(model);
    return model;
}

static const char protein[] = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPIL"; // 37 residues
static const char fasta[] = ">../a protein\nMKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPIL\n>b|2\nW\n>c\nGGSYQW\n";

static pf_attention_maps *open_maps(pf_model *model, pf_attention_maps_options options)
{
    static const char *paths[1];
    pf_attention_maps *maps = NULL;
    paths[0] = map_fasta(fasta);
    options.stream.files = paths;
    options.stream.n_files = 1;
    if (options.n_sequences == 0 && options.n_ids == 0) options.n_sequences = 1;
    options.directory = temporary("");
    must(pf_attention_maps_open(model, &options, &maps));
    return maps;
}

// ---- the reference ----

// Rows [L,3D] of a layer of the protein.
static void read_rows(pf_model *model, int layer, float *rows)
{
    int32_t start[2] = {0, L}, token[L], target[L];
    const uint64_t number[1] = {0};
    uint8_t residue[L - 2];
    const pf_pass pass = {0};
    pf_alphabet_encode(residue, protein, L - 2);
    pf_alphabet_window(token, residue, L - 2, 0, L);
    for (int i = 0; i < L; i++) target[i] = PF_NO_TARGET;
    const pf_batch batch = {.n_sequences = 1,
                            .n_rows = L,
                            .longest = L,
                            .start = start,
                            .token = token,
                            .target = target,
                            .number = number};
    must(pf_model_forward_begin(model, &batch, &pass));
    for (int l = 0; l <= layer; l++) must(pf_model_forward_layer(model, l));
    must(pf_model_read_qkv(model, layer, rows));
}

static bool is_local(int layer, int head)
{
    return pf_config_layer_type(&config, layer) == PF_ATTENTION_FAVOR && head < config.attention.local_heads;
}

static bool is_exact(int layer, int head)
{
    return pf_config_layer_type(&config, layer) == PF_ATTENTION_SOFTMAX || is_local(layer, head);
}

// The whole map of a head in double: its attention of one-hot values as the formula says. w: NULL without a
// projection.
static void reference_map(const float *rows, int layer, int head, const float *w, double *map)
{
    static float q[L * E], k[L * E], v[L * E];
    static double o[L * E];
    for (int i = 0; i < L * E; i++) {
        q[i] = rows[i / E * 3 * D + head * E + i % E];
        k[i] = rows[i / E * 3 * D + D + head * E + i % E];
    }
    for (int first = 0; first < L; first += E) {
        for (int i = 0; i < L * E; i++) v[i] = i / E - first == i % E;
        if (is_exact(layer, head)) {
            const softmax_attention_ref exact = {.q = q,
                                                 .k = k,
                                                 .v = v,
                                                 .n_queries = L,
                                                 .n_keys = L,
                                                 .head_size = E,
                                                 .stride = E,
                                                 .causal = config.objective == PF_OBJECTIVE_CLM,
                                                 .window = is_local(layer, head) ? WINDOW : 0};
            softmax_attention_reference(&exact, o, NULL, NULL, NULL);
        } else {
            const favor_ref favor = {.tokens = L,
                                     .head_size = E,
                                     .n_features = w ? M : E,
                                     .stride = E,
                                     .kernel = config.attention.kernel,
                                     .causal = config.objective == PF_OBJECTIVE_CLM,
                                     .renormalize = true,
                                     .epsilon = config.attention.epsilon,
                                     .q = q,
                                     .k = k,
                                     .v = v,
                                     .w = w};
            favor_ref_run(&favor, o, NULL, NULL, NULL);
        }
        for (int i = 0; i < L * E; i++)
            if (first + i % E < L) map[i / E * L + first + i % E] = o[i];
    }
}

// The model's own projection of a layer, or NULL.
static const float *own_projection(pf_model *model, int layer, float *all)
{
    const pf_parameters *params = pf_model_params(model);
    if (!pf_config_has_projection(&config, layer)) return NULL;
    must(pf_model_download(model, NULL, all));
    return all + params->layer[layer].projection;
}

// ---- maps ----

// Relative to the largest weight of a map: float32 rounds queries, keys and sums of 20 features a few 1e-7
// each; exponents of the softmax kernels a few times more.
static const double tolerance = 2e-5;

START_TEST(a_map_is_what_the_formula_says)
{
    static float rows[L * 3 * D], projections[1 << 16];
    static double expected[L * L];
    pf_model *model = make_model(_i, 16), *other = make_model(_i, L); // the first one has to grow
    pf_attention_maps *maps = open_maps(model, (pf_attention_maps_options){0});
    pf_attention_map map;
    for (int n = 0; n < LAYERS * H; n++) {
        must(pf_attention_maps_next(maps, &map));
        ck_assert_int_eq(map.layer, n / H + 1);
        ck_assert_int_eq(map.head, n % H + 1);
        ck_assert_int_eq(map.length, L);
        read_rows(other, n / H, rows);
        reference_map(rows, n / H, n % H, own_projection(other, n / H, projections), expected);
        test_close("map", map.weights, expected, L * L, tolerance);
    }
    ck_assert_int_eq(pf_attention_maps_next(maps, &map), PF_END);
    pf_attention_maps_close(maps);
    pf_model_free(model);
    pf_model_free(other);
}
END_TEST

START_TEST(rows_sum_to_1_and_hold_nothing_that_a_head_cannot_see)
{
    pf_model *model = make_model(_i, L);
    pf_attention_maps *maps = open_maps(model, (pf_attention_maps_options){0});
    pf_attention_map map;
    int seen = 0;
    while (pf_attention_maps_next(maps, &map) == PF_OK) {
        const bool causal = config.objective == PF_OBJECTIVE_CLM;
        const int window = is_local(map.layer - 1, map.head - 1) ? WINDOW : L;
        for (int i = 0; i < L; i++) {
            double sum = 0;
            for (int j = 0; j < L; j++) {
                const float weight = map.weights[i * L + j];
                const bool is_hidden = (causal && j > i) || abs(i - j) >= window;
                ck_assert_msg(!is_hidden || weight == 0, "layer %d, head %d: %d sees %d with %g", map.layer,
                              map.head, i, j, (double)weight);
                sum += (double)weight;
            }
            // 39 weights and their denominator, rounded in float32; a row that lacks its least weight is off
            // by more.
            ck_assert_double_eq_tol(sum, 1, 2e-6);
        }
        seen++;
    }
    ck_assert_int_eq(seen, LAYERS * H);
    pf_attention_maps_close(maps);
    pf_model_free(model);
}
END_TEST

START_TEST(files_hold_the_chosen_maps_under_harmless_names)
{
    static const int32_t layers[] = {-1, 1}, heads[] = {2};
    const pf_attention_maps_options options = {.choice = {layers, 2, heads, 1}, .n_sequences = 2};
    static const char *const names[] = {"1-.._a.npy", "2-b_2.npy"};
    pf_model *model = make_model(LOCAL_CAUSAL, L);
    pf_attention_maps *maps = open_maps(model, options);
    pf_attention_map map;
    for (int n = 0; n < 2; n++) {
        const uint64_t tokens = n ? 3 : L;
        float *given = malloc(2 * tokens * tokens * sizeof *given);
        for (int l = 0; l < 2; l++) {
            must(pf_attention_maps_next(maps, &map));
            ck_assert_int_eq(map.layer, l ? 1 : 2);
            ck_assert_int_eq(map.head, 2);
            ck_assert_int_eq(map.is_first, l == 0);
            ck_assert_int_eq(map.is_last, l == 1);
            memcpy(given + (size_t)l * tokens * tokens, map.weights, tokens * tokens * sizeof *given);
        }
        pf_npy_array file;
        must(pf_npy_read(temporary(names[n]), &file));
        const uint64_t shape[] = {2, 1, tokens, tokens};
        ck_assert_int_eq(file.rank, 4);
        ck_assert_mem_eq(file.shape, shape, sizeof shape);
        ck_assert_mem_eq(file.data, given, 2 * tokens * tokens * sizeof *given);
        pf_npy_free(&file);
        free(given);
    }
    ck_assert_int_eq(pf_attention_maps_next(maps, &map), PF_END);
    pf_attention_maps_close(maps);
    pf_model_free(model);
}
END_TEST

START_TEST(draws_are_averaged_with_their_deviation)
{
    enum { DRAWS = 5 };
    static float rows[L * 3 * D], w[M * E];
    static double each[DRAWS][L * L], mean[L * L], deviation[L * L], scratch[E * E];
    pf_model *model = make_model(RELU, L), *other = make_model(RELU, L);
    pf_attention_maps *maps = open_maps(model, (pf_attention_maps_options){.draws = DRAWS, .seed = 3});
    pf_attention_map map;
    for (int n = 0; n < LAYERS * H; n++) {
        must(pf_attention_maps_next(maps, &map));
        read_rows(other, n / H, rows);
        for (int draw = 0; draw < DRAWS; draw++) {
            pf_projection_draw(w,
                               &(pf_projection_request){.num_features = M,
                                                        .head_size = E,
                                                        .seed = 3,
                                                        .layer = (uint64_t)(n / H),
                                                        .draw = (uint64_t)draw + 1},
                               scratch);
            reference_map(rows, n / H, n % H, w, each[draw]);
        }
        for (int i = 0; i < L * L; i++) {
            mean[i] = deviation[i] = 0;
            for (int draw = 0; draw < DRAWS; draw++) mean[i] += each[draw][i] / DRAWS;
            for (int draw = 0; draw < DRAWS; draw++)
                deviation[i] += pow(each[draw][i] - mean[i], 2) / (DRAWS - 1);
            deviation[i] = sqrt(deviation[i]);
        }
        test_close("mean", map.weights, mean, L * L, tolerance);
        // Differences of maps: what rounds a map by 1e-6 of its size counts the more the less draws differ.
        test_close("deviation", map.deviations, deviation, L * L, 10 * tolerance);
    }
    pf_attention_maps_close(maps);
    pf_model_free(model);
    pf_model_free(other);
}
END_TEST

// Deviation between draws, over all weights of all maps, relative to them.
static double spread(const char *num_features)
{
    double deviations = 0, weights = 0;
    pf_model *model = map_model_with(RELU, L, num_features);
    pf_attention_maps *maps = open_maps(model, (pf_attention_maps_options){.draws = 40});
    pf_attention_map map;
    for (int n = 0; n < LAYERS * H; n++) {
        must(pf_attention_maps_next(maps, &map));
        for (int i = 0; i < L * L; i++)
            deviations += (double)map.deviations[i], weights += (double)map.weights[i];
    }
    pf_attention_maps_close(maps);
    pf_model_free(model);
    return deviations / weights;
}

START_TEST(estimates_from_four_times_as_many_features_are_twice_as_close)
{
    // A mean over M independent features deviates by 1 / sqrt(M); 40 draws tell a deviation to 11 %, of
    // thousands of weights to a few percent, and orthogonal features are a little better than independent
    // ones.
    const double few = spread("attention.num_features=24"), more = spread("attention.num_features=48"),
                 most = spread("attention.num_features=96");
    ck_assert_double_eq_tol(few / most, 2, 0.25);
    ck_assert_double_gt(fabs(few / more - 2), 0.25); // the twin: twice as many are not enough
}
END_TEST

START_TEST(heads_without_a_projection_do_not_change_with_draws)
{
    static float before[LAYERS * H][L * L];
    static const int have_none[] = {EXACT_CAUSAL, LOCAL_CAUSAL, UNPROJECTED};
    pf_model *model = make_model(have_none[_i], L);
    for (int draws = 0; draws <= 3; draws += 3) {
        pf_attention_maps *maps = open_maps(model, (pf_attention_maps_options){.draws = draws});
        pf_attention_map map;
        for (int n = 0; n < LAYERS * H; n++) {
            must(pf_attention_maps_next(maps, &map));
            if (draws == 0) memcpy(before[n], map.weights, sizeof before[n]);
            if (draws == 0 || !(is_exact(n / H, n % H) || have_none[_i] == UNPROJECTED)) continue;
            ck_assert_mem_eq(before[n], map.weights, sizeof before[n]);
            for (int i = 0; i < L * L; i++) ck_assert(map.deviations[i] == 0);
        }
        pf_attention_maps_close(maps);
    }
    pf_model_free(model);
}
END_TEST

static void refuse(pf_model *model, pf_attention_maps_options options, pf_status status, const char *says)
{
    static const char *paths[1];
    pf_attention_maps *maps = NULL;
    pf_attention_map map;
    paths[0] = map_fasta(fasta);
    options.stream.files = paths;
    options.stream.n_files = 1;
    if (options.n_ids == 0) options.n_sequences = 1;
    options.directory = temporary("");
    pf_status got = pf_attention_maps_open(model, &options, &maps);
    while (got == PF_OK) got = pf_attention_maps_next(maps, &map);
    ck_assert_int_eq(got, status);
    ck_assert_msg(strstr(pf_error_message(), says) != NULL, "%s", pf_error_message());
    pf_attention_maps_close(maps);
}

START_TEST(what_is_not_there_is_refused_with_what_is)
{
    static const int32_t zero[] = {0}, three[] = {3}, minus[] = {-3}, twice[] = {1, -2};
    static const char *const ids[] = {"c", "nobody"};
    pf_model *model = make_model(RELU, L);
    refuse(model, (pf_attention_maps_options){.choice = {.layers = zero, .n_layers = 1}}, PF_ERROR_USAGE,
           "layer 0: the model has layers 1 to 2");
    refuse(model, (pf_attention_maps_options){.choice = {.layers = three, .n_layers = 1}}, PF_ERROR_USAGE,
           "1 to 2");
    refuse(model, (pf_attention_maps_options){.choice = {.layers = minus, .n_layers = 1}}, PF_ERROR_USAGE,
           "-1 to -2");
    refuse(model, (pf_attention_maps_options){.choice = {.layers = twice, .n_layers = 2}}, PF_ERROR_USAGE,
           "twice");
    refuse(model, (pf_attention_maps_options){.choice = {.heads = three, .n_heads = 1}}, PF_ERROR_USAGE,
           "head 3: the model has heads 1 to 2");
    refuse(model, (pf_attention_maps_options){.choice = {.heads = zero, .n_heads = 1}}, PF_ERROR_USAGE,
           "heads 1 to 2");
    refuse(model, (pf_attention_maps_options){.draws = 1}, PF_ERROR_USAGE, "draws");
    refuse(model, (pf_attention_maps_options){.ids = ids, .n_ids = 2}, PF_ERROR_INPUT,
           "no sequence has the id \"nobody\"");
    refuse(model, (pf_attention_maps_options){.stream = {.long_sequences = PF_LONG_WINDOW}}, PF_ERROR_USAGE,
           "windows");
    pf_model_free(model);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("attention_map");
    TCase *all = tcase_create("all");
    const int here = test_small() ? 4 : KINDS;
    tcase_set_timeout(all, 600);
    tcase_add_checked_fixture(all, temporary_create, temporary_remove);
    tcase_add_loop_test(all, a_map_is_what_the_formula_says, 0, here);
    tcase_add_loop_test(all, rows_sum_to_1_and_hold_nothing_that_a_head_cannot_see, 0, here);
    tcase_add_test(all, files_hold_the_chosen_maps_under_harmless_names);
    tcase_add_test(all, draws_are_averaged_with_their_deviation);
    tcase_add_test(all, estimates_from_four_times_as_many_features_are_twice_as_close);
    tcase_add_loop_test(all, heads_without_a_projection_do_not_change_with_draws, 0, 3);
    tcase_add_test(all, what_is_not_there_is_refused_with_what_is);
    suite_add_tcase(s, all);
    return s;
}
