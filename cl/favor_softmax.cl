// Bidirectional FAVOR attention with feature maps that estimate softmax attention, forward. As favor.cl, with
// features relative to references (lib/softmax_features.clh): running ones for each block and feature, brought to
// common ones in the reduction; and for each query while it goes through the features, so that they are
// computed once.
//
// `gain` is the logarithm of the constant in phi(x).phi(y); it cancels where the division by R is made. With an epsilon there is
// always a division, and `gain` is the epsilon (lib/feature_epsilon.clh). R [rows][heads][2]: the
// normalizer relative to the references, and the query's reference s.
#include "lib/features.clh"
#include "lib/token_tile.clh"
#include "lib/feature_epsilon.clh"
#include "lib/softmax_features.clh"

// groups: heads, blocks, parts: each part does every n-th slice
KERNEL void favor_sum(OUT scratch, __global const int4 *restrict blocks, IN k, const int k_stride, const int k_offset,
                      IN v, const int v_stride, const int v_offset, const float gain)
{
    __local float x[EP * T], y[T * EP], phi[FP * T], ones[T], half_norm[T], factor[FP];
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
        half_norms(half_norm, x, block.y - t0, MAP_SOFTMAX_TRIG ? -INFINITY : INFINITY);
        if (FEATURE_EPSILON && first == 0) add_more(S + MORE, y, ones, gain, t0 == 0);
        for (int m0 = first; m0 < F; m0 += get_num_groups(2) * FP) {
            fetch_rows(keys + T * k_stride, k_stride, block.y - t0 - T, m0 / FP, F / FP);
            fetch_rows(values + T * v_stride, v_stride, block.y - t0 - T, m0 / FP, F / FP);
            running_key_features(packed, S + F * (EP + 1) + m0, m0, x, half_norm, phi, factor, t0 == 0);
            add_scaled_state(S + m0 * EP, S + F * EP + m0, factor, phi, y, ones, t0 == 0);
        }
    }
}

#define TOGETHER (WG == 1 ? EP / VEC : 1)

// What sums of a block are times as they are brought from its own references to the common ones.
INLINE vec weight_of(const vec own, const vec most, const int behind)
{
    const vec factor = select(vec_exp(own - most), (vec)(0.0f), most == (vec)(-INFINITY));
    return behind < 0 ? factor : (vec)(1.0f);
}

// groups: heads, sequences, parts: each part does every n-th piece. behind < 0: states of keys are
// brought to common references and go to `states`; else these are gradients, all relative to the references that
// lie with them, and their plain sums go to scratch, behind its first `behind` states.
KERNEL void favor_reduce(OUT states, const int behind, __global const int4 *restrict sequences, IN scratch)
{
    const int h = get_group_id(0), n_heads = get_num_groups(0);
    const int4 sequence = sequences[get_group_id(1)];
    const size_t next = n_heads * STATE;
    IN from = scratch + PACKED + ((size_t)sequence.z * n_heads + h) * STATE;
    IN c = from + F * (EP + 1);
    OUT to = states + (behind < 0 ? 0 : PACKED + behind * STATE) + ((size_t)get_group_id(1) * n_heads + h) * STATE;
    // With an epsilon all features have the same reference, and each key has added epsilon to all of them.
    __local float more[FEATURE_EPSILON ? EP + 16 : 1], spare[FEATURE_EPSILON ? WG : 1];
    const int has_epsilon = FEATURE_EPSILON && behind < 0;
    const float common = FEATURE_EPSILON ? gather_more(more, spare, from, next, has_epsilon ? sequence.w : 0) : 0.0f;
    // Rows of S: blocks are far apart, so a CPU takes a whole row of each at a time.
    const int items = get_num_groups(2) * WG, item = get_group_id(2) * WG + LID;
    for (int i = item * VEC * TOGETHER; i < F * EP; i += items * VEC * TOGETHER) {
        const int m = i / EP;
        vec sum[TOGETHER];
        float most = -INFINITY;
        UNROLL for (int s = 0; s < TOGETHER; s++) sum[s] = 0;
        for (int b = 0; b < sequence.w; b++) most = fmax(most, c[b * next + m]);
        if (has_epsilon && m < M) {
            most = common;
            UNROLL for (int s = 0; s < TOGETHER; s++) sum[s] = VLOAD(more + i % EP + s * VEC);
        }
        for (int b = 0; b < sequence.w; b++) {
            const vec factor = weight_of(c[b * next + m], most, behind);
            UNROLL for (int s = 0; s < TOGETHER; s++) sum[s] = fma(factor, VLOAD(from + b * next + i + s * VEC), sum[s]);
        }
        UNROLL for (int s = 0; s < TOGETHER; s++) VSTORE(sum[s], to + i + s * VEC);
    }
    BARRIER;
    // z, and the common references. All items count alike, see FOR_MINE.
    for (int first = 0; first < F; first += items * VEC) {
        const int m = first + item * VEC;
        vec sum = 0, most = -INFINITY;
        if (m < F) {
            for (int b = 0; b < sequence.w; b++) most = fmax(most, VLOAD(c + b * next + m));
            if (has_epsilon) {
                most = select((vec)(-INFINITY), (vec)(common), LANES < (ivec)(M - m));
                sum = select((vec)(0.0f), (vec)(more[EP]), LANES < (ivec)(M - m));
            }
            for (int b = 0; b < sequence.w; b++)
                sum = fma(weight_of(VLOAD(c + b * next + m), most, behind), VLOAD(from + b * next + F * EP + m), sum);
            VSTORE(sum, to + F * EP + m);
            VSTORE(most, to + F * (EP + 1) + m);
        }
    }
}

