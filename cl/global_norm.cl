// The norm of a flat array, right for every array of finite numbers whose norm a float can hold, and the
// factor that clips it. Two passes, in an order that depends on the array's length only.
//
// Squares of large numbers overflow and of small ones vanish: three sums are kept side by side, of x, of
// x * 2^-90 and of x * 2^90, and the largest |x| says in the end which of them to believe. The first of the scaled
// sums cannot overflow, so it is finite exactly if all numbers are.
#include "lib/base.clh"
#include "lib/pair.clh"

#define DOWN 8.077935669463161e-28f // 2^-90
#define UP 1.2379400392853803e27f   // 2^90

// part[group] = {sum of (x*DOWN)^2, of x^2, of (x*UP)^2, largest |x|} of n_each numbers. groups: ceil(n / n_each)
KERNEL void global_norm_parts(__global float4 *restrict part, IN x, const int n, const int n_each)
{
    __local float scratch[WG];
    const int first = get_group_id(0) * n_each, last = first + min(n_each, n - first);
    vec down = 0, sum = 0, up = 0, top = 0;
    for (int i = first + LID * VEC; i < last; i += WG * VEC) {
        const vec v = load(x + i, last - i), small = v * DOWN, large = v * UP;
        sum = fma(v, v, sum);
        down = fma(small, small, down);
        up = fma(large, large, up);
        top = fmax(top, fabs(v));
    }
    const float a = group_sum(lanes_sum(down), scratch), b = group_sum(lanes_sum(sum), scratch);
    const float c = group_sum(lanes_sum(up), scratch), d = group_max(lanes_max(top), scratch);
    if (LID == 0) part[get_group_id(0)] = (float4)(a, b, c, d);
}

INLINE float2 group_pair(const float2 mine, __local float2 *scratch)
{
#if WG == 1
    return mine;
#else
    BARRIER;
    scratch[LID] = mine;
    BARRIER;
    for (int half_size = WG / 2; half_size > 0; half_size /= 2) {
        if (LID < half_size) scratch[LID] = pair_join(scratch[LID], scratch[LID + half_size]);
        BARRIER;
    }
    return scratch[0];
#endif
}

typedef struct norm_result {
    float norm, scale;
    int finite, zero;
} norm_result;

// scale = min(1, clip / norm), 1 without a clip (clip 0) or a gradient. One group.
KERNEL void global_norm_result(__global norm_result *restrict result, __global const float4 *restrict part,
                               const int n_parts, const float clip)
{
    __local float scratch[WG];
    __local float2 pairs[WG];
    float top = 0;
    float2 all = 0, believed = 0;
    for (int p = LID; p < n_parts; p += WG) {
        top = fmax(top, part[p].w);
        all = pair_add(all, part[p].x);
    }
    top = group_max(top, scratch);
    all = group_pair(all, pairs);
    const int which = top > 7e13f ? 0 : top > 1.4e-14f ? 1 : 2;
    for (int p = LID; p < n_parts; p += WG)
        believed = pair_add(believed, which == 0 ? part[p].x : which == 1 ? part[p].y : part[p].z);
    believed = group_pair(believed, pairs);
    if (LID == 0) {
        const float root = sqrt(believed.x + believed.y);
        const float norm = which == 0 ? root * UP : which == 1 ? root : root * DOWN;
        const int finite = isfinite(all.x) && isfinite(norm);
        result->norm = isfinite(all.x) ? norm : NAN;
        result->scale = finite && clip > 0 && norm > clip ? clip / norm : 1.0f;
        result->finite = finite;
        result->zero = 0;
    }
}

// first_bad[group] = index of the first number of its part that is not finite, else -1. groups: ceil(n / n_each)
KERNEL void global_norm_bad(__global int *restrict first_bad, IN x, const int n, const int n_each)
{
    __local float scratch[WG];
    const int first = get_group_id(0) * n_each, last = first + min(n_each, n - first);
    int bad = n_each; // relative to first: at most 2^24, exact as a float
    for (int i = first + LID; i < last && bad == n_each; i += WG)
        if (!isfinite(x[i])) bad = i - first;
    bad = n_each - (int)group_max((float)(n_each - bad), scratch);
    if (LID == 0) first_bad[get_group_id(0)] = bad == n_each ? -1 : first + bad;
}
