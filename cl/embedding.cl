// Token and position embeddings: x[n] = dropout(scale[n] * token_table[token[n]] + position_table[position[n]]), and
// the gradients of both tables, without atomics and in fixed order.
//
//   -DD   width of a row     -DA   tokens of the alphabet     -DDROPOUT  see lib/dropout.clh
//
// Gradient of the token table: a group sums its rows' gradients into an [A,D] part of its own (in cache: A is
// small), the second pass adds the parts up. Gradient of the position table: a group does one position and adds
// the rows there, sequence after sequence. An item always owns its columns, so no barriers.
#include "lib/base.clh"
#include "lib/dropout.clh"
#include "lib/parts.clh"

#ifndef D
#define D 64
#endif
#ifndef A
#define A 29
#endif

// The factor of a row's token embedding: 1 without a table of them. Times 1 changes no bit.
#define SCALE_OF(n) (has_scale ? scale[n] : 1.0f)

// place is read for the positions; the table begins with `first_position`. groups: ceil(rows / rows_each)
KERNEL void embedding_forward(OUT x, IN token_table, IN position_table, __global const int *restrict token,
                              IN scale, const int has_scale, const int has_positions, const int first_position,
                              const int rows, const int rows_each, DROPOUT_PARAMETERS)
{
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    for (int n = first; n < last; n++) {
        IN token_row = token_table + (size_t)token[n] * D;
        IN position_row = position_table + (has_positions ? (size_t)(place[n].x - (uint)first_position) * D : 0);
        for (int i = LID * STEP; i < D; i += WG * STEP) {
            vec v[DROP], p[DROP];
            load_step(v, token_row + i, LEFT_STEP(D, i));
            UNROLL for (int j = 0; j < DROP; j++) v[j] *= SCALE_OF(n);
            if (has_positions) {
                load_step(p, position_row + i, LEFT_STEP(D, i));
                UNROLL for (int j = 0; j < DROP; j++) v[j] += p[j];
            }
            DROP_OUT(v, n, i);
            store_step(x + (size_t)n * D + i, v, LEFT_STEP(D, i));
        }
    }
}

// part[group 0][A][D], of which the group does columns_each columns. groups: {parts, ceil(D / columns_each)}
KERNEL void embedding_backward_tokens(OUT part, IN dx, __global const int *restrict token, IN scale,
                                      const int has_scale, const int rows, const int rows_each,
                                      const int columns_each, DROPOUT_PARAMETERS)
{
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    const int begin = get_group_id(1) * columns_each + LID * STEP, end = min((int)get_group_id(1) * columns_each + columns_each, D);
    OUT sums = part + (size_t)get_group_id(0) * A * D;
    vec zeros[DROP];
    UNROLL for (int j = 0; j < DROP; j++) zeros[j] = (vec)(0);
    for (int a = 0; a < A; a++)
        for (int i = begin; i < end; i += WG * STEP) store_step(sums + a * D + i, zeros, end - i);
    for (int n = first; n < last; n++) {
        OUT sum_row = sums + (size_t)token[n] * D;
        for (int i = begin; i < end; i += WG * STEP) {
            vec v[DROP], old[DROP];
            load_step(v, dx + (size_t)n * D + i, end - i);
            load_step(old, sum_row + i, end - i);
            DROP_OUT(v, n, i);
            UNROLL for (int j = 0; j < DROP; j++) v[j] = v[j] * SCALE_OF(n) + old[j];
            store_step(sum_row + i, v, end - i);
        }
    }
}

// dtoken += the sum of the parts. groups: ceil(A*D / (PART_VECTORS * VEC))
KERNEL void embedding_backward_sum(OUT dtoken, IN part, const int n_parts)
{
    __local vec scratch[WG];
    add_parts(dtoken, part, n_parts, A * D, A * D, scratch);
}

// dposition[p] += dx of the rows at position p = group. sequence[b] = {first row, length, -, -}.
// groups: length of the longest sequence
KERNEL void embedding_backward_positions(OUT dposition, IN dx, __global const int4 *restrict sequence,
                                         const int n_sequences, DROPOUT_PARAMETERS)
{
    const int p = get_group_id(0);
    for (int i = LID * STEP; i < D; i += WG * STEP) {
        vec sum[DROP], v[DROP];
        load_step(sum, dposition + (size_t)p * D + i, LEFT_STEP(D, i));
        for (int b = 0; b < n_sequences; b++) {
            if (p >= sequence[b].y) continue;
            const int n = sequence[b].x + p;
            load_step(v, dx + (size_t)n * D + i, LEFT_STEP(D, i));
            DROP_OUT(v, n, i);
            UNROLL for (int j = 0; j < DROP; j++) sum[j] += v[j];
        }
        store_step(dposition + (size_t)p * D + i, sum, LEFT_STEP(D, i));
    }
}
