// A matrix product in double precision. See matmul_ref.h.
#include "ref/matmul_ref.h"

#include <math.h>

void matmul_ref(double *y, double *size, const pf_matmul_call *call, const matmul_ref_data *data, int z)
{
    const float *a = data->a + (size_t)z * call->a_stride, *b = data->b + (size_t)z * call->b_stride;
    for (int i = 0; i < call->m; i++)
        for (int j = 0; j < call->n; j++, y++, size++) {
            *y = data->bias ? (double)data->bias[j] : 0;
            *size = fabs(*y);
            if (data->residual) {
                const size_t at = (size_t)z * call->c_stride + (size_t)i * (size_t)call->ldc + (size_t)j;
                const double term = (double)call->beta * (double)data->residual[at];
                *y += term;
                *size += fabs(term);
            }
            for (int k = 0; k < call->k; k++) {
                const float left = call->transpose_a ? a[(size_t)k * (size_t)call->lda + (size_t)i]
                                                     : a[(size_t)i * (size_t)call->lda + (size_t)k];
                const float right = call->transpose_b ? b[(size_t)j * (size_t)call->ldb + (size_t)k]
                                                      : b[(size_t)k * (size_t)call->ldb + (size_t)j];
                const double term = (double)call->alpha * (double)left * (double)right;
                *y += term;
                *size += fabs(term);
            }
        }
}

double activation_ref(double x, const pf_matmul_call *call)
{
    if (!call->has_activation) return x;
    switch (call->activation) {
    case PF_ACTIVATION_GELU: return 0.5 * x * erfc(-x * M_SQRT1_2);
    case PF_ACTIVATION_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case PF_ACTIVATION_RELU: return fmax(x, 0);
    }
    return NAN;
}
