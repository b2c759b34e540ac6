// Sums of columns: out[c] += x[0][c] + x[1][c] + …, as the gradient of a bias. Two passes in fixed order.
//
// First pass: a group adds its rows, CHAIN vectors of columns at a time in registers; an item owns its columns.
#include "lib/base.clh"
#include "lib/parts.clh"

#if WG == 1
#define CHAIN 8
#else
#define CHAIN 1
#endif

// part[group][columns]; number c of row n is x[offset + n*stride + c]. groups: ceil(rows / rows_each)
KERNEL void column_sum_parts(OUT part, IN x, const int stride, const int offset, const int columns, const int rows,
                             const int rows_each)
{
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    OUT line = part + (size_t)get_group_id(0) * columns;
    for (int i = LID * VEC * CHAIN; i < columns; i += WG * VEC * CHAIN) {
        vec sum[CHAIN];
        UNROLL for (int j = 0; j < CHAIN; j++) sum[j] = (vec)(0);
        for (int n = first; n < last; n++) {
            IN row = x + offset + (size_t)n * stride + i;
            UNROLL for (int j = 0; j < CHAIN; j++) sum[j] += load(row + j * VEC, columns - i - j * VEC);
        }
        UNROLL for (int j = 0; j < CHAIN; j++) store(line + i + j * VEC, sum[j], columns - i - j * VEC);
    }
}

// groups: ceil(columns / (PART_VECTORS * VEC))
KERNEL void column_sum_sum(OUT out, IN part, const int n_parts, const int columns)
{
    __local vec scratch[WG];
    add_parts(out, part, n_parts, columns, columns, scratch);
}
