// Causal FAVOR attention can stop after any token and go on from the state it left: cut between chunks to the bit, token
// by token to rounding.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/favor.h"
#include "support/device.h"
#include "support/suite.h"

enum { HEADS = 2, E = 8, M = 16, WIDTH = HEADS * E, TOKENS = 77, SMALL_TOKENS = 19, CHUNK = 32 }; // CHUNK: of any shape

// Not divided where features have both signs: a denominator near 0 would multiply the roundings.
static pf_favor_config config_of(pf_favor_kernel kernel)
{
    static const pf_favor_kernel both_signs[] = {PF_FAVOR_SOFTMAX_TRIG, PF_FAVOR_GELU, PF_FAVOR_TANH, PF_FAVOR_COS, PF_FAVOR_SIN,
                                                 PF_FAVOR_IDENTITY};
    bool renormalize = true;
    for (size_t i = 0; i < sizeof both_signs / sizeof *both_signs; i++) renormalize = renormalize && kernel != both_signs[i];
    return (pf_favor_config){.n_heads = HEADS, .head_size = E, .n_features = M, .kernel = kernel, .projected = true,
                             .causal = true, .renormalize = renormalize, .epsilon = 1e-3f, .oprf_s = 1};
}

static int tokens(void)
{
    return test_small() ? SMALL_TOKENS : TOKENS;
}

typedef struct fixture {
    pf_favor *op;
    pf_sequences *sequences;
    pf_favor_forward call;
    pf_buffer *buffers[8];
} fixture;

static fixture create(pf_favor_kernel kernel)
{
    const pf_favor_config config = config_of(kernel);
    fixture f = {0};
    const size_t count = (size_t)(tokens() * WIDTH);
    const pf_favor_room room = {1, pf_blocks_at_most(1, tokens()), tokens()};
    must(pf_favor_create(test_device(), &config, &f.op));
    must(pf_sequences_create(test_device(), 1, tokens(), &f.sequences));
    float *x = malloc(count * sizeof *x), w[M * E];
    for (unsigned i = 0; i < 3; i++) {
        test_normal(x, count, 1, i);
        f.buffers[i] = test_upload(x, count);
    }
    test_normal(w, M * E, 1, 3);
    f.buffers[3] = test_upload(w, M * E);
    f.buffers[4] = test_empty(count);
    f.buffers[5] = test_empty(pf_favor_state_bytes(&config, 1) / sizeof(float));
    f.buffers[6] = test_empty(pf_favor_normalizer_bytes(&config, tokens()) / sizeof(float));
    f.buffers[7] = test_empty(pf_favor_forward_scratch_bytes(&config, room) / sizeof(float));
    f.call = (pf_favor_forward){{f.buffers[4], WIDTH, 0}, {f.buffers[0], WIDTH, 0}, {f.buffers[1], WIDTH, 0},
                                {f.buffers[2], WIDTH, 0}, f.buffers[3], f.sequences, f.buffers[5], f.buffers[6],
                                f.buffers[7], false};
    free(x);
    return f;
}

static void release(fixture *f)
{
    for (int i = 0; i < 8; i++) pf_buffer_free(f->buffers[i]);
    pf_sequences_free(f->sequences);
    pf_favor_free(f->op);
}

// o of all tokens, computed `step` tokens at a time.
static void run(fixture *f, int step, float *o)
{
    for (int32_t first = 0; first < tokens(); first += step) {
        const int32_t length = tokens() - first < step ? tokens() - first : step;
        must(pf_sequences_set(f->sequences, &first, &length, 1));
        f->call.resume = first > 0;
        must(pf_favor_run(f->op, &f->call));
    }
    test_download(f->call.o.buffer, o, (size_t)(tokens() * WIDTH));
}

START_TEST(cut_between_chunks_gives_the_same_bits)
{
    fixture f = create((pf_favor_kernel)_i);
    const size_t bytes = (size_t)(tokens() * WIDTH) * sizeof(float);
    float *whole = malloc(bytes), *parts = malloc(bytes);
    run(&f, tokens(), whole);
    run(&f, CHUNK, parts);
    ck_assert(memcmp(whole, parts, bytes) == 0);
    free(whole), free(parts);
    release(&f);
}
END_TEST

START_TEST(token_by_token_equals_the_whole)
{
    fixture f = create((pf_favor_kernel)_i);
    const size_t count = (size_t)(tokens() * WIDTH);
    float *whole = malloc(count * sizeof *whole), *parts = malloc(count * sizeof *parts);
    double *expected = malloc(count * sizeof *expected);
    run(&f, tokens(), whole);
    run(&f, 1, parts);
    for (size_t i = 0; i < count; i++) expected[i] = (double)whole[i];
    // Two orders of the same fp32 sums of up to 77 numbers: 1e-6 is 17 roundings.
    test_close("o", parts, expected, count, 1e-6);
    free(whole), free(parts), free(expected);
    release(&f);
}
END_TEST

START_TEST(resuming_from_nothing_is_refused)
{
    fixture f = create(PF_FAVOR_RELU);
    const int32_t first = 0, length = 1;
    must(pf_sequences_set(f.sequences, &first, &length, 1));
    f.call.state = NULL;
    f.call.resume = true;
    ck_assert_int_eq(pf_favor_run(f.op, &f.call), PF_ERROR_USAGE);
    release(&f);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("favor_causal_state");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, cut_between_chunks_gives_the_same_bits, 0, PF_FAVOR_KERNELS);
    tcase_add_loop_test(all, token_by_token_equals_the_whole, 0, PF_FAVOR_KERNELS);
    tcase_add_test(all, resuming_from_nothing_is_refused);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
