// Golden attention cases on the device. See favor_golden.h and tests/golden/README.md.
#include "ops/favor_golden.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/favor_case.h"
#include "store/npy.h"
#include "support/device.h"

#define FOLDER PF_TEST_SOURCE "/golden/attention/"

#define NAME(constant, name) name,
static const char *const names[] = {PF_FAVOR_KERNEL_TABLE(NAME)};
#undef NAME

typedef struct shape {
    int B, H, L, E;
} shape;

static int number(const json_t *entry, const char *key)
{
    return (int)json_integer_value(json_object_get(entry, key));
}

static pf_npy_array array(const json_t *entry, const char *key)
{
    char path[1024];
    pf_npy_array out = {0};
    snprintf(path, sizeof path, FOLDER "%s", json_string_value(json_object_get(entry, key)));
    must(pf_npy_read(path, &out));
    return out;
}

static size_t packed_at(const shape *s, int b, int h, int t)
{
    return ((size_t)(b * s->L + t) * (size_t)s->H + (size_t)h) * (size_t)s->E;
}

// [B,H,L,E] as rows of all heads.
static float *packed(const shape *s, const json_t *entry, const char *key)
{
    pf_npy_array in = array(entry, key);
    ck_assert_uint_eq(in.count, (uint64_t)(s->B * s->H * s->L * s->E));
    float *out = malloc(in.count * sizeof *out);
    const float *from = in.data;
    for (int b = 0; b < s->B; b++)
        for (int h = 0; h < s->H; h++)
            for (int t = 0; t < s->L; t++, from += s->E)
                memcpy(out + packed_at(s, b, h, t), from, (size_t)s->E * sizeof *out);
    pf_npy_free(&in);
    return out;
}

// Largest difference over largest expected number (at least `floor`), over the rows of sequences only.
static double worst(const shape *s, const int32_t *length, const float *got, const float *expected, double floor)
{
    double largest = floor, difference = 0;
    for (int b = 0; b < s->B; b++)
        for (int h = 0; h < s->H; h++)
            for (int t = 0; t < s->L; t++, expected += s->E)
                for (int e = 0; t < length[b] && e < s->E; e++) {
                    const double d = fabs((double)got[packed_at(s, b, h, t) + (size_t)e] - (double)expected[e]);
                    largest = fmax(largest, fabs((double)expected[e]));
                    difference = isnan(d) ? (double)INFINITY : fmax(difference, d);
                }
    return difference / fmax(largest, 1e-30);
}

static void compare(const char *name, const json_t *entry, const shape *s, const int32_t *length, const favor_result *got)
{
    const json_t *allowed = json_object_get(entry, "tolerance");
    const double o = json_real_value(json_object_get(allowed, "o"));
    const double gradients = json_real_value(json_object_get(allowed, "gradients"));
    pf_npy_array expected = array(entry, "expected");
    const size_t each = (size_t)(s->B * s->H * s->L * s->E);
    ck_assert_uint_eq(expected.count, 4 * each);
    double largest = 0; // of dv: dq and dk are 0 for a single token
    for (size_t i = 3 * each; i < 4 * each; i++) largest = fmax(largest, fabs((double)expected.data[i]));
    const float *parts[] = {got->o, got->dq, got->dk, got->dv};
    static const char *const what[] = {"o", "dq", "dk", "dv"};
    for (int i = 0; i < 4; i++) {
        const double floor = i == 1 || i == 2 ? 0.05 * largest : 0, tolerance = i == 0 ? o : gradients;
        const double error = worst(s, length, parts[i], expected.data + (size_t)i * each, floor);
        ck_assert_msg(error <= tolerance, "%s: error of %s %.3g, allowed %.3g", name, what[i], error, tolerance);
    }
    // The twin: an answer off by twice the tolerance is caught.
    largest = 0;
    for (size_t n = 0; n < each; n++) largest = fmax(largest, fabs((double)expected.data[n]));
    got->o[0] = expected.data[0] + (float)(2 * o * largest);
    ck_assert_msg(worst(s, length, got->o, expected.data, 0) > o, "%s: the comparison cannot fail", name);
    pf_npy_free(&expected);
}

static void run(const json_t *entry, pf_favor_kernel kernel, bool causal)
{
    const shape s = {number(entry, "B"), number(entry, "H"), number(entry, "L"), number(entry, "E")};
    const json_t *lengths = json_object_get(entry, "lengths");
    const bool projected = json_is_string(json_object_get(entry, "w"));
    int32_t first_row[8], length[8];
    ck_assert_int_le(s.B, 8);
    for (int b = 0; b < s.B; b++) {
        first_row[b] = b * s.L;
        length[b] = json_is_array(lengths) ? (int32_t)json_integer_value(json_array_get(lengths, (size_t)b)) : s.L;
    }
    pf_npy_array w = {0};
    if (projected) w = array(entry, "w");
    float *q = packed(&s, entry, "q"), *k = packed(&s, entry, "k"), *v = packed(&s, entry, "v");
    float *g = packed(&s, entry, "g");
    const favor_case c = {
        {.n_heads = s.H, .head_size = s.E, .n_features = number(entry, "M"), .kernel = kernel, .projected = projected,
         .causal = causal, .renormalize = true, .trains = true, .epsilon = 1e-3f, .oprf_s = (float)s.E / 16},
        s.B * s.L, s.B, first_row, length, q, k, v, g, w.data,
    };
    favor_result got = favor_case_run(&c);
    compare(json_string_value(json_object_get(entry, "name")), entry, &s, length, &got);
    favor_result_free(&got);
    if (projected) pf_npy_free(&w);
    free(q), free(k), free(v), free(g);
}

int favor_golden_run(bool causal, bool (*wanted)(pf_favor_kernel kernel))
{
    json_error_t error;
    json_t *index = json_load_file(FOLDER "index.json", 0, &error), *entry;
    ck_assert_msg(index != NULL, "index.json: %s", error.text);
    size_t i;
    int count = 0;
    json_array_foreach(index, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "kernel"));
        for (int kernel = 0; kernel < PF_FAVOR_KERNELS; kernel++) {
            if (strcmp(name, names[kernel]) != 0 || !wanted((pf_favor_kernel)kernel)) continue;
            if (json_is_true(json_object_get(entry, "causal")) != causal) continue;
            if (test_small() && number(entry, "L") > 16) continue;
            run(entry, (pf_favor_kernel)kernel, causal);
            count++;
        }
    }
    json_decref(index);
    return count;
}
