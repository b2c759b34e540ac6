// Batches for the tests of FAVOR attention. See favor_batch.h.
#include "ops/favor_batch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/favor_ref.h"
#include "support/device.h"
#include "support/suite.h"

// Features of both signs need inputs whose denominators stay away from 0, else fp32 could not give the answer.
static bool is_signed(pf_favor_kernel kernel)
{
    return kernel == PF_FAVOR_GELU || (kernel >= PF_FAVOR_TANH && kernel <= PF_FAVOR_SIN && kernel != PF_FAVOR_ABS) ||
           kernel == PF_FAVOR_IDENTITY || kernel == PF_FAVOR_SOFTMAX_TRIG;
}

favor_batch favor_batch_of(pf_favor_kernel kernel, int head_size, int n_features)
{
    return (favor_batch){
        .config = {.n_heads = 2, .first_head = 1, .head_size = head_size, .n_features = n_features ? n_features : head_size,
                   .kernel = kernel, .projected = n_features != 0, .renormalize = true, .trains = true, .epsilon = 1e-3f,
                   .oprf_s = (float)head_size / 16},
        .n_sequences = 4, .length = {7, 1, 130, 300}, .gap = 3, .near = is_signed(kernel),
    };
}

static float *all_nan(size_t count)
{
    float *x = malloc(count * sizeof *x);
    for (size_t i = 0; i < count; i++) x[i] = NAN;
    return x;
}

static void fill_sequence(favor_batch *c, int b, unsigned stream)
{
    const int heads = c->config.n_heads * c->config.head_size, from = c->config.first_head * c->config.head_size;
    const size_t count = (size_t)c->length[b] * (size_t)heads;
    const double deviation = c->deviation > 0 ? c->deviation : 1;
    float *numbers = malloc((count + 1) * sizeof *numbers), *centre = malloc((size_t)heads * sizeof *centre);
    test_normal(centre, (size_t)heads, deviation, 999);
    for (int part = 0; part < 4; part++) {
        const bool near = c->near && part < 2;
        test_normal(numbers, count, part < 2 ? (near ? 0.25 * deviation : deviation) : 1, 10 * stream + (unsigned)part);
        for (int i = 0; i < c->length[b]; i++) {
            float *to = part < 3 ? c->qkv + ((size_t)(c->first[b] + i) * 3 + (size_t)part) * (size_t)c->width
                                 : c->gradient + (size_t)(c->first[b] + i) * (size_t)c->width;
            for (int e = 0; e < heads; e++) to[from + e] = numbers[i * heads + e] + (near ? centre[e] : 0.0f);
        }
    }
    free(numbers), free(centre);
}

void favor_batch_make(favor_batch *c, const unsigned *stream)
{
    c->width = (c->config.first_head + c->config.n_heads + 1) * c->config.head_size;
    c->rows = 0;
    for (int b = 0; b < c->n_sequences; b++) {
        c->first[b] = c->rows + c->gap;
        c->rows += c->gap + c->length[b];
    }
    const size_t n = (size_t)c->rows * (size_t)c->width, w = (size_t)(c->config.n_features * c->config.head_size);
    c->qkv = all_nan(3 * n), c->gradient = all_nan(n), c->w = all_nan(w);
    c->o = all_nan(n), c->dq = all_nan(n), c->dk = all_nan(n), c->dv = all_nan(n);
    test_normal(c->w, w, 1, 7);
    for (int b = 0; b < c->n_sequences; b++) fill_sequence(c, b, stream ? stream[b] : (unsigned)b + 1);
}

void favor_batch_free(favor_batch *c)
{
    free(c->qkv), free(c->gradient), free(c->w), free(c->o), free(c->dq), free(c->dk), free(c->dv);
}

static pf_buffer *of_bytes(size_t bytes)
{
    return test_empty(bytes / sizeof(float));
}

