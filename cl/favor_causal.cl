// Causal FAVOR attention, forward (Choromanski et al. 2021, arXiv:2009.14794, section 2.5.1 and appendix B.1):
//
//   o_i = sum over j <= i of (phi(q_i) . phi(k_j)) v_j / R_i,   R_i = sum over j <= i of phi(q_i) . phi(k_j)
//
// A group walks one head of one sequence in chunks of T tokens and carries the state, the sums over all keys before
// the chunk. Keys of the past enter through it, keys of the chunk through a T x T product cut at the diagonal: no
// number of a later token is multiplied by anything but 0 on its way to an earlier output.
//
// Constants: lib/features.clh.
#include "lib/features.clh"
#include "lib/token_tile.clh"

// a (+)= fq^T fk. Tiles above the diagonal are left as they are.
INLINE void products(LOCAL_IN fq, LOCAL_IN fk, LOCAL a, const int first)
{
#define GET(r, n) (first ? (vec)(0.0f) : VLOAD(a + (row0 + r) * T + column0 + n * VEC))
#define PUT(r, n) VSTORE(acc[r][n], a + (row0 + r) * T + column0 + n * VEC)
#define DEPTH_BELOW (column0 < row0 + DOWN(T) ? FP : 0)
    PRODUCT(T, T, DEPTH_BELOW, fq, 1, T, fk, T, GET, PUT);
#undef GET
#undef PUT
}

// o (+)= fq^T S and d (+)= fq . z: what the past adds; nothing if it is empty.
INLINE void read_state(LOCAL_IN fq, GLOBAL_IN S, GLOBAL_IN z, LOCAL o, LOCAL d, const int first, const int empty)
{
    const int depth = empty ? 0 : FP;
#define GET(r, n) (first ? (vec)(0.0f) : VLOAD(o + (row0 + r) * EP + column0 + n * VEC))
#define PUT(r, n) VSTORE(acc[r][n], o + (row0 + r) * EP + column0 + n * VEC)
    PRODUCT(T, EP, depth, fq, 1, T, S, EP, GET, PUT);
#undef GET
#undef PUT
    for (int t = LID * VEC; t < T; t += WG * VEC) {
        vec s = first ? (vec)(0.0f) : VLOAD(d + t);
        for (int m = 0; m < depth; m++) s = fma(VLOAD(fq + m * T + t), (vec)(z[m]), s);
        VSTORE(s, d + t);
    }
}

// Cuts a at the diagonal and finishes the normalizers: R to memory, what o is multiplied by to d.
INLINE void normalize(LOCAL a, LOCAL d, GLOBAL R, const int heads, const int n)
{
    FOR_MINE(t, T)
    {
        vec s = 0;
        for (int j = 0; j <= t; j += VEC) {
            const vec x = select(VLOAD(a + t * T + j), (vec)(0.0f), LANES + j > t);
            VSTORE(x, a + t * T + j);
            s += x;
        }
        float r = d[t] + lanes_sum(s);
        if (fabs(r) <= 1e-6f) r += 2e-6f;
        if (t < n) R[(size_t)t * heads] = r;
        d[t] = RENORMALIZE ? 1.0f / r : 1.0f;
    }
}

// O = (o + a v) d. Row t of a is 0 from t to the end of its vector: a tile's depth ends with its last row.
INLINE void write_output(GLOBAL O, LOCAL_IN o, LOCAL_IN a, LOCAL_IN v, LOCAL_IN d, const int stride, const int count)
{
#define GET(r, n) VLOAD(o + (row0 + r) * EP + column0 + n * VEC)
#define PUT(r, n)                                                                                     \
    if (row0 + r < count && column0 + n * VEC < E)                                                    \
        store(O + (size_t)(row0 + r) * stride + column0 + n * VEC, acc[r][n] * d[row0 + r], E - column0 - n * VEC)
    PRODUCT(T, EP, row0 + DOWN(EP), a, T, 1, v, EP, GET, PUT);
#undef GET
#undef PUT
}

// Groups [H, sequences]. At `state_offset` of `state` lies a slice for each sequence and head: nothing or, with `resume`,
// the sums an earlier call left; it receives the sums up to the last token.
KERNEL void favor_causal(OUT O, const int o_stride, const int o_offset, OUT R, OUT state, const int state_offset,
                         const int resume, __global const int4 *restrict sequences, IN W, IN Q, const int q_stride,
                         const int q_offset, IN K, const int k_stride, const int k_offset, IN V, const int v_stride,
                         const int v_offset, const float epsilon)
{
    __local float q[EP * T], k[EP * T], v[T * EP], fq[FP * T], fk[FP * T], a[T * T], o[T * EP], d[T], there[T];
    const int h = get_group_id(0), heads = get_num_groups(0);
    const int4 sequence = sequences[get_group_id(1)];
    OUT S = state + state_offset + ((size_t)get_group_id(1) * heads + h) * STATE;
    OUT z = S + F * EP;
    for (int t0 = 0; t0 < sequence.y; t0 += T) {
        const int n = min(T, sequence.y - t0), empty = t0 == 0 && !resume;
        const size_t row = sequence.x + t0;
        load_transposed(q, Q + row * q_stride + q_offset + h * E, q_stride, n);
        load_transposed(k, K + row * k_stride + k_offset + h * E, k_stride, n);
        load_tile(v, V + row * v_stride + v_offset + h * E, v_stride, n);
        load_ones(there, n);
        BARRIER;
        for (int m = 0; m < F; m += FP) {
            features(W + m * EP, q, fq, epsilon);
            features(W + m * EP, k, fk, epsilon);
            BARRIER;
            clear_padding(fk, m);
            BARRIER;
            products(fq, fk, a, m == 0);
            read_state(fq, S + m * EP, z + m, o, d, m == 0, empty);
            BARRIER;
            add_state(S + m * EP, z + m, fk, v, there, empty);
            BARRIER;
        }
        normalize(a, d, R + row * heads + h, heads, n);
        BARRIER;
        write_output(O + row * o_stride + o_offset + h * E, o, a, v, d, o_stride, n);
        BARRIER;
    }
}
