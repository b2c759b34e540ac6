// Matrix products: every provider equals the reference for any shape, transposes, placement and epilogue; touches
// nothing else; and the tile provider's bits depend on what they should only.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/matmul/matmul.h"
#include "ref/matmul_ref.h"
#include "support/device.h"
#include "support/suite.h"

static pf_matmul *products[3]; // by pf_matmul_choice

static pf_matmul *provider(pf_matmul_choice choice)
{
    if (!products[choice]) must(pf_matmul_create(test_device(), choice, &products[choice]));
    return products[choice];
}

static void free_providers(void)
{
    for (int i = 0; i < 3; i++) pf_matmul_free(products[i]);
}

static void run(pf_matmul *matmul, const pf_matmul_call *call)
{
    size_t bytes = 0;
    must(pf_matmul_scratch_bytes(matmul, call, &bytes));
    must(pf_matmul_reserve(matmul, bytes));
    must(pf_matmul_run(matmul, call));
}

// A host array and its copy on the device: `first` floats in front of the matrices, a few behind.
typedef struct array {
    float *host;
    pf_buffer *buffer;
    size_t count, first;
} array;

enum { BEHIND = 7 };

static array array_create(size_t first, size_t count, double deviation, unsigned stream)
{
    array x = {.count = first + count + BEHIND, .first = first};
    x.host = malloc(x.count * sizeof *x.host);
    test_normal(x.host, x.count, deviation, stream);
    x.buffer = test_upload(x.host, x.count);
    return x;
}

static void array_free(array *x)
{
    pf_buffer_free(x->buffer);
    free(x->host);
}

typedef struct problem {
    pf_matmul_call call;
    array a, b, c, residual, bias, pre;
    bool residual_is_c;
} problem;

// What a case is made of besides its sizes.
typedef struct variant {
    const char *name;
    bool transpose_a, transpose_b;
    float alpha, beta;
    enum { NO_RESIDUAL, OTHER_RESIDUAL } residual;
    bool bias, activation, pre;
    pf_activation which;
    int gap, batch; // extra floats per row and in front
} variant;

static problem problem_create(int m, int n, int k, const variant *v)
{
    const int gap = v->gap, batch = v->batch ? v->batch : 1;
    pf_matmul_call call = {.m = m, .n = n, .k = k, .transpose_a = v->transpose_a, .transpose_b = v->transpose_b,
                           .alpha = v->alpha, .beta = v->beta, .has_activation = v->activation, .activation = v->which,
                           .batch = batch};
    call.lda = (v->transpose_a ? m : k) + gap;
    call.ldb = (v->transpose_b ? k : n) + 2 * gap;
    call.ldc = n + gap;
    call.a_stride = (size_t)call.lda * (size_t)(v->transpose_a ? k : m) + (size_t)gap;
    call.b_stride = batch > 1 && gap ? 0 : (size_t)call.ldb * (size_t)(v->transpose_b ? n : k);
    call.c_stride = (size_t)call.ldc * (size_t)m + (size_t)gap;
    const size_t at = (size_t)gap, times = (size_t)batch;
    problem p = {.call = call};
    p.a = array_create(at, call.a_stride * times, 1, 1);
    p.b = array_create(2 * at, (size_t)call.ldb * (size_t)(v->transpose_b ? n : k) * times, 1, 2);
    p.c = array_create(3 * at, call.c_stride * times, 1, 3);
    if (v->residual == OTHER_RESIDUAL) p.residual = array_create(3 * at, call.c_stride * times, 1, 4);
    if (v->bias) p.bias = array_create(0, (size_t)n, 1, 5);
    if (v->pre) p.pre = array_create(3 * at, call.c_stride * times, 1, 6);
    p.call.a = p.a.buffer, p.call.b = p.b.buffer, p.call.c = p.c.buffer, p.call.residual = p.residual.buffer;
    p.call.bias = p.bias.buffer, p.call.pre_activation = p.pre.buffer;
    p.call.a_offset = at, p.call.b_offset = 2 * at, p.call.c_offset = 3 * at;
    return p;
}

