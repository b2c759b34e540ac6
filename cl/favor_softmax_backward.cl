// Gradients of bidirectional FAVOR attention with feature maps that estimate softmax attention. As
// favor_backward.cl: the gradient of R and the references cancel, so all is computed relative to the references of
// the forward pass, which lie with its state and normalizers (favor_softmax.cl). `gain` is already in R.
#include "lib/features.clh"
#include "lib/token_tile.clh"
#include "lib/feature_epsilon.clh"
#include "lib/softmax_features.clh"

// The factor exp(-|x|^2/2) of a query cancels in o; but not where there is no division by R or an epsilon, nor quite for trig,
// whose R may have been moved.
#define QUERY_NORM (MAP_SOFTMAX_TRIG || !RENORMALIZE || FEATURE_EPSILON)
#define HAS_SLOPES (MAP_SOFTMAX_TRIG || FEATURE_EPSILON)

// dphi = S x + z w for one slice. S [FP][EP], z [FP], x [EP][T], w [T]
INLINE void state_times_plain(GLOBAL_IN S, GLOBAL_IN z, LOCAL_IN x, LOCAL_IN w, LOCAL dphi)
{
#define GET(r, n) (z[row0 + r] * VLOAD(w + column0 + n * VEC))
#define PUT(r, n) VSTORE(acc[r][n], dphi + (row0 + r) * T + column0 + n * VEC)
    PRODUCT(FP, T, DEPTH, S, EP, 1, x, T, GET, PUT);
#undef GET
#undef PUT
}

// e [T][EP] and w [T]: do/R and -(do.o)/R (0 without the division by R), 0 for tokens that are not there; top[t] the
// query's reference, INFINITY for those. R is 2 n_heads apart.
INLINE void load_gradient(LOCAL e, LOCAL w, LOCAL top, GLOBAL_IN gradient, const int g_stride, GLOBAL_IN o,
                          const int o_stride, GLOBAL_IN R, const int n_heads, const int n)
{
    FOR_MINE(t, T)
    {
        const float r = t < n ? R[(size_t)t * n_heads * 2] : 0.0f, inverse = r == 0.0f ? 0.0f : 1.0f / r;
        GLOBAL_IN g = gradient + (size_t)t * g_stride;
        GLOBAL_IN y = o + (size_t)t * o_stride;
        vec sum = 0;
        for (int i = 0; i < EP; i += VEC) {
            const vec u = t < n && i < E ? load(g + i, E - i) * inverse : (vec)(0.0f);
            if (RENORMALIZE && t < n && i < E) sum = fma(u, load(y + i, E - i), sum);
            VSTORE(u, e + t * EP + i);
        }
        w[t] = -lanes_sum(sum);
        top[t] = t < n ? R[(size_t)t * n_heads * 2 + 1] : INFINITY;
    }
    BARRIER;
}

// groups: heads, blocks. The references go with the partial dS.
KERNEL void favor_grad_query(OUT dq, const int dq_stride, const int dq_offset, OUT scratch,
                             __global const int4 *restrict blocks, IN state, IN gradient, const int g_stride,
                             const int g_offset, IN o, const int o_stride, const int o_offset, IN R, IN q,
                             const int q_stride, const int q_offset, const float gain)
{
    __local float x[EP * T], e[T * EP], eT[EP * T], y[T * EP], phi[FP * T], dphi[FP * T], w[T], ones[T], top[T];
    __local float slopes[HAS_SLOPES ? FP * T : 1], along[PARTS * T], size[FEATURE_EPSILON ? T : 1];
    const int h = get_group_id(0), n_heads = get_num_groups(0);
    const int4 block = blocks[get_group_id(1)];
    IN S = state + ((size_t)block.z * n_heads + h) * STATE;
    IN c = S + F * (EP + 1);
    IN packed = scratch;
    OUT dS = scratch + PACKED + ((size_t)get_group_id(1) * n_heads + h) * STATE;
    FOR_MINE(i, F / VEC) VSTORE(VLOAD(c + i * VEC), dS + F * (EP + 1) + i * VEC);
    BARRIER;
    for (int t0 = 0; t0 < block.y; t0 += T) {
        const size_t row = block.x + t0;
        const int n = min(T, block.y - t0);
        GLOBAL_IN rows = q + row * q_stride + q_offset + h * E;
        load_transposed(x, rows, q_stride, n);
        GLOBAL_IN gradients = gradient + row * g_stride + g_offset + h * E;
        GLOBAL_IN outputs = o + row * o_stride + o_offset + h * E;
        OUT results = dq + row * dq_stride + dq_offset + h * E;
        const int next = block.y - t0 - T;
        load_gradient(e, w, top, gradients, g_stride, outputs, o_stride, R + (row * n_heads + h) * 2, n_heads, n);
        load_ones(ones, n);
        transpose_tile(eT, e);
        if (FEATURE_EPSILON) {
            half_norms(size, x, n, 0.0f);
            query_sizes(size);
        }
        for (int m0 = 0; m0 < F; m0 += FP) {
            fetch_rows(results, dq_stride, n, m0 / FP, F / FP);
            fetch_rows(rows + T * q_stride, q_stride, next, m0 / FP, F / FP);
            fetch_rows(gradients + T * g_stride, g_stride, next, m0 / FP, F / FP);
            if (RENORMALIZE) fetch_rows(outputs + T * o_stride, o_stride, next, m0 / FP, F / FP);
            query_features(packed, c + m0, m0, x, top, phi, slopes);
            if (FEATURE_EPSILON) split_epsilon(phi, slopes, size, gain);
            add_state(dS + m0 * EP, dS + F * EP + m0, phi, e, w, t0 == 0);
            state_times_plain(S + m0 * EP, S + F * EP + m0, eT, w, dphi);
            pull_back(dphi, phi, slopes, along, m0 == 0);
            add_rows(dphi, packed + m0 * EP, y, m0 == 0);
        }
        if (QUERY_NORM) add_norm_gradient(y, along, rows, q_stride, n);
        store_tile(results, y, ones, dq_stride, n);
    }
}

