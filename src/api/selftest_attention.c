// The attention families of the self-test: FAVOR and exact, both directions, forward and backward, on two
// sequences of different length. See selftest.h.
#include "api/selftest.h"

#include "ops/favor.h"
#include "ops/softmax_attention.h"

enum { ROWS = 40, HEADS = 2, HEAD = 12, WIDTH = HEADS * HEAD, FEATURES = 19, COUNT = ROWS * WIDTH };

// What all kinds of attention read and write.
typedef struct attention_buffers {
    pf_sequences *sequences;
    pf_buffer *q, *k, *v, *g, *w;
    pf_buffer *o, *dq, *dk, *dv;
} attention_buffers;

static pf_status make_buffers(pf_selftest *t, attention_buffers *b)
{
    static const int32_t first[] = {0, 31}, length[] = {31, 9};
    PF_TRY(pf_sequences_create(t->device, 2, ROWS, &b->sequences));
    PF_TRY(pf_sequences_set(b->sequences, first, length, 2));
    PF_TRY(pf_selftest_input(t, 1, COUNT, &b->q));
    PF_TRY(pf_selftest_input(t, 2, COUNT, &b->k));
    PF_TRY(pf_selftest_input(t, 3, COUNT, &b->v));
    PF_TRY(pf_selftest_input(t, 4, COUNT, &b->g));
    PF_TRY(pf_selftest_input(t, 5, FEATURES * HEAD, &b->w));
    PF_TRY(pf_selftest_output(t, COUNT, &b->o));
    PF_TRY(pf_selftest_output(t, COUNT, &b->dq));
    PF_TRY(pf_selftest_output(t, COUNT, &b->dk));
    return pf_selftest_output(t, COUNT, &b->dv);
}

static pf_status take_all(pf_selftest *t, const attention_buffers *b)
{
    PF_TRY(pf_selftest_take(t, b->o, COUNT));
    PF_TRY(pf_selftest_take(t, b->dq, COUNT));
    PF_TRY(pf_selftest_take(t, b->dk, COUNT));
    return pf_selftest_take(t, b->dv, COUNT);
}

static pf_rows rows_of(const pf_buffer *buffer)
{
    return (pf_rows){buffer, WIDTH, 0};
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static pf_status favor_passes(pf_selftest *t, pf_favor *op, const pf_favor_config *config,
                              const attention_buffers *b)
{
    const pf_favor_room room = {2, pf_blocks_at_most(2, ROWS), ROWS};
    const size_t scratch_bytes =
        larger(pf_favor_forward_scratch_bytes(config, room), pf_favor_backward_scratch_bytes(config, room));
    pf_buffer *state, *normalizer, *scratch;
    PF_TRY(pf_selftest_output(t, (int)(pf_favor_state_bytes(config, 2) / sizeof(float)), &state));
    PF_TRY(
        pf_selftest_output(t, (int)(pf_favor_normalizer_bytes(config, ROWS) / sizeof(float)), &normalizer));
    PF_TRY(pf_selftest_output(t, (int)(scratch_bytes / sizeof(float)) + 1, &scratch));
    PF_TRY(pf_favor_run(op, &(pf_favor_forward){.o = rows_of(b->o),
                                                .q = rows_of(b->q),
                                                .k = rows_of(b->k),
                                                .v = rows_of(b->v),
                                                .projection = b->w,
                                                .sequences = b->sequences,
                                                .state = config->causal ? NULL : state,
                                                .normalizer = normalizer,
                                                .scratch = scratch}));
    PF_TRY(pf_favor_run_backward(op, &(pf_favor_backward){.dq = rows_of(b->dq),
                                                          .dk = rows_of(b->dk),
                                                          .dv = rows_of(b->dv),
                                                          .gradient = rows_of(b->g),
                                                          .o = rows_of(b->o),
                                                          .q = rows_of(b->q),
                                                          .k = rows_of(b->k),
                                                          .v = rows_of(b->v),
                                                          .projection = b->w,
                                                          .sequences = b->sequences,
                                                          .state = config->causal ? NULL : state,
                                                          .normalizer = normalizer,
                                                          .scratch = scratch}));
    return take_all(t, b);
}

static pf_status run_favor(pf_selftest *t, bool causal)
{
    const pf_favor_config config = {
        .n_heads = HEADS,
        .head_size = HEAD,
        .n_features = FEATURES,
        .kernel = PF_FAVOR_RELU,
        .projected = true,
        .causal = causal,
        .renormalize = true,
        .trains = true,
        .epsilon = 0.1f, // keeps the answer away from the kink of relu
    };
    attention_buffers b = {0};
    pf_favor *op = NULL;
    pf_status status;
    PF_TRY_OR(done, make_buffers(t, &b));
    PF_TRY_OR(done, pf_favor_create(t->device, &config, &op));
    status = favor_passes(t, op, &config, &b);
done:
    pf_favor_free(op);
    pf_sequences_free(b.sequences);
    return status;
}

pf_status pf_selftest_favor(pf_selftest *t)
{
    return run_favor(t, false);
}

pf_status pf_selftest_favor_causal(pf_selftest *t)
{
    return run_favor(t, true);
}

static pf_status exact_passes(pf_selftest *t, pf_softmax_attention *op, int log_sum_floats,
                              const attention_buffers *b)
{
    pf_buffer *log_sum, *delta;
    PF_TRY(pf_selftest_output(t, log_sum_floats, &log_sum));
    PF_TRY(pf_selftest_output(t, log_sum_floats, &delta));
    PF_TRY(pf_softmax_attention_run(op, &(pf_softmax_attention_forward){.o = rows_of(b->o),
                                                                        .q = rows_of(b->q),
                                                                        .k = rows_of(b->k),
                                                                        .v = rows_of(b->v),
                                                                        .log_sum = log_sum,
                                                                        .sequences = b->sequences}));
    PF_TRY(
        pf_softmax_attention_run_backward(op, &(pf_softmax_attention_backward){.dq = rows_of(b->dq),
                                                                               .dk = rows_of(b->dk),
                                                                               .dv = rows_of(b->dv),
                                                                               .q = rows_of(b->q),
                                                                               .k = rows_of(b->k),
                                                                               .v = rows_of(b->v),
                                                                               .o = rows_of(b->o),
                                                                               .d_o = rows_of(b->g),
                                                                               .log_sum = log_sum,
                                                                               .delta = delta,
                                                                               .sequences = b->sequences}));
    return take_all(t, b);
}

static pf_status run_exact(pf_selftest *t, bool causal)
{
    const pf_softmax_attention_config config = {
        .n_heads = HEADS, .head_size = HEAD, .causal = causal, .has_backward = true};
    attention_buffers b = {0};
    pf_softmax_attention *op = NULL;
    pf_status status;
    PF_TRY_OR(done, make_buffers(t, &b));
    PF_TRY_OR(done, pf_softmax_attention_create(t->device, &config, &op));
    status = exact_passes(t, op, (int)pf_softmax_attention_log_sum_floats(&config, ROWS), &b);
done:
    pf_softmax_attention_free(op);
    pf_sequences_free(b.sequences);
    return status;
}

pf_status pf_selftest_exact(pf_selftest *t)
{
    return run_exact(t, false);
}

pf_status pf_selftest_exact_causal(pf_selftest *t)
{
    return run_exact(t, true);
}
