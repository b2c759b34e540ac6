// What the files of bench*.c share: a workload is a state, a function that enqueues its work, and one that
// frees it.
#ifndef PF_API_BENCH_H
#define PF_API_BENCH_H

#include "device/device.h"
#include "performer/bench.h"

typedef struct pf_workload_kind {
    pf_status (*run)(void *state); // enqueues
    void (*free)(void *state);
} pf_workload_kind;

// Takes the state over, also when it fails.
pf_status pf_workload_create(pf_device *device, const pf_workload_kind *kind, void *state,
                             const pf_workload_facts *facts, pf_workload **out);

// A buffer of numbers between -1 and 1, and one of zeros.
pf_status pf_bench_filled(pf_device *device, size_t floats, pf_buffer **out);
pf_status pf_bench_zeros(pf_device *device, size_t floats, pf_buffer **out);

#endif
