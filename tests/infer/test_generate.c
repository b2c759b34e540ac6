// Generation: a token at a time gives the logits of the whole sequence at once, costs the same however long
// the sequence is, and a sequence does not know how many others are made beside it.
#include "performer/generate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "data/alphabet.h"
#include "model/init.h"
#include "model/performer.h"
#include "support/device.h"
#include "support/suite.h"

enum { LENGTH = 40, SEQUENCES = 3, A = PF_VOCAB_SIZE };

// One head of every kind of layer that carries something.
static const char *const kinds[][3] = {
    {"attention.type=favor", "position_embedding_type=learned", "attention.kernel=relu"},
    {"attention.type=softmax", "position_embedding_type=rotary", "attention.renormalize=true"},
    {"attention.local_heads=1", "position_embedding_type=rotary", "attention.window=5"},
    {"attention.type=[\"favor\",\"softmax\"]", "position_embedding_type=sinusoidal", "attention.kernel=elu1"},
    {"attention.local_heads=2", "position_embedding_type=none", "attention.window=7"},
};
enum { KINDS = sizeof kinds / sizeof *kinds, FAVOR_ONLY = 0 };

static void make_config(int kind, struct pf_config *config)
{
    static const char *const sizes[] = {"hidden_size=24",
                                        "num_hidden_layers=2",
                                        "num_attention_heads=2",
                                        "intermediate_size=32",
                                        "max_position_embeddings=64",
                                        "objective=clm",
                                        "attention.num_features=20",
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

static pf_model *make_carrying(int kind)
{
    const pf_model_limits limits = {.max_rows = 32, .max_sequences = 1, .max_length = 64, .carry = true};
    return make_model(kind, &limits);
}

// SEQUENCES sequences of LENGTH tokens, as [sequence][token].
static void make_tokens(int32_t tokens[SEQUENCES][LENGTH])
{
    for (int b = 0; b < SEQUENCES; b++)
        for (int t = 0; t < LENGTH; t++)
            tokens[b][t] =
                t == 0 ? PF_TOKEN_BEGIN
                       : (int32_t)pf_random_below(PF_RESIDUES, 2, PF_RANDOM_TEST, (uint64_t)b, (uint64_t)t);
}

// Tokens first .. first+count-1 of the first n sequences; logits [n*count, A].
static void run(pf_model *model, int32_t tokens[SEQUENCES][LENGTH], int n, int first, int count, bool carry,
                float *out)
{
    int32_t start[SEQUENCES + 1] = {0}, token[SEQUENCES * LENGTH], target[SEQUENCES * LENGTH];
    uint64_t number[SEQUENCES] = {0};
    for (int b = 0; b < n; b++) {
        start[b + 1] = (b + 1) * count;
        memcpy(token + b * count, tokens[b] + first, (size_t)count * sizeof *token);
    }
    for (int i = 0; i < n * count; i++) target[i] = PF_NO_TARGET;
    const pf_batch batch = {.n_sequences = n,
                            .n_rows = n * count,
                            .longest = count,
                            .start = start,
                            .token = token,
                            .target = target,
                            .number = number};
    const pf_pass pass = {.carry = carry, .first_position = carry ? first : 0};
    must(pf_model_forward(model, &batch, &pass));
    must(pf_model_read_logits(model, out));
}

static double largest_of(const float *x, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs((double)x[i]));
    return largest;
}

static double difference(const float *x, const float *y, size_t count)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++) worst = fmax(worst, fabs((double)x[i] - (double)y[i]));
    return worst;
}

// The sequences at once into `whole` and in pieces of at most `piece` tokens into `pieces`, [b][t][A] both.
static void whole_and_pieces(int kind, int piece, float *whole, float *pieces)
{
    static float part[SEQUENCES * LENGTH * A];
    int32_t tokens[SEQUENCES][LENGTH];
    const pf_model_limits carry = {
        .max_rows = SEQUENCES * LENGTH, .max_sequences = SEQUENCES, .max_length = 64, .carry = true};
    pf_model_limits plain = carry;
    plain.carry = false;
    make_tokens(tokens);
    pf_model *model = make_model(kind, &plain);
    run(model, tokens, SEQUENCES, 0, LENGTH, false, whole);
    pf_model_free(model);
    model = make_model(kind, &carry);
    run(model, tokens, SEQUENCES, 0, 7, true, part); // what an earlier use left behind must not matter
    for (int at = 0; at < LENGTH; at += piece) {
        const int now = LENGTH - at < piece ? LENGTH - at : piece;
        run(model, tokens, SEQUENCES, at, now, true, part);
        for (int b = 0; b < SEQUENCES; b++)
            memcpy(pieces + (size_t)(b * LENGTH + at) * A, part + (size_t)(b * now) * A,
                   (size_t)now * A * sizeof *part);
    }
    pf_model_free(model);
}

