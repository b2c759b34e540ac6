// Bidirectional FAVOR attention, forward (Choromanski et al. 2021, arXiv:2009.14794, algorithm 1).
//
//   favor_sum     partial states S = phi(K)^T V, z = sum phi(K) of each block and head
//   favor_reduce  their sum for each sequence and head, in the order of the blocks
//   favor_apply   O = phi(Q) S / R, R = phi(Q) z
//
// Constants: see lib/features.clh. Tables of sequences {first row, length, first block, blocks} and of
// blocks {first row, rows, sequence, token}: src/ops/sequences.h. States: [block or sequence][head][STATE].
// Scratch: packed W, then the partial states of the blocks.
#include "lib/features.clh"
#include "lib/token_tile.clh"

// groups: heads, blocks, parts: each part does every n-th slice
KERNEL void favor_sum(OUT scratch, __global const int4 *restrict blocks, IN k, const int k_stride, const int k_offset,
                      IN v, const int v_stride, const int v_offset, const float epsilon)
{
    __local float x[EP * T], y[T * EP], phi[FP * T], ones[T];
    const int h = get_group_id(0), n_heads = get_num_groups(0), first = get_group_id(2) * FP;
    const int4 block = blocks[get_group_id(1)];
    IN packed = scratch;
    OUT S = scratch + PACKED + ((size_t)get_group_id(1) * n_heads + h) * STATE;
    for (int t0 = 0; t0 < block.y; t0 += T) {
        const size_t row = block.x + t0;
        GLOBAL_IN keys = k + row * k_stride + k_offset + h * E;
        GLOBAL_IN values = v + row * v_stride + v_offset + h * E;
        load_transposed(x, keys, k_stride, block.y - t0);
        load_tile(y, values, v_stride, block.y - t0);
        load_ones(ones, block.y - t0);
        for (int m0 = first; m0 < F; m0 += get_num_groups(2) * FP) {
            fetch_rows(keys + T * k_stride, k_stride, block.y - t0 - T, m0 / FP, F / FP);
            fetch_rows(values + T * v_stride, v_stride, block.y - t0 - T, m0 / FP, F / FP);
            features(packed + m0 * EP, x, phi, epsilon);
            clear_padding(phi, m0);
            add_state(S + m0 * EP, S + F * EP + m0, phi, y, ones, t0 == 0);
        }
    }
}

#define TOGETHER (WG > 1 ? 1 : F % (8 * VEC) == 0 ? 8 : 1)

// groups: heads, sequences, parts: each part does every n-th piece of numbers. The sums go to `states`,
// or, where that is the scratch buffer, behind its first `behind` states.
KERNEL void favor_reduce(OUT states, const int behind, __global const int4 *restrict sequences, IN scratch)
{
    const int h = get_group_id(0), n_heads = get_num_groups(0);
    const int4 sequence = sequences[get_group_id(1)];
    IN from = scratch + PACKED + ((size_t)sequence.z * n_heads + h) * STATE;
    OUT to = states + (behind < 0 ? 0 : PACKED + behind * STATE) + ((size_t)get_group_id(1) * n_heads + h) * STATE;
    // Blocks are far apart: several vectors of each at a time. F (EP + 1) divides by all of them.
    const int step = get_num_groups(2) * WG * VEC * TOGETHER;
    for (int i = (get_group_id(2) * WG + LID) * VEC * TOGETHER; i < F * (EP + 1); i += step) {
        vec sum[TOGETHER];
        UNROLL for (int s = 0; s < TOGETHER; s++) sum[s] = 0;
        for (int b = 0; b < sequence.w; b++)
            UNROLL for (int s = 0; s < TOGETHER; s++) sum[s] += VLOAD(from + (size_t)b * n_heads * STATE + i + s * VEC);
        UNROLL for (int s = 0; s < TOGETHER; s++) VSTORE(sum[s], to + i + s * VEC);
    }
}

INLINE void add_normalizers(LOCAL parts, LOCAL_IN phi, GLOBAL_IN z, const int first)
{
    FOR_MINE(i, PARTS * (T / VEC / SIDE))
    {
        const int t = i % (T / VEC / SIDE) * SIDE * VEC, part = i / (T / VEC / SIDE);
        vec r[SIDE];
        UNROLL for (int s = 0; s < SIDE; s++) r[s] = first ? (vec)(0.0f) : VLOAD(parts + part * T + t + s * VEC);
        for (int m = part; m < FP; m += PARTS) {
            const vec one = (vec)(z[m]);
            UNROLL for (int s = 0; s < SIDE; s++) r[s] = fma(VLOAD(phi + m * T + t + s * VEC), one, r[s]);
        }
        UNROLL for (int s = 0; s < SIDE; s++) VSTORE(r[s], parts + part * T + t + s * VEC);
    }
    BARRIER;
}

// scale[t] = 1/R; R [n] is kept for the backward pass, n_heads apart.
INLINE void finish_normalizers(LOCAL scale, GLOBAL R, LOCAL_IN parts, const int n_heads, const int n)
{
    FOR_MINE(t, n)
    {
        float r = 0;
        for (int part = 0; part < PARTS; part++) r += parts[part * T + t];
        if (fabs(r) <= 1e-6f) r += 2e-6f;
        R[(size_t)t * n_heads] = r;
        scale[t] = RENORMALIZE ? 1.0f / r : 1.0f;
    }
    BARRIER;
}

// groups: heads, blocks, parts: each part does every n-th tile. R [rows of the buffer][heads]
KERNEL void favor_apply(OUT o, const int o_stride, const int o_offset, OUT R, __global const int4 *restrict blocks,
                        IN packed, IN state, IN q, const int q_stride, const int q_offset, const float epsilon)
{
    __local float x[EP * T], y[T * EP], phi[FP * T], scale[T], parts[PARTS * T];
    const int h = get_group_id(0), n_heads = get_num_groups(0);
    const int4 block = blocks[get_group_id(1)];
    IN S = state + ((size_t)block.z * n_heads + h) * STATE;
    IN z = S + F * EP;
    for (int t0 = get_group_id(2) * T; t0 < block.y; t0 += get_num_groups(2) * T) {
        const size_t row = block.x + t0;
        const int n = min(T, block.y - t0);
        GLOBAL_IN queries = q + row * q_stride + q_offset + h * E;
        OUT rows = o + row * o_stride + o_offset + h * E;
        load_transposed(x, queries, q_stride, n);
        for (int m0 = 0; m0 < F; m0 += FP) {
            fetch_rows(queries + T * q_stride, q_stride, block.y - t0 - T, m0 / FP, F / FP);
            fetch_rows(rows, o_stride, n, m0 / FP, F / FP);
            features(packed + m0 * EP, x, phi, epsilon);
            add_rows(phi, S + m0 * EP, y, m0 == 0);
            add_normalizers(parts, phi, z + m0, m0 == 0);
        }
        finish_normalizers(scale, R + row * n_heads + h, parts, n_heads, n);
        store_tile(rows, y, scale, o_stride, n);
    }
}
