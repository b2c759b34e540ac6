// Long sequences: a causal model takes them in chunks that give the bits of the whole, in memory that does not grow;
// what it carries goes out and comes back.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "data/alphabet.h"
#include "model/init.h"
#include "model/performer.h"
#include "model/state.h"
#include "ops/sequences.h"
#include "performer/score.h"
#include "support/device.h"
#include "support/suite.h"
#include "support/temporary.h"

// Longer than windows that move twice; a simulated GPU (llvmpipe) counts a loop's turns to 65,535 and then stops,
// which hyperbolic features reach at 608 tokens in one go.
enum { LENGTH = 580, MOST = 1024, A = PF_VOCAB_SIZE };

// Every kind of layer that carries something; windows shorter and longer than a chunk.
static const char *const kinds[][3] = {
    {"attention.kernel=relu", "position_embedding_type=rotary", "attention.local_heads=0"},
    {"attention.kernel=softmax_hyperbolic", "position_embedding_type=rotary", "attention.local_heads=1"},
    {"attention.kernel=exp", "position_embedding_type=sinusoidal", "attention.window=70"},
    {"attention.type=softmax", "position_embedding_type=learned", "attention.kernel=relu"},
    {"attention.type=[\"favor\",\"softmax\"]", "attention.local_heads=1", "attention.window=5"},
};
enum { KINDS = sizeof kinds / sizeof *kinds, EXACT = 3 };

static void make_config(int kind, struct pf_config *config)
{
    static const char *const sizes[] = {"hidden_size=24",
                                        "num_hidden_layers=2",
                                        "num_attention_heads=2",
                                        "intermediate_size=32",
                                        "max_position_embeddings=32768",
                                        "objective=clm",
                                        "attention.num_features=20",
                                        "attention.local_heads=1",
                                        "compute.matmul=tile"};
    pf_config_default(config);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) must(pf_config_set(config, sizes[i]));
    for (int i = 0; i < 3; i++) must(pf_config_set(config, kinds[kind][i]));
    must(pf_config_finish(config, PF_CONFIG_USER));
}

static pf_model *make_model(int kind, const pf_model_limits *limits)
{
    struct pf_config config;
    pf_model *model = NULL;
    make_config(kind, &config);
    must(pf_model_create(test_device(), &config, limits, &model));
    const pf_parameters *params = pf_model_params(model);
    float *trained = calloc(params->trained_size, sizeof *trained);
    float *projections = calloc(params->projections_size + 1, sizeof *projections);
    must(pf_init_parameters(&config, params, 5, trained, projections));
    must(pf_model_upload(model, trained, projections));
    free(trained);
    free(projections);
    return model;
}

static int32_t token_at(int t)
{
    return t == 0 ? PF_TOKEN_BEGIN : (int32_t)pf_random_below(PF_RESIDUES, 2, PF_RANDOM_TEST, 0, (uint64_t)t);
}

// Tokens first .. first+count-1 of a sequence; with `copies` that many of it side by side. logits of the first.
static void run(pf_model *model, int first, int count, int copies, float *logits)
{
    static int32_t token[2 * MOST], target[2 * MOST];
    static float all[2 * MOST * A];
    int32_t start[3] = {0, count, 2 * count};
    const uint64_t number[2] = {0};
    for (int t = 0; t < copies * count; t++) token[t] = token_at(first + t % count), target[t] = PF_NO_TARGET;
    const pf_batch batch = {.n_sequences = copies,
                            .n_rows = copies * count,
                            .longest = count,
                            .start = start,
                            .token = token,
                            .target = target,
                            .number = number};
    const pf_pass pass = {.carry = pf_model_get_limits(model)->carry, .first_position = first};
    must(pf_model_forward(model, &batch, &pass));
    must(pf_model_read_logits(model, all));
    memcpy(logits, all + (size_t)(copies - 1) * (size_t)count * A, (size_t)count * A * sizeof *logits);
}