static void problem_free(problem *p)
{
    array *const all[] = {&p->a, &p->b, &p->c, &p->residual, &p->bias, &p->pre};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) array_free(all[i]);
}

// One rounding of 2^-24 for each of k + 3 terms, each at most the size of all terms together, whatever their order.
// An activation passes errors on with a slope of at most 1.13 and adds its own: 3e-7 of max(|x|, 1).
static double allowed(const pf_matmul_call *call, double size, double x, bool activated)
{
    const double rounding = (call->k + 3) * 0x1p-24 * size + 1e-37;
    return activated && call->has_activation ? 1.13 * rounding + 3e-7 * fmax(fabs(x), 1) : rounding;
}

// Largest error of `got` in units of what is allowed, and every float outside of the matrices as it was.
static double compare(const problem *p, const array *out, const float *got, bool activated)
{
    const pf_matmul_call *call = &p->call;
    const size_t numbers = (size_t)call->m * (size_t)call->n;
    const array *residual = p->residual.host ? &p->residual : &p->c;
    const matmul_ref_data data = {p->a.host + p->a.first, p->b.host + p->b.first,
                                  call->beta != 0 ? residual->host + residual->first : NULL, p->bias.host};
    double *y = malloc(numbers * sizeof *y), *size = malloc(numbers * sizeof *size), worst = 0;
    char *inside = calloc(out->count, 1);
    for (int z = 0; z < call->batch; z++) {
        matmul_ref(y, size, call, &data, z);
        for (size_t e = 0; e < numbers; e++) {
            const size_t at = out->first + (size_t)z * call->c_stride +
                              e / (size_t)call->n * (size_t)call->ldc + e % (size_t)call->n;
            const double expected = activated ? activation_ref(y[e], call) : y[e];
            const double error = fabs((double)got[at] - expected) / allowed(call, size[e], y[e], activated);
            worst = isnan(error) ? (double)INFINITY : fmax(worst, error);
            inside[at] = 1;
        }
    }
    for (size_t i = 0; i < out->count; i++)
        ck_assert_msg(inside[i] || memcmp(&got[i], &out->host[i], sizeof *got) == 0, "float %zu outside was changed", i);
    free(y), free(size), free(inside);
    return worst;
}

// Of the sum that is element (0, 0).
static float largest_term(const problem *p)
{
    const pf_matmul_call *call = &p->call;
    float largest = 0;
    for (int k = 0; k < call->k; k++) {
        const float term = p->a.host[p->a.first + (size_t)k * (size_t)(call->transpose_a ? call->lda : 1)] *
                           p->b.host[p->b.first + (size_t)k * (size_t)(call->transpose_b ? 1 : call->ldb)];
        if (fabsf(term) > fabsf(largest)) largest = term;
    }
    return largest;
}

static void check_output(const problem *p, const array *out, const char *name, bool activated)
{
    const pf_matmul_call *call = &p->call;
    float *got = malloc(out->count * sizeof *got);
    test_download(out->buffer, got, out->count);
    const double worst = compare(p, out, got, activated);
    ck_assert_msg(worst <= 1, "%s %d x %d x %d: %.3g of the allowed error", name, call->m, call->n, call->k, worst);
    if (call->m && call->n && call->k && !(activated && call->has_activation)) {
        got[out->first] -= call->alpha * largest_term(p); // the twin: one term left out must be caught
        ck_assert_msg(compare(p, out, got, activated) > 1, "%s: a missing term is not noticed", name);
    }
    free(got);
}

static void check_problem(pf_matmul_choice choice, int m, int n, int k, const variant *v)
{
    problem p = problem_create(m, n, k, v);
    run(provider(choice), &p.call);
    check_output(&p, &p.c, v->name, true);
    if (v->pre) check_output(&p, &p.pre, v->name, false);
    problem_free(&p);
}

