// Arrays of a test. See arrays.h.
#include "support/arrays.h"

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 128 };

static void *host[MOST];
static struct {
    pf_buffer *whole, *part;
    size_t count, guard;
} device[MOST];
static int n_host, n_device;

static const uint32_t canary = 0xC0FFEE11u, nan_word = 0x7FC00001u;

static void *take(size_t bytes)
{
    ck_assert_int_lt(n_host, MOST);
    return host[n_host++] = calloc(bytes ? bytes : 1, 1);
}

float *host_floats(size_t count)
{
    return take(count * sizeof(float));
}

double *host_doubles(size_t count)
{
    return take(count * sizeof(double));
}

int *host_ints(size_t count)
{
    return take(count * sizeof(int));
}

float *host_normal(size_t count, double deviation, unsigned stream)
{
    float *x = host_floats(count);
    test_normal(x, count, deviation, stream);
    return x;
}

double *as_doubles(const float *x, size_t count)
{
    double *y = host_doubles(count);
    for (size_t i = 0; i < count; i++) y[i] = (double)x[i];
    return y;
}

pf_buffer *on_device(const void *numbers, size_t count)
{
    ck_assert_int_lt(n_device, MOST);
    const size_t guard = pf_device_alignment(test_device()) / sizeof(uint32_t), all = count + 2 * guard;
    uint32_t *words = malloc(all * sizeof *words);
    for (size_t i = 0; i < all; i++) words[i] = i < guard || i >= guard + count ? canary : nan_word;
    if (numbers) memcpy(words + guard, numbers, count * sizeof *words);
    pf_buffer *whole = NULL, *part = NULL;
    must(pf_buffer_create(test_device(), all * sizeof *words, "test", &whole));
    must(pf_buffer_write(whole, 0, words, all * sizeof *words));
    must(pf_buffer_slice(whole, guard * sizeof *words, (count ? count : 1) * sizeof *words, &part));
    free(words);
    device[n_device].whole = whole;
    device[n_device].part = part;
    device[n_device].count = count;
    device[n_device++].guard = guard;
    return part;
}

float *from_device(const pf_buffer *buffer, size_t count)
{
    float *x = host_floats(count);
    test_download(buffer, x, count);
    return x;
}

static int is_intact(int k)
{
    const size_t guard = device[k].guard, count = device[k].count, all = count + 2 * guard;
    uint32_t *words = malloc(all * sizeof *words);
    int intact = pf_buffer_read(device[k].whole, 0, words, all * sizeof *words) == PF_OK;
    for (size_t i = 0; i < all; i++)
        if (i < guard || i >= guard + count) intact = intact && words[i] == canary;
    free(words);
    return intact;
}

void arrays_end(void)
{
    int broken = 0;
    for (int k = 0; k < n_device; k++) {
        broken += !is_intact(k);
        pf_buffer_free(device[k].part);
        pf_buffer_free(device[k].whole);
    }
    for (int k = 0; k < n_host; k++) free(host[k]);
    n_host = n_device = 0;
    ck_assert_msg(broken == 0, "a kernel wrote outside %d of its arrays", broken);
}

static double gradient_error(const test_gradient *g, double moved)
{
    double largest = 1e-30, worst = 0;
    for (size_t i = 0; i < g->count; i++) largest = fmax(largest, fabs(g->dx[i]));
    for (size_t i = 0; i < g->count; i++) {
        const double x = g->x[i];
        g->x[i] = x + g->h;
        const double above = g->function(g->x, g->context);
        g->x[i] = x - g->h;
        const double below = g->function(g->x, g->context);
        g->x[i] = x;
        const double told = g->dx[i] + (i == g->count / 2 ? moved * largest : 0);
        worst = fmax(worst, fabs((above - below) / (2 * g->h) - told) / largest);
    }
    return worst;
}

void test_is_gradient(const test_gradient *g)
{
    const double error = gradient_error(g, 0);
    ck_assert_msg(error <= g->tolerance, "%s: off by %.3g from differences, allowed %.3g", g->what, error, g->tolerance);
    ck_assert_msg(gradient_error(g, 10 * g->tolerance) > g->tolerance, "%s: the comparison cannot fail", g->what);
}
