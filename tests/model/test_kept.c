// What lies between the forward and the backward pass. Layers that are computed again give the gradients that
// kept ones give, to the bit, with every kind of attention and with dropout; in 16 bits they take half the
// memory, the forward pass is as before and gradients are close.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/subject.h"
#include "support/device.h"
#include "support/suite.h"

enum { A = PF_VOCAB_SIZE, SETTINGS = 6, LAYERS = 5, MOST_SETTINGS = SETTINGS + 5 };

// Smooth features above 0: rounding moves a ReLU across its kink, where the gradient jumps, and features of
// both signs (trigonometric, GELU) divide by sums near 0.
static const char *const kinds[][SETTINGS] = {
    {"objective=mlm", "position_embedding_type=rotary", "attention.kernel=softmax",
     "attention.local_heads=1"},
    {"objective=clm", "position_embedding_type=rotary", "attention.kernel=exp", "attention.local_heads=1"},
    {"objective=mlm", "position_embedding_type=learned", "attention.type=softmax", "attention_bias=true"},
    {"objective=clm", "position_embedding_type=sinusoidal", "attention.kernel=softmax_hyperbolic",
     "attention.type=[\"favor\",\"softmax\",\"favor\",\"favor\",\"softmax\"]"},
    {"objective=mlm", "position_embedding_type=none", "attention.renormalize=false", "attention.kernel=elu1"},
    {"norm_placement=post", "embedding_norm=true", "head_transform=true", "token_dropout=true",
     "attention.kernel=elu1"},
    {"embedding_norm=true", "position_embedding_type=learned_rotary", "token_dropout=true",
     "attention.kernel=sigmoid"},
    {"attention.kernel=elu1", "lora.rank=2", "lora.targets=value,up,down", "lora.also=*.norm.weight"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct pass_result {
    float logits[SUBJECT_ROWS * A];
    float *gradient;
    size_t count;
    uint64_t bytes; // of buffers, between the passes
} pass_result;

// Two passes, so that what the first left behind is in the way of the second.
static void run(const subject *s, pass_result *out)
{
    subject_rows r;
    subject_rows_fill(&r, -1, pf_model_config(s->model)->token_dropout);
    out->count = s->params->trained_size;
    out->gradient = malloc(out->count * sizeof *out->gradient);
    for (uint64_t step = 1; step <= 2; step++) {
        const pf_pass pass = {.dropout = true, .seed = 7, .step = step};
        must(pf_model_clear_gradients(s->model));
        must(pf_model_forward(s->model, &r.batch, &pass));
        must(pf_model_read_logits(s->model, out->logits));
        must(pf_model_loss(s->model, 1));
        must(pf_model_backward(s->model));
    }
    must(pf_buffer_read(pf_model_gradients(s->model), 0, out->gradient, out->count * sizeof *out->gradient));
    out->bytes = pf_plan_kept_bytes(pf_model_plan(s->model));
}

static pass_result result_of(int kind, const char *dropout, const char *recompute, const char *storage)
{
    const char *settings[MOST_SETTINGS] = {"num_hidden_layers=5", "max_position_embeddings=64", dropout,
                                           recompute, storage};
    pass_result result;
    for (int i = 0; i < SETTINGS; i++) settings[5 + i] = kinds[kind][i];
    subject s = subject_create(settings, 5 + SETTINGS, true);
    run(&s, &result);
    subject_free(&s);
    return result;
}

static const char *const segments[] = {"train.recompute=on", "train.recompute=1", "train.recompute=2",
                                       "train.recompute=3",  "train.recompute=5", "train.recompute=1000"};
enum { SEGMENTS = sizeof segments / sizeof *segments };

START_TEST(layers_computed_again_give_the_same_bits)
{
    pass_result kept = result_of(_i, "hidden_dropout=0.1", "train.recompute=off", "compute.storage=fp32");
    pass_result without = result_of(_i, "hidden_dropout=0", "train.recompute=off", "compute.storage=fp32");
    ck_assert_int_ne(memcmp(kept.gradient, without.gradient, kept.count * sizeof *kept.gradient), 0);
    for (int i = 0; i < (test_small() ? 2 : SEGMENTS); i++) {
        pass_result again = result_of(_i, "hidden_dropout=0.1", segments[i], "compute.storage=fp32");
        ck_assert_mem_eq(again.logits, kept.logits, sizeof kept.logits);
        ck_assert_mem_eq(again.gradient, kept.gradient, kept.count * sizeof *kept.gradient);
        if (i < 3) ck_assert_uint_lt(again.bytes, kept.bytes);
        free(again.gradient);
    }
    free(kept.gradient);
    free(without.gradient);
}
END_TEST

// |a - b| / |b|
static double distance(const pass_result *a, const pass_result *b)
{
    double square = 0, norm = 0;
    for (size_t i = 0; i < b->count; i++) {
        const double x = (double)a->gradient[i], y = (double)b->gradient[i];
        square += (x - y) * (x - y);
        norm += y * y;
    }
    return sqrt(square / norm);
}

static const struct {
    const char *storage;
    double tolerance;
} storages[] = {
    // A stored number is off by 2^-9 of itself at most, by 0.001 in the mean; on the way to a gradient some
    // pass
    // through the norms and the attention of five layers.
    {"compute.storage=bf16", 0.01},
    {"compute.storage=fp16", 0.01 / 8}, // three bits more
};

START_TEST(in_16_bits_the_forward_pass_is_as_before_and_gradients_are_close)
{
    pass_result kept = result_of(_i, "hidden_dropout=0.1", "train.recompute=off", "compute.storage=fp32");
    for (int i = 0; i < 2; i++)
        for (int segment = -1; segment < (test_small() ? 1 : 3); segment++) {
            const char *recompute = segment < 0 ? "train.recompute=off" : segments[segment];
            pass_result packed = result_of(_i, "hidden_dropout=0.1", recompute, storages[i].storage);
            ck_assert_mem_eq(packed.logits, kept.logits, sizeof kept.logits);
            const double off = distance(&packed, &kept);
            ck_assert_msg(off < storages[i].tolerance, "%s, %s: gradients are off by %.2g",
                          storages[i].storage, recompute, off);
            ck_assert_uint_lt(packed.bytes, kept.bytes);
            ck_assert(off > 0);
            // The twin: a gradient too long by a little more is caught.
            for (size_t n = 0; n < packed.count; n++)
                packed.gradient[n] *= (float)(1 + 3 * storages[i].tolerance);
            ck_assert(distance(&packed, &kept) >= storages[i].tolerance);
            free(packed.gradient);
        }
    free(kept.gradient);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("kept");
    TCase *all = tcase_create("all");
    const int here = test_small() ? 2 : KINDS;
    tcase_set_timeout(all, 600);
    tcase_add_loop_test(all, layers_computed_again_give_the_same_bits, 0, here);
    tcase_add_loop_test(all, in_16_bits_the_forward_pass_is_as_before_and_gradients_are_close, 0, here);
    suite_add_tcase(s, all);
    return s;
}
