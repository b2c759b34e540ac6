// A batch of sequences for the tests of FAVOR attention: made, run on the device, held against tests/ref.
#ifndef TESTS_OPS_FAVOR_BATCH_H
#define TESTS_OPS_FAVOR_BATCH_H

#include "ops/favor.h"

enum { FAVOR_MOST_SEQUENCES = 8 };

// fp32 rounds features to 1e-7 each; sums of up to 600 tokens and 256 features and one division leave below 2e-6 of the
// largest output. Gradients take differences of numbers up to ten times as large.
#define FAVOR_TOLERANCE 1e-5
#define FAVOR_GRADIENT_TOLERANCE 5e-5

// q, k, v are columns of one array [N,3D] as in the model, D = (first_head + n_heads + 1) heads: the heads
// around those of the operation, and the rows between sequences, hold NaN and must stay untouched.
typedef struct favor_batch {
    pf_favor_config config;
    int n_sequences, length[FAVOR_MOST_SEQUENCES], gap; // `gap` rows before each sequence
    bool near;           // queries and keys around one vector: denominators of signed features stay away from 0
    double deviation;    // of q and k; 0: 1
    // made by favor_batch_make
    int rows, width, first[FAVOR_MOST_SEQUENCES];
    float *qkv, *gradient, *w;      // [N,3D] [N,D] [M,E]
    float *o, *dq, *dk, *dv;        // results [N,D]
} favor_batch;

// Two heads, sequences of 7, 1, 130 and 300 tokens with gaps; n_features 0: no projection. Inputs suit the map.
favor_batch favor_batch_of(pf_favor_kernel kernel, int head_size, int n_features);

// Fills in data: normal numbers; a sequence's numbers depend on its place in `length` plus `stream`, so that
// two batches can hold the same sequence.
void favor_batch_make(favor_batch *c, const unsigned *stream);
void favor_batch_free(favor_batch *c);

// Forward, and backward with config.trains.
void favor_batch_run(favor_batch *c);

// Made, run, checked to the tolerances above and freed; with test_small() only its first two sequences, one head.
void favor_batch_test(favor_batch c);

// Every sequence and head within these of the reference, relative to the largest number (gradients of q and k:
// at least 0.05 max |dv|, they are 0 for one token; max |dv| with one feature); twins; nothing written where nothing belongs.
void favor_batch_check(const favor_batch *c, double tolerance, double gradient_tolerance);

// The rows of sequence a of one case are bit for bit those of sequence b of another.
void favor_batch_same_bits(const favor_batch *one, int a, const favor_batch *other, int b);

#endif
