// Causal FAVOR attention, forward (Choromanski et al. 2021, arXiv:2009.14794, section 2.5.1 and appendix B.1):
//
//   o_i = sum over j <= i of (phi(q_i) . phi(k_j)) v_j / R_i,   R_i = sum over j <= i of phi(q_i) . phi(k_j)
//
// A group walks one head of one sequence in chunks of T tokens and carries the state, the sums over all keys before
// the chunk. Keys of the past enter through it, keys of the chunk through a T x T product cut at the diagonal: no
// number of a later token is multiplied by anything but 0 on its way to an earlier output. Chunks never reach over a
// multiple of T: a sequence that is cut there, the state carried over, gives the same bits as the whole.
//
// Constants: lib/features.clh. Exponential features: lib/exponents.clh.
#include "lib/causal.clh"

// d (+)= fq . z: what the past adds to the normalizers; nothing if it is empty.
INLINE void read_sums(LOCAL_IN fq, GLOBAL_IN z, LOCAL d, const int first, const int empty)
{
    FOR_MINE(i, T / VEC / SIDE)
    {
        vec sum[SIDE];
        UNROLL for (int s = 0; s < SIDE; s++) sum[s] = first ? (vec)(0.0f) : VLOAD(d + (i * SIDE + s) * VEC);
        UNROLL_FEW for (int m = 0; m < (empty ? 0 : FP); m++) {
            const vec one = (vec)(z[m]);
            UNROLL for (int s = 0; s < SIDE; s++) sum[s] = fma(VLOAD(fq + m * T + (i * SIDE + s) * VEC), one, sum[s]);
        }
        UNROLL for (int s = 0; s < SIDE; s++) VSTORE(sum[s], d + (i * SIDE + s) * VEC);
    }
    BARRIER;
}

// d += the sums of the rows of a.
INLINE void add_chunk(LOCAL_IN a, LOCAL d)
{
    FOR_MINE(t, T)
    {
        vec s = 0;
        for (int j = 0; j < T; j += VEC) s += VLOAD(a + t * T + j);
        d[t] += lanes_sum(s);
    }
    BARRIER;
}

// The normalizers of n tokens, finished and kept for the backward pass; d becomes what o is multiplied by. Sums are
// e^(g - log_constant) times too small for exponential features, -g in `negative`.
INLINE void normalize(LOCAL d, GLOBAL R, LOCAL_IN negative, const int heads, const int n, const float log_constant)
{
    FOR_MINE(t, T)
    {
        float r = d[t];
#if EXPONENTIAL
        const float g = log_constant - negative[t], tiny = 1e-6f * exp(fmin(-g, 80.0f));
        if (!POSITIVE && fabs(r) <= tiny) r += 2 * tiny;
        if (t < n) R[(size_t)t * heads * 2] = r, R[(size_t)t * heads * 2 + 1] = -negative[t];
        d[t] = !RENORMALIZE ? exp(g) : r == 0 ? 0.0f : 1.0f / r;
#else
        if (fabs(r) <= 1e-6f) r += 2e-6f;
        if (t < n) R[(size_t)t * heads] = r;
        d[t] = RENORMALIZE ? 1.0f / r : 1.0f;
#endif
    }
    BARRIER;
}

// O = (o + a v) d. Row t of a is 0 from t to the end of its vector: a tile's depth ends with its last row.
INLINE void write_output(GLOBAL O, LOCAL_IN o, LOCAL_IN a, LOCAL_IN v, LOCAL_IN d, const int stride, const int count)
{
#define GET(r, n) VLOAD(o + (row0 + r) * EP + column0 + n * VEC)
#define PUT(r, n)                                                                                     \
    if (row0 + r < count && column0 + n * VEC < E)                                                    \
        store(O + (size_t)(row0 + r) * stride + column0 + n * VEC, acc[r][n] * d[row0 + r], E - column0 - n * VEC)
    PRODUCT(T, EP, UP_TO(row0 + DOWN(EP), T), a, T, 1, v, EP, GET, PUT);
#undef GET
#undef PUT
}

// At `state_offset` of `state` lies a slice for each sequence and head: nothing or, with `resume`, the sums an earlier
// call left; it receives the sums up to the last token.
KERNEL void favor_causal(ROWS_OF(OUT, O, o), OUT R, OUT state, const int state_offset, OUT exponents,
                         const int exponents_offset, const int resume, __global const int4 *restrict sequences, IN W,
                         ROWS_OF(IN, Q, q), ROWS_OF(IN, K, k), ROWS_OF(IN, V, v), const float epsilon,
                         const float log_constant)
{
    __local float q[EP * T], k[EP * T], v[T * EP], fq[FP * T], fk[FP * T], a[T * T], o[T * EP], d[T], there[T];
    __local float negative[T]; // minus the reference of each query
    HEAD
#if EXPONENTIAL
    __local float hq[T], hk[T], zero[T], top[T], parts[PARTS * T];
    const float log_epsilon = log(epsilon);
    GLOBAL references = z + F;
    load_ones(zero, 0);
#endif
    for (int t0 = 0, n; t0 < sequence.y; t0 += n) {
        const int empty = t0 == 0 && !resume;
        const size_t row = sequence.x + t0;
        n = min(T - t0 % T, sequence.y - t0);
        load_transposed(q, AT(Q, q), q_stride, n);
        load_transposed(k, AT(K, k), k_stride, n);
        load_tile(v, AT(V, v), v_stride, n);
#if EXPONENTIAL
        n = walk_on(S, references, Xq, Xk, W, q, k, hq, hk, zero, top, parts, n, empty, log_epsilon);
        column_tops(negative, parts, Xq, references, hq, zero, 1, log_epsilon);
        FOR_MINE(t, T) negative[t] = -negative[t];
        BARRIER;
#endif
        BARRIER; // a second one: without it PoCL 3.1 carries a wrong state from chunk to chunk where a group has many items
        load_ones(there, n);
        const int next = sequence.y - t0 - T;
        for (int m = 0; m < F; m += FP) {
            fetch_rows(AT(Q, q) + T * q_stride, q_stride, next, m / FP, F / FP);
            fetch_rows(AT(K, k) + T * k_stride, k_stride, next, m / FP, F / FP);
            fetch_rows(AT(V, v) + T * v_stride, v_stride, next, m / FP, F / FP);
            fetch_rows(AT(O, o), o_stride, n, m / FP, F / FP);
#if EXPONENTIAL
            weigh(fq, fq, Xq, references, hq, negative, 1, m, 0, T, log_epsilon);
            weigh(fk, fk, Xk, references, hk, zero, -1, m, 0, n, log_epsilon);
#else
            features(W + m * EP, q, fq, epsilon);
            features(W + m * EP, k, fk, epsilon);
            clear_padding(fk, m);
#endif
            products(fq, fk, a, m == 0);
            read_rows(fq, S + m * EP, o, m == 0, empty);
            read_sums(fq, z + m, d, m == 0, empty);
            add_state(S + m * EP, z + m, fk, v, there, empty);
        }
        cut(a);
        add_chunk(a, d);
        normalize(d, NORMALIZER(R), negative, heads, n, log_constant);
        write_output(AT(O, o), o, a, v, d, o_stride, n);
    }
}
