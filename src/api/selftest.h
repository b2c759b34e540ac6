// What the files of the self-test share. For src/api/selftest*.c and its test only.
#ifndef PF_API_SELFTEST_H
#define PF_API_SELFTEST_H

#include "device/device.h"
#include "performer/selftest.h"

// Answers are weighted sums of everything a family computed, with weights that depend on the place: a wrong
// or misplaced number moves them.
enum { PF_SELFTEST_SUMS = 3, PF_SELFTEST_MOST_BUFFERS = 32 };

typedef struct pf_selftest {
    pf_device *device;
    pf_buffer *buffers[PF_SELFTEST_MOST_BUFFERS]; // all that a family made, freed after it
    int n_buffers;
    double sums[PF_SELFTEST_SUMS], size; // size: root of the sum of squares, what errors are relative to
    int n_taken;
} pf_selftest;

// `count` fixed numbers, normal with deviation 1, the same everywhere.
pf_status pf_selftest_input(pf_selftest *test, int stream, int count, pf_buffer **out);
pf_status pf_selftest_integers(pf_selftest *test, const int *values, int count, pf_buffer **out);
pf_status pf_selftest_output(pf_selftest *test, int count, pf_buffer **out); // zeros
// Adds a result of `count` floats to the sums.
pf_status pf_selftest_take(pf_selftest *test, const pf_buffer *buffer, int count);

typedef struct pf_selftest_family {
    const char *name;
    pf_status (*run)(pf_selftest *test);
    bool quick;
    double answers[PF_SELFTEST_SUMS];
} pf_selftest_family;

// selftest_families.c
pf_status pf_selftest_tile(pf_selftest *test);
pf_status pf_selftest_tile_both(pf_selftest *test);
pf_status pf_selftest_clblast(pf_selftest *test);
pf_status pf_selftest_layer_norm(pf_selftest *test);
pf_status pf_selftest_activation(pf_selftest *test);
pf_status pf_selftest_embedding(pf_selftest *test);
pf_status pf_selftest_rotary(pf_selftest *test);
pf_status pf_selftest_cross_entropy(pf_selftest *test);
pf_status pf_selftest_task(pf_selftest *test);
pf_status pf_selftest_optimizer(pf_selftest *test);
pf_status pf_selftest_prefix_sum(pf_selftest *test);
// selftest_attention.c
pf_status pf_selftest_favor(pf_selftest *test);
pf_status pf_selftest_favor_causal(pf_selftest *test);
pf_status pf_selftest_exact(pf_selftest *test);
pf_status pf_selftest_exact_causal(pf_selftest *test);

extern const pf_selftest_family pf_selftest_families[];
extern const int pf_n_selftest_families;

// The sums of one family as this device computes them.
pf_status pf_selftest_sums(pf_device *device, const pf_selftest_family *family, double sums[PF_SELFTEST_SUMS],
                           double *size);

#endif
