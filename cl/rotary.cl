// Rotary positions (Su et al. 2021, arXiv:2104.09864), half-split: with c, s the cosine and sine of the row's
// position times the pair's frequency, (z[i], z[i+E/2]) becomes (z[i] c - z[i+E/2] s, z[i+E/2] c + z[i] s).
//
//   -DE   width of a head, even
//
// In place: an item owns both halves of the pairs that it turns. A group does `rows_each` rows.
#include "lib/base.clh"

#ifndef E
#define E 64
#endif
#define HALF (E / 2)
#define VECTORS ((HALF + VEC - 1) / VEC)

// table[position - first_position][2][E/2] = cosines, sines; sign -1 turns back. groups: ceil(rows / rows_each)
KERNEL void rotary(__global float *x, IN table, const int first_position,
                   __global const uint4 *restrict place, const int stride, const int offset, const int heads, const float sign, const int rows, const int rows_each)
{
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    for (int n = first; n < last; n++) {
        IN angle = table + (size_t)(place[n].x - (uint)first_position) * E;
        for (uint k = LID; k < (uint)heads * VECTORS; k += WG) {
            const int i = k % VECTORS * VEC;
            __global float *low = x + offset + (size_t)n * stride + k / VECTORS * E + i, *high = low + HALF;
            const vec c = load(angle + i, LEFT(HALF, i)), s = load(angle + HALF + i, LEFT(HALF, i)) * sign;
            const vec a = load(low, LEFT(HALF, i)), b = load(high, LEFT(HALF, i));
            store(low, fma(a, c, -(b * s)), LEFT(HALF, i));
            store(high, fma(b, c, a * s), LEFT(HALF, i));
        }
    }
}
