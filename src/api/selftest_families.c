// What the families of the self-test compute, but attention: each kernel once, on a few fixed numbers, edges
// included.
#include "api/selftest.h"

#include "ops/activation.h"
#include "ops/adamw.h"
#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "ops/global_norm.h"
#include "ops/layer_norm.h"
#include "ops/matmul/matmul.h"
#include "ops/pool.h"
#include "ops/prefix_sum.h"
#include "ops/rotary.h"
#include "ops/squared_error.h"

enum { ROWS = 37, WIDTH = 24, HEADS = 2, HEAD = 12 };

// first .. last: 0 neither operand transposed, 1 the first, 2 the second, 3 both.
static pf_status run_products(pf_selftest *t, pf_matmul *matmul, int first, int last)
{
    enum { M = 19, N = 23, K = 29 };
    for (int transposes = first; transposes <= last; transposes++) {
        pf_buffer *a, *b, *c;
        PF_TRY(pf_selftest_input(t, 1, M * K, &a));
        PF_TRY(pf_selftest_input(t, 2, K * N, &b));
        PF_TRY(pf_selftest_input(t, 3, M * N, &c));
        pf_matmul_call call = {.c = c, .a = a, .b = b, .m = M, .n = N, .k = K, .alpha = 1.5f, .beta = 0.5f};
        call.transpose_a = transposes & 1, call.transpose_b = transposes >> 1;
        size_t scratch = 0;
        PF_TRY(pf_matmul_scratch_bytes(matmul, &call, &scratch));
        PF_TRY(pf_matmul_reserve(matmul, scratch));
        PF_TRY(pf_matmul_run(matmul, &call));
        PF_TRY(pf_selftest_take(t, c, M * N));
    }
    return PF_OK;
}

static pf_status run_matmul(pf_selftest *t, pf_matmul_choice provider, int first, int last)
{
    pf_matmul *matmul = NULL;
    PF_TRY(pf_matmul_create(t->device, provider, &matmul));
    const pf_status status = run_products(t, matmul, first, last);
    pf_matmul_free(matmul);
    return status;
}

pf_status pf_selftest_tile(pf_selftest *t)
{
    return run_matmul(t, PF_MATMUL_TILE, 0, 2);
}

pf_status pf_selftest_tile_both(pf_selftest *t)
{
    return run_matmul(t, PF_MATMUL_TILE, 3, 3);
}

pf_status pf_selftest_clblast(pf_selftest *t)
{
    return run_matmul(t, PF_MATMUL_CLBLAST, 0, 3);
}

static pf_status norm_passes(pf_selftest *t, pf_layer_norm *op)
{
    pf_buffer *x, *w, *b, *dy, *y, *stat, *dx, *dw, *db;
    PF_TRY(pf_selftest_input(t, 1, ROWS * WIDTH, &x));
    PF_TRY(pf_selftest_input(t, 2, WIDTH, &w));
    PF_TRY(pf_selftest_input(t, 3, WIDTH, &b));
    PF_TRY(pf_selftest_input(t, 4, ROWS * WIDTH, &dy));
    PF_TRY(pf_selftest_output(t, ROWS * WIDTH, &y));
    PF_TRY(pf_selftest_output(t, ROWS * 2, &stat));
    PF_TRY(pf_selftest_output(t, ROWS * WIDTH, &dx));
    PF_TRY(pf_selftest_output(t, WIDTH, &dw));
    PF_TRY(pf_selftest_output(t, WIDTH, &db));
    PF_TRY(pf_layer_norm_run(op, &(pf_layer_norm_forward){y, stat, x, w, b, ROWS, 1e-6f}));
    PF_TRY(pf_layer_norm_run_backward(op, &(pf_layer_norm_backward){dx, dw, db, dy, x, stat, w, NULL, ROWS}));
    PF_TRY(pf_selftest_take(t, y, ROWS * WIDTH));
    PF_TRY(pf_selftest_take(t, dx, ROWS * WIDTH));
    PF_TRY(pf_selftest_take(t, dw, WIDTH));
    return pf_selftest_take(t, db, WIDTH);
}