static const variant variants[] = {
    {.name = "nn", .alpha = 1},
    {.name = "nt", .alpha = 1, .transpose_b = true},
    {.name = "tn", .alpha = 1, .transpose_a = true},
    {.name = "tt", .alpha = -0.5f, .transpose_a = true, .transpose_b = true, .gap = 3},
    {.name = "nn placed", .alpha = 1, .gap = 5, .residual = OTHER_RESIDUAL, .beta = 1},
    {.name = "nt forward", .alpha = 1, .transpose_b = true, .bias = true, .residual = OTHER_RESIDUAL, .beta = 0.5f},
    {.name = "nt gelu", .alpha = 1, .transpose_b = true, .bias = true, .activation = true, .pre = true, .gap = 1},
    {.name = "nn gelu_tanh", .alpha = 2, .bias = true, .activation = true, .which = PF_ACTIVATION_GELU_TANH},
    {.name = "nt relu", .alpha = 1, .transpose_b = true, .activation = true, .which = PF_ACTIVATION_RELU, .pre = true},
    {.name = "tn added", .alpha = 1, .transpose_a = true, .beta = 1, .gap = 2},
    {.name = "nt batch", .alpha = 1, .transpose_b = true, .batch = 3},
    {.name = "nn batch", .alpha = 1, .beta = -1, .bias = true, .batch = 2, .gap = 4}, // one b for all
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static const int shapes[][3] = {
    {1, 1, 1},    {1, 29, 7},   {3, 1, 5},     {7, 13, 11},  {4, 64, 64},   {5, 63, 15},  {6, 64, 16},
    {8, 65, 33},  {9, 33, 17},  {12, 32, 31},  {13, 29, 0},  {33, 65, 32},  {1, 0, 5},    {97, 29, 130},
    {95, 130, 7}, {61, 61, 257}, {11, 200, 512}, {200, 127, 300}, {31, 16, 1031},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static bool too_large(const int *shape)
{
    return test_small() && (double)shape[0] * shape[1] * shape[2] > 20000;
}

START_TEST(tile_equals_reference)
{
    const int *shape = shapes[_i];
    if (too_large(shape)) return;
    for (int v = 0; v < VARIANTS; v++) check_problem(PF_MATMUL_TILE, shape[0], shape[1], shape[2], &variants[v]);
}
END_TEST

// CLBlast compiles for long: a few shapes, one beyond the size from which it copies to its own layout.
static const int foreign_shapes[][3] = {{1, 1, 1}, {7, 13, 11}, {13, 29, 0}, {65, 29, 130}, {300, 257, 301}};

START_TEST(clblast_equals_reference)
{
    const int *shape = foreign_shapes[_i];
    if (too_large(shape)) return;
    for (int v = 0; v < VARIANTS; v++) check_problem(PF_MATMUL_CLBLAST, shape[0], shape[1], shape[2], &variants[v]);
}
END_TEST

START_TEST(what_c_held_does_not_leak)
{
    const variant v = {.alpha = 1, .transpose_b = true};
    const int sizes[][3] = {{1, 30, 9}, {19, 67, 21}, {70, 67, 300}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (too_large(sizes[i])) continue;
        problem p = problem_create(sizes[i][0], sizes[i][1], sizes[i][2], &v);
        for (size_t e = 0; e < p.c.count; e++) p.c.host[e] = NAN;
        must(pf_buffer_write(p.c.buffer, 0, p.c.host, p.c.count * sizeof *p.c.host));
        run(provider(_i ? PF_MATMUL_CLBLAST : PF_MATMUL_TILE), &p.call);
        check_output(&p, &p.c, "nan", true);
        problem_free(&p);
    }
}
END_TEST

static float *result_of(const problem *p)
{
    float *got = malloc(p->c.count * sizeof *got);
    run(provider(PF_MATMUL_TILE), &p->call);
    test_download(p->c.buffer, got, p->c.count);
    return got;
}

// The first rows and columns of a large product, made alone: the same bits. Few rows, few columns and many take
// different tiles.
START_TEST(bits_depend_on_row_column_and_depth_only)
{
    const bool small = test_small();
    const int m = small ? 20 : 200, n = small ? 70 : 150, k = small ? 10 : 600;
    const int rows[] = {1, 3, 4, 8, 9, 17, 97}, columns[] = {1, 29, 32, 33, 64, 65, 100};
    const variant v = {.alpha = 1, .bias = true, .activation = true};
    problem whole = problem_create(m, n, k, &v);
    float *expected = result_of(&whole), *again = result_of(&whole);
    ck_assert_mem_eq(expected, again, (size_t)m * (size_t)n * sizeof *again);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i] > m || columns[i] > n) continue;
        problem part = whole;
        part.call.m = rows[i], part.call.n = columns[i]; // of the same rows, as far apart
        float *got = result_of(&part);
        for (int r = 0; r < rows[i]; r++)
            ck_assert_mem_eq(got + r * n, expected + r * n, (size_t)columns[i] * sizeof *got);
        free(got);
    }
    free(expected), free(again);
    problem_free(&whole);
}
END_TEST

