// The state of causal FAVOR attention as other programs would write it, without what the kernels round up.
// Padding is all zeros: what a kernel would have there is never read. See favor.h.
#include "ops/favor_parts.h"

#include <string.h>

int pf_favor_state_features(const pf_favor_config *config)
{
    return pf_favor_feature_rows(config) * pf_favor_maps(config->kernel);
}

bool pf_favor_state_has_references(const pf_favor_config *config)
{
    return pf_favor_is_exponential(config->kernel);
}

// Where feature m lies among the F rows of a state.
static size_t row_of(const pf_favor_config *config, const pf_favor_tiles *tiles, int m)
{
    const int each = pf_favor_feature_rows(config),
              map_rows = tiles->features / pf_favor_maps(config->kernel);
    return (size_t)(m / each * map_rows + m % each);
}

void pf_favor_state_unpack(const pf_favor_config *config, const float *state, float *sums, float *references)
{
    const pf_favor_tiles tiles = pf_favor_tiles_of(config);
    const size_t E = (size_t)config->head_size, EP = (size_t)tiles.head, F = (size_t)tiles.features;
    const int count = pf_favor_state_features(config);
    for (int h = 0; h < config->n_heads; h++) {
        const float *S = state + (size_t)h * pf_favor_state_floats(config);
        for (int m = 0; m < count; m++) {
            const size_t row = row_of(config, &tiles, m);
            memcpy(sums, S + row * EP, E * sizeof *sums);
            sums[E] = S[F * EP + row];
            sums += E + 1;
            if (references) *references++ = S[F * EP + F + row];
        }
    }
}

void pf_favor_state_pack(const pf_favor_config *config, const float *sums, const float *references,
                         float *state)
{
    const pf_favor_tiles tiles = pf_favor_tiles_of(config);
    const size_t E = (size_t)config->head_size, EP = (size_t)tiles.head, F = (size_t)tiles.features;
    const int count = pf_favor_state_features(config);
    memset(state, 0, pf_favor_state_bytes(config, 1));
    for (int h = 0; h < config->n_heads; h++) {
        float *S = state + (size_t)h * pf_favor_state_floats(config);
        for (int m = 0; m < count; m++) {
            const size_t row = row_of(config, &tiles, m);
            memcpy(S + row * EP, sums, E * sizeof *sums);
            S[F * EP + row] = sums[E];
            sums += E + 1;
            if (references) S[F * EP + F + row] = *references++;
        }
    }
}
