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
// Constants: lib/features.clh. Exponential features: lib/exponents.clh; backward in time 1/R_i is part of the query's
// exponent, so that weights of queries and keys are bounded.
#include "lib/causal.clh"

// factor[t], what a gradient of o is multiplied by (1/R_t), and w[t] = -(do_t . o_t) times it; 0 beyond the n tokens.
// strides: of do, o, R
INLINE void load_weights(LOCAL factor, LOCAL w, GLOBAL_IN R, GLOBAL_IN dO, GLOBAL_IN O, const int4 strides, const int n,
                         const float log_constant)
{
    FOR_MINE(t, T)
    {
        vec s = 0;
        const size_t row = min(t, n - 1); // one that is there
        UNROLL_FEW for (int c = 0; c < E; c += VEC) s = fma(load(dO + row * strides.x + c, E - c), load(O + row * strides.y + c, E - c), s);
        float x = 0;
        if (RENORMALIZE && t < n) x = 1.0f / R[(size_t)t * strides.z];
        if (!RENORMALIZE && t < n) x = EXPONENTIAL ? exp(log_constant + R[(size_t)t * strides.z + 1]) : 1.0f;
        factor[t] = x;
        w[t] = RENORMALIZE ? -lanes_sum(s) * x : 0.0f;
    }
    BARRIER;
}
#define LOAD_WEIGHTS                                                                                             \
    load_weights(factor, w, NORMALIZER(R), AT(dO, do), AT(O, o), (int4)(do_stride, o_stride, heads * NORMALIZERS, 0), n, \
                 log_constant)

#if EXPONENTIAL
// a[t] = minus the logarithm of what features of the query are to be divided by: of its reference and, with
// `whole`, R too, whose sign is left in factor, w being divided by the rest.
INLINE void load_sizes(LOCAL a, LOCAL factor, LOCAL w, GLOBAL_IN R, const int heads, const int n, const int whole,
                       const float log_constant)
{
    FOR_MINE(t, T)
    {
        const float r = t < n ? R[(size_t)t * heads * 2] : 1.0f, reference = t < n ? R[(size_t)t * heads * 2 + 1] : 0.0f;
        a[t] = !whole ? -reference : RENORMALIZE ? -reference - log(fabs(r)) : log_constant;
        if (whole && t < n) factor[t] = RENORMALIZE && r < 0 ? -1.0f : 1.0f, w[t] *= fabs(r);
    }
    BARRIER;
}

// radial[t] (+)= df . f, then df *= slopes.
INLINE void finish(LOCAL df, LOCAL_IN slopes, LOCAL_IN f, LOCAL radial, const int first)
{
    FOR_MINE(i, T / VEC)
    {
        vec s = first ? (vec)(0.0f) : VLOAD(radial + i * VEC);
        UNROLL_FEW for (int m = 0; m < FP; m++) {
            const vec g = VLOAD(df + m * T + i * VEC);
            s = fma(g, VLOAD(f + m * T + i * VEC), s);
            VSTORE(g * VLOAD(slopes + m * T + i * VEC), df + m * T + i * VEC);
        }
        VSTORE(s, radial + i * VEC);
    }
    BARRIER;
}

// dx -= y radial (+ for trig), the gradient through |y|^2/2; dx [T][EP], x [EP][T] unscaled
INLINE void add_radial(LOCAL dx, LOCAL_IN x, LOCAL_IN radial)
{
    const float scale = (MAP_EXP ? 0.0f : MAP_SOFTMAX_TRIG ? 1.0f : -1.0f) / sqrt((float)E);
    FOR_MINE(i, T * EP) dx[i] = fma(scale * radial[i / EP], x[i % EP * T + i / EP], dx[i]);
    BARRIER;
}
#endif

#define HEAD_ARGUMENTS                                                                                               \
    OUT state, const int state_offset, OUT exponents, const int exponents_offset,                                    \
        __global const int4 *restrict sequences, IN W, ROWS_OF(IN, dO, do), ROWS_OF(IN, O, o), IN R,                 \
        ROWS_OF(IN, Q, q), ROWS_OF(IN, K, k), ROWS_OF(IN, V, v), const float epsilon, const float log_constant

