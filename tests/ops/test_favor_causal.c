// Causal FAVOR attention equals the reference for any shape and feature map, and keeps its promises to the bit: no
// future token changes an earlier output, no neighbour in the batch changes anything. Carried states: test_favor_causal_state.c.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/favor_case.h"
#include "ref/favor_ref.h"
#include "support/device.h"
#include "support/suite.h"

enum { SEQUENCES = 3, GAP = 2 }; // rows between sequences that nobody may touch

// Three sequences of these lengths, E, M (0: no projection).
static const struct {
    int length[SEQUENCES], head_size, n_features;
} shapes[] = {
    {{1, 1, 2}, 8, 1},      {{7, 1, 16}, 8, 16},    {{31, 32, 33}, 16, 33}, {{5, 40, 3}, 20, 0},
    {{64, 65, 63}, 13, 50}, {{130, 1, 77}, 64, 100}, {{33, 50, 7}, 128, 65},
};
enum { SMALL_SHAPES = 2, SHAPES = sizeof shapes / sizeof *shapes };

// One batch: host arrays, two heads of three, so that the operation's heads begin at column E.
typedef struct batch {
    favor_case c;
    int32_t first_row[SEQUENCES], length[SEQUENCES];
    float *q, *k, *v, *g, *w;
    size_t count;
} batch;

static batch batch_create(const int *length, int head_size, int n_features, pf_favor_kernel kernel)
{
    batch b = {.c = {.config = {.n_heads = 2, .head_size = head_size, .n_features = n_features, .kernel = kernel,
                                .projected = n_features > 0, .causal = true, .renormalize = true, .trains = true,
                                .epsilon = 0.1f, .oprf_s = 4}}};
    b.c.n_sequences = SEQUENCES;
    for (int i = 0; i < SEQUENCES; i++) {
        b.first_row[i] = b.c.rows + GAP;
        b.length[i] = length[i];
        b.c.rows = b.first_row[i] + length[i];
    }
    b.count = (size_t)b.c.rows * 2 * (size_t)head_size;
    float **arrays[] = {&b.q, &b.k, &b.v, &b.g};
    for (unsigned i = 0; i < 4; i++) {
        *arrays[i] = malloc(b.count * sizeof(float));
        test_normal(*arrays[i], b.count, 1, i);
    }
    if (n_features > 0) {
        b.w = malloc((size_t)(n_features * head_size) * sizeof(float));
        test_normal(b.w, (size_t)(n_features * head_size), 1, 9);
    }
    return b;
}

static favor_result batch_run(batch *b)
{
    b->c.first_row = b->first_row, b->c.length = b->length;
    b->c.q = b->q, b->c.k = b->k, b->c.v = b->v, b->c.g = b->g, b->c.w = b->w;
    return favor_case_run(&b->c);
}

static void batch_free(batch *b)
{
    free(b->q), free(b->k), free(b->v), free(b->g), free(b->w);
}

// Head h of a sequence out of rows of all heads.
static void pick(float *out, const float *rows, const batch *b, int sequence, int h)
{
    const int e = b->c.config.head_size;
    for (int t = 0; t < b->length[sequence]; t++)
        memcpy(out + t * e, rows + ((b->first_row[sequence] + t) * 2 + h) * e, (size_t)e * sizeof(float));
}

// Rows that may be at a kink (|w.x| < 1e-5: fp32 may take its other side) agree by decree.
static void skip_kinks(const favor_ref *ref, const float *x, float *got, const double *expected)
{
    const int e = ref->head_size;
    for (int t = 0; t < ref->tokens; t++)
        for (int i = 0; favor_ref_nearest_kink(ref, x + t * ref->stride) < 1e-5 && i < e; i++)
            got[t * e + i] = (float)expected[t * e + i];
}

// fp32 sums of up to 130 terms, each rounded by 6e-8: room for 80 roundings of one sign.
static const double tolerance = 5e-6;

static double largest(const double *x, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++) most = fmax(most, fabs(x[i]));
    return most;
}

static void compare_head(const batch *b, const favor_result *got, int sequence, int h)
{
    const pf_favor_config *config = &b->c.config;
    const int length = b->length[sequence], e = config->head_size, stride = 2 * e;
    const size_t count = (size_t)(length * e);
    const int at = (b->first_row[sequence] * 2 + h) * e;
    const favor_ref ref = {length, e, config->projected ? config->n_features : e, stride, config->kernel, true,
                           config->renormalize, (double)config->epsilon, (double)config->oprf_s,
                           b->q + at, b->k + at, b->v + at, b->g + at, b->w, 0};
    double *expected = malloc(4 * count * sizeof *expected);
    favor_ref_run(&ref, expected, expected + count, expected + 2 * count, expected + 3 * count);
    const float *parts[] = {got->o, got->dq, got->dk, got->dv};
    static const char *const what[] = {"o", "dq", "dk", "dv"};
    float *x = malloc(count * sizeof *x);
    for (int i = 0; i < 4; i++) {
        const double *truth = expected + (size_t)i * count;
        // dq and dk of a single token are 0, the difference of two numbers of the size of dv.
        const double scale = fmax(largest(truth, count), length == 1 ? largest(expected + 3 * count, count) : 0);
        pick(x, parts[i], b, sequence, h);
        if (i == 1 || i == 2) skip_kinks(&ref, i == 1 ? ref.q : ref.k, x, truth);
        const double error = test_error(x, truth, count, scale);
        ck_assert_msg(error <= tolerance, "kernel %d L %d E %d M %d head %d: %s off by %.3g", (int)config->kernel, length,
                      e, ref.n_features, h, what[i], error);
        x[count / 2] = (float)(truth[count / 2] + 1.1 * tolerance * scale); // the twin: just outside
        ck_assert(scale == 0 || test_error(x, truth, count, scale) > tolerance);
    }
    free(expected), free(x);
}

