// Gradients of bidirectional FAVOR attention. With e_i = [do_i, -(do_i.o_i)] / R_i and c_j = [v_j, 1]:
//
//   dphi(q_i) = S e_i      dS = sum_i phi(q_i) e_i^T      dphi(k_j) = dS c_j      dv_j = dS^T phi(k_j)
//
//   favor_grad_query  dq, and the part of dS of each block and head
//   favor_reduce      dS of each sequence and head (favor.cl)
//   favor_grad_key    dk and dv
//
// Features are computed again. W is packed with its scale, so dq = (dphi f'(u)) W needs no other.
// Constants, tables and scratch: see favor.cl; dS lies in scratch behind the partial states.
#include "lib/features.clh"
#include "lib/token_tile.clh"

// e [T][EP] and w [T]: do/R and -(do.o)/R, 0 for tokens that are not there. Without the division by R
// (RENORMALIZE 0): do and 0. R is n_heads apart.
INLINE void load_gradient(LOCAL e, LOCAL w, GLOBAL_IN gradient, const int g_stride, GLOBAL_IN o,
                                 const int o_stride, GLOBAL_IN R, const int n_heads, const int n)
{
    FOR_MINE(t, T)
    {
        const float inverse = t >= n ? 0.0f : RENORMALIZE ? 1.0f / R[(size_t)t * n_heads] : 1.0f;
        GLOBAL_IN g = gradient + (size_t)t * g_stride;
        GLOBAL_IN y = o + (size_t)t * o_stride;
        vec sum = 0;
        for (int i = 0; i < EP; i += VEC) {
            const vec u = t < n && i < E ? load(g + i, E - i) * inverse : (vec)(0.0f);
            if (RENORMALIZE && t < n && i < E) sum = fma(u, load(y + i, E - i), sum);
            VSTORE(u, e + t * EP + i);
        }
        w[t] = -lanes_sum(sum);
    }
    BARRIER;
}

// groups: heads, blocks
KERNEL void favor_grad_query(OUT dq, const int dq_stride, const int dq_offset, OUT scratch,
                             __global const int4 *restrict blocks, IN state, IN gradient, const int g_stride, const int g_offset,
                             IN o, const int o_stride, const int o_offset, IN R, IN q,
                             const int q_stride, const int q_offset, const float epsilon)
{
    __local float x[EP * T], e[T * EP], eT[EP * T], y[T * EP], phi[FP * T], slopes[FP * T], dphi[FP * T], w[T], ones[T];
    const int h = get_group_id(0), n_heads = get_num_groups(0);
    const int4 block = blocks[get_group_id(1)];
    IN S = state + ((size_t)block.z * n_heads + h) * STATE;
    IN packed = scratch;
    OUT dS = scratch + PACKED + ((size_t)get_group_id(1) * n_heads + h) * STATE;
    for (int t0 = 0; t0 < block.y; t0 += T) {
        const size_t row = block.x + t0;
        const int n = min(T, block.y - t0);
        GLOBAL_IN queries = q + row * q_stride + q_offset + h * E;
        GLOBAL_IN gradients = gradient + row * g_stride + g_offset + h * E;
        GLOBAL_IN outputs = o + row * o_stride + o_offset + h * E;
        OUT results = dq + row * dq_stride + dq_offset + h * E;
        load_transposed(x, queries, q_stride, n);
        load_gradient(e, w, gradients, g_stride, outputs, o_stride, R + row * n_heads + h, n_heads, n);
        load_ones(ones, n);
        transpose_tile(eT, e);
        const int next = block.y - t0 - T;
        for (int m0 = 0; m0 < F; m0 += FP) {
            fetch_rows(results, dq_stride, n, m0 / FP, F / FP);
            fetch_rows(queries + T * q_stride, q_stride, next, m0 / FP, F / FP);
            fetch_rows(gradients + T * g_stride, g_stride, next, m0 / FP, F / FP);
            if (RENORMALIZE) fetch_rows(outputs + T * o_stride, o_stride, next, m0 / FP, F / FP);
            features_and_slopes(packed + m0 * EP, x, phi, slopes, epsilon);
            add_state(dS + m0 * EP, dS + F * EP + m0, phi, e, w, t0 == 0);
            state_times(S + m0 * EP, S + F * EP + m0, eT, w, slopes, dphi);
            add_rows(dphi, packed + m0 * EP, y, m0 == 0);
        }
        store_tile(results, y, ones, dq_stride, n);
    }
}

// groups: heads, blocks, parts: each part does every n-th tile
KERNEL void favor_grad_key(OUT dk, const int dk_stride, const int dk_offset, OUT dv, const int dv_stride,
                           const int dv_offset, __global const int4 *restrict blocks, IN scratch, const int n_blocks, IN k,
                           const int k_stride, const int k_offset, IN v, const int v_stride, const int v_offset,
                           const float epsilon)
{
    __local float x[EP * T], vT[EP * T], y[T * EP], u[T * EP], phi[FP * T], slopes[FP * T], dphi[FP * T], ones[T];
    const int h = get_group_id(0), n_heads = get_num_groups(0);
    const int4 block = blocks[get_group_id(1)];
    IN packed = scratch;
    IN dS = scratch + PACKED + ((size_t)(n_blocks + block.z) * n_heads + h) * STATE;
    for (int t0 = get_group_id(2) * T; t0 < block.y; t0 += get_num_groups(2) * T) {
        const size_t row = block.x + t0;
        const int n = min(T, block.y - t0);
        GLOBAL_IN keys = k + row * k_stride + k_offset + h * E;
        GLOBAL_IN values = v + row * v_stride + v_offset + h * E;
        OUT key_results = dk + row * dk_stride + dk_offset + h * E;
        OUT value_results = dv + row * dv_stride + dv_offset + h * E;
        load_transposed(x, keys, k_stride, n);
        load_transposed(vT, values, v_stride, n);
        load_ones(ones, n);
        const int next = block.y - t0 - T;
        for (int m0 = 0; m0 < F; m0 += FP) {
            fetch_rows(key_results, dk_stride, n, m0 / FP, F / FP);
            fetch_rows(value_results, dv_stride, n, m0 / FP, F / FP);
            fetch_rows(keys + T * k_stride, k_stride, next, m0 / FP, F / FP);
            fetch_rows(values + T * v_stride, v_stride, next, m0 / FP, F / FP);
            features_and_slopes(packed + m0 * EP, x, phi, slopes, epsilon);
            clear_padding(phi, m0); // W is 0 there, dphi may be anything
            state_times(dS + m0 * EP, dS + F * EP + m0, vT, ones, slopes, dphi);
            add_rows(dphi, packed + m0 * EP, y, m0 == 0);
            add_rows(phi, dS + m0 * EP, u, m0 == 0);
        }
        store_tile(key_results, y, ones, dk_stride, n);
        store_tile(value_results, u, ones, dv_stride, n);
    }
}