KERNEL void favor_causal_backward_query(ROWS_OF(OUT, dQ, dq), HEAD_ARGUMENTS)
{
    __local float q[EP * T], k[EP * T], v[T * EP], e[EP * T], dq[T * EP], fk[FP * T], slopes[FP * T], df[FP * T], p[T * T];
    __local float factor[T], w[T], there[T];
    HEAD
#if EXPONENTIAL
    __local float hq[T], hk[T], zero[T], top[T], sizes[T], radial[T], fq[FP * T], parts[PARTS * T];
    const float log_epsilon = log(epsilon);
    GLOBAL references = z + F;
    load_ones(zero, 0);
#endif
    for (int t0 = 0, n; t0 < sequence.y; t0 += n) {
        const int empty = t0 == 0;
        const size_t row = sequence.x + t0;
        n = min(T - t0 % T, sequence.y - t0); // chunks of the forward pass
        load_transposed(q, AT(Q, q), q_stride, n);
        load_transposed(k, AT(K, k), k_stride, n);
        load_tile(v, AT(V, v), v_stride, n);
        load_transposed(e, AT(dO, do), do_stride, n);
#if EXPONENTIAL
        n = walk_on(S, references, Xq, Xk, W, q, k, hq, hk, zero, top, parts, n, empty, log_epsilon);
        load_sizes(sizes, factor, w, NORMALIZER(R), heads, n, 0, log_constant);
#endif
        LOAD_WEIGHTS;
        load_ones(there, n);
        scale_columns(e, factor);
        weights_by_key(p, v, e, w);
        const int next = sequence.y - t0 - T;
        for (int m = 0; m < F; m += FP) {
            fetch_rows(AT(Q, q) + T * q_stride, q_stride, next, m / FP, F / FP);
            fetch_rows(AT(K, k) + T * k_stride, k_stride, next, m / FP, F / FP);
            fetch_rows(AT(V, v) + T * v_stride, v_stride, next, m / FP, F / FP);
            fetch_rows(AT(dO, do) + T * do_stride, do_stride, next, m / FP, F / FP);
            if (RENORMALIZE) fetch_rows(AT(O, o) + T * o_stride, o_stride, next, m / FP, F / FP);
            fetch_rows(AT(dQ, dq), dq_stride, n, m / FP, F / FP);
#if EXPONENTIAL
            weigh(fq, slopes, Xq, references, hq, sizes, 1, m, 0, n, log_epsilon);
            weigh(fk, fk, Xk, references, hk, zero, -1, m, 0, n, log_epsilon);
#else
            features_and_slopes(W + m * EP, q, df, slopes, epsilon);
            features(W + m * EP, k, fk, epsilon);
            clear_padding(fk, m);
#endif
            beyond_chunk(df, S + m * EP, z + m, e, w, empty);
            within_chunk(df, fk, p, slopes);
#if EXPONENTIAL
            finish(df, slopes, fq, radial, m == 0);
#endif
            add_state(S + m * EP, z + m, fk, v, there, empty);
            add_rows(df, W + m * EP, dq, m == 0);
        }
#if EXPONENTIAL && !RENORMALIZE // else radial is 0: o does not depend on the size of phi(q)
        add_radial(dq, q, radial);
#endif
        store_tile(AT(dQ, dq), dq, there, dq_stride, n);
    }
}

KERNEL void favor_causal_backward_key(ROWS_OF(OUT, dK, dk), ROWS_OF(OUT, dV, dv), HEAD_ARGUMENTS)
{
    __local float q[EP * T], k[EP * T], v[EP * T], e[T * EP], dk[T * EP], dv[T * EP];
    __local float fq[FP * T], fk[FP * T], slopes[FP * T], df[FP * T], p[T * T], a[T * T], factor[T], w[T], there[T];
    HEAD
#if EXPONENTIAL
    __local float hq[T], hk[T], zero[T], top[T], sizes[T], radial[T], parts[PARTS * T];
    const float log_epsilon = log(epsilon);
    GLOBAL references = z + F;
    load_ones(zero, 0);
#endif
    for (int end = sequence.y, t0, from; end > 0; end = t0 + from) {
        t0 = (end - 1) / T * T, from = 0;
        const int n = end - t0, empty = end == sequence.y;
        const size_t row = sequence.x + t0;
        load_transposed(q, AT(Q, q), q_stride, n);
        load_transposed(k, AT(K, k), k_stride, n);
        load_transposed(v, AT(V, v), v_stride, n);
        load_tile(e, AT(dO, do), do_stride, n);
        LOAD_WEIGHTS;
#if EXPONENTIAL
        load_sizes(sizes, factor, w, NORMALIZER(R), heads, n, 1, log_constant);
        half_norms(hq, q);
        half_norms(hk, k);
        write_exponents(Xq, W, q, hq);
        write_exponents(Xk, W, k, hk);
        raise_references(S, references, Xq, hq, sizes, n - 1, empty, log_epsilon);
        column_tops(top, parts, Xq, references, hq, sizes, -1, log_epsilon);
        from = n - 1;
        while (from > 0 && top[from - 1] <= MOST) from--;
        BARRIER;
#endif
        load_ones(there, n);
        scale_rows(e, factor);
        weights_by_query(p, e, v, w);
        const int next = t0 > 0 ? T : 0; // the chunk before
        for (int m = 0; m < F; m += FP) {
            fetch_rows(AT(Q, q) - T * q_stride, q_stride, next, m / FP, F / FP);
            fetch_rows(AT(K, k) - T * k_stride, k_stride, next, m / FP, F / FP);
            fetch_rows(AT(V, v) - T * v_stride, v_stride, next, m / FP, F / FP);
            fetch_rows(AT(dO, do) - T * do_stride, do_stride, next, m / FP, F / FP);
            if (RENORMALIZE) fetch_rows(AT(O, o) - T * o_stride, o_stride, next, m / FP, F / FP);
            fetch_rows(AT(dK, dk), dk_stride, n, m / FP, F / FP);
            fetch_rows(AT(dV, dv), dv_stride, n, m / FP, F / FP);
#if EXPONENTIAL
            weigh(fq, fq, Xq, references, hq, sizes, -1, m, from, n, log_epsilon);
            weigh(fk, slopes, Xk, references, hk, zero, 1, m, from, n, log_epsilon);
#else
            features(W + m * EP, q, fq, epsilon);
            features_and_slopes(W + m * EP, k, fk, slopes, epsilon);
            clear_padding(fq, m);
            clear_padding(fk, m);
#endif
            products(fq, fk, a, m == 0);
            beyond_chunk(df, S + m * EP, z + m, v, there, empty);
            read_rows(fk, S + m * EP, dv, m == 0, empty);
            within_chunk(df, fq, p, slopes);
#if EXPONENTIAL
            finish(df, slopes, fk, radial, m == 0);
#endif
            add_state(S + m * EP, z + m, fq, e, w, empty);
            add_rows(df, W + m * EP, dk, m == 0);
        }
        cut(a);
        add_values(dv, a, e);
#if EXPONENTIAL
        add_radial(dk, k, radial);
#endif
        store_tile(AT(dK, dk) + from * dk_stride, dk + from * EP, there, dk_stride, n - from);
        store_tile(AT(dV, dv) + from * dv_stride, dv + from * EP, there, dv_stride, n - from);
    }
}
