// Layer normalisation (Ba, Kiros, Hinton 2016, arXiv:1607.06450), forward and backward.
//
//   y[n,d] = u[n,d] * weight[d] + bias[d],   u = (x[n,d] - mean[n]) * inverse[n],   inverse = 1/sqrt(var + eps), var biased
//
//   -DD   width of a row, any number from 1
//
// A group does `rows_each` rows in turn; its items share a row's vectors. Every number is read twice (cache) and
// written once. Sums: lanes first, then the group's tree; variance from the differences to the mean.
#include "lib/base.clh"
#include "lib/parts.clh"

#ifndef D
#define D 64
#endif

// stat[n] = {mean, inverse} on request. groups: ceil(rows / rows_each)
KERNEL void layer_norm_forward(__global float *y, __global float2 *stat, const int keep_stat, IN x, IN weight, IN bias,
                               const int rows, const int rows_each, const float eps)
{
    __local float scratch[WG];
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    for (int n = first; n < last; n++) {
        IN row = x + (size_t)n * D;
        vec sum = 0, square = 0;
        for (int i = LID * VEC; i < D; i += WG * VEC) sum += load(row + i, LEFT(D, i));
        const float mean = group_sum(lanes_sum(sum), scratch) / D;
        for (int i = LID * VEC; i < D; i += WG * VEC) {
            vec u = load(row + i, LEFT(D, i)) - mean;
            if (LEFT(D, i) < VEC) u = select((vec)(0), u, LANES < (ivec)(LEFT(D, i)));
            square = fma(u, u, square);
        }
        const float inverse = 1.0f / sqrt(group_sum(lanes_sum(square), scratch) / D + eps);
        for (int i = LID * VEC; i < D; i += WG * VEC) {
            const vec u = (load(row + i, LEFT(D, i)) - mean) * inverse;
            store(y + (size_t)n * D + i, fma(u, load(weight + i, LEFT(D, i)), load(bias + i, LEFT(D, i))), LEFT(D, i));
        }
        if (LID == 0 && keep_stat) stat[n] = (float2)(mean, inverse);
    }
}

// With g = dy * weight:  dx = inverse * (g - mean(g) - u * mean(g u))  (+ add, the gradient that came by the
// residual path; it may be dx itself), and the group's share of dweight and dbias in part[group][2][D].
// Columns past D are 0 in dy and weight, so they add nothing. groups: ceil(rows / rows_each)
KERNEL void layer_norm_backward(__global float *dx, OUT part, IN dy, IN x, __global const float2 *restrict stat,
                                IN weight, __global const float *add, const int has_add, const int rows,
                                const int rows_each)
{
    __local float scratch[WG];
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    __global float *dweight = part + (size_t)get_group_id(0) * 2 * D, *dbias = dweight + D;
    for (int i = LID * VEC; i < D; i += WG * VEC) {
        store(dweight + i, (vec)(0), LEFT(D, i));
        store(dbias + i, (vec)(0), LEFT(D, i));
    }
    for (int n = first; n < last; n++) {
        const size_t at = (size_t)n * D;
        const float mean = stat[n].x, inverse = stat[n].y;
        vec sum = 0, product = 0;
        for (int i = LID * VEC; i < D; i += WG * VEC) {
            const vec u = (load(x + at + i, LEFT(D, i)) - mean) * inverse, d = load(dy + at + i, LEFT(D, i));
            const vec g = d * load(weight + i, LEFT(D, i));
            sum += g;
            product = fma(g, u, product);
            store(dweight + i, fma(d, u, load(dweight + i, LEFT(D, i))), LEFT(D, i));
            store(dbias + i, d + load(dbias + i, LEFT(D, i)), LEFT(D, i));
        }
        const float sum_mean = group_sum(lanes_sum(sum), scratch) / D;
        const float product_mean = group_sum(lanes_sum(product), scratch) / D;
        for (int i = LID * VEC; i < D; i += WG * VEC) {
            const vec u = (load(x + at + i, LEFT(D, i)) - mean) * inverse;
            const vec g = load(dy + at + i, LEFT(D, i)) * load(weight + i, LEFT(D, i));
            const vec other = has_add ? load(add + at + i, LEFT(D, i)) : (vec)(0);
            store(dx + at + i, fma((vec)(inverse), fma(-u, (vec)(product_mean), g - sum_mean), other), LEFT(D, i));
        }
    }
}

// dweight, dbias += the sum of the parts, `first` 1: dbias alone. groups: {ceil(D / (PART_VECTORS * VEC)), 2 or 1}
KERNEL void layer_norm_backward_sum(__global float *dweight, __global float *dbias, IN part, const int n_parts,
                                    const int first)
{
    __local vec scratch[WG];
    const int which = get_group_id(1) + first;
    add_parts(which ? dbias : dweight, part + which * D, n_parts, D, 2 * D, scratch);
}
