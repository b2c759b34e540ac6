// What the two directions of FAVOR attention share on the host: the sizes of tiles, the constants
// of the kernels and the packed projection. For favor.c, favor_both.c and favor_causal.c only.
#ifndef PF_OPS_FAVOR_PARTS_H
#define PF_OPS_FAVOR_PARTS_H

#include "ops/favor.h"

// How features and head are cut. A function of the configuration alone, so that memory can be
// planned, and bits do not depend on the batch.
typedef struct pf_favor_tiles {
    int head;     // EP: E rounded up
    int features; // F: features of all maps (hyperbolic, trig: two), each rounded up to whole slices
    int slice;    // FP: features that are in local memory at once
} pf_favor_tiles;

pf_favor_tiles pf_favor_tiles_of(const pf_favor_config *config);

// T: tokens of a tile on this device.
int pf_favor_tokens(const pf_favor_config *config, pf_shape shape);

// Whether the map estimates softmax attention.
bool pf_favor_is_softmax(pf_favor_kernel kernel);

// Whether features are exponentials that have references (cl/lib/exponents.clh); for the causal direction.
bool pf_favor_is_exponential(pf_favor_kernel kernel);

// Hyperbolic and trigonometric features are two maps of the same projection side by side.
int pf_favor_maps(pf_favor_kernel kernel);

// M as the kernels see it: without a projection E.
int pf_favor_feature_rows(const pf_favor_config *config);

// Floats of the state of one sequence and head: S [F,EP], z [F], the references of softmax kernels [F].
size_t pf_favor_state_floats(const pf_favor_config *config);

// Floats of the packed projection, which lies at the start of the scratch buffer: W [F,EP] times E^(-1/4),
// then a shift of each feature's exponent [F] (oprf).
size_t pf_favor_packed_floats(const pf_favor_config *config);

// Logarithm of the constant factor of phi(x).phi(y) that the kernels leave out; it only counts without renormalisation.
float pf_favor_log_constant(const pf_favor_config *config);

// The number that kernels of both families take: epsilon, or for softmax kernels their epsilon, or without one that logarithm.
float pf_favor_constant(const pf_favor_config *config);

enum { PF_FAVOR_DEFINES = 10, PF_FAVOR_MOST_KERNELS = 8 };

struct pf_favor {
    pf_device *device;
    pf_favor_config config;
    pf_favor_tiles tiles;
    pf_define defines[PF_FAVOR_DEFINES]; // for every program of this operation
    int n_defines;
    pf_kernel *pack;
    pf_kernel *forward[PF_FAVOR_MOST_KERNELS], *backward[PF_FAVOR_MOST_KERNELS]; // those of the direction
};

// Compiles kernel `name` of cl/`file`.cl with the operation's constants.
pf_status pf_favor_kernel_create(pf_favor *op, const char *file, const char *name, pf_kernel **out);

// Enqueues the packing of W (NULL: the identity) into scratch. Both passes begin with it.
pf_status pf_favor_pack(pf_favor *op, const pf_buffer *projection, pf_buffer *scratch);

// The two directions. *_create compiles into op->forward and op->backward (only with config.trains).
pf_status pf_favor_both_create(pf_favor *op);
size_t pf_favor_both_scratch_bytes(const pf_favor_config *config, pf_favor_room room, bool backward);
pf_status pf_favor_both_run(pf_favor *op, const pf_favor_forward *call);
pf_status pf_favor_both_run_backward(pf_favor *op, const pf_favor_backward *call);

pf_status pf_favor_causal_create(pf_favor *op);
size_t pf_favor_causal_scratch_bytes(const pf_favor_config *config, pf_favor_room room, bool backward);
pf_status pf_favor_causal_run(pf_favor *op, const pf_favor_forward *call);
pf_status pf_favor_causal_run_backward(pf_favor *op, const pf_favor_backward *call);

#endif
