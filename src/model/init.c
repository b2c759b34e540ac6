// Fresh parameters. See init.h.
#include "model/init.h"

#include <math.h>

#include "base/memory.h"
#include "base/random.h"

// FNV-1a without its top byte, where random.h keeps the purpose.
static uint64_t hash_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash & 0x00ffffffffffffffu;
}

void pf_sinusoids(float *out, int first, int count, int D, const double *frequencies)
{
    for (int i = 0; 2 * i < D; i++) {
        const double frequency = frequencies ? frequencies[i] : pow(10000, -2.0 * i / D);
        for (int p = 0; p < count; p++) {
            const double angle = (double)(first + p) * frequency;
            out[(size_t)p * (size_t)D + 2 * (size_t)i] = (float)sin(angle);
            if (2 * i + 1 < D) out[(size_t)p * (size_t)D + 2 * (size_t)i + 1] = (float)cos(angle);
        }
    }
}

pf_projection_request pf_projection_of_layer(const struct pf_config *config, uint64_t seed, int layer,
                                             uint64_t draw)
{
    return (pf_projection_request){
        .num_features = config->attention.num_features,
        .head_size = pf_config_head_size(config),
        .kind = config->attention.projection,
        .row_norm = config->attention.row_norm,
        .seed = seed,
        .layer = (uint64_t)layer,
        .draw = draw,
    };
}

static void fill_trained(const pf_parameter *tensor, uint64_t seed, float *out)
{
    const uint64_t stream = hash_name(tensor->name);
    const double bound = sqrt(6.0 / (double)(tensor->shape[0] + tensor->shape[1]));
    switch (tensor->initial) {
    case PF_INITIAL_UNIFORM:
        for (size_t i = 0; i < tensor->count; i++)
            out[i] = (float)(bound * (2 * pf_random_uniform(seed, PF_RANDOM_INIT, stream, i) - 1));
        break;
    case PF_INITIAL_NORMAL:
        for (size_t i = 0; i < tensor->count; i++)
            out[i] = (float)(tensor->deviation * pf_random_normal(seed, PF_RANDOM_INIT, stream, i));
        break;
    case PF_INITIAL_ZERO:
    case PF_INITIAL_ONE:
        for (size_t i = 0; i < tensor->count; i++) out[i] = tensor->initial == PF_INITIAL_ONE ? 1.0f : 0.0f;
        break;
    case PF_INITIAL_SINUSOIDS:
        pf_sinusoids(out, 0, (int)tensor->shape[0], (int)tensor->shape[1], NULL);
        break;
    case PF_INITIAL_PROJECTION:
    case PF_INITIAL_CARRIED: // 0
        break;
    }
}

pf_status pf_init_parameters(const struct pf_config *config, const pf_parameters *parameters, uint64_t seed,
                             float *trained, float *projections)
{
    void *scratch = NULL;
    PF_TRY(pf_alloc(&scratch, pf_projection_scratch(pf_config_head_size(config)), sizeof(double), "projection"));
    for (int i = 0; i < parameters->n_tensors; i++) {
        const pf_parameter *tensor = &parameters->tensor[i];
        if (tensor->is_trained) {
            fill_trained(tensor, seed, trained + tensor->offset);
        } else if (tensor->initial == PF_INITIAL_PROJECTION) {
            const pf_projection_request request = pf_projection_of_layer(config, seed, tensor->layer, 0);
            pf_projection_draw(projections + tensor->offset, &request, scratch);
        }
    }
    pf_free(scratch);
    return PF_OK;
}
