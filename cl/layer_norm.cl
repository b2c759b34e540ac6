// Layer normalisation (Ba, Kiros, Hinton 2016, arXiv:1607.06450), forward and backward.
//
//   y[n,d] = (x[n,d] - mean[n]) * inverse[n] * weight[d] + bias[d],   inverse = 1/sqrt(var + eps), var biased
//
//   -DD   width of a row, any number from 1
//
// A group does `rows_each` rows in turn; its items share a row's vectors. Every number is read twice (cache) and
// written once. Sums: lanes first, then the group's tree; variance from the differences to the mean.
#include "lib/base.clh"

#ifndef D
#define D 64
#endif

// stat[n] = {mean, inverse}. groups: ceil(rows / rows_each)
KERNEL void layer_norm_forward(OUT y, __global float2 *restrict stat, IN x, IN weight, IN bias, const int rows,
                               const int rows_each, const float eps)
{
    __local float scratch[WG];
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    for (int n = first; n < last; n++) {
        IN row = x + (size_t)n * D;
        vec sum = 0, square = 0;
        for (int i = LID * VEC; i < D; i += WG * VEC) sum += load(row + i, D - i);
        const float mean = group_sum(lanes_sum(sum), scratch) / D;
        for (int i = LID * VEC; i < D; i += WG * VEC) {
            vec u = load(row + i, D - i) - mean;
            if (D - i < VEC) u = select((vec)(0), u, LANES < (ivec)(D - i));
            square = fma(u, u, square);
        }
        const float inverse = 1.0f / sqrt(group_sum(lanes_sum(square), scratch) / D + eps);
        for (int i = LID * VEC; i < D; i += WG * VEC) {
            const vec u = (load(row + i, D - i) - mean) * inverse;
            store(y + (size_t)n * D + i, fma(u, load(weight + i, D - i), load(bias + i, D - i)), D - i);
        }
        if (LID == 0) stat[n] = (float2)(mean, inverse);
    }
}
