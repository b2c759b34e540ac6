// The device that a test program runs on, opened once, and comparison with a reference.
#ifndef TESTS_SUPPORT_DEVICE_H
#define TESTS_SUPPORT_DEVICE_H

#include <stddef.h>

#include "device/device.h"

// The device of PERFORMER_DEVICE (default auto). Without one the program ends with 77, a skip,
// unless PERFORMER_REQUIRE_DEVICE is set: then it fails.
pf_device *test_device(void);

// True with PERFORMER_TEST_SMALL=1: only shapes that a simulator gets through.
int test_small(void);

// A buffer with these floats in it; aborts the test on an error.
pf_buffer *test_upload(const float *data, size_t count);
// A buffer of `count` floats, all NaN, so that what a kernel forgets to write shows.
pf_buffer *test_empty(size_t count);
void test_download(const pf_buffer *buffer, float *data, size_t count);

// `count` numbers, normal with this deviation, from a stream of its own.
void test_normal(float *out, size_t count, double deviation, unsigned stream);

// Largest |got - expected| / max(largest |expected|, floor); NaN counts as infinite.
double test_error(const float *got, const double *expected, size_t count, double floor);

// Fails unless the call returned PF_OK, with the library's message.
#define must(call) ck_assert_msg((call) == PF_OK, "%s", pf_error_message())

// Fails unless `got` is within `tolerance` of `expected`, and proves that the comparison could have failed: the worst
// element moved by twice the tolerance must be caught.
void test_close(const char *what, const float *got, const double *expected, size_t count, double tolerance);

#endif
