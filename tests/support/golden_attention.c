// Reading the golden attention cases. See golden_attention.h; the format is described in tests/golden/README.md.
#include "support/golden_attention.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"

#define FOLDER PF_TEST_SOURCE "/golden/attention/"

static json_t *load_index(void)
{
    json_error_t error;
    json_t *index = json_load_file(FOLDER "index.json", 0, &error);
    ck_assert_msg(index, "golden index: %s", error.text);
    return index;
}

int golden_attention_count(void)
{
    json_t *index = load_index();
    const int count = (int)json_array_size(index);
    json_decref(index);
    return count;
}

// `count` items of the file, behind its header (version 1: 10 bytes and the length they tell).
static void *load_npy(const char *name, const char *type, size_t count, size_t item_bytes)
{
    char path[600], text[256] = "";
    unsigned char head[10];
    snprintf(path, sizeof path, FOLDER "%s", name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file, "cannot open %s", path);
    ck_assert_uint_eq(fread(head, 1, sizeof head, file), sizeof head);
    const size_t header = head[8] + 256u * head[9];
    ck_assert(header < sizeof text && fread(text, 1, header, file) == header);
    ck_assert_msg(strstr(text, type) && strstr(text, "'fortran_order': False"), "%s: %s", name, text);
    void *data = malloc(count * item_bytes);
    ck_assert_msg(fread(data, item_bytes, count, file) == count, "%s is short", name);
    fclose(file);
    return data;
}

int golden_rows(const golden_attention *golden)
{
    return golden->n_sequences * golden->length;
}

int golden_width(const golden_attention *golden)
{
    return golden->n_heads * golden->head_size;
}

// Where element (b, h, l, e) of a [B,H,L,E] tensor is among the rows.
static size_t row_index(const golden_attention *c, size_t i)
{
    const size_t size = (size_t)c->head_size, length = (size_t)c->length, heads = (size_t)c->n_heads;
    const size_t e = i % size, l = i / size % length, h = i / size / length % heads, b = i / size / length / heads;
    return ((b * length + l) * heads + h) * size + e;
}

static float *load_rows(const golden_attention *c, const json_t *entry, const char *key)
{
    const size_t count = (size_t)golden_rows(c) * (size_t)golden_width(c);
    float *tensor = load_npy(json_string_value(json_object_get(entry, key)), "'<f4'", count, sizeof *tensor);
    float *rows = malloc(count * sizeof *rows);
    for (size_t i = 0; i < count; i++) rows[row_index(c, i)] = tensor[i];
    free(tensor);
    return rows;
}

static void load_expected(golden_attention *c, const char *name)
{
    const size_t count = (size_t)golden_rows(c) * (size_t)golden_width(c);
    double *all = load_npy(name, "'<f8'", 4 * count, sizeof *all), **parts[] = {&c->o, &c->dq, &c->dk, &c->dv};
    for (size_t p = 0; p < 4; p++) {
        *parts[p] = malloc(count * sizeof **parts[p]);
        for (size_t i = 0; i < count; i++) (*parts[p])[row_index(c, i)] = all[p * count + i];
    }
    free(all);
}

static int get_int(const json_t *entry, const char *key)
{
    return (int)json_integer_value(json_object_get(entry, key));
}

bool golden_attention_load(int index, const char *kernel, golden_attention *out)
{
    json_t *all = load_index();
    const json_t *entry = json_array_get(all, (size_t)index);
    const char *its_kernel = json_string_value(json_object_get(entry, "kernel"));
    const bool wanted = !kernel || strcmp(kernel, its_kernel) == 0;
    if (wanted) {
        golden_attention c = {.causal = json_is_true(json_object_get(entry, "causal")),
                              .n_sequences = get_int(entry, "B"), .n_heads = get_int(entry, "H"),
                              .length = get_int(entry, "L"), .head_size = get_int(entry, "E"),
                              .n_features = get_int(entry, "M")};
        snprintf(c.name, sizeof c.name, "%s", json_string_value(json_object_get(entry, "name")));
        snprintf(c.kernel, sizeof c.kernel, "%s", its_kernel);
        const json_t *lengths = json_object_get(entry, "lengths"), *limits = json_object_get(entry, "tolerance");
        for (int b = 0; b < c.n_sequences; b++) {
            c.first_row[b] = b * c.length;
            c.lengths[b] = json_is_array(lengths) ? (int)json_integer_value(json_array_get(lengths, (size_t)b)) : c.length;
        }
        c.tolerance = json_number_value(json_object_get(limits, "o"));
        c.tolerance_gradients = json_number_value(json_object_get(limits, "gradients"));
        c.q = load_rows(&c, entry, "q"), c.k = load_rows(&c, entry, "k");
        c.v = load_rows(&c, entry, "v"), c.g = load_rows(&c, entry, "g");
        const char *w = json_string_value(json_object_get(entry, "w"));
        if (w) c.w = load_npy(w, "'<f4'", (size_t)c.n_features * (size_t)c.head_size, sizeof *c.w);
        load_expected(&c, json_string_value(json_object_get(entry, "expected")));
        *out = c;
    }
    json_decref(all);
    return wanted;
}

void golden_attention_free(golden_attention *c)
{
    free(c->q), free(c->k), free(c->v), free(c->g), free(c->w);
    free(c->o), free(c->dq), free(c->dk), free(c->dv);
}

// Largest difference in rows of tokens over the largest expected number (or `floor`).
static void check(const golden_attention *c, const char *what, const float *got, const double *expected, double floor,
                  double tolerance)
{
    const size_t width = (size_t)golden_width(c);
    double largest = floor, worst = 0;
    for (int b = 0; b < c->n_sequences; b++)
        for (size_t i = 0; i < (size_t)c->lengths[b] * width; i++) {
            const size_t at = (size_t)c->first_row[b] * width + i;
            const double error = fabs((double)got[at] - expected[at]);
            largest = fmax(largest, fabs(expected[at]));
            worst = isnan(error) ? (double)INFINITY : fmax(worst, error);
        }
    ck_assert_msg(worst <= tolerance * largest, "%s: %s: error %.3g, allowed %.3g", c->name, what, worst / largest,
                  tolerance);
}

void golden_attention_check(const golden_attention *c, const float *o)
{
    check(c, "o", o, c->o, 1e-30, c->tolerance);
}

void golden_attention_check_gradients(const golden_attention *c, const float *dq, const float *dk, const float *dv)
{
    double largest = 1e-30;
    for (size_t i = 0; i < (size_t)golden_rows(c) * (size_t)golden_width(c); i++) largest = fmax(largest, fabs(c->dv[i]));
    check(c, "dq", dq, c->dq, 0.05 * largest, c->tolerance_gradients);
    check(c, "dk", dk, c->dk, 0.05 * largest, c->tolerance_gradients);
    check(c, "dv", dv, c->dv, 1e-30, c->tolerance_gradients);
}
