// What matmul.c asks of a provider. Calls arrive complete: sizes checked, leading dimensions filled in, batch
// at least 1, m and n above 0, and `residual` set exactly if something is to be added.
#ifndef PF_OPS_MATMUL_PROVIDER_H
#define PF_OPS_MATMUL_PROVIDER_H

#include "ops/matmul/tuned.h"

// tile.c: our own kernels (cl/matmul.cl), with the constants that `tuned` names for its products; it must
// live as long.
typedef struct pf_tile_provider pf_tile_provider;
pf_status pf_tile_create(pf_device *device, const pf_tuned *tuned, pf_tile_provider **out);
void pf_tile_free(pf_tile_provider *tile);
pf_status pf_tile_scratch(const pf_tile_provider *tile, const pf_matmul_call *call, size_t *bytes);
const pf_tile_shape *pf_tile_shape_of(const pf_tile_provider *tile, const pf_matmul_call *call);
pf_status pf_tile_run(pf_tile_provider *tile, const pf_matmul_call *call, pf_buffer *scratch);

// clblast.c: CLBlast, and cl/matmul_epilogue.cl after it.
typedef struct pf_clblast_provider pf_clblast_provider;
pf_status pf_clblast_create(pf_device *device, pf_clblast_provider **out);
void pf_clblast_free(pf_clblast_provider *clblast);
pf_status pf_clblast_scratch(const pf_clblast_provider *clblast, const pf_matmul_call *call, size_t *bytes);
pf_status pf_clblast_run(pf_clblast_provider *clblast, const pf_matmul_call *call, pf_buffer *scratch);

// The activation as cl/lib/activation.clh numbers it.
static inline int pf_activation_code(const pf_matmul_call *call)
{
    static const int codes[] = {
        [PF_ACTIVATION_GELU] = 1, [PF_ACTIVATION_GELU_TANH] = 2, [PF_ACTIVATION_RELU] = 3};
    return call->has_activation ? codes[call->activation] : 0;
}

// For the profile: a fused multiply-add counts as two; each matrix is read or written once.
static inline double pf_product_flops(const pf_matmul_call *call)
{
    return 2.0 * call->m * call->n * call->k * call->batch;
}

static inline double pf_product_bytes(const pf_matmul_call *call)
{
    const double m = call->m, n = call->n, k = call->k;
    return 4 * call->batch * (m * k + k * n + m * n * (call->residual ? 2 : 1));
}

#endif
