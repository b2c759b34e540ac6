// Speeds: a piece of work that a device does again and again while the clock runs. Matrix products, one
// attention layer, a training step or forward pass of a whole model, and multiply-adds in registers to hold
// them against.
//
// Workloads that are to be compared are measured together, in turn, so that a machine whose speed drifts is
// as unfair to one as to the other.
#ifndef PERFORMER_BENCH_H
#define PERFORMER_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "performer/config.h"
#include "performer/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_workload pf_workload;

// C [m,n] = op(A) op(B), as layers ask for it: weights lie as [out,in].
//   NT: y = x W^T     NN: dx = dy W     TN: dW += dy^T x
typedef struct pf_matmul_workload {
    int32_t m, n, k;
    int32_t batch; // products of this shape behind each other; 0 counts as 1
    bool transpose_a, transpose_b;
    bool has_bias;       // added to every row
    bool has_residual;   // a matrix is added
    bool accumulates;    // C += ..., for gradients of weights
    bool has_activation; // of the result (GELU), the pre-activation is kept too
    pf_matmul_choice provider;
} pf_matmul_workload;

// One attention layer on its own: q, k and v are columns of one matrix [batch*length, 3*heads*head_size], as
// in the model.
typedef struct pf_attention_workload {
    int32_t batch, length, heads, head_size;
    int32_t n_features;     // M
    pf_favor_kernel kernel; // without `is_exact`
    bool is_exact, causal;
    bool backward; // forward and backward, else forward alone
} pf_attention_workload;

// A model with fresh weights on `batch` random sequences of `length` tokens, all tokens being targets. The
// positions of the configuration have to reach that far.
typedef struct pf_model_workload {
    const struct pf_config *config; // finished
    int32_t batch, length;
    bool training; // a whole optimiser step, else a forward pass
} pf_model_workload;

// What one run of a workload is worth. GFLOP/s of attention count what the method needs and nothing that an
// implementation computes twice: FAVOR 2 L H (2 E F + 2 F (E + 1)) with F features, causal too, three times
// that with the backward pass; exact 4 L^2 E H, causal half of it, three and a half times that with the
// backward pass.
typedef struct pf_workload_facts {
    double flops;          // 0: not told (models)
    double tokens;         // models
    uint64_t device_bytes; // that the workload holds: all it ever takes
    int calls;             // of the work between two looks at the clock: short work is done several times
    const char *provider;  // matrix products: tile or clblast; else NULL
    char tiles[40];        // of the provider tile: "6x64 96x512 packed" (performer/tune.h); else ""
} pf_workload_facts;

// Compiles, allocates, runs once and finds out how often a workload has to run between two looks at the
// clock. Errors: PF_ERROR_USAGE for sizes that make no sense; PF_ERROR_DEVICE.
PF_API pf_status pf_workload_peak(pf_device *device, pf_workload **out); // multiply-adds in registers
PF_API pf_status pf_workload_matmul(pf_device *device, const pf_matmul_workload *what, pf_workload **out);
PF_API pf_status pf_workload_attention(pf_device *device, const pf_attention_workload *what,
                                       pf_workload **out);
PF_API pf_status pf_workload_model(pf_device *device, const pf_model_workload *what, pf_workload **out);
PF_API void pf_workload_free(pf_workload *workload); // NULL is fine; before the device is closed

PF_API const pf_workload_facts *pf_workload_describe(const pf_workload *workload);

// Runs once and waits; *seconds of finished work.
PF_API pf_status pf_workload_run(pf_workload *workload, double *seconds);

// How often each is run: `repeats` rounds, every workload once in each; one that took more than
// `most_seconds` (0: no limit) already sits the other rounds out, after two at least.
typedef struct pf_rounds {
    int repeats;
    double most_seconds;
} pf_rounds;

// The median of each, over rounds of all in turn. Errors: PF_ERROR_DEVICE.
PF_API pf_status pf_workloads_measure(pf_workload *const *workloads, int count, pf_rounds rounds,
                                      double *median_s);

#ifdef __cplusplus
}
#endif
#endif
