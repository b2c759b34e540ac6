// What the device can do at best, to hold kernels against: multiply-adds in registers alone, and a copy.
#include "lib/base.clh"

#if WG == 1
#define CHAINS 16 // independent sums: enough to hide the latency of an fma
#else
#define CHAINS 4
#endif

// 2 * VEC * CHAINS * n operations in each work-item. groups: any
KERNEL void peak_multiply_add(OUT out, const int n, const float x, const float y)
{
    vec sum[CHAINS];
    UNROLL for (int r = 0; r < CHAINS; r++) sum[r] = (vec)(r + LID);
    for (int i = 0; i < n; i++) UNROLL for (int r = 0; r < CHAINS; r++) sum[r] = fma(sum[r], (vec)(x), (vec)(y));
    UNROLL for (int r = 1; r < CHAINS; r++) sum[0] += sum[r];
    VSTORE(sum[0], out + (get_group_id(0) * WG + LID) * VEC);
}

// to[0 .. groups * each * WG * VEC - 1] = from
KERNEL void peak_copy(OUT to, IN from, const int each)
{
    const size_t first = (size_t)get_group_id(0) * each * WG * VEC;
    for (int i = LID; i < each * WG; i += WG) VSTORE(VLOAD(from + first + i * VEC), to + first + i * VEC);
}
