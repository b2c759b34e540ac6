// What a product by a foreign library leaves to do: C = activation(C + beta residual + bias), row-major.
//
// A group does `rows_each` rows in turn; its items share a row's vectors. Each number is read and written once.
#include "lib/base.clh"
#include "lib/math.clh"
#include "lib/gelu.clh"
#include "lib/activation.clh"

// `has_product` 0: C holds nothing yet. `pre`, if not null, receives what the activation is taken of; `residual` may be
// C. groups: ceil(m / rows_each), 1, products of a batch
KERNEL void matmul_epilogue(__global float *c, __global float *pre, __global const float *residual, IN bias, const int m,
                            const int n, const int ldc, const uint c_at, const uint c_stride, const float beta,
                            const int activation, const int has_product, const int rows_each)
{
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, m);
    for (int i = first; i < last; i++) {
        const size_t row = c_at + get_group_id(2) * (size_t)c_stride + (size_t)i * ldc;
        for (int j = LID * VEC; j < n; j += WG * VEC) {
            vec x = has_product ? load(c + row + j, n - j) : (vec)(0);
            if (residual) x = fma((vec)(beta), load(residual + row + j, n - j), x);
            if (bias) x += load(bias + j, n - j);
            if (pre) store(pre + row + j, x, n - j);
            store(c + row + j, activate(x, activation), n - j);
        }
    }
}
