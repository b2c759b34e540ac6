// Arrays of a test, on the host and on the device, freed together; those on the device lie between
// canaries, so a kernel that writes outside is caught.
#ifndef TESTS_SUPPORT_ARRAYS_H
#define TESTS_SUPPORT_ARRAYS_H

#include <stddef.h>

#include "support/device.h"

// Zeroed; freed by arrays_end.
float *host_floats(size_t count);
double *host_doubles(size_t count);
int *host_ints(size_t count);

// `count` normal numbers (test_normal) as floats.
float *host_normal(size_t count, double deviation, unsigned stream);

// The same numbers as doubles, for a reference.
double *as_doubles(const float *x, size_t count);

// Device arrays of 4-byte numbers. NULL: all NaN, so that what a kernel forgets to write shows.
pf_buffer *on_device(const void *numbers, size_t count);

// The floats of a device array.
float *from_device(const pf_buffer *buffer, size_t count);

// Teardown of a test: fails if a canary was touched, and frees everything.
void arrays_end(void);

// A value that depends on x: what a gradient is checked against.
typedef double test_function(const double *x, void *context);

// Fails unless dx is the gradient of the function at x, by central differences of width h (relative
// to the largest gradient: error at most `tolerance`), and proves that a gradient off by ten times that
// would be caught.
typedef struct test_gradient {
    const char *what;
    test_function *function;
    void *context;
    double *x; // restored
    const double *dx;
    size_t count;
    double h, tolerance;
} test_gradient;

void test_is_gradient(const test_gradient *g);

#endif