// groups: heads, blocks, parts: each part does every n-th tile
KERNEL void favor_grad_key(OUT dk, const int dk_stride, const int dk_offset, OUT dv, const int dv_stride,
                           const int dv_offset, __global const int4 *restrict blocks, IN scratch, const int n_blocks,
                           IN k, const int k_stride, const int k_offset, IN v, const int v_stride, const int v_offset,
                           const float gain)
{
    __local float x[EP * T], vT[EP * T], y[T * EP], u[T * EP], phi[FP * T], dphi[FP * T], ones[T], half_norm[T];
    __local float slopes[HAS_SLOPES ? FP * T : 1], along[PARTS * T];
    const int h = get_group_id(0), n_heads = get_num_groups(0);
    const int4 block = blocks[get_group_id(1)];
    IN packed = scratch;
    IN dS = scratch + PACKED + ((size_t)(n_blocks + block.z) * n_heads + h) * STATE;
    IN c = dS + F * (EP + 1);
    for (int t0 = get_group_id(2) * T; t0 < block.y; t0 += get_num_groups(2) * T) {
        const size_t row = block.x + t0;
        const int n = min(T, block.y - t0);
        GLOBAL_IN rows = k + row * k_stride + k_offset + h * E;
        load_transposed(x, rows, k_stride, n);
        GLOBAL_IN values = v + row * v_stride + v_offset + h * E;
        OUT key_results = dk + row * dk_stride + dk_offset + h * E;
        OUT value_results = dv + row * dv_stride + dv_offset + h * E;
        const int next = block.y - t0 - T;
        load_transposed(vT, values, v_stride, n);
        load_ones(ones, n);
        half_norms(half_norm, x, n, MAP_SOFTMAX_TRIG ? -INFINITY : INFINITY);
        for (int m0 = 0; m0 < F; m0 += FP) {
            fetch_rows(key_results, dk_stride, n, m0 / FP, F / FP);
            fetch_rows(value_results, dv_stride, n, m0 / FP, F / FP);
            fetch_rows(rows + T * k_stride, k_stride, next, m0 / FP, F / FP);
            fetch_rows(values + T * v_stride, v_stride, next, m0 / FP, F / FP);
            key_features(packed, c + m0, m0, x, half_norm, phi, slopes);
            if (FEATURE_EPSILON) {
                split_epsilon(phi, slopes, ones, gain);
                clear_padding(phi, m0);
            }
            state_times_plain(dS + m0 * EP, dS + F * EP + m0, vT, ones, dphi);
            pull_back(dphi, phi, slopes, along, m0 == 0);
            add_rows(dphi, packed + m0 * EP, y, m0 == 0);
            add_rows(phi, dS + m0 * EP, u, m0 == 0);
        }
        add_norm_gradient(y, along, rows, k_stride, n);
        store_tile(key_results, y, ones, dk_stride, n);
        store_tile(value_results, u, ones, dv_stride, n);
    }
}
