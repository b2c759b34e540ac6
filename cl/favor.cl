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
        load_transposed(x, k + row * k_stride + k_offset + h * E, k_stride, block.y - t0);
        load_tile(y, v + row * v_stride + v_offset + h * E, v_stride, block.y - t0);
        load_ones(ones, block.y - t0);
        for (int m0 = first; m0 < F; m0 += get_num_groups(2) * FP) {
            features(packed + m0 * EP, x, phi, epsilon);
            clear_padding(phi, m0);
            add_state(S + m0 * EP, S + F * EP + m0, phi, y, ones, t0 == 0);
        }
    }
}

// groups: heads, sequences, parts: each part does every n-th piece of WG*VEC numbers. The sums go to `states`,
// or, where that is the scratch buffer, behind its first `behind` states.
KERNEL void favor_reduce(OUT states, const int behind, __global const int4 *restrict sequences, IN scratch)
{
    const int h = get_group_id(0), n_heads = get_num_groups(0);
    const int4 sequence = sequences[get_group_id(1)];
    IN from = scratch + PACKED + ((size_t)sequence.z * n_heads + h) * STATE;
    OUT to = states + (behind < 0 ? 0 : PACKED + behind * STATE) + ((size_t)get_group_id(1) * n_heads + h) * STATE;
    const int step = get_num_groups(2) * WG * VEC;
    for (int i = (get_group_id(2) * WG + LID) * VEC; i < F * (EP + 1); i += step) {
        vec sum = 0;
        for (int b = 0; b < sequence.w; b++) sum += VLOAD(from + (size_t)b * n_heads * STATE + i);
        VSTORE(sum, to + i);
    }
}

INLINE void add_normalizers(LOCAL parts, LOCAL_IN phi, GLOBAL_IN z, const int first)
{
    FOR_MINE(i, PARTS * (T / VEC))
    {
        const int t = i % (T / VEC) * VEC, part = i / (T / VEC);
        vec r = first ? (vec)(0.0f) : VLOAD(parts + part * T + t);
        for (int m = part; m < FP; m += PARTS) r = fma(VLOAD(phi + m * T + t), (vec)(z[m]), r);
        VSTORE(r, parts + part * T + t);
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
        load_transposed(x, q + row * q_stride + q_offset + h * E, q_stride, n);
        for (int m0 = 0; m0 < F; m0 += FP) {
            features(packed + m0 * EP, x, phi, epsilon);
            add_rows(phi, S + m0 * EP, y, m0 == 0);
            add_normalizers(parts, phi, z + m0, m0 == 0);
        }
        finish_normalizers(scale, R + row * n_heads + h, parts, n_heads, n);
        store_tile(o + row * o_stride + o_offset + h * E, y, scale, o_stride, n);
    }
}