pf_status pf_selftest_layer_norm(pf_selftest *t)
{
    pf_layer_norm *op = NULL;
    PF_TRY(pf_layer_norm_create(t->device, WIDTH, &op));
    const pf_status status = norm_passes(t, op);
    pf_layer_norm_free(op);
    return status;
}

static pf_status activation_passes(pf_selftest *t, pf_activate *op)
{
    pf_buffer *u, *dg, *g, *du;
    PF_TRY(pf_selftest_input(t, 1, ROWS * WIDTH, &u));
    PF_TRY(pf_selftest_input(t, 2, ROWS * WIDTH, &dg));
    PF_TRY(pf_selftest_output(t, ROWS * WIDTH, &g));
    PF_TRY(pf_selftest_output(t, ROWS * WIDTH, &du));
    PF_TRY(pf_activate_run(op, &(pf_activate_forward){.g = g, .u = u, .rows = ROWS}));
    PF_TRY(pf_activate_run_backward(op, &(pf_activate_backward){.du = du, .u = u, .dg = dg, .rows = ROWS}));
    PF_TRY(pf_selftest_take(t, g, ROWS * WIDTH));
    return pf_selftest_take(t, du, ROWS * WIDTH);
}

pf_status pf_selftest_activation(pf_selftest *t)
{
    for (pf_activation act = PF_ACTIVATION_GELU; act <= PF_ACTIVATION_RELU; act++) {
        pf_activate *op = NULL;
        PF_TRY(pf_activate_create(t->device, act, WIDTH, false, &op));
        const pf_status status = activation_passes(t, op);
        pf_activate_free(op);
        PF_TRY(status);
    }
    return PF_OK;
}

static pf_status places_of(pf_selftest *t, pf_buffer **out)
{
    int places[ROWS * 4] = {0};
    for (int n = 0; n < ROWS; n++) places[4 * n] = n;
    return pf_selftest_integers(t, places, ROWS * 4, out);
}

static pf_status embedding_passes(pf_selftest *t, pf_embedding *op)
{
    pf_buffer *table, *token, *place, *x, *dtable;
    int tokens[ROWS];
    for (int n = 0; n < ROWS; n++) tokens[n] = n * 7 % PF_VOCAB_SIZE;
    PF_TRY(pf_selftest_input(t, 1, PF_VOCAB_SIZE * WIDTH, &table));
    PF_TRY(pf_selftest_integers(t, tokens, ROWS, &token));
    PF_TRY(places_of(t, &place));
    PF_TRY(pf_selftest_output(t, ROWS * WIDTH, &x));
    PF_TRY(pf_selftest_output(t, PF_VOCAB_SIZE * WIDTH, &dtable));
    PF_TRY(pf_embedding_run(op, &(pf_embedding_forward){.x = x,
                                                        .token_table = table,
                                                        .position_table = table,
                                                        .token = token,
                                                        .place = place,
                                                        .rows = PF_VOCAB_SIZE}));
    PF_TRY(pf_embedding_run_backward(
        op, &(pf_embedding_backward){
                .dtoken_table = dtable, .dx = x, .token = token, .place = place, .rows = ROWS}));
    PF_TRY(pf_selftest_take(t, x, ROWS * WIDTH));
    return pf_selftest_take(t, dtable, PF_VOCAB_SIZE * WIDTH);
}

pf_status pf_selftest_embedding(pf_selftest *t)
{
    pf_embedding *op = NULL;
    PF_TRY(pf_embedding_create(t->device, PF_VOCAB_SIZE, WIDTH, false, &op));
    const pf_status status = embedding_passes(t, op);
    pf_embedding_free(op);
    return status;
}

