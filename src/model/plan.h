// How much memory a model takes for batches of given limits: a pure function of configuration and
// limits, so that it can be printed before a run, tested without a device, and held against what was
// really allocated. Buffers are made from these numbers and no others.
#ifndef PF_MODEL_PLAN_H
#define PF_MODEL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/params.h"
#include "ops/matmul/matmul.h"
#include "performer/config.h"

enum { PF_MAX_CAPTURED = 64 };

typedef struct pf_model_limits {
    int32_t max_rows;        // N: tokens of all sequences of a batch together
    int32_t max_sequences;   // B; attention keeps a state for each
    int32_t max_length;      // tokens of one sequence; with carry: of all passes together
    bool training;           // keep what backward needs
    bool row_losses;         // keep each row's loss for pf_model_read_target_log_p
    bool probe;              // other values can go through a layer's attention (pf_model_probe)
    bool carry;              // keep states between passes (causal models only)
    int32_t carry_sequences; // with carry: sequences whose states are kept; 0: max_sequences
    int32_t carry_tokens;    // with carry: tokens of one of these in a pass; 0: max_rows
    int32_t n_captured;      // layers whose output can be read: 0 the embedding sum, n after n layers,
    int32_t captured[PF_MAX_CAPTURED]; // the last one after the final norm as well (-1)
} pf_model_limits;

// Sequences that a batch of `rows` rows may have: states are [M,E+1] each and head, so a batch of
// very many very short sequences is cut rather than planned for.
int32_t pf_most_sequences(int32_t rows);

int32_t pf_carry_sequences(const pf_model_limits *limits);
int32_t pf_carry_tokens(const pf_model_limits *limits);

// Rows of a table of positions that a batch needs: positions of a batch are consecutive.
int32_t pf_position_room(const pf_model_limits *limits);

// Bytes of every buffer. Those of layers exist as often as the rule below says (with carry state and window
// once for each layer with FAVOR, cache for each exact one).
typedef struct pf_plan {
    size_t parameters, gradients, moments; // moments: both of AdamW's
    size_t projections;
    size_t merged, d_merged; // the largest matrix with adapters; the latter only when training
    // of a layer
    size_t stream;     // x [N,D], twice a layer: before attention and before the feed-forward
    size_t stat;       // LN's mean and 1/deviation [N,2], twice a layer
    size_t qkv;        // [N,3D]
    size_t attended;   // o [N,D]
    size_t normalizer; // FAVOR's R [N,H]
    size_t log_sum;    // exact attention's log of its denominator [N,H]
    size_t state;      // FAVOR's sums
    size_t cache;      // with carry: keys and values of exact layers, of all positions
    size_t window;     // with carry: keys and values that local heads may still see
    size_t hidden;     // u [N,F]
    // once
    size_t embedded;   // the embedding sum [N,D], where it has a norm of its own
    size_t head;       // of its transform: u, act(u), LN(act(u)) [N,D] each, and statistics; of a task on
                       // sequences their pooled rows [B,D]
    size_t normed;     // LN(x) [N,D]
    size_t activated;  // act(u) [N,F]
    size_t logits;     // [N,A]; of a task [N,C] or [B,C]
    size_t rows;       // tokens, targets, places, tables of sequences; labels of a task
    size_t tables;     // fixed positions or rotary angles
    size_t captured;   // [N,D] each
    size_t row_losses; // [N]
    size_t probe;      // values [N,D] and a projection
    size_t scratch;    // of attention
    size_t matmul;     // of matrix products
    size_t reductions; // parts of sums over rows
    // training only, once
    size_t d_stream, d_branch;
    size_t d_wide; // gradient of q, k, v or of the hidden units
    int32_t n_layers;
    int32_t n_exact; // layers of exact attention
    int32_t segment; // layers of a segment; without training 1
    bool training, packed;
} pf_plan;

// What lies between the forward and the backward pass.
//
// Layers stand in segments of equal length (the last may be shorter). Without train.recompute there is one.
// With it all segments use the same buffers in turn, the last one keeps them, and of the others there is only
// the residual stream where they begin; the backward pass runs a segment forward again when it gets there. n
// layers in segments of k take n/k streams and k times what a layer keeps, least where k is near sqrt(n / 8),
// a layer keeping about eight streams: memory grows as sqrt(n). train.recompute=on takes the k with the least
// bytes, of equal ones the largest, which computes least again.
//
// With compute.storage in 16 bits one set of fp32 buffers, here `work`, serves all layers in turn, and what a
// layer leaves in it is packed, but for the last layer of a segment, whose backward pass comes next.
typedef struct pf_layer_buffers {
    bool work;     // x_middle, qkv, attended, hidden of its own
    bool x;        // x of its own
    bool small;    // statistics, normalizers and state of its own
    bool packed;   // those of `work` and x packed
    bool packed_x; // x packed
} pf_layer_buffers;

pf_layer_buffers pf_plan_layer(const pf_plan *plan, int layer); // what is created for it
bool pf_plan_begins_segment(const pf_plan *plan, int layer);
bool pf_plan_ends_segment(const pf_plan *plan, int layer);
bool pf_plan_packs(const pf_plan *plan, int layer);   // all that the forward pass leaves
bool pf_plan_packs_x(const pf_plan *plan, int layer); // at least x

// `device` and `matmul` are asked how they cut sums, nothing else. Errors: PF_ERROR_USAGE from what matrix
// products refuse.
typedef struct pf_plan_request {
    const struct pf_config *config;
    const pf_model_limits *limits;
    const pf_parameters *parameters;
    const pf_device *device;
    const pf_matmul *matmul;
} pf_plan_request;

pf_status pf_plan_make(const pf_plan_request *request, pf_plan *out);

uint64_t pf_plan_kept_bytes(const pf_plan *plan); // of all layers, between the forward and the backward pass
uint64_t pf_plan_plain_kept_bytes(const pf_plan *plan); // the same without recomputing and in fp32
uint64_t pf_plan_carry_bytes(const pf_plan *plan);      // with carry: of all layers and sequences
uint64_t pf_plan_activation_bytes(const pf_plan *plan, bool carry);
uint64_t pf_plan_total_bytes(const pf_plan *plan, bool carry);

#endif
