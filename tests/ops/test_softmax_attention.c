// Exact attention on the device equals the reference, forward and backward, whatever the lengths, head sizes, windows
// and company; and what a sequence gets depends on its own visible tokens alone, to the bit.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/softmax_attention.h"
#include "ref/softmax_attention_ref.h"
#include "support/device.h"
#include "support/golden_attention.h"
#include "support/suite.h"

enum { MOST_SEQUENCES = 8, MARGIN = 3 };

// A batch: sequence b in lengths[b] rows behind `gap` rows that belong to nobody.
typedef struct problem {
    int head_size, n_heads, first_head, attended; // heads first_head .. first_head+attended-1 of n_heads
    bool causal;
    int window, gap;
    int n_sequences, lengths[MOST_SEQUENCES];
    int number[MOST_SEQUENCES]; // which sequence it is: the same number, the same numbers in it
} problem;

// Tensors of a problem on the host, rows of n_heads * head_size floats.
typedef struct tensors {
    int rows, width, first_row[MOST_SEQUENCES];
    size_t count;
    float *q, *k, *v, *g, *o, *dq, *dk, *dv;
} tensors;

static tensors make_tensors(const problem *p)
{
    tensors t = {.width = p->n_heads * p->head_size};
    for (int b = 0; b < p->n_sequences; b++) {
        t.first_row[b] = t.rows + p->gap;
        t.rows += p->gap + p->lengths[b];
    }
    t.rows += p->gap;
    t.count = (size_t)t.rows * (size_t)t.width;
    float **all[] = {&t.q, &t.k, &t.v, &t.g, &t.o, &t.dq, &t.dk, &t.dv};
    for (size_t i = 0; i < 8; i++) {
        *all[i] = malloc(t.count * sizeof(float));
        for (size_t n = 0; n < t.count; n++) (*all[i])[n] = NAN; // rows of nobody must not be seen
        for (int b = 0; i < 4 && b < p->n_sequences; b++)
            test_normal(*all[i] + (size_t)t.first_row[b] * (size_t)t.width, (size_t)p->lengths[b] * (size_t)t.width, 1.5,
                        (unsigned)(8 * p->number[b] + (int)i));
    }
    return t;
}

static void free_tensors(tensors *t)
{
    free(t->q), free(t->k), free(t->v), free(t->g), free(t->o), free(t->dq), free(t->dk), free(t->dv);
}

// Rows as they lie in a model: q, k and v of a row beside each other, with a margin.
static pf_buffer *upload_joined(const tensors *t, pf_rows *q, pf_rows *k, pf_rows *v)
{
    const int stride = 3 * t->width + MARGIN;
    const size_t count = (size_t)t->rows * (size_t)stride, width = (size_t)t->width;
    float *joined = malloc(count * sizeof *joined);
    for (size_t i = 0; i < count; i++) joined[i] = NAN;
    for (size_t n = 0; n < (size_t)t->rows; n++) {
        memcpy(joined + n * (size_t)stride, t->q + n * width, width * sizeof(float));
        memcpy(joined + n * (size_t)stride + width, t->k + n * width, width * sizeof(float));
        memcpy(joined + n * (size_t)stride + 2 * width, t->v + n * width, width * sizeof(float));
    }
    pf_buffer *buffer = test_upload(joined, count);
    free(joined);
    *q = (pf_rows){buffer, stride, 0};
    *k = (pf_rows){buffer, stride, t->width};
    *v = (pf_rows){buffer, stride, 2 * t->width};
    return buffer;
}

static pf_sequences *upload_sequences(const problem *p, const tensors *t)
{
    pf_sequences *sequences = NULL;
    must(pf_sequences_create(test_device(), p->n_sequences, t->rows, &sequences));
    int32_t first[MOST_SEQUENCES], length[MOST_SEQUENCES];
    for (int b = 0; b < p->n_sequences; b++) first[b] = t->first_row[b], length[b] = p->lengths[b];
    must(pf_sequences_set(sequences, first, length, p->n_sequences));
    return sequences;
}

