// Device fixture and comparison for the tests. See device.h.
#include "support/device.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/suite.h"

static pf_device *device;

void test_finish(void)
{
    pf_device_close(device);
    device = NULL;
}

pf_device *test_device(void)
{
    if (device) return device;
    const pf_device_options options = {.selector = getenv("PERFORMER_DEVICE")};
    if (pf_device_open(&options, &device) != PF_OK) {
        const int required = getenv("PERFORMER_REQUIRE_DEVICE") != NULL;
        fprintf(stderr, "%s: %s\n", required ? "a device is required" : "skipped", pf_error_message());
        exit(required ? EXIT_FAILURE : 77);
    }
    return device;
}

int test_small(void)
{
    const char *small = getenv("PERFORMER_TEST_SMALL");
    return small && strcmp(small, "1") == 0;
}

pf_buffer *test_upload(const float *data, size_t count)
{
    pf_buffer *buffer = NULL;
    must(pf_buffer_create(test_device(), count * sizeof *data, "test", &buffer));
    must(pf_buffer_write(buffer, 0, data, count * sizeof *data));
    return buffer;
}

pf_buffer *test_empty(size_t count)
{
    float *nan_values = malloc((count ? count : 1) * sizeof *nan_values);
    for (size_t i = 0; i < count; i++) nan_values[i] = NAN;
    pf_buffer *buffer = test_upload(nan_values, count);
    free(nan_values);
    return buffer;
}

void test_download(const pf_buffer *buffer, float *data, size_t count)
{
    must(pf_buffer_read(buffer, 0, data, count * sizeof *data));
}

void test_normal(float *out, size_t count, double deviation, unsigned stream)
{
    for (size_t i = 0; i < count; i++) out[i] = (float)(deviation * pf_random_normal(1, PF_RANDOM_TEST, stream, i));
}

double test_error(const float *got, const double *expected, size_t count, double floor)
{
    double largest = floor, worst = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs(expected[i]));
    for (size_t i = 0; i < count; i++) {
        const double error = fabs((double)got[i] - expected[i]);
        worst = isnan(error) ? (double)INFINITY : fmax(worst, error);
    }
    return worst == 0 ? 0 : worst / largest;
}

void test_close(const char *what, const float *got, const double *expected, size_t count, double tolerance)
{
    const double error = test_error(got, expected, count, 1e-30);
    ck_assert_msg(error <= tolerance, "%s: error %.3g, allowed %.3g", what, error, tolerance);
    if (count == 0) return;
    // The twin: one element moved by twice the tolerance must be caught.
    float *moved = malloc(count * sizeof *moved);
    double largest = 1e-30;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs(expected[i]));
    memcpy(moved, got, count * sizeof *moved);
    moved[count / 2] += (float)(((double)moved[count / 2] >= expected[count / 2] ? 2 : -2) * tolerance * largest);
    ck_assert_msg(test_error(moved, expected, count, 1e-30) > tolerance, "%s: the comparison cannot fail", what);
    free(moved);
}