// The same product with A, B or both stored the other way round: order by k, however it is read.
START_TEST(transposes_change_no_bit)
{
    const int m = 29, n = 40, k = test_small() ? 30 : 700, turn_a = _i & 1, turn_b = _i >> 1;
    const variant plain = {.alpha = 1}, turned = {.alpha = 1, .transpose_a = turn_a, .transpose_b = turn_b};
    problem p = problem_create(m, n, k, &plain), q = problem_create(m, n, k, &turned);
    for (int i = 0; i < m; i++)
        for (int e = 0; e < k; e++) q.a.host[turn_a ? e * m + i : i * k + e] = p.a.host[i * k + e];
    for (int e = 0; e < k; e++)
        for (int j = 0; j < n; j++) q.b.host[turn_b ? j * k + e : e * n + j] = p.b.host[e * n + j];
    must(pf_buffer_write(q.a.buffer, 0, q.a.host, q.a.count * sizeof(float)));
    must(pf_buffer_write(q.b.buffer, 0, q.b.host, q.b.count * sizeof(float)));
    float *left = result_of(&p), *right = result_of(&q);
    ck_assert_mem_eq(left, right, (size_t)m * (size_t)n * sizeof *left);
    free(left), free(right);
    problem_free(&p), problem_free(&q);
}
END_TEST

START_TEST(a_call_that_does_not_fit_is_refused)
{
    const variant v = {.alpha = 1};
    problem p = problem_create(9, 10, 11, &v);
    pf_matmul *matmul = provider(PF_MATMUL_TILE);
    run(matmul, &p.call);
    const uint64_t before = pf_device_launches(test_device());
    pf_matmul_call wrong[] = {p.call, p.call, p.call, p.call, p.call, p.call};
    wrong[0].m = -1;
    wrong[1].lda = 10;
    wrong[2].m = 11;
    wrong[3].b_offset = BEHIND + 1;
    wrong[4].c = NULL;
    wrong[5].bias = p.c.buffer, wrong[5].n = 9, wrong[5].ldb = 10, wrong[5].k = 20000;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(pf_matmul_run(matmul, &wrong[i]) == PF_ERROR_USAGE, "call %zu was taken", i);
    ck_assert_uint_eq(pf_device_launches(test_device()), before);
    problem_free(&p);
}
END_TEST

START_TEST(a_run_takes_no_memory)
{
    const variant v = {.alpha = 1, .transpose_b = true};
    problem p = problem_create(40, 50, 60, &v);
    run(provider(PF_MATMUL_TILE), &p.call);
    const uint64_t before = pf_device_allocations(test_device());
    must(pf_matmul_run(provider(PF_MATMUL_TILE), &p.call));
    ck_assert_uint_eq(pf_device_allocations(test_device()), before);
    problem_free(&p);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("matmul");
    TCase *all = tcase_create("all");
    tcase_add_unchecked_fixture(all, NULL, free_providers);
    tcase_add_loop_test(all, tile_equals_reference, 0, SHAPES);
    tcase_add_loop_test(all, clblast_equals_reference, 0, sizeof foreign_shapes / sizeof *foreign_shapes);
    tcase_add_loop_test(all, what_c_held_does_not_leak, 0, 2);
    tcase_add_test(all, bits_depend_on_row_column_and_depth_only);
    tcase_add_loop_test(all, transposes_change_no_bit, 1, 4);
    tcase_add_test(all, a_call_that_does_not_fit_is_refused);
    tcase_add_test(all, a_run_takes_no_memory);
    tcase_set_timeout(all, 300);
    suite_add_tcase(s, all);
    return s;
}
