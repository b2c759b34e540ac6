// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011), keyed by (seed, purpose, step,
// index). No state: the same key gives the same numbers in any order, thread, batch or process.
// `cl/lib/random.clh` is the same text for the device; `tests/device/test_random.c` compares them.
#ifndef PF_BASE_RANDOM_H
#define PF_BASE_RANDOM_H

#include <stdint.h>

// What a stream of numbers is for. Values are part of the format: they decide what a seed means.
typedef enum pf_purpose {
    PF_RANDOM_INIT = 1,       // step: hash of the tensor's name, index: element
    PF_RANDOM_PROJECTION = 2, // step: layer and draw, index: element
    PF_RANDOM_MASK = 3,       // step: training step (evaluation: 0), index: sequence and position
    PF_RANDOM_DROPOUT = 4,    // device: cl/lib/random.clh
    PF_RANDOM_SHUFFLE = 5,    // step: epoch, index: draw
    PF_RANDOM_CROP = 6,       // step: training step, index: sequence number
    PF_RANDOM_SAMPLE = 7,     // step: sequence, index: position
    PF_RANDOM_TEST = 8,
    PF_RANDOM_STUDY = 9,      // step: which tensor, index: element
    PF_RANDOM_BOOTSTRAP = 10, // step: sample, index: draw
    PF_RANDOM_SPLIT = 11,     // index: hash of the sequence or its cluster
} pf_purpose;

// The four words of block `index` of the stream (seed, purpose, step).
//   counter = {index low, index high, step low, step high ^ purpose << 24}, key = seed
void pf_random_block(uint32_t out[4], uint64_t seed, pf_purpose purpose, uint64_t step, uint64_t index);

// One word: word index % 4 of block index / 4.
uint32_t pf_random_word(uint64_t seed, pf_purpose purpose, uint64_t step, uint64_t index);

// Uniform in [0, 1), 53 bits; takes block `index`.
double pf_random_uniform(uint64_t seed, pf_purpose purpose, uint64_t step, uint64_t index);

// Standard normal (Box-Muller in double); takes block `index`.
double pf_random_normal(uint64_t seed, pf_purpose purpose, uint64_t step, uint64_t index);

// Uniform in 0 .. n-1, n > 0, without bias worth the name (n * 2^-64); takes block `index`.
uint64_t pf_random_below(uint64_t n, uint64_t seed, pf_purpose purpose, uint64_t step, uint64_t index);

#endif