// Runs both passes and brings o, dq, dk, dv back; what the device does not write stays NaN.
static void run(const problem *p, tensors *t)
{
    const pf_softmax_attention_config config = {p->first_head, p->attended, p->head_size, p->causal, p->window, true};
    pf_softmax_attention *op = NULL;
    must(pf_softmax_attention_create(test_device(), &config, &op));
    pf_sequences *sequences = upload_sequences(p, t);
    const size_t kept = pf_softmax_attention_log_sum_floats(&config, t->rows);
    pf_buffer *log_sum = test_empty(kept), *delta = test_empty(kept), *gradient = test_upload(t->g, t->count);
    pf_buffer *out[] = {test_empty(t->count), test_empty(t->count), test_empty(t->count), test_empty(t->count)};
    pf_softmax_attention_forward forward = {.o = {out[0], t->width, 0}, .log_sum = log_sum, .sequences = sequences};
    pf_buffer *joined = upload_joined(t, &forward.q, &forward.k, &forward.v);
    must(pf_softmax_attention_run(op, &forward));
    const pf_softmax_attention_backward backward = {
        .dq = {out[1], t->width, 0}, .dk = {out[2], t->width, 0}, .dv = {out[3], t->width, 0},
        .q = forward.q, .k = forward.k, .v = forward.v, .o = forward.o, .d_o = {gradient, t->width, 0},
        .log_sum = log_sum, .delta = delta, .sequences = sequences};
    must(pf_softmax_attention_run_backward(op, &backward));
    float *to[] = {t->o, t->dq, t->dk, t->dv};
    for (int i = 0; i < 4; i++) {
        test_download(out[i], to[i], t->count);
        pf_buffer_free(out[i]);
    }
    pf_buffer_free(joined), pf_buffer_free(gradient), pf_buffer_free(log_sum), pf_buffer_free(delta);
    pf_sequences_free(sequences);
    pf_softmax_attention_free(op);
}

// fp32: a weight is off by the error of its score, E roundings of 6e-8 of numbers up to 10 here; the sums average.
static const double tolerance = 1e-5, tolerance_gradients = 3e-5;

// What the device gave against the reference, sequence by sequence; everything else must still be NaN.
static void check(const problem *p, const tensors *t)
{
    double *expected[4];
    float *got[] = {t->o, t->dq, t->dk, t->dv};
    const char *const names[] = {"o", "dq", "dk", "dv"};
    for (int i = 0; i < 4; i++) expected[i] = calloc(t->count, sizeof(double));
    for (int b = 0; b < p->n_sequences; b++)
        for (int h = p->first_head; h < p->first_head + p->attended; h++) {
            const size_t at = (size_t)t->first_row[b] * (size_t)t->width + (size_t)(h * p->head_size);
            const softmax_attention_ref in = {t->q + at, t->k + at, t->v + at, t->g + at, p->lengths[b], p->lengths[b],
                                              p->head_size, t->width, 0, p->causal, p->window};
            softmax_attention_reference(&in, expected[0] + at, expected[1] + at, expected[2] + at, expected[3] + at);
        }
    for (int i = 0; i < 4; i++) {
        for (size_t n = 0; n < t->count; n++) {
            const int head = (int)(n % (size_t)t->width) / p->head_size;
            bool inside = false;
            for (int b = 0; b < p->n_sequences; b++) {
                const size_t row = n / (size_t)t->width, first = (size_t)t->first_row[b];
                inside = inside || (row >= first && row < first + (size_t)p->lengths[b]);
            }
            if (inside && head >= p->first_head && head < p->first_head + p->attended) continue;
            ck_assert_msg(isnan(got[i][n]), "%s: number %zu is nobody's, and was written", names[i], n);
            got[i][n] = 0;
        }
        test_close(names[i], got[i], expected[i], t->count, i ? tolerance_gradients : tolerance);
        free(expected[i]);
    }
}

static const problem problems[] = {
    {8, 2, 0, 2, false, 0, 0, 3, {1, 7, 130}, {1, 2, 3}},
    {8, 2, 0, 2, true, 0, 2, 3, {130, 1, 7}, {1, 2, 3}},
    {12, 3, 1, 2, true, 0, 1, 2, {33, 70}, {1, 2}},
    {24, 1, 0, 1, false, 5, 0, 1, {65}, {1}},
    {48, 1, 0, 1, true, 100, 0, 1, {129}, {1}},
    {64, 4, 1, 2, false, 0, 1, 2, {300, 64}, {1, 2}},
    {64, 1, 0, 1, true, 0, 0, 1, {600}, {1}},
    {64, 2, 0, 1, false, 40, 0, 2, {300, 20}, {1, 2}},
    {80, 1, 0, 1, false, 0, 0, 1, {65}, {1}},
    {96, 2, 0, 2, true, 2, 0, 2, {130, 3}, {1, 2}},
    {128, 1, 0, 1, false, 0, 0, 2, {130, 1}, {1, 2}},
    {128, 1, 0, 1, true, 17, 0, 1, {90}, {1}},
};
enum { N_PROBLEMS = sizeof problems / sizeof *problems };

