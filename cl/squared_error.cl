// Squared error of a regression's outputs against their labels, with the sums that metrics are made of.
//
//   loss[n] = (y[n] - value[n])^2
//   dy[n] = 2 (y[n] - value[n]) * scale;  0 in rows without a label (target < 0)
//
// Sums of losses are kept as pairs.
#include "lib/base.clh"
#include "lib/pair.clh"

typedef struct sums {
    float2 loss; // {sum, rest}
    int2 labels; // {count, 0}
} sums;

INLINE sums join(const sums a, const sums b)
{
    sums both;
    both.loss = pair_join(a.loss, b.loss);
    both.labels = a.labels + b.labels;
    return both;
}

// The sum over the items of the group, in item 0.
INLINE sums group_join(sums mine, __local sums *scratch)
{
#if WG > 1
    scratch[LID] = mine;
    BARRIER;
    for (int half_size = WG / 2; half_size > 0; half_size /= 2) {
        if (LID < half_size) scratch[LID] = join(scratch[LID], scratch[LID + half_size]);
        BARRIER;
    }
    mine = scratch[0];
#endif
    return mine;
}

// loss[n] on request (0 without a label); part[group] = the sums of its rows. groups: ceil(rows / rows_each)
KERNEL void squared_error_forward(__global sums *restrict part, __global float *loss, const int keep_loss, IN y,
                                  IN value, __global const int *restrict target, const int rows, const int rows_each)
{
    __local sums scratch[WG];
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    sums mine = {(float2)(0), (int2)(0)};
    for (int n = first + LID; n < last; n += WG) {
        float row_loss = 0;
        if (target[n] >= 0) {
            const float error = y[n] - value[n];
            row_loss = error * error;
            mine.loss = pair_add(mine.loss, row_loss);
            mine.labels.x++;
        }
        if (keep_loss) loss[n] = row_loss;
    }
    mine = group_join(mine, scratch);
    if (LID == 0) part[get_group_id(0)] = mine;
}

// total += the parts. One group.
KERNEL void squared_error_sum(__global sums *restrict total, __global const sums *restrict part, const int n_parts)
{
    __local sums scratch[WG];
    sums mine = {(float2)(0), (int2)(0)};
    for (int p = LID; p < n_parts; p += WG) mine = join(mine, part[p]);
    mine = group_join(mine, scratch);
    if (LID == 0) *total = join(*total, mine);
}

// dy may be y. groups: ceil(rows / rows_each)
KERNEL void squared_error_backward(__global float *dy, __global const float *y, IN value,
                                   __global const int *restrict target, const float scale, const int rows,
                                   const int rows_each)
{
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    for (int n = first + LID; n < last; n += WG) dy[n] = target[n] >= 0 ? 2.0f * (y[n] - value[n]) * scale : 0.0f;
}