static float *whole(int kind)
{
    static float logits[LENGTH * A];
    const pf_model_limits limits = {.max_rows = LENGTH, .max_sequences = 1, .max_length = MOST};
    pf_model *model = make_model(kind, &limits);
    run(model, 0, LENGTH, 1, logits);
    pf_model_free(model);
    return logits;
}

static pf_model *make_carrying(int kind, int sequences, int tokens)
{
    const pf_model_limits limits = {.max_rows = sequences * tokens,
                                    .max_sequences = sequences,
                                    .max_length = MOST,
                                    .carry = true,
                                    .carry_tokens = tokens};
    return make_model(kind, &limits);
}

static float *in_chunks(int kind, int chunk)
{
    static float logits[LENGTH * A];
    pf_model *model = make_carrying(kind, 1, chunk);
    for (int at = 0; at < LENGTH; at += chunk)
        run(model, at, LENGTH - at < chunk ? LENGTH - at : chunk, 1, logits + (size_t)at * A);
    pf_model_free(model);
    return logits;
}

static double difference(const float *x, const float *y, size_t count)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++) worst = fmax(worst, fabs((double)x[i] - (double)y[i]));
    return worst;
}

START_TEST(chunks_give_the_bits_of_the_whole)
{
    const float *expected = whole(_i);
    ck_assert_mem_eq(in_chunks(_i, PF_CHUNK_ROWS), expected, LENGTH * A * sizeof *expected);
    ck_assert_mem_eq(in_chunks(_i, 3 * PF_CHUNK_ROWS), expected, LENGTH * A * sizeof *expected);
    // Cut elsewhere they are the whole to rounding: float32 adds some hundred terms in another order. Exact heads
    // take their keys in the same tiles even so.
    const float *elsewhere = in_chunks(_i, 50);
    ck_assert_double_le(difference(elsewhere, expected, LENGTH * A), 2e-5);
    if (_i != EXACT) ck_assert_int_ne(memcmp(elsewhere, expected, LENGTH * A * sizeof *expected), 0);
}
END_TEST

START_TEST(a_state_comes_back_with_its_bits)
{
    enum { READ = 6 * PF_CHUNK_ROWS, MORE = 100 };
    static float there[MORE * A], here[MORE * A];
    pf_state_layout layout;
    pf_model *first = make_carrying(_i, 1, READ), *second = make_carrying(_i, 2, MORE);
    run(first, 0, READ, 1, (float[READ * A]){0});
    must(pf_state_layout_create(first, READ, &layout));
    float *state = calloc(layout.count, sizeof *state), *again = calloc(layout.count, sizeof *state);
    must(pf_model_read_state(first, 0, READ, state));
    run(second, 0, 7, 2, here); // what was there before does not matter
    must(pf_model_write_state(second, 0, READ, state));
    must(pf_model_copy_state(second, 0, 1, READ));
    must(pf_model_read_state(second, 1, READ, again));
    ck_assert_mem_eq(state, again, layout.count * sizeof *state);
    // The state alone: the tokens that it stands for are not given again.
    pf_model *long_one = make_carrying(_i, 1, READ);
    run(long_one, 0, READ, 1, (float[READ * A]){0});
    run(long_one, READ, MORE, 1, there);
    run(second, READ, MORE, 2, here);
    ck_assert_mem_eq(here, there, sizeof here);
    // The twin: one number of one tensor that is off is seen.
    for (int i = 0; i < layout.n_tensors; i++) {
        const size_t at = layout.tensor[i].offset + layout.tensor[i].count - 1;
        state[at] += 1;
        must(pf_model_write_state(second, 0, READ, state));
        must(pf_model_copy_state(second, 0, 1, READ));
        run(second, READ, MORE, 2, here);
        ck_assert_msg(memcmp(here, there, sizeof here) != 0, "%s", layout.tensor[i].name);
        state[at] -= 1;
    }
    free(state);
    free(again);
    pf_state_layout_free(&layout);
    pf_model_free(first);
    pf_model_free(second);
    pf_model_free(long_one);
}
END_TEST