START_TEST(a_token_at_a_time_is_the_whole_at_once)
{
    static float whole[SEQUENCES * LENGTH * A], pieces[SEQUENCES * LENGTH * A];
    static const int sizes[] = {1, 9, LENGTH};
    const size_t count = SEQUENCES * LENGTH * A;
    whole_and_pieces(_i / 3, sizes[_i % 3], whole, pieces);
    // Relative to the largest logit: float32 rounds sums of some hundred terms, in another order in another
    // cut.
    const double allowed = 1e-5 * largest_of(whole, count);
    ck_assert_double_le(difference(whole, pieces, count), allowed);
    // The twin: a model that forgets its first token, or sees a position off by one, is caught.
    int32_t tokens[SEQUENCES][LENGTH];
    const pf_model_limits plain = {
        .max_rows = SEQUENCES * LENGTH, .max_sequences = SEQUENCES, .max_length = 64};
    pf_model *model = make_model(_i / 3, &plain);
    make_tokens(tokens);
    for (int b = 0; b < SEQUENCES; b++) tokens[b][0] = 3;
    run(model, tokens, SEQUENCES, 0, LENGTH, false, pieces);
    pf_model_free(model);
    ck_assert_double_gt(difference(whole, pieces, count), allowed);
}
END_TEST

START_TEST(a_token_costs_the_same_however_long_the_sequence_is)
{
    static float logits[LENGTH * A];
    int32_t tokens[SEQUENCES][LENGTH];
    uint64_t launches[LENGTH];
    make_tokens(tokens);
    pf_model *model = make_carrying(FAVOR_ONLY);
    // No key or value is kept: what FAVOR carries has no length.
    ck_assert_uint_eq(pf_model_plan(model)->cache, 0);
    ck_assert_uint_gt(pf_model_plan(model)->state, 0);
    const uint64_t allocations = pf_device_allocations(test_device()), bytes = pf_device_bytes(test_device());
    for (int t = 0; t < LENGTH; t++) {
        const uint64_t before = pf_device_launches(test_device());
        run(model, tokens, 1, t, 1, true, logits);
        launches[t] = pf_device_launches(test_device()) - before;
        ck_assert_uint_eq(launches[t], launches[0]);
    }
    ck_assert_uint_eq(pf_device_allocations(test_device()), allocations);
    ck_assert_uint_eq(pf_device_bytes(test_device()), bytes);
    pf_model_free(model);
}
END_TEST

// ---- the generator ----

enum { MADE = 4 };

static void make(int kind, const pf_generate_options *options, char out[][64], int count)
{
    pf_model *model = make_carrying(kind);
    pf_generator *generator = NULL;
    const char *sequence;
    size_t length;
    must(pf_generator_create(model, options, &generator));
    for (int i = 0; i < count; i++) {
        must(pf_generator_next(generator, &sequence, &length));
        ck_assert_uint_eq(strlen(sequence), length);
        ck_assert_uint_le(length, 62);
        ck_assert_uint_ge(length, 1);
        ck_assert_uint_eq(strspn(sequence, "ACDEFGHIKLMNPQRSTVWYBOUXZ"), length);
        snprintf(out[i], 64, "%s", sequence);
    }
    ck_assert_int_eq(pf_generator_next(generator, &sequence, &length), PF_END);
    pf_generator_free(generator);
    pf_model_free(model);
}

static pf_generate_options options_of(uint64_t seed, uint64_t first, uint64_t count)
{
    pf_generate_options options;
    pf_generate_default(&options);
    options.seed = seed, options.first_number = first, options.count = count;
    return options;
}

START_TEST(a_sequence_does_not_know_its_company)
{
    char together[MADE][64], alone[MADE][64], others[MADE][64];
    pf_generate_options options = options_of(3, 0, MADE);
    options.prompt = _i % 2 ? "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPIL" : NULL; // longer than a pass takes
    make(_i / 2, &options, together, MADE);
    for (int i = 0; i < MADE; i++) {
        options.first_number = (uint64_t)i, options.count = 1;
        make(_i / 2, &options, alone + i, 1);
        ck_assert_str_eq(together[i], alone[i]);
        if (options.prompt) ck_assert(strncmp(alone[i], options.prompt, strlen(options.prompt)) == 0);
    }
    options.seed = 4, options.first_number = 0, options.count = MADE;
    make(_i / 2, &options, others, MADE);
    ck_assert_int_ne(memcmp(together, others, sizeof others), 0);
}
END_TEST

START_TEST(more_sequences_than_fit_together_follow_each_other)
{
    enum { MANY = 70 };
    static char many[MANY][64], last[MANY][64];
    pf_generate_options options = options_of(3, 0, MANY);
    options.max_length = 6;
    make(0, &options, many, MANY);
    options.first_number = 66, options.count = 4;
    make(0, &options, last, 4);
    for (int i = 0; i < 4; i++) ck_assert_str_eq(many[66 + i], last[i]);
    for (int i = 0; i < MANY; i++) ck_assert_uint_le(strlen(many[i]), 6);
}
END_TEST

