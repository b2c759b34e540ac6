// Cross-entropy of rows of logits against their targets, with the sums that metrics are made of.
//
//   loss[n] = log(sum_a exp(logit[n,a])) - logit[n, target[n]]
//   dlogits[n,a] = (softmax(logits[n])[a] - (a == target[n])) * scale;  0 in rows without a target (target < 0)
//
//   -DA   alphabet        -DFIRST_RESIDUE, -DRESIDUES_END   targets from one up to below the other are residues
//
// An item does whole rows: alphabets are short. The largest logits' own terms, exp(0) = 1, are counted apart, so
// that the loss of a sure and right row keeps its digits: log1p(the others). Sums of losses are kept as pairs.
#include "lib/base.clh"
#include "lib/math.clh"
#include "lib/pair.clh"
#include "lib/metrics.clh"

#ifndef A
#define A 29
#endif
#ifndef RESIDUES_END
#define FIRST_RESIDUE 0
#define RESIDUES_END 25
#endif

// A row's largest logit; *rest: sum of exp(logit - largest) over those that are smaller, *ties: how many are not.
INLINE float row_sums(__global const float *row, float *rest, int *ties)
{
    vec top = -INFINITY, sum = 0;
    ivec equal = 0;
    for (int i = 0; i < A; i += VEC)
        top = fmax(top, select((vec)(-INFINITY), load(row + i, A - i), LANES < (ivec)(A - i)));
    const float largest = lanes_max(top);
    for (int i = 0; i < A; i += VEC) {
        const vec x = load(row + i, A - i);
        const ivec inside = LANES < (ivec)(A - i), is_largest = inside & (x == largest);
        sum += select((vec)(0), vec_exp(x - largest), inside & ~is_largest);
        equal -= is_largest;
    }
    *rest = lanes_sum(sum);
    *ties = (int)lanes_sum(TO_VEC(equal));
    return largest;
}

// True if no logit is above the target's, nor equal and before it.
INLINE bool is_hit(__global const float *row, const int target)
{
    const float own = row[target];
    ivec beaten = 0;
    for (int i = 0; i < A; i += VEC) {
        const vec x = load(row + i, A - i);
        const ivec at = LANES + i;
        beaten |= (at < A) & ~((x < own) | ((x == own) & (at >= target)));
    }
    return !any(beaten);
}

// log(1 + x), x >= 0, as right as the logarithm near 1 is (Kahan): not every built-in log1p is.
INLINE float log_of_1_plus(const float x)
{
    const float u = 1.0f + x;
    return u == 1.0f ? x : log(u) * (x / (u - 1.0f));
}

// loss[n] on request (0 without a target); part[group] = the sums of its rows. groups: ceil(rows / rows_each)
KERNEL void cross_entropy_forward(__global metrics *restrict part, __global float *loss, const int keep_loss, IN logits,
                                  __global const int *restrict target, const int stride, const int rows,
                                  const int rows_each)
{
    __local metrics scratch[WG];
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    metrics sums = {(float4)(0), (int4)(0)};
    for (int n = first + LID; n < last; n += WG) {
        const int t = target[n];
        float row_loss = 0, rest;
        if (t >= 0) {
            int ties;
            IN row = logits + (size_t)n * stride;
            const float largest = row_sums(row, &rest, &ties);
            row_loss = log_of_1_plus(rest + (ties - 1)) + (largest - row[t]);
            const int hit = is_hit(row, t), residue = t >= FIRST_RESIDUE && t < RESIDUES_END;
            sums.counts += (int4)(1, hit, residue, hit & residue);
            sums.losses.lo = pair_add(sums.losses.lo, row_loss);
            if (residue) sums.losses.hi = pair_add(sums.losses.hi, row_loss);
        }
        if (keep_loss) loss[n] = row_loss;
    }
    sums = group_join(sums, scratch);
    if (LID == 0) part[get_group_id(0)] = sums;
}

// dlogits may be logits, with the same stride. groups: ceil(rows / rows_each)
KERNEL void cross_entropy_backward(__global float *dlogits, __global const float *logits,
                                   __global const int *restrict target, const int stride, const float scale,
                                   const int rows, const int rows_each)
{
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    for (int n = first + LID; n < last; n += WG) {
        __global const float *row = logits + (size_t)n * stride;
        __global float *out = dlogits + (size_t)n * stride;
        const int t = target[n];
        float rest = 0, largest = 0;
        int ties = 1;
        if (t >= 0) largest = row_sums(row, &rest, &ties);
        const float inverse = 1.0f / (rest + ties);
        for (int i = 0; i < A; i += VEC) {
            vec d = 0;
            if (t >= 0) {
                d = vec_exp(load(row + i, A - i) - largest) * inverse;
                d = select(d, d - 1.0f, LANES + i == t) * scale;
            }
            store(out + i, d, A - i);
        }
    }
}

// dlogits[n] *= weight[target[n]]; rows without a target are 0 and stay so. groups: ceil(rows / rows_each)
KERNEL void cross_entropy_weigh(__global float *dlogits, __global const int *restrict target, IN weight,
                                const int stride, const int rows, const int rows_each)
{
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    for (int n = first + LID; n < last; n += WG) {
        __global float *row = dlogits + (size_t)n * stride;
        const float w = weight[max(target[n], 0)];
        for (int i = 0; i < A; i += VEC) store(row + i, load(row + i, A - i) * w, A - i);
    }
}