pf_status pf_selftest_rotary(pf_selftest *t)
{
    pf_rotary *op = NULL;
    pf_buffer *x = NULL, *place = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_rotary_create(t->device, HEAD, ROWS, NULL, &op));
    PF_TRY_OR(done, pf_selftest_input(t, 1, ROWS * WIDTH, &x));
    PF_TRY_OR(done, places_of(t, &place));
    PF_TRY_OR(done, pf_rotary_reach(op, 0, ROWS));
    PF_TRY_OR(done, pf_rotary_run(op, &(pf_rotary_call){{x, WIDTH, 0}, place, ROWS, HEADS, false}));
    status = pf_selftest_take(t, x, ROWS * WIDTH);
done:
    pf_rotary_free(op);
    return status;
}

static pf_status cross_entropy_passes(pf_selftest *t, pf_cross_entropy *op)
{
    pf_buffer *logits, *target, *loss, *dlogits;
    int targets[ROWS];
    for (int n = 0; n < ROWS; n++) targets[n] = n % 5 == 0 ? -1 : n * 7 % PF_VOCAB_SIZE;
    PF_TRY(pf_selftest_input(t, 1, ROWS * PF_VOCAB_SIZE, &logits));
    PF_TRY(pf_selftest_integers(t, targets, ROWS, &target));
    PF_TRY(pf_selftest_output(t, ROWS, &loss));
    PF_TRY(pf_selftest_output(t, ROWS * PF_VOCAB_SIZE, &dlogits));
    PF_TRY(pf_cross_entropy_run(op, &(pf_cross_entropy_forward){loss, logits, target, ROWS, PF_VOCAB_SIZE}));
    PF_TRY(pf_cross_entropy_run_backward(
        op, &(pf_cross_entropy_backward){dlogits, logits, target, ROWS, PF_VOCAB_SIZE, 1.0f}));
    PF_TRY(pf_selftest_take(t, loss, ROWS));
    return pf_selftest_take(t, dlogits, ROWS * PF_VOCAB_SIZE);
}

pf_status pf_selftest_cross_entropy(pf_selftest *t)
{
    pf_cross_entropy *op = NULL;
    PF_TRY(pf_cross_entropy_create(t->device, PF_VOCAB_SIZE, 0, 25, &op));
    const pf_status status = cross_entropy_passes(t, op);
    pf_cross_entropy_free(op);
    return status;
}

enum { POOLED = 3 };

static pf_status pool_passes(pf_selftest *t, pf_pool *op, pf_sequences *sequences)
{
    static const int first[POOLED] = {0, 20, 21}, length[POOLED] = {20, 1, 16};
    static const int ranges[2 * POOLED] = {1, 19, 20, 21, 22, ROWS};
    pf_buffer *x, *range, *mean, *dx;
    PF_TRY(pf_sequences_set(sequences, first, length, POOLED));
    PF_TRY(pf_selftest_input(t, 1, ROWS * WIDTH, &x));
    PF_TRY(pf_selftest_integers(t, ranges, 2 * POOLED, &range));
    PF_TRY(pf_selftest_output(t, POOLED * WIDTH, &mean));
    PF_TRY(pf_selftest_output(t, ROWS * WIDTH, &dx));
    PF_TRY(pf_pool_run(op, &(pf_pool_call){mean, NULL, {x, WIDTH, 0}, range, POOLED, WIDTH}));
    PF_TRY(pf_pool_run_backward(op, &(pf_pool_backward){dx, mean, range, sequences, WIDTH}));
    PF_TRY(pf_selftest_take(t, mean, POOLED * WIDTH));
    return pf_selftest_take(t, dx, ROWS * WIDTH);
}