// The references of the queries rise with a slice of exponents phi; factor[t] is what sums made with the old ones
// are to be multiplied by. phi becomes weights, and their sums with z gather in `parts`.
INLINE void rise(LOCAL phi, LOCAL top, LOCAL factor, LOCAL parts, LOCAL most, GLOBAL_IN z, const int first)
{
    FOR_MINE(i, PARTS * (T / VEC / SIDE))
    {
        const int t = i % (T / VEC / SIDE) * SIDE * VEC, part = i / (T / VEC / SIDE);
        vec part_most[SIDE];
        UNROLL for (int s = 0; s < SIDE; s++) part_most[s] = -INFINITY;
        for (int m = part; !MAP_SOFTMAX_TRIG && m < FP; m += PARTS)
            UNROLL for (int s = 0; s < SIDE; s++) part_most[s] = fmax(part_most[s], VLOAD(phi + m * T + t + s * VEC));
        UNROLL for (int s = 0; s < SIDE; s++) VSTORE(part_most[s], most + part * T + t + s * VEC);
    }
    BARRIER;
    FOR_MINE(t, T)
    {
        float now = first ? (MAP_SOFTMAX_TRIG ? 0.0f : -INFINITY) : top[t];
        const float before = now;
        for (int part = 0; part < PARTS; part++) now = fmax(now, most[part * T + t]);
        factor[t] = first ? 0.0f : exp(before - now);
        top[t] = now;
    }
    BARRIER;
    FOR_MINE(i, PARTS * (T / VEC / SIDE))
    {
        const int t = i % (T / VEC / SIDE) * SIDE * VEC, part = i / (T / VEC / SIDE);
        vec r[SIDE], tops[SIDE];
        UNROLL for (int s = 0; s < SIDE; s++) {
            const int at = part * T + t + s * VEC;
            r[s] = first ? (vec)(0.0f) : VLOAD(parts + at) * VLOAD(factor + t + s * VEC);
            tops[s] = VLOAD(top + t + s * VEC);
        }
        for (int m = part; m < FP; m += PARTS) {
            const vec one = (vec)(z[m]);
            UNROLL for (int s = 0; s < SIDE; s++) {
                const int at = m * T + t + s * VEC;
                vec a = VLOAD(phi + at);
                if (!MAP_SOFTMAX_TRIG) a = vec_exp_below(a - tops[s]);
                VSTORE(a, phi + at);
                r[s] = fma(a, one, r[s]);
            }
        }
        UNROLL for (int s = 0; s < SIDE; s++) VSTORE(r[s], parts + part * T + t + s * VEC);
    }
    BARRIER;
}