void favor_batch_run(favor_batch *c)
{
    const size_t n = (size_t)c->rows * (size_t)c->width;
    const int width = c->width;
    int32_t first[FAVOR_MOST_SEQUENCES], length[FAVOR_MOST_SEQUENCES];
    for (int b = 0; b < c->n_sequences; b++) first[b] = c->first[b], length[b] = c->length[b];
    pf_favor *op = NULL;
    must(pf_favor_create(test_device(), &c->config, &op));
    pf_sequences *sequences = NULL;
    must(pf_sequences_create(test_device(), c->n_sequences, c->rows, &sequences));
    must(pf_sequences_set(sequences, first, length, c->n_sequences));
    const pf_favor_room room = {c->n_sequences, sequences->n_blocks, c->rows};

    pf_buffer *qkv = test_upload(c->qkv, 3 * n), *g = test_upload(c->gradient, n), *o = test_empty(n);
    pf_buffer *dq = test_empty(n), *dk = test_empty(n), *dv = test_empty(n);
    pf_buffer *w = test_upload(c->w, (size_t)(c->config.n_features * c->config.head_size));
    pf_buffer *state = of_bytes(pf_favor_state_bytes(&c->config, c->n_sequences));
    pf_buffer *normalizer = of_bytes(pf_favor_normalizer_bytes(&c->config, c->rows));
    pf_buffer *scratch = of_bytes(pf_favor_forward_scratch_bytes(&c->config, room));
    pf_buffer *more = of_bytes(pf_favor_backward_scratch_bytes(&c->config, room));
    const pf_rows q = {qkv, 3 * width, 0}, k = {qkv, 3 * width, width}, v = {qkv, 3 * width, 2 * width};
    const pf_rows y = {o, width, 0};
    const pf_buffer *projection = c->config.projected ? w : NULL;

    must(pf_favor_run(op, &(pf_favor_forward){y, q, k, v, projection, sequences, c->config.causal ? NULL : state,
                                              normalizer, scratch, false}));
    if (c->config.trains)
        must(pf_favor_run_backward(op, &(pf_favor_backward){{dq, width, 0}, {dk, width, 0}, {dv, width, 0},
                                                            {g, width, 0}, y, q, k, v, projection, sequences,
                                                            c->config.causal ? NULL : state, normalizer, more}));
    test_download(o, c->o, n), test_download(dq, c->dq, n), test_download(dk, c->dk, n), test_download(dv, c->dv, n);

    pf_buffer *buffers[] = {qkv, g, o, dq, dk, dv, w, state, normalizer, scratch, more};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) pf_buffer_free(buffers[i]);
    pf_sequences_free(sequences);
    pf_favor_free(op);
}

// Head h of sequence b of rows [.., stride] as an array of its own [L,E].
static float *cut(const favor_batch *c, const float *from, int stride, int b, int h)
{
    const int e = c->config.head_size, l = c->length[b];
    float *out = malloc((size_t)(l * e + 1) * sizeof *out);
    for (int i = 0; i < l; i++)
        memcpy(out + i * e, from + (size_t)(c->first[b] + i) * (size_t)stride + (c->config.first_head + h) * e,
               (size_t)e * sizeof *out);
    return out;
}

// Rows whose gradient fp32 cannot tell, since it may see the other side of a kink, are taken as they are expected.
static void leave_out(const favor_ref *r, const float *rows, float *got, const double *expected)
{
    if (r->kernel != PF_FAVOR_RELU && r->kernel != PF_FAVOR_ABS) return;
    for (int i = 0; i < r->tokens; i++)
        for (int e = 0; favor_ref_nearest_kink(r, rows + i * r->head_size) < 1e-5 && e < r->head_size; e++)
            got[i * r->head_size + e] = (float)expected[i * r->head_size + e];
}

static double largest(const double *x, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++) most = fmax(most, fabs(x[i]));
    return most;
}

static void compare(const char *what, float *got, const double *expected, size_t count, double tolerance, double floor)
{
    floor = fmax(floor, 1e-30);
    const double error = test_error(got, expected, count, floor);
    ck_assert_msg(error <= tolerance, "%s: error %.3g, allowed %.3g", what, error, tolerance);
    if (getenv("PERFORMER_TEST_ERRORS")) printf("# %s %.3g\n", what, error);
    if (count == 0) return;
    const double step = 2 * tolerance * fmax(largest(expected, count), floor);
    got[count / 2] += (float)((double)got[count / 2] >= expected[count / 2] ? step : -step);
    ck_assert_msg(test_error(got, expected, count, floor) > tolerance, "%s: the comparison cannot fail", what);
}