static pf_status squared_error_passes(pf_selftest *t, pf_squared_error *op)
{
    pf_buffer *y, *value, *target, *loss, *dy;
    int targets[ROWS];
    for (int n = 0; n < ROWS; n++) targets[n] = n % 5 == 0 ? -1 : 0;
    PF_TRY(pf_selftest_input(t, 2, ROWS, &y));
    PF_TRY(pf_selftest_input(t, 3, ROWS, &value));
    PF_TRY(pf_selftest_integers(t, targets, ROWS, &target));
    PF_TRY(pf_selftest_output(t, ROWS, &loss));
    PF_TRY(pf_selftest_output(t, ROWS, &dy));
    PF_TRY(pf_squared_error_run(op, &(pf_squared_error_forward){loss, y, value, target, ROWS}));
    PF_TRY(pf_squared_error_run_backward(op, &(pf_squared_error_backward){dy, y, value, target, ROWS, 1.0f}));
    PF_TRY(pf_selftest_take(t, loss, ROWS));
    return pf_selftest_take(t, dy, ROWS);
}

pf_status pf_selftest_task(pf_selftest *t)
{
    pf_pool *pool = NULL;
    pf_sequences *sequences = NULL;
    pf_squared_error *error = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_pool_create(t->device, &pool));
    PF_TRY_OR(done, pf_sequences_create(t->device, POOLED, ROWS, &sequences));
    PF_TRY_OR(done, pf_squared_error_create(t->device, &error));
    PF_TRY_OR(done, pool_passes(t, pool, sequences));
    status = squared_error_passes(t, error);
done:
    pf_squared_error_free(error);
    pf_sequences_free(sequences);
    pf_pool_free(pool);
    return status;
}

static pf_status optimizer_passes(pf_selftest *t, pf_global_norm *norm, pf_adamw *adamw)
{
    enum { COUNT = ROWS * WIDTH };
    pf_buffer *p, *g, *m, *v;
    PF_TRY(pf_selftest_input(t, 1, COUNT, &p));
    PF_TRY(pf_selftest_input(t, 2, COUNT, &g));
    PF_TRY(pf_selftest_input(t, 3, COUNT, &m));
    PF_TRY(pf_selftest_output(t, COUNT, &v));
    PF_TRY(pf_global_norm_run(norm, g, COUNT, 0.5f));
    PF_TRY(pf_adamw_run(adamw, &(pf_adamw_call){.p = p,
                                                .m = m,
                                                .v = v,
                                                .gradient = g,
                                                .norm = pf_global_norm_result(norm),
                                                .count = COUNT,
                                                .n_decay = COUNT / 2,
                                                .step = 3,
                                                .lr = 1e-5,
                                                .decay = 0.1,
                                                .b1 = 0.9,
                                                .b2 = 0.98,
                                                .eps = 1e-2}));
    PF_TRY(pf_selftest_take(t, p, COUNT));
    PF_TRY(pf_selftest_take(t, m, COUNT));
    return pf_selftest_take(t, v, COUNT);
}

pf_status pf_selftest_optimizer(pf_selftest *t)
{
    pf_global_norm *norm = NULL;
    pf_adamw *adamw = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_global_norm_create(t->device, ROWS * WIDTH, &norm));
    PF_TRY_OR(done, pf_adamw_create(t->device, &adamw));
    status = optimizer_passes(t, norm, adamw);
done:
    pf_adamw_free(adamw);
    pf_global_norm_free(norm);
    return status;
}

pf_status pf_selftest_prefix_sum(pf_selftest *t)
{
    pf_prefix_sum *op = NULL;
    pf_buffer *x = NULL, *scratch = NULL;
    pf_status status;
    const size_t bytes = pf_prefix_sum_scratch_bytes(1, ROWS, WIDTH);
    PF_TRY_OR(done, pf_prefix_sum_create(t->device, &op));
    PF_TRY_OR(done, pf_selftest_input(t, 1, ROWS * WIDTH, &x));
    PF_TRY_OR(done, pf_selftest_output(t, (int)(bytes / sizeof(float)) + 1, &scratch));
    PF_TRY_OR(done, pf_prefix_sum_run(op, &(pf_prefix_sum_call){x, scratch, 1, ROWS, WIDTH, true}));
    status = pf_selftest_take(t, x, ROWS * WIDTH);
done:
    pf_prefix_sum_free(op);
    return status;
}
