// Causal FAVOR attention, backward. With y_j = [v_j, 1] and e_i = [do_i, -do_i . o_i] / R_i (without renormalisation
// [do_i, 0]):
//
//   dphi(q_i) = sum over j <= i of (e_i . y_j) phi(k_j)      forward in time, with the state of the forward pass
//   dphi(k_j) = sum over i >= j of (e_i . y_j) phi(q_i)      backward in time, with the state sum of phi(q_i) e_i
//   dv_j      = sum over i >= j of (phi(q_i) . phi(k_j)) e_i
//
// Two sweeps over chunks of T tokens. A group does one head of one sequence and carries a state that begins empty:
// built again, never subtracted. Features are computed again, a slice at a time.
//
// Constants: lib/features.clh.
#include "lib/features.clh"
#include "lib/token_tile.clh"

// inverse[t] = 1/R_t and w[t] = -(do_t . o_t)/R_t; 0 beyond the n tokens. strides: of do, o, R
INLINE void load_weights(LOCAL inverse, LOCAL w, GLOBAL_IN R, GLOBAL_IN dO, GLOBAL_IN O, const int4 strides, const int n)
{
    FOR_MINE(t, T)
    {
        vec s = 0;
        for (int c = 0; t < n && c < E; c += VEC)
            s = fma(load(dO + (size_t)t * strides.x + c, E - c), load(O + (size_t)t * strides.y + c, E - c), s);
        inverse[t] = t < n ? RENORMALIZE ? 1.0f / R[(size_t)t * strides.z] : 1.0f : 0.0f;
        w[t] = RENORMALIZE ? -lanes_sum(s) * inverse[t] : 0.0f;
    }
}

// df = S x + z w, what comes from beyond the chunk; nothing if that is empty.
INLINE void beyond_chunk(LOCAL df, GLOBAL_IN S, GLOBAL_IN z, LOCAL_IN x, LOCAL_IN w, const int empty)
{
    const int depth = empty ? 0 : DEPTH;
#define GET(r, n) (empty ? (vec)(0.0f) : z[row0 + r] * VLOAD(w + column0 + n * VEC))
#define PUT(r, n) VSTORE(acc[r][n], df + (row0 + r) * T + column0 + n * VEC)
    PRODUCT(FP, T, depth, S, EP, 1, x, T, GET, PUT);
#undef GET
#undef PUT
}

// df = (df + f p) * slopes: what comes from within the chunk.
INLINE void within_chunk(LOCAL df, LOCAL_IN f, LOCAL_IN p, LOCAL_IN slopes)
{
#define GET(r, n) VLOAD(df + (row0 + r) * T + column0 + n * VEC)
#define PUT(r, n)                                                             \
    VSTORE(acc[r][n] * VLOAD(slopes + (row0 + r) * T + column0 + n * VEC),    \
           df + (row0 + r) * T + column0 + n * VEC)
    PRODUCT(FP, T, T, f, T, 1, p, T, GET, PUT);
#undef GET
#undef PUT
}

// p[j][t] = y_j . e_t for t >= j, 0 elsewhere; e [EP][T]
INLINE void weights_by_key(LOCAL p, LOCAL_IN v, LOCAL_IN e, LOCAL_IN w)
{
#define GET(r, n) VLOAD(w + column0 + n * VEC)
#define PUT(r, n)                                                                       \
    VSTORE(select((vec)(0.0f), acc[r][n], LANES + column0 + n * VEC >= row0 + r),       \
           p + (row0 + r) * T + column0 + n * VEC)
    PRODUCT(T, T, DEPTH, v, EP, 1, e, T, GET, PUT);
#undef GET
#undef PUT
}

#define BELOW(r, n, x)                                                                  \
    VSTORE(select((vec)(0.0f), acc[r][n], LANES + column0 + n * VEC <= row0 + r),       \
           x + (row0 + r) * T + column0 + n * VEC)

// p[t][j] = e_t . y_j for j <= t, 0 elsewhere; v [EP][T]
INLINE void weights_by_query(LOCAL p, LOCAL_IN e, LOCAL_IN v, LOCAL_IN w)
{
#define GET(r, n) (vec)(w[row0 + r])
#define PUT(r, n) BELOW(r, n, p)
    PRODUCT(T, T, DEPTH, e, EP, 1, v, T, GET, PUT);
#undef GET
#undef PUT
}

// a (+)= fq^T fk for j <= t, 0 elsewhere
INLINE void products(LOCAL a, LOCAL_IN fq, LOCAL_IN fk, const int first)
{
#define GET(r, n) (first ? (vec)(0.0f) : VLOAD(a + (row0 + r) * T + column0 + n * VEC))
#define PUT(r, n) BELOW(r, n, a)
    PRODUCT(T, T, FP, fq, 1, T, fk, T, GET, PUT);
#undef GET
#undef PUT
}

// dv (+)= a^T e, a being 0 where t < j
INLINE void add_values(LOCAL dv, LOCAL_IN a, LOCAL_IN e, const int first)
{
#define GET(r, n) (first ? (vec)(0.0f) : VLOAD(dv + (row0 + r) * EP + column0 + n * VEC))
#define PUT(r, n) VSTORE(acc[r][n], dv + (row0 + r) * EP + column0 + n * VEC)
    PRODUCT(T, EP, T - row0, a + row0 * T, 1, T, e + row0 * EP, EP, GET, PUT);
#undef GET
#undef PUT
}