START_TEST(what_is_carried_has_no_length_but_for_exact_layers)
{
    pf_state_layout layout[2];
    pf_model_limits limits = {.max_rows = 64, .max_sequences = 1, .max_length = 1 << 14, .carry = true};
    pf_model *model = make_model(_i, &limits);
    const bool keeps_all = pf_model_keeps_all_keys(model);
    must(pf_state_layout_create(model, 1 << 10, &layout[0]));
    must(pf_state_layout_create(model, 1 << 14, &layout[1]));
    ck_assert_int_eq(layout[0].count < layout[1].count, keeps_all);
    const uint64_t bytes = pf_plan_total_bytes(pf_model_plan(model), true);
    limits.max_length = 1 << 15;
    must(pf_model_resize(model, &limits));
    ck_assert_int_eq(bytes < pf_plan_total_bytes(pf_model_plan(model), true), keeps_all);
    for (int i = 0; i < 2; i++) pf_state_layout_free(&layout[i]);
    pf_model_free(model);
}
END_TEST

// ---- sequences from files ----

static void write_sequence(const char *path, int length)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, ">short\nMKTAYIAKQR\n>long\n");
    for (int t = 1; t <= length; t++) fputc(pf_alphabet_letter(token_at(t)), file);
    fprintf(file, "\n>behind\nMKV\n");
    fclose(file);
}

// Scores of a file's three records with batches of at most `rows` rows, and the bytes on the device when done.
static uint64_t score(int kind, int length, int rows, double out[3])
{
    const char *path = temporary("long.fasta");
    write_sequence(path, length);
    const pf_model_limits limits = {
        .max_rows = rows, .max_sequences = pf_most_sequences(rows), .max_length = 1 << 15, .row_losses = true};
    pf_model *model = make_model(kind, &limits);
    const char *const files[] = {path};
    const pf_score_options options = {.stream = {.files = files, .n_files = 1}};
    const pf_score_result *results;
    pf_score *scores = NULL;
    pf_status status;
    size_t n = 0, total = 0;
    must(pf_score_open(model, &options, &scores));
    while ((status = pf_score_step(scores, &results, &n)) == PF_OK)
        for (size_t i = 0; i < n; i++) out[total++] = results[i].log_likelihood;
    ck_assert_int_eq(status, PF_END);
    ck_assert_uint_eq(total, 3);
    const uint64_t bytes = pf_device_bytes(test_device());
    pf_score_close(scores);
    pf_model_free(model);
    return bytes;
}

START_TEST(scores_are_those_of_the_whole)
{
    double expected[3], cut[3], small[3];
    score(_i, 500, 1024, expected);
    score(_i, 500, 200, cut);
    score(_i, 500, 20, small); // fewer rows than a chunk: one is taken
    ck_assert_mem_eq(cut, expected, sizeof cut);
    ck_assert_mem_eq(small, expected, sizeof small);
}
END_TEST

START_TEST(memory_does_not_grow_with_the_sequence)
{
    double out[3];
    ck_assert_uint_eq(score(_i, 1000, 256, out), score(_i, 10000, 256, out));
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("long");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 600);
    tcase_add_checked_fixture(all, temporary_create, temporary_remove);
    const int here = test_small() ? 1 : KINDS;
    tcase_add_loop_test(all, chunks_give_the_bits_of_the_whole, 0, here);
    tcase_add_loop_test(all, a_state_comes_back_with_its_bits, 0, here);
    tcase_add_loop_test(all, what_is_carried_has_no_length_but_for_exact_layers, 0, KINDS);
    tcase_add_loop_test(all, scores_are_those_of_the_whole, 0, here);
    tcase_add_loop_test(all, memory_does_not_grow_with_the_sequence, 0, test_small() ? 1 : 2);
    suite_add_tcase(s, all);
    return s;
}
