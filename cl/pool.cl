// One row out of many: means and maxima over ranges of rows, the gradient of means, and rows picked by number.
//
// A range is summed in runs of RUN rows, and the runs' sums are summed: an order that depends on the range's length
// only, with an error that grows with its square root at most. An item owns its columns.
#include "lib/base.clh"

#define RUN 64

// mean[b] and maximum[b] of rows range[b].x .. range[b].y-1 of x; 0 for an empty range. Number c of row n is
// x[offset + n*stride + c]. groups: {ranges, ceil(columns / (WG*VEC))}
KERNEL void pool(OUT mean, OUT maximum, const int want_mean, const int want_maximum, IN x,
                 __global const int2 *restrict range, const int stride, const int offset, const int columns)
{
    const int b = get_group_id(0), i = ((int)get_group_id(1) * WG + LID) * VEC, left = columns - i;
    const int first = range[b].x, last = range[b].y;
    if (left <= 0) return;
    vec total = 0, top = first < last ? -INFINITY : 0.0f;
    for (int run = first; run < last; run += RUN) {
        vec sum = 0;
        for (int n = run; n < min(run + RUN, last); n++) {
            const vec v = load(x + offset + (size_t)n * stride + i, left);
            sum += v;
            top = fmax(top, v);
        }
        total += sum;
    }
    if (want_mean) store(mean + (size_t)b * columns + i, total / (float)max(last - first, 1), left);
    if (want_maximum) store(maximum + (size_t)b * columns + i, top, left);
}

// The gradient of the mean: dx[n] = dmean[b] / rows of range[b] where row n lies in it, 0 in the sequence's others.
// `block` has first row, rows and sequence of a block of rows, see src/ops/sequences.h. groups: blocks
KERNEL void pool_backward(OUT dx, IN dmean, __global const int2 *restrict range, __global const int4 *restrict block,
                          const int columns)
{
    const int4 own = block[get_group_id(0)];
    const int2 residues = range[own.z];
    const float count = max(residues.y - residues.x, 1);
    for (int n = own.x; n < own.x + own.y; n++) {
        const bool is_inside = n >= residues.x && n < residues.y;
        for (int i = LID * VEC; i < columns; i += WG * VEC) {
            vec d = 0;
            if (is_inside) d = load(dmean + (size_t)own.z * columns + i, columns - i) / count;
            store(dx + (size_t)n * columns + i, d, columns - i);
        }
    }
}

// out[k] = row row[k] of x. groups: ceil(count / rows_each)
KERNEL void gather_rows(OUT out, IN x, __global const int *restrict row, const int stride, const int offset,
                        const int columns, const int count, const int rows_each)
{
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, count);
    for (int k = first; k < last; k++)
        for (int i = LID * VEC; i < columns; i += WG * VEC)
            store(out + (size_t)k * columns + i, load(x + offset + (size_t)row[k] * stride + i, columns - i), columns - i);
}
