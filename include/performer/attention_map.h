// What a model attends to: maps of the weights that each token gives to the tokens of its sequence.
//
//   a_ij   weight that token i gives to token j, in a layer and head; o_i = sum_j a_ij v_j
//
// Attention is never computed as a matrix. Its columns are what it makes of one-hot values (Choromanski et
// al. 2021, arXiv:2009.14794, appendix C.4): with v_j = (0 .. 1 .. 0), E tokens at a time, o holds the
// weights themselves, through the same kernels that the model uses: FAVOR, exact and local heads, with and
// without a causal mask. Rows sum to 1 where the model renormalises; some feature maps (trig, cos, tanh) give
// weights below 0.
#ifndef PERFORMER_ATTENTION_MAP_H
#define PERFORMER_ATTENTION_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "performer/model.h"
#include "performer/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PF_MAP_MOST_TOKENS = 16384, // of a sequence: a map is then 1 GiB
};

// Which heads are looked at. Layers are counted from 1, or from the end: -1 is the last; heads from 1.
typedef struct pf_head_choice {
    const int32_t *layers; // [n_layers]; n_layers 0: all
    int n_layers;
    const int32_t *heads; // [n_heads]; n_heads 0: all
    int n_heads;
} pf_head_choice;

typedef struct pf_attention_maps_options {
    pf_stream_options stream; // of long_sequences: crop or error
    pf_head_choice choice;
    const char *const *ids; // [n_ids] the sequences that are wanted; n_ids 0: the first ones
    int n_ids;
    int32_t n_sequences; // without ids: how many of the first
    int32_t draws;       // 0: the model's own projections; N >= 2: the mean over N fresh draws of the layer's
                         //     projection, with queries and keys as the model has them
    uint64_t seed;       // of the draws
    const char *directory; // exists; gets NAME.npy [layers,heads,L,L] float32 for each sequence, with draws
                           //     NAME.deviation.npy too. NAME: number-id, made of letters, digits and ._-
                           //     NULL: no files
} pf_attention_maps_options;

// One map, lent until the next call.
typedef struct pf_attention_map {
    const char *name; // of the sequence's files, without an ending
    const char *id;
    size_t id_length;
    uint64_t n_residues;     // of the sequence, cropped or not
    int32_t length;          // L: tokens, begin and end counted
    const char *letters;     // [L] of the tokens; '.' for begin and end
    int layer, head;         // from 1
    const float *weights;    // [L,L] row i: what token i attends to
    const float *deviations; // [L,L] standard deviation over the draws (N - 1); NULL without draws
    bool is_first, is_last;  // of its sequence
} pf_attention_map;

typedef struct pf_attention_maps pf_attention_maps;

// `model` must have been opened with `probe`. Errors: PF_ERROR_USAGE with the range that layers and heads
// have, PF_ERROR_INPUT.
PF_API pf_status pf_attention_maps_open(pf_model *model, const pf_attention_maps_options *options,
                                        pf_attention_maps **out);
PF_API void pf_attention_maps_close(pf_attention_maps *maps); // NULL is fine; before the model is closed

// The next map: sequence by sequence, layers and heads in the order chosen. A sequence's file stands when its
// last map has been given. PF_END: all is done. Errors: PF_ERROR_INPUT (no sequence of an id, too long for a
// map), PF_ERROR_DEVICE, PF_ERROR_FAILED.
PF_API pf_status pf_attention_maps_next(pf_attention_maps *maps, pf_attention_map *out);

// i-th warning so far, complete at PF_END; NULL behind the last.
PF_API const char *pf_attention_maps_warning(const pf_attention_maps *maps, size_t i);

#ifdef __cplusplus
}
#endif
#endif