// Rows of no sequence are as they were: NaN.
static void check_gaps(const batch *b, const float *x)
{
    const int width = 2 * b->c.config.head_size;
    for (int i = 0; i < SEQUENCES; i++)
        for (int c = 0; c < GAP * width; c++) ck_assert(isnan(x[(b->first_row[i] - GAP) * width + c]));
}

static void compare(int shape, pf_favor_kernel kernel, bool renormalize)
{
    batch b = batch_create(shapes[shape].length, shapes[shape].head_size, shapes[shape].n_features, kernel);
    b.c.config.renormalize = renormalize;
    favor_result got = batch_run(&b);
    for (int i = 0; i < SEQUENCES; i++)
        for (int h = 0; h < 2; h++) compare_head(&b, &got, i, h);
    check_gaps(&b, got.o), check_gaps(&b, got.dq), check_gaps(&b, got.dk), check_gaps(&b, got.dv);
    favor_result_free(&got);
    batch_free(&b);
}

START_TEST(every_shape_equals_reference)
{
    if (test_small() && _i >= SMALL_SHAPES) return;
    compare(_i, PF_FAVOR_RELU, true);
}
END_TEST

// Without the division: the denominators of features of both signs may come near 0. With it: golden cases.
START_TEST(every_kernel_equals_reference)
{
    const pf_favor_kernel kernel = (pf_favor_kernel)_i;
    if (kernel >= PF_FAVOR_SOFTMAX && kernel <= PF_FAVOR_SOFTMAX_OPRF) return;
    compare(1, kernel, false);
}
END_TEST

static bool same_bits(const float *a, const float *b, size_t count)
{
    return memcmp(a, b, count * sizeof *a) == 0;
}

// Whatever token 40 and later ones become, however large, rows before are the same to the bit. With every feature map.
START_TEST(future_changes_nothing)
{
    static const int all[] = {100, 45, 41}, few[] = {14, 9, 6};
    const int cut = test_small() ? 5 : 40;
    batch b = batch_create(test_small() ? few : all, 8, 16, (pf_favor_kernel)_i);
    favor_result before = batch_run(&b);
    const size_t width = 16;
    for (int i = 0; i < SEQUENCES; i++)
        for (size_t n = (size_t)(b.first_row[i] + cut) * width; n < (size_t)(b.first_row[i] + b.length[i]) * width; n++)
            b.q[n] = -3 * b.q[n], b.k[n] = 5 * b.k[n] + 1, b.v[n] *= 1000;
    favor_result after = batch_run(&b);
    for (int i = 0; i < SEQUENCES; i++) {
        const size_t at = (size_t)b.first_row[i] * width, count = (size_t)cut * width;
        ck_assert(same_bits(before.o + at, after.o + at, count));
        ck_assert(!same_bits(before.o + at, after.o + at, count + width)); // and what is not the past does change
        for (size_t n = 0; n < (size_t)b.length[i] * width; n++) ck_assert(isfinite(after.o[at + n]));
    }
    favor_result_free(&before), favor_result_free(&after);
    batch_free(&b);
}
END_TEST

START_TEST(two_runs_give_the_same_bits)
{
    batch b = batch_create(shapes[test_small() ? 1 : 4].length, 13, 50, PF_FAVOR_ELU1);
    favor_result one = batch_run(&b), two = batch_run(&b);
    for (int i = 0; i < SEQUENCES; i++) {
        const size_t at = (size_t)b.first_row[i] * 26, count = (size_t)b.length[i] * 26;
        ck_assert(same_bits(one.o + at, two.o + at, count) && same_bits(one.dq + at, two.dq + at, count));
        ck_assert(same_bits(one.dk + at, two.dk + at, count) && same_bits(one.dv + at, two.dv + at, count));
    }
    favor_result_free(&one), favor_result_free(&two);
    batch_free(&b);
}
END_TEST

// A sequence alone, at row 0, gives the bits that it gives as the second of three between gaps.
START_TEST(neighbours_change_nothing)
{
    batch b = batch_create(shapes[test_small() ? 1 : 4].length, 13, 50, PF_FAVOR_SIGMOID);
    favor_result company = batch_run(&b);
    for (int i = 0; i < SEQUENCES; i++) {
        const size_t at = (size_t)b.first_row[i] * 26, count = (size_t)b.length[i] * 26;
        const int32_t zero = 0;
        favor_case c = b.c;
        c.rows = b.length[i], c.n_sequences = 1, c.first_row = &zero, c.length = &b.length[i];
        c.q += at, c.k += at, c.v += at, c.g += at;
        favor_result alone = favor_case_run(&c);
        ck_assert(same_bits(alone.o, company.o + at, count) && same_bits(alone.dq, company.dq + at, count));
        ck_assert(same_bits(alone.dk, company.dk + at, count) && same_bits(alone.dv, company.dv + at, count));
        favor_result_free(&alone);
    }
    favor_result_free(&company);
    batch_free(&b);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("favor_causal");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, every_shape_equals_reference, 0, SHAPES);
    tcase_add_loop_test(all, every_kernel_equals_reference, 0, PF_FAVOR_KERNELS);
    tcase_add_loop_test(all, future_changes_nothing, 0, PF_FAVOR_KERNELS);
    tcase_add_test(all, two_runs_give_the_same_bits);
    tcase_add_test(all, neighbours_change_nothing);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