START_TEST(both_passes_equal_the_reference)
{
    const problem *p = &problems[_i];
    if (test_small() && p->lengths[0] > 70) return;
    tensors t = make_tensors(p);
    run(p, &t);
    check(p, &t);
    free_tensors(&t);
}
END_TEST

static void check_golden(const golden_attention *c)
{
    problem p = {c->head_size, c->n_heads, 0, c->n_heads, c->causal, 0, 0, c->n_sequences, {0}, {0}};
    tensors t = {.rows = golden_rows(c), .width = golden_width(c), .q = c->q, .k = c->k, .v = c->v, .g = c->g};
    t.count = (size_t)t.rows * (size_t)t.width;
    for (int b = 0; b < c->n_sequences; b++) p.lengths[b] = c->lengths[b], t.first_row[b] = c->first_row[b];
    t.o = malloc(t.count * sizeof(float)), t.dq = malloc(t.count * sizeof(float));
    t.dk = malloc(t.count * sizeof(float)), t.dv = malloc(t.count * sizeof(float));
    run(&p, &t);
    golden_attention_check(c, t.o);
    golden_attention_check_gradients(c, t.dq, t.dk, t.dv);
    free(t.o), free(t.dq), free(t.dk), free(t.dv);
}

START_TEST(golden_cases_hold)
{
    int n_checked = 0;
    for (int i = 0; i < golden_attention_count(); i++) {
        golden_attention c;
        if (!golden_attention_load(i, "exact", &c)) continue;
        if (!test_small() || c.length < 20) check_golden(&c);
        golden_attention_free(&c);
        n_checked++;
    }
    ck_assert_int_eq(n_checked, 8);
}
END_TEST

static void check_same_bits(const char *what, const float *a, const float *b, size_t count)
{
    ck_assert_msg(memcmp(a, b, count * sizeof *a) == 0, "%s: bits differ", what);
}

// Sequence 5 alone, and among others at another place: the same bits. And once more: the same again.
START_TEST(company_changes_no_bit)
{
    const int length = test_small() ? 20 : 150;
    for (int causal = 0; causal < 2; causal++) {
        const problem alone = {64, 2, 0, 2, causal, 0, 0, 1, {length}, {5}};
        const problem among = {64, 2, 0, 2, causal, 0, 3, 4, {31, 2, length, 1}, {1, 2, 5, 3}};
        tensors a = make_tensors(&alone), b = make_tensors(&among), again = make_tensors(&alone);
        run(&alone, &a), run(&among, &b), run(&alone, &again);
        const size_t at = (size_t)b.first_row[2] * (size_t)b.width;
        const float *of_a[] = {a.o, a.dq, a.dk, a.dv}, *of_b[] = {b.o, b.dq, b.dk, b.dv};
        const float *of_again[] = {again.o, again.dq, again.dk, again.dv};
        for (int i = 0; i < 4; i++) {
            check_same_bits("among others", of_a[i], of_b[i] + at, a.count);
            check_same_bits("two runs", of_a[i], of_again[i], a.count);
        }
        free_tensors(&a), free_tensors(&b), free_tensors(&again);
    }
}
END_TEST

START_TEST(future_tokens_change_no_bit)
{
    const int length = test_small() ? 20 : 140, changed = length / 2 + 1;
    const problem p = {16, 2, 0, 2, true, 0, 0, 1, {length}, {1}};
    tensors a = make_tensors(&p), b = make_tensors(&p);
    for (size_t i = (size_t)changed * (size_t)b.width; i < b.count; i++) b.q[i] *= 9, b.k[i] *= -9, b.v[i] += 5;
    run(&p, &a), run(&p, &b);
    const size_t past = (size_t)changed * (size_t)a.width;
    check_same_bits("earlier outputs", a.o, b.o, past);
    ck_assert_msg(memcmp(a.o + past, b.o + past, sizeof(float)) != 0, "the changed token itself must change");
    free_tensors(&a), free_tensors(&b);
}
END_TEST

