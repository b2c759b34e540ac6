// FAVOR attention (Choromanski et al. 2021, arXiv:2009.14794, section 2): softmax-like attention whose
// time and memory grow with the length L of a sequence, not with its square. Forward and backward,
// bidirectional and causal, one interface for both.
//
//   x = q_i / E^(1/4), y = k_j / E^(1/4)
//   o_i = sum_j phi(x).phi(y) v_j / R_i,   R_i = sum_j phi(x).phi(y)      (causal: j <= i)
//
// Bidirectional: the state S = sum_j phi(y_j) [v_j 1] of each sequence and head, then phi(x_i) S.
// Causal: the same with the state of all tokens up to i. Features phi are never stored for a whole
// sequence, they are computed again tile by tile, forward and backward.
//
// The bits of a row of o depend on the model, the device and its own sequence only. Rows of no
// sequence are never read or written.
#ifndef PF_OPS_FAVOR_H
#define PF_OPS_FAVOR_H

#include <stdbool.h>

#include "device/device.h"
#include "ops/sequences.h"
#include "performer/config.h"

typedef struct pf_favor_config {
    int n_heads;             // H heads, first_head .. first_head+n_heads-1 of the rows
    int first_head;
    int head_size;           // E, 1 .. PF_MAX_HEAD_SIZE
    int n_features;          // M; not used where `projected` is false
    pf_favor_kernel kernel;  // the feature map
    bool projected;          // false: u = y, M = E; generalised kernels only
    bool causal;
    bool renormalize;        // false: no division by R
    bool trains;             // false: the backward kernels are not built
    float epsilon;           // added to each feature of a generalised kernel
    float softmax_epsilon;   // added to each feature of kernel softmax, of which the largest is 1; both sides, renormalised
    float oprf_s;
} pf_favor_config;

typedef struct pf_favor pf_favor;

// Compiles the kernels. Errors: PF_ERROR_USAGE for what no model may ask for, PF_ERROR_DEVICE.
pf_status pf_favor_create(pf_device *device, const pf_favor_config *config, pf_favor **out);
void pf_favor_free(pf_favor *op); // NULL is fine

// ---- memory: pure functions of the configuration ----

// The states of n_sequences sequences, a state [F,E+2] for each sequence and head, sizes rounded up.
// Bidirectional: written by the forward pass and read by the backward pass. Causal: the state
// after the last token, or before the first (see `resume`); only needed when asked for.
size_t pf_favor_state_bytes(const pf_favor_config *config, int n_sequences);

// The normalizers R of `rows` rows, kept for the backward pass.
size_t pf_favor_normalizer_bytes(const pf_favor_config *config, int rows);

// The most that any batch holds.
typedef struct pf_favor_room {
    int sequences, blocks, rows;
} pf_favor_room;

// What a pass needs besides; contents are of no use afterwards.
size_t pf_favor_forward_scratch_bytes(const pf_favor_config *config, pf_favor_room room);
size_t pf_favor_backward_scratch_bytes(const pf_favor_config *config, pf_favor_room room);

// ---- running: everything is enqueued ----

typedef struct pf_favor_forward {
    pf_rows o, q, k, v;             // all heads of the rows: head h owns columns h*E .. h*E+E-1
    const pf_buffer *projection;    // W [M,E]; NULL without a projection
    const pf_sequences *sequences;
    pf_buffer *state;               // causal: NULL unless states are carried
    pf_buffer *normalizer;          // R [N,H] by row, N all rows of the buffers
    pf_buffer *scratch;
    bool resume;                    // causal: `state` holds what came before the first token of each sequence
} pf_favor_forward;

// Causal with a state buffer: the state after the last token is left in it, so that a call goes on where
// the one before stopped; generation is calls with sequences of length 1.
pf_status pf_favor_run(pf_favor *op, const pf_favor_forward *call);

typedef struct pf_favor_backward {
    pf_rows dq, dk, dv;             // overwritten
    pf_rows gradient, o, q, k, v;   // gradient: of o
    const pf_buffer *projection;
    const pf_sequences *sequences;
    const pf_buffer *state;         // as the forward pass left it; causal: NULL
    const pf_buffer *normalizer;
    pf_buffer *scratch;
} pf_favor_backward;

// Gradients of q, k, v; those of W do not exist, it is not trained. Needs `trains`. Causal: of
// whole sequences, as run without `resume`.
pf_status pf_favor_run_backward(pf_favor *op, const pf_favor_backward *call);

// ---- a causal state outside of the device ----
//
// sums [H, maps*M, E+1]: S and behind it z, the sums of the features alone; references [H, maps*M]: sums are
// exp(reference) times too small, for features that are exponentials only. `maps` is 2 for hyperbolic and
// trigonometric features. `state` is that of one sequence, pf_favor_state_bytes(config, 1).

int pf_favor_state_features(const pf_favor_config *config); // maps*M
bool pf_favor_state_has_references(const pf_favor_config *config);
void pf_favor_state_unpack(const pf_favor_config *config, const float *state, float *sums, float *references);
void pf_favor_state_pack(const pf_favor_config *config, const float *sums, const float *references, float *state);

#endif
