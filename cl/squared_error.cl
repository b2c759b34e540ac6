// Squared error of a regression's outputs against their labels, with the sums that metrics are made of.
//
//   loss[n] = (y[n] - value[n])^2
//   dy[n] = 2 (y[n] - value[n]) * scale;  0 in rows without a label (target < 0)
//
// Sums of losses are kept as pairs.
#include "lib/base.clh"
#include "lib/pair.clh"
#include "lib/metrics.clh"

// loss[n] on request (0 without a label); part[group] = the sums of its rows. groups: ceil(rows / rows_each)
KERNEL void squared_error_forward(__global metrics *restrict part, __global float *loss, const int keep_loss, IN y,
                                  IN value, __global const int *restrict target, const int rows, const int rows_each)
{
    __local metrics scratch[WG];
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    metrics sums = {(float4)(0), (int4)(0)};
    for (int n = first + LID; n < last; n += WG) {
        float row_loss = 0;
        if (target[n] >= 0) {
            const float error = y[n] - value[n];
            row_loss = error * error;
            sums.losses.lo = pair_add(sums.losses.lo, row_loss);
            sums.counts += (int4)(1, 0, 1, 0);
        }
        if (keep_loss) loss[n] = row_loss;
    }
    sums.losses.hi = sums.losses.lo; // every label counts as one of a residue
    sums = group_join(sums, scratch);
    if (LID == 0) part[get_group_id(0)] = sums;
}

// dy may be y. groups: ceil(rows / rows_each)
KERNEL void squared_error_backward(__global float *dy, __global const float *y, IN value,
                                   __global const int *restrict target, const float scale, const int rows,
                                   const int rows_each)
{
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    for (int n = first + LID; n < last; n += WG) dy[n] = target[n] >= 0 ? 2.0f * (y[n] - value[n]) * scale : 0.0f;
}