static void check_head(const favor_batch *c, int b, int h, double tolerance, double gradient_tolerance)
{
    const size_t count = (size_t)c->length[b] * (size_t)c->config.head_size;
    const int width = c->width;
    float *q = cut(c, c->qkv, 3 * width, b, h), *k = cut(c, c->qkv + width, 3 * width, b, h);
    float *v = cut(c, c->qkv + 2 * width, 3 * width, b, h), *g = cut(c, c->gradient, width, b, h);
    float *o = cut(c, c->o, width, b, h), *dq = cut(c, c->dq, width, b, h);
    float *dk = cut(c, c->dk, width, b, h), *dv = cut(c, c->dv, width, b, h);
    double *expected = malloc(4 * (count + 1) * sizeof *expected);
    double *want_q = expected + count, *want_k = expected + 2 * count, *want_v = expected + 3 * count;
    const favor_ref ref = {.tokens = c->length[b], .head_size = c->config.head_size, .n_features = c->config.n_features,
                           .stride = c->config.head_size, .kernel = c->config.kernel, .causal = c->config.causal,
                           .renormalize = c->config.renormalize, .epsilon = (double)c->config.epsilon,
                           .softmax_epsilon = (double)c->config.softmax_epsilon,
                           .oprf_s = (double)c->config.oprf_s, .q = q, .k = k, .v = v,
                           .g = c->config.trains ? g : NULL, .w = c->config.projected ? c->w : NULL};
    favor_ref_run(&ref, expected, want_q, want_k, want_v);
    compare("o", o, expected, count, tolerance, 1e-30);
    if (c->config.trains) {
        // With one feature o does not depend on q, dq is what is left of dv.
        const double floor = (c->config.n_features == 1 ? 1 : 0.05) * largest(want_v, count);
        leave_out(&ref, q, dq, want_q);
        leave_out(&ref, k, dk, want_k);
        compare("dq", dq, want_q, count, gradient_tolerance, floor);
        compare("dk", dk, want_k, count, gradient_tolerance, floor);
        compare("dv", dv, want_v, count, gradient_tolerance, 1e-30);
    }
    free(q), free(k), free(v), free(g), free(o), free(dq), free(dk), free(dv), free(expected);
}

// Rows of no sequence and columns of other heads are still what test_empty wrote.
static void check_untouched(const favor_batch *c, const float *rows)
{
    const int from = c->config.first_head * c->config.head_size, to = from + c->config.n_heads * c->config.head_size;
    for (int i = 0; i < c->rows; i++) {
        bool inside = false;
        for (int b = 0; b < c->n_sequences; b++) inside |= i >= c->first[b] && i < c->first[b] + c->length[b];
        for (int e = 0; e < c->width; e++)
            ck_assert_msg((inside && e >= from && e < to) || isnan(rows[(size_t)i * (size_t)c->width + (size_t)e]),
                          "row %d, column %d was written", i, e);
    }
}

void favor_batch_check(const favor_batch *c, double tolerance, double gradient_tolerance)
{
    for (int b = 0; b < c->n_sequences; b++)
        for (int h = 0; h < c->config.n_heads; h++) check_head(c, b, h, tolerance, gradient_tolerance);
    check_untouched(c, c->o), check_untouched(c, c->dq), check_untouched(c, c->dk), check_untouched(c, c->dv);
}

void favor_batch_same_bits(const favor_batch *one, int a, const favor_batch *other, int b)
{
    const float *ours[] = {one->o, one->dq, one->dk, one->dv}, *theirs[] = {other->o, other->dq, other->dk, other->dv};
    static const char *const names[] = {"o", "dq", "dk", "dv"};
    ck_assert_int_eq(one->length[a], other->length[b]);
    const size_t bytes = (size_t)(one->length[a] * one->config.head_size) * sizeof(float);
    for (int part = 0; part < (one->config.trains ? 4 : 1); part++)
        for (int h = 0; h < one->config.n_heads; h++) {
            float *x = cut(one, ours[part], one->width, a, h), *y = cut(other, theirs[part], other->width, b, h);
            ck_assert_msg(memcmp(x, y, bytes) == 0, "%s of sequence %d, head %d differs in bits", names[part], a, h);
            free(x), free(y);
        }
}

void favor_batch_test(favor_batch c)
{
    if (test_small()) c.n_sequences = 2, c.config.n_heads = 1;
    favor_batch_make(&c, NULL);
    favor_batch_run(&c);
    favor_batch_check(&c, FAVOR_TOLERANCE, FAVOR_GRADIENT_TOLERANCE);
    favor_batch_free(&c);
}