// The likeliest continuation by whole forward passes, without any carried state.
static void likeliest(int kind, const char *prompt, int max_length, char out[64])
{
    static float logits[LENGTH * A];
    const pf_model_limits plain = {.max_rows = LENGTH, .max_sequences = 1, .max_length = 64};
    pf_model *model = make_model(kind, &plain);
    int32_t tokens[SEQUENCES][LENGTH] = {{PF_TOKEN_BEGIN}};
    int length = (int)strlen(prompt);
    for (int i = 0; i < length; i++) tokens[0][i + 1] = pf_alphabet_token(prompt[i]);
    snprintf(out, 64, "%s", prompt);
    while (length < max_length) {
        run(model, tokens, 1, 0, length + 1, false, logits);
        const float *row = logits + (size_t)length * A;
        int best = 0;
        for (int i = 1; i < PF_RESIDUES; i++)
            if (row[i] > row[best]) best = i;
        if (length > 0 && row[PF_TOKEN_END] > row[best]) break;
        out[length] = pf_alphabet_letter(best);
        tokens[0][++length] = best;
        out[length] = '\0';
    }
    pf_model_free(model);
}

START_TEST(temperature_zero_is_the_likeliest_token_of_whole_passes)
{
    char expected[64], made[2][64];
    pf_generate_options options = options_of(1, 0, 2);
    options.temperature = 0, options.max_length = 30, options.prompt = "MKV";
    likeliest(_i, "MKV", 30, expected);
    make(_i, &options, made, 2);
    ck_assert_str_eq(made[0], expected);
    ck_assert_str_eq(made[1], expected);
    options.seed = 99;
    make(_i, &options, made, 2);
    ck_assert_str_eq(made[0], expected);
}
END_TEST

START_TEST(a_prompt_of_full_length_comes_back)
{
    char made[1][64];
    pf_generate_options options = options_of(1, 0, 1);
    options.prompt = "mkvbouxz", options.max_length = 8;
    make(0, &options, made, 1);
    ck_assert_str_eq(made[0], "MKVBOUXZ");
}
END_TEST

static void refused(pf_model *model, pf_generate_options options, const char *says)
{
    pf_generator *generator = NULL;
    ck_assert_int_eq(pf_generator_create(model, &options, &generator), PF_ERROR_USAGE);
    ck_assert_ptr_null(generator);
    ck_assert_msg(strstr(pf_error_message(), says), "%s", pf_error_message());
}

START_TEST(wrong_options_are_refused)
{
    pf_model *model = make_carrying(0);
    pf_generate_options options = options_of(1, 0, 1);
    options.temperature = -1, refused(model, options, "temperature");
    options.temperature = NAN, refused(model, options, "temperature");
    options = options_of(1, 0, 1);
    options.top_p = 0, refused(model, options, "top-p");
    options = options_of(1, 0, 1);
    options.max_length = 63, refused(model, options, "1 to 62");
    options.max_length = 2, options.prompt = "MKV", refused(model, options, "a prompt of 3 residues");
    options.max_length = 0, options.prompt = "MK*", refused(model, options, "'*' at position 3");
    options.prompt = "MJ", refused(model, options, "'J' at position 2");
    pf_model_free(model);
    const pf_model_limits plain = {.max_rows = 8, .max_sequences = 1, .max_length = 64};
    model = make_model(0, &plain);
    refused(model, options_of(1, 0, 1), "without carry");
    pf_model_free(model);
}
END_TEST

START_TEST(logits_that_are_no_numbers_are_numerical)
{
    pf_model *model = make_carrying(0);
    pf_generate_options options = options_of(1, 0, 1);
    pf_generator *generator = NULL;
    const char *sequence = "as it was";
    size_t length = 9;
    const size_t count = pf_model_params(model)->trained_size;
    float *all = malloc(count * sizeof *all);
    for (size_t i = 0; i < count; i++) all[i] = INFINITY;
    must(pf_model_upload(model, all, NULL));
    free(all);
    must(pf_generator_create(model, &options, &generator));
    ck_assert_int_eq(pf_generator_next(generator, &sequence, &length), PF_ERROR_NUMERICAL);
    ck_assert_str_eq(sequence, "as it was");
    pf_generator_free(generator);
    pf_model_free(model);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("generate");
    TCase *all = tcase_create("all");
    const int kinds_here = test_small() ? 3 : KINDS;
    tcase_set_timeout(all, 600);
    tcase_add_loop_test(all, a_token_at_a_time_is_the_whole_at_once, 0, 3 * kinds_here);
    tcase_add_test(all, a_token_costs_the_same_however_long_the_sequence_is);
    tcase_add_loop_test(all, a_sequence_does_not_know_its_company, 0, 2 * kinds_here);
    tcase_add_test(all, more_sequences_than_fit_together_follow_each_other);
    tcase_add_loop_test(all, temperature_zero_is_the_likeliest_token_of_whole_passes, 0, kinds_here);
    tcase_add_test(all, a_prompt_of_full_length_comes_back);
    tcase_add_test(all, wrong_options_are_refused);
    tcase_add_test(all, logits_that_are_no_numbers_are_numerical);
    suite_add_tcase(s, all);
    return s;
}
