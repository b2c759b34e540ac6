// One attention layer on arrays of one's own: FAVOR (Choromanski et al. 2021, arXiv:2009.14794) or exact
// softmax attention, forward and, if asked for, the gradients. No model, no weights.
//
//   favor: x = q_i / E^(1/4), y = k_j / E^(1/4);  o_i = sum_j phi(x).phi(y) v_j / sum_j phi(x).phi(y)
//   exact: o_i = sum_j softmax_j(q_i.k_j / sqrt(E)) v_j
//
// The feature maps phi are those of README, "The model".
#ifndef PERFORMER_ATTENTION_H
#define PERFORMER_ATTENTION_H

#include "performer/config.h"
#include "performer/device.h"

#ifdef __cplusplus
extern "C" {
#endif

// How to attend; pf_attention_default gives what a user gets who says nothing.
typedef struct pf_attention_options {
    bool exact;
    bool causal;            // token i sees tokens j <= i
    int32_t window;         // exact only: tokens |i - j| < window; 0: all
    pf_favor_kernel kernel; // the rest is FAVOR's
    bool projected;         // false: phi of q and k themselves, generalised kernels only
    bool renormalize;       // false: no division by the sum of weights
    double epsilon;         // added to each feature of a generalised kernel
    double oprf_s;          // of softmax_oprf; 0: E/16
} pf_attention_options;

PF_API void pf_attention_default(pf_attention_options *options);

// Arrays in host memory, C order. Rows from lengths[b] on are padding: never looked at, 0 in the results.
typedef struct pf_attention_arrays {
    int32_t batch, heads, length, head_size; // B, H, L, E
    const int32_t *lengths;                  // [B] real tokens, 0 .. L; NULL: all of them
    const float *query, *key, *value;        // [B,H,L,E]
    const float *gradient;                   // [B,H,L,E] of the output; NULL: no backward pass
    const float *projection;                 // W [M,E] if options.projected
    int32_t n_features;                      // M
    float *output;                           // [B,H,L,E]
    float *dq, *dk, *dv;                     // [B,H,L,E], with `gradient`
} pf_attention_arrays;

// Computes `output` and the gradients; waits. Heads that do not fit the device together follow each other,
// which changes no bit. Errors: PF_ERROR_USAGE (options that contradict each other, sizes out of range),
// PF_ERROR_DEVICE (one head alone does not fit).
PF_API pf_status pf_attention_run(pf_device *device, const pf_attention_options *options,
                                  const pf_attention_arrays *arrays);

// Orthogonal random features as pf_attention_files draws them: W [M,E] into `out`, from the seed alone,
// Gaussian norms. Errors: PF_ERROR_USAGE for sizes out of range.
PF_API pf_status pf_attention_projection(int32_t n_features, int32_t head_size, uint64_t seed, float *out);

// The same from .npy files of [B,H,L,E] or [L,E], float32 or float64.
typedef struct pf_attention_files {
    const char *query, *key, *value;
    const char *gradient;   // NULL: no backward pass
    const char *projection; // [M,E]; NULL: `num_features` orthogonal rows drawn from `seed`
    int32_t num_features;
    uint64_t seed;
    const int64_t *lengths; // [n_lengths]; n_lengths 0: no padding
    int n_lengths;
} pf_attention_files;

typedef struct pf_attention pf_attention;

// Reads and checks everything; needs no device. Errors: PF_ERROR_INPUT naming the files and their shapes,
// PF_ERROR_USAGE for lengths that do not fit them and options that contradict each other.
PF_API pf_status pf_attention_open(const pf_attention_options *options, const pf_attention_files *files,
                                   pf_attention **out);
PF_API void pf_attention_close(pf_attention *attention); // NULL is fine

PF_API pf_status pf_attention_compute(pf_attention *attention, pf_device *device);
// Numbers of the results that are NaN or infinite.
PF_API uint64_t pf_attention_not_finite(const pf_attention *attention);

// The output as float32 .npy in the shape of the inputs; dq.npy, dk.npy and dv.npy into a directory that
// exists. Errors: PF_ERROR_FAILED.
PF_API pf_status pf_attention_save(const pf_attention *attention, const char *path);
PF_API pf_status pf_attention_save_gradients(const pf_attention *attention, const char *directory);

#ifdef __cplusplus
}
#endif
#endif