#define ROWS_OF(access, data, x) access data, const int x##_stride, const int x##_offset
#define HEAD_ARGUMENTS                                                                                               \
    OUT state, const int state_offset, __global const int4 *restrict sequences, IN W, ROWS_OF(IN, dO, do),           \
        ROWS_OF(IN, O, o), IN R, ROWS_OF(IN, Q, q), ROWS_OF(IN, K, k), ROWS_OF(IN, V, v), const float epsilon
#define HEAD                                                                                                         \
    const int h = get_group_id(0), heads = get_num_groups(0);                                                        \
    const int4 sequence = sequences[get_group_id(1)];                                                                \
    OUT S = state + state_offset + ((size_t)get_group_id(1) * heads + h) * STATE;                                    \
    OUT z = S + F * EP;
// This head's columns of a tensor from the chunk's first row on.
#define AT(data, x) ((data) + row * x##_stride + x##_offset + h * E)
#define LOAD_WEIGHTS load_weights(inverse, w, R + row * heads + h, AT(dO, do), AT(O, o), (int4)(do_stride, o_stride, heads, 0), n)

KERNEL void favor_causal_backward_query(ROWS_OF(OUT, dQ, dq), HEAD_ARGUMENTS)
{
    __local float q[EP * T], k[EP * T], v[T * EP], e[EP * T], dq[T * EP], fk[FP * T], slopes[FP * T], df[FP * T], p[T * T];
    __local float inverse[T], w[T], there[T];
    HEAD
    for (int t0 = 0; t0 < sequence.y; t0 += T) {
        const int n = min(T, sequence.y - t0), empty = t0 == 0;
        const size_t row = sequence.x + t0;
        load_transposed(q, AT(Q, q), q_stride, n);
        load_transposed(k, AT(K, k), k_stride, n);
        load_tile(v, AT(V, v), v_stride, n);
        load_transposed(e, AT(dO, do), do_stride, n);
        LOAD_WEIGHTS;
        load_ones(there, n);
        BARRIER;
        for (int i = LID * VEC; i < EP * T; i += WG * VEC) VSTORE(VLOAD(e + i) * VLOAD(inverse + i % T), e + i);
        BARRIER;
        weights_by_key(p, v, e, w);
        for (int m = 0; m < F; m += FP) {
            features_and_slopes(W + m * EP, q, df, slopes, epsilon);
            features(W + m * EP, k, fk, epsilon);
            BARRIER;
            clear_padding(fk, m);
            beyond_chunk(df, S + m * EP, z + m, e, w, empty);
            BARRIER;
            within_chunk(df, fk, p, slopes);
            add_state(S + m * EP, z + m, fk, v, there, empty);
            BARRIER;
            add_rows(df, W + m * EP, dq, m == 0);
            BARRIER;
        }
        store_tile(AT(dQ, dq), dq, there, dq_stride, n);
        BARRIER;
    }
}

KERNEL void favor_causal_backward_key(ROWS_OF(OUT, dK, dk), ROWS_OF(OUT, dV, dv), HEAD_ARGUMENTS)
{
    __local float q[EP * T], k[EP * T], v[EP * T], e[T * EP], dk[T * EP], dv[T * EP];
    __local float fq[FP * T], fk[FP * T], slopes[FP * T], df[FP * T], p[T * T], a[T * T], inverse[T], w[T], there[T];
    HEAD
    const int last = (sequence.y - 1) / T * T;
    for (int t0 = last; t0 >= 0; t0 -= T) {
        const int n = min(T, sequence.y - t0), empty = t0 == last;
        const size_t row = sequence.x + t0;
        load_transposed(q, AT(Q, q), q_stride, n);
        load_transposed(k, AT(K, k), k_stride, n);
        load_transposed(v, AT(V, v), v_stride, n);
        load_tile(e, AT(dO, do), do_stride, n);
        LOAD_WEIGHTS;
        load_ones(there, n);
        BARRIER;
        for (int i = LID * VEC; i < T * EP; i += WG * VEC) VSTORE(VLOAD(e + i) * inverse[i / EP], e + i);
        BARRIER;
        weights_by_query(p, e, v, w);
        for (int m = 0; m < F; m += FP) {
            features(W + m * EP, q, fq, epsilon);
            features_and_slopes(W + m * EP, k, fk, slopes, epsilon);
            BARRIER;
            clear_padding(fq, m);
            clear_padding(fk, m);
            BARRIER;
            products(a, fq, fk, m == 0);
            beyond_chunk(df, S + m * EP, z + m, v, there, empty);
            if (!empty) add_rows(fk, S + m * EP, dv, m == 0);
            BARRIER;
            within_chunk(df, fq, p, slopes);
            add_state(S + m * EP, z + m, fq, e, w, empty);
            BARRIER;
            add_rows(df, W + m * EP, dk, m == 0);
            BARRIER;
        }
        add_values(dv, a, e, empty);
        BARRIER;
        store_tile(AT(dK, dk), dk, there, dk_stride, n);
        store_tile(AT(dV, dv), dv, there, dv_stride, n);
        BARRIER;
    }
}
