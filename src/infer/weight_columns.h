// Attention weights of one sequence by one-hot values, a block of columns at a time.
//
// With draws, the mean and the standard deviation over fresh projections of the layer: queries and keys stay
// what the model's own projections made of the sequence, so this is the spread of the estimate itself.
#ifndef PF_INFER_WEIGHT_COLUMNS_H
#define PF_INFER_WEIGHT_COLUMNS_H

#include "infer/heads.h"

typedef struct pf_weight_columns {
    pf_model *model;
    int draws; // 0: the layer's own projection
    uint64_t seed;
    int32_t length;        // L, of the sequence in the model
    size_t capacity;       // L
    float *values, *out;   // [L,D]
    double *mean, *square; // [L,D]: over draws, and the sum of squared differences from it
    float *projections;    // [draws][M,E], of `layer`
    double *scratch;       // of drawing
    int layer;
} pf_weight_columns;

// Zero-initialised but for model, draws and seed. Errors: PF_ERROR_FAILED.
pf_status pf_weight_columns_begin(pf_weight_columns *columns, int32_t length);
void pf_weight_columns_free(pf_weight_columns *columns);

// Where the weights of some heads go, [n_heads][L,L] each.
typedef struct pf_weight_maps {
    const int *heads; // [n_heads]
    int n_heads;
    float *weights, *deviations; // deviations: with draws only
} pf_weight_maps;

// The weights of the layer that was computed last, every column of them.
pf_status pf_weight_columns_run(pf_weight_columns *columns, int layer, const pf_weight_maps *out);

#endif
