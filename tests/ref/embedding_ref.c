// Embeddings in double precision. See embedding_ref.h.
#include "ref/embedding_ref.h"

#include <stddef.h>

void embedding_ref(double *x, const embedding_ref_call *call)
{
    const int D = call->width;
    for (int n = 0; n < call->rows; n++)
        for (int d = 0; d < D; d++) {
            double sum = call->token_table[call->token[n] * D + d] * (call->scale ? call->scale[n] : 1);
            if (call->position_table) sum += call->position_table[call->position[n] * D + d];
            x[n * D + d] = sum * call->mask[n * D + d];
        }
}

void embedding_backward_ref(double *dtoken, double *dposition, const double *dx, const embedding_ref_call *call)
{
    const int D = call->width;
    for (int n = 0; n < call->rows; n++)
        for (int d = 0; d < D; d++) {
            const double g = dx[n * D + d] * call->mask[n * D + d];
            dtoken[call->token[n] * D + d] += g * (call->scale ? call->scale[n] : 1);
            if (dposition) dposition[call->position[n] * D + d] += g;
        }
}
