// AdamW in double precision. See adamw_ref.h.
#include "ref/adamw_ref.h"

#include <math.h>

void adamw_ref(adamw_ref_state *state, const double *g, int step, double lr, double decay, double clip)
{
    double square = 0;
    for (int i = 0; i < state->count; i++) square += g[i] * g[i];
    const double scale = clip > 0 && square > 0 ? fmin(1, clip / sqrt(square)) : 1;
    for (int i = 0; i < state->count; i++) {
        state->m[i] = 0.9 * state->m[i] + 0.1 * scale * g[i];
        state->v[i] = 0.98 * state->v[i] + 0.02 * scale * g[i] * scale * g[i];
        const double m = state->m[i] / (1 - pow(0.9, step)), v = state->v[i] / (1 - pow(0.98, step));
        state->p[i] -= lr * (m / (sqrt(v) + 1e-9) + (i < state->n_decay ? decay : 0) * state->p[i]);
    }
}