// y = factor y + phi^T S for one slice, factor[t] by token.
INLINE void add_scaled_rows(LOCAL_IN phi, GLOBAL_IN S, LOCAL_IN factor, LOCAL y, const int first)
{
#define GET(r, n) (first ? (vec)(0.0f) : factor[row0 + r] * VLOAD(y + (row0 + r) * EP + column0 + n * VEC))
#define PUT(r, n) VSTORE(acc[r][n], y + (row0 + r) * EP + column0 + n * VEC)
    PRODUCT(T, EP, FP, phi, 1, T, S, EP, GET, PUT);
#undef GET
#undef PUT
}

// scale[t]: what y is multiplied by; its inverse and the reference go to R. c0: the reference of trig.
INLINE void finish(LOCAL scale, GLOBAL R, LOCAL_IN parts, LOCAL_IN top, LOCAL_IN half_norm, const float c0, const float gain,
                   const int n_heads, const int n)
{
    FOR_MINE(t, n)
    {
        float r = 0;
        for (int part = 0; part < PARTS; part++) r += parts[part * T + t];
        // phi(x).phi(y) without references is r times this
        const float size = MAP_SOFTMAX_TRIG ? exp(gain + half_norm[t] + c0) : exp(gain + top[t] - half_norm[t]);
        if (MAP_SOFTMAX_TRIG && fabs(r) * size <= 1e-6f) r += 2e-6f / size;
        if (!RENORMALIZE) r = 1.0f / size;
        R[(size_t)t * n_heads * 2] = r;
        R[(size_t)t * n_heads * 2 + 1] = top[t];
        scale[t] = r == 0.0f ? 0.0f : 1.0f / r;
    }
    BARRIER;
}

// groups: heads, blocks, parts: each part does every n-th tile. R [rows of the buffer][heads][2]
KERNEL void favor_apply(OUT o, const int o_stride, const int o_offset, OUT R, __global const int4 *restrict blocks,
                        IN packed, IN state, IN q, const int q_stride, const int q_offset, const float gain)
{
    __local float x[EP * T], y[T * EP], phi[FP * T], scale[T], parts[PARTS * T], most[PARTS * T], top[T], half_norm[T];
    __local float tail[FEATURE_EPSILON ? EP + 16 : 1];
    const int h = get_group_id(0), n_heads = get_num_groups(0);
    const int4 block = blocks[get_group_id(1)];
    IN S = state + ((size_t)block.z * n_heads + h) * STATE;
    IN z = S + F * EP;
    IN c = z + F;
    for (int t0 = get_group_id(2) * T; t0 < block.y; t0 += get_num_groups(2) * T) {
        const size_t row = block.x + t0;
        const int n = min(T, block.y - t0);
        GLOBAL_IN queries = q + row * q_stride + q_offset + h * E;
        OUT rows = o + row * o_stride + o_offset + h * E;
        load_transposed(x, queries, q_stride, n);
        half_norms(half_norm, x, n, 0.0f);
        for (int m0 = 0; m0 < F; m0 += FP) {
            fetch_rows(queries + T * q_stride, q_stride, block.y - t0 - T, m0 / FP, F / FP);
            fetch_rows(rows, o_stride, n, m0 / FP, F / FP);
            query_features(packed, c + m0, m0, x, 0, phi, 0);
            rise(phi, top, scale, parts, most, z + m0, m0 == 0);
            add_scaled_rows(phi, S + m0 * EP, scale, y, m0 == 0);
            if (FEATURE_EPSILON) add_tail(tail, S + m0 * EP, z + m0, m0 == 0);
        }
        if (FEATURE_EPSILON) {
            query_sizes(half_norm);
            spread_tail(y, parts, tail, half_norm, gain);
        }
        finish(scale, R + (row * n_heads + h) * 2, parts, top, half_norm, c[0], gain, n_heads, n);
        store_tile(rows, y, scale, o_stride, n);
    }
}