// Queries `from` .. `from`+count-1 of two sequences against a cache that holds everything so far.
static void check_cached(const problem *p, const tensors *whole, int from, int count)
{
    const pf_softmax_attention_config config = {p->first_head, p->attended, p->head_size, p->causal, p->window, false};
    pf_softmax_attention *op = NULL;
    must(pf_softmax_attention_create(test_device(), &config, &op));
    const size_t width = (size_t)whole->width, new_rows = 2 * (size_t)count;
    float *q = malloc(new_rows * width * sizeof *q), *o = malloc(new_rows * width * sizeof *o);
    pf_key_range ranges[2];
    int32_t first_row[2], length[2];
    for (int b = 0; b < 2; b++) {
        memcpy(q + (size_t)(b * count) * width, whole->q + (size_t)(whole->first_row[b] + from) * width,
               (size_t)count * width * sizeof *q);
        ranges[b] = (pf_key_range){whole->first_row[b], from + count, from, 0};
        first_row[b] = b * count, length[b] = count;
    }
    pf_sequences *sequences = NULL;
    must(pf_sequences_create(test_device(), 2, 2 * count, &sequences));
    must(pf_sequences_set(sequences, first_row, length, 2));
    pf_buffer *keys = NULL, *bq = test_upload(q, new_rows * width), *bo = test_empty(new_rows * width);
    pf_buffer *bk = test_upload(whole->k, whole->count), *bv = test_upload(whole->v, whole->count);
    must(pf_buffer_create(test_device(), sizeof ranges, "keys", &keys));
    must(pf_buffer_write(keys, 0, ranges, sizeof ranges));
    const int stride = whole->width;
    must(pf_softmax_attention_run(op, &(pf_softmax_attention_forward){
        {bo, stride, 0}, {bq, stride, 0}, {bk, stride, 0}, {bv, stride, 0}, NULL, sequences, keys}));
    test_download(bo, o, new_rows * width);
    for (int b = 0; b < 2; b++)
        check_same_bits("cached", o + (size_t)(b * count) * width,
                        whole->o + (size_t)(whole->first_row[b] + from) * width, (size_t)count * width);
    pf_buffer_free(keys), pf_buffer_free(bq), pf_buffer_free(bo), pf_buffer_free(bk), pf_buffer_free(bv);
    pf_sequences_free(sequences);
    pf_softmax_attention_free(op);
    free(q), free(o);
}

START_TEST(queries_against_a_cache_equal_the_whole_pass)
{
    for (int window = 0; window <= 10; window += 10) {
        const problem p = {16, 2, 0, 2, true, window, 1, 2, {70, 75}, {1, 2}};
        tensors t = make_tensors(&p);
        run(&p, &t);
        check_cached(&p, &t, 0, 1);
        check_cached(&p, &t, 64, 1);
        check_cached(&p, &t, 30, 37);
        check_cached(&p, &t, 69, 1);
        free_tensors(&t);
    }
}
END_TEST

START_TEST(what_it_was_not_made_for_is_refused)
{
    pf_softmax_attention *op = NULL;
    ck_assert_int_eq(pf_softmax_attention_create(test_device(), &(pf_softmax_attention_config){.n_heads = 1, .head_size = 129},
                                                 &op), PF_ERROR_USAGE);
    ck_assert_ptr_null(op);
    must(pf_softmax_attention_create(test_device(), &(pf_softmax_attention_config){.n_heads = 1, .head_size = 8}, &op));
    ck_assert_int_eq(pf_softmax_attention_run_backward(op, &(pf_softmax_attention_backward){.log_sum = NULL}),
                     PF_ERROR_USAGE);
    pf_softmax_attention_free(op);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("softmax_attention");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, both_passes_equal_the_reference, 0, N_PROBLEMS);
    tcase_add_test(all, golden_cases_hold);
    tcase_add_test(all, company_changes_no_bit);
    tcase_add_test(all, future_tokens_change_no_bit);
    tcase_add_test(all, queries_against_a_cache_equal_the_whole_pass);
    tcase_add_test(all, what_it_was_not_made_for_is_refused);
    tcase_set_timeout(all, 240);
    suite_add_tcase(s, all);
    return s;
}
