// Dropout (Srivastava et al. 2014): which numbers stay follows from seed, step, site, sequence number,
// position and column alone. The embedding, activation and residual operations apply it on their
// way; cl/lib/dropout.clh is the device's side and says how.
#ifndef PF_OPS_DROPOUT_H
#define PF_OPS_DROPOUT_H

#include <stdbool.h>

#include "device/device.h"
#include "ops/places.h"

// Dropout of one site in one step. Operations take a pointer: NULL, or a rate of 0, is no dropout and
// costs nothing. Operations must have been created with dropout to be called with it.
typedef struct pf_dropout {
    uint32_t threshold; // 16-bit numbers below it drop theirs: rate * 2^16
    float keep_scale;   // 1 / (1 - rate)
    uint32_t key[2];
} pf_dropout;

// `site` tells apart the places in the model that have dropout; 0 <= rate < 1.
pf_dropout pf_dropout_at(double rate, uint64_t seed, uint64_t step, uint64_t site);

// Does the number in this column of this row stay? The same answer as on the device.
bool pf_dropout_keeps(const pf_dropout *dropout, const pf_place *place, int column);

// ---- for the operations that have it ----

// Two kernels of the same text, without and with dropout.
typedef struct pf_dropout_kernels {
    pf_kernel *plain, *dropping; // dropping: NULL unless made with dropout
} pf_dropout_kernels;

// `key` without DROPOUT among its defines; at most 7 of them.
pf_status pf_dropout_kernels_create(pf_device *device, const pf_program_key *key, const char *name, bool dropout,
                                    pf_dropout_kernels *out);
void pf_dropout_kernels_free(pf_dropout_kernels *kernels);

// Adds the five dropout arguments to args[n_args ...] and launches the kernel that is meant. `place`:
// pf_place [N]; `spare` stands in for it where there is none, any buffer.
typedef struct pf_dropout_launch {
    const pf_dropout *dropout;
    const pf_buffer *place, *spare;
} pf_dropout_launch;

pf_status pf_dropout_run(const pf_dropout_kernels *kernels, pf_dropout_launch how, pf_work work, const pf_arg *args,
                         int n_args);

#endif
