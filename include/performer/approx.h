// The approximation study (Choromanski et al. 2021, arXiv:2009.14794, section 4.2 and appendix D): how far
// FAVOR's estimates of softmax attention are from exact attention, for a number of feature maps, projections
// and numbers of features M, over several draws of the projection.
//
// Two questions, each with its rows:
//   attention     one layer's attention on given q, k, v: random tensors, or those of each layer of a model
//   on given
//                 sequences. Exact attention o against FAVOR's ô, all heads of a layer together.
//   stream        the attention of all layers of a model replaced: the residual stream after each layer, and
//   and logits    the logits, against those of the same weights with exact attention in all layers.
//   alone         the attention of one layer replaced, all others exact: the logits. Which layers are worth
//                 exact attention.
//
// Errors of a draw: mean squared error sum (ô-o)^2 / count, and relative error sqrt(sum (ô-o)^2 / sum o^2)
// (Frobenius). Of logits also the divergence of the predictions, mean over tokens of sum p log(p/p̂) in nats:
// by so much the loss would rise if the exact model's predictions were the truth.
#ifndef PERFORMER_APPROX_H
#define PERFORMER_APPROX_H

#include "performer/config.h"
#include "performer/model.h"
#include "performer/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PF_APPROX_MOST = 64 }; // kernels, projections or numbers of features at once

typedef struct pf_approx_options {
    pf_favor_kernel kernel[PF_APPROX_MOST]; // softmax kernels only
    int n_kernels;
    pf_projection_kind projection[PF_APPROX_MOST];
    int n_projections;
    pf_row_norm row_norm;             // of all but iid
    int32_t features[PF_APPROX_MOST]; // M: rows of W; hyperbolic and trig have two features of each
    int n_features;
    int32_t draws;
    uint64_t seed;
    double oprf_s; // of softmax_oprf; 0: what the optimum asks for, the mean of |x+y|^2 over queries and keys
    // Random tensors: q and k of N(0, scale^2), v of N(0, 1); every scale stands for a layer.
    int32_t length, head_size; // L, E
    double scale[PF_APPROX_MOST];
    int n_scales;
    bool causal;
    // A model: M for the stream, logits and layers alone; 0: these are left out.
    int32_t stream_features;
} pf_approx_options;

// What a user gets who says nothing.
PF_API void pf_approx_default(pf_approx_options *options);

typedef enum pf_approx_place {
    PF_APPROX_ATTENTION,
    PF_APPROX_STREAM,
    PF_APPROX_LOGITS,
    PF_APPROX_ALONE, // of the first kernel and projection
} pf_approx_place;

// One estimator at one place. Mean and standard deviation over the draws whose error is a number; NaN without
// any (mean) or with fewer than two (deviation).
typedef struct pf_approx_row {
    pf_approx_place place;
    int32_t layer; // from 1, of random tensors the number of the scale; 0: logits
    pf_favor_kernel kernel;
    pf_projection_kind projection;
    int32_t n_features; // M
    double mse, mse_deviation, relative, relative_deviation;
    double divergence, divergence_deviation; // logits and alone; else NaN
    int32_t draws;       // that gave numbers
    uint64_t not_finite; // results that are NaN or infinite, over all draws
    double
        pair_size; // attention: mean of |x+y|^2 over queries and keys, x = q/E^(1/4), y = k/E^(1/4); else NaN
} pf_approx_row;

typedef struct pf_approx pf_approx;

// On random tensors from the seed. Errors: PF_ERROR_USAGE, PF_ERROR_DEVICE.
PF_API pf_status pf_approx_open(pf_device *device, const pf_approx_options *options, pf_approx **out);

// On a model's own layers: q, k, v of its forward pass, as it is, over the first sequences of the stream that
// fit in one batch (model options, batch_tokens; always one sequence). All heads attend to the whole sequence
// here, local ones too. `model` is lent. Errors: as above, PF_ERROR_INPUT for the files.
PF_API pf_status pf_approx_open_model(pf_model *model, const pf_stream_options *stream,
                                      const pf_approx_options *options, pf_approx **out);
PF_API void pf_approx_close(pf_approx *approx); // NULL is fine; before the model and the device

// The next estimator: its rows, one a layer (stream: and one for the logits; alone: one), lent until the next call.
// PF_END after the last. Errors: PF_ERROR_DEVICE.
PF_API pf_status pf_approx_step(pf_approx *approx, const pf_approx_row **rows, int *n_rows);

// What is looked at. Steps: how many pf_approx_step there will be.
typedef struct pf_approx_size {
    int32_t steps, sequences, tokens, layers, heads, head_size;
} pf_approx_size;
PF_API pf_approx_size pf_approx_describe(const pf_approx *approx);

// i-th warning about the sequences; NULL behind the last.
PF_API const char *pf_approx_warning(const pf_approx *approx, size_t i);

#ifdef __cplusplus
}
#endif
#endif
