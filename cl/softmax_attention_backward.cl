// Exact softmax attention, backward: the weights are recomputed from the kept log-sums, tile by tile.
//
//   p = exp(q.k * scale - log_sum),  dp[i,j] = do[i].v[j],  ds = p * (dp - delta),  delta[i] = do[i].o[i]
//   dq[i] = scale * sum_j ds[i,j] k[j],   dk[j] = scale * sum_i ds[i,j] q[i],   dv[j] = sum_i p[i,j] do[i]
//
// Two kernels, so that each number is summed by one group in a fixed order: dq for a tile of queries that all
// its keys pass by, then dk and dv for a tile of keys that all its queries pass by. The tile that stays is the own
// one (TQ rows, in lanes), the one that passes the other (TK rows). Constants as in softmax_attention.cl.
#include "lib/base.clh"
#include "lib/tile.clh"
#include "lib/math.clh"
#include "lib/attention.clh"

#ifndef EP
#define EP 64
#define TQ 16
#define TK 16
#define SR 1
#define SN 1
#define OR 4
#define ON 1
#endif

// Statement for each register tile of an [other, own] matrix: row j, first lane c.
#define FOR_TILES(strips)                                                                       \
    for (int tile_ = LID, j = 0, c = 0;                                                          \
         j = tile_ / (TQ / (SN * VEC)) * SR, c = tile_ % (TQ / (SN * VEC)) * SN * VEC, tile_ < (strips) * (TQ / (SN * VEC)); \
         tile_ += WG)

// sum [own, EP] += weight [other, own]^T . rows [other, EP]
INLINE void add_product(__local float *sum, __local const float *weight, __local const float *rows, const int n_own,
                               const int n_other)
{
    FOR_MINE(i, (n_own + OR - 1) / OR * (EP / (ON * VEC))) {
        const int r0 = i / (EP / (ON * VEC)) * OR, c = i % (EP / (ON * VEC)) * ON * VEC;
#define GET(r, n) VLOAD(sum + (r0 + (r)) * EP + c + (n) * VEC)
#define PUT(r, n) VSTORE(acc[r][n], sum + (r0 + (r)) * EP + c + (n) * VEC)
        TILE(OR, ON, n_other, weight + r0, 1, TQ, rows + c, EP, GET, PUT);
#undef GET
#undef PUT
    }
}

// Also writes delta [rows, heads], which the other kernel reads. blocks and groups as in the forward pass.
KERNEL void softmax_attention_backward_query(OUT dq, OUT delta, IN q, IN k, IN v, IN o, IN d_o, IN log_sum,
                                             __global const int4 *restrict blocks,
                                             __global const int4 *restrict sequences, const int dq_stride,
                                             const int dq_offset, const int q_stride, const int q_offset,
                                             const int k_stride, const int k_offset, const int v_stride,
                                             const int v_offset, const int o_stride, const int o_offset,
                                             const int do_stride, const int do_offset, const int first_head,
                                             const int size, const int back, const int ahead, const float scale)
{
    __local float query[EP * TQ], out_gradient[EP * TQ], tile[TK * EP], ds[TK * TQ], sum[TQ * EP], level[TQ], mean[TQ];
    const int4 block = blocks[get_group_id(0)], range = sequences[block.z];
    const int head = get_group_id(1), heads = get_num_groups(1), column = (first_head + head) * size;
    IN key_rows = k + k_offset + column + (size_t)range.x * k_stride;
    IN value_rows = v + v_offset + column + (size_t)range.x * v_stride;
    for (int i0 = 0; i0 < block.y; i0 += TQ) {
        const int n = min(TQ, block.y - i0), row = block.x + i0, place = block.w + i0;
        const int first = max(0, place - back) / TK * TK, end = min(range.y, place + n + ahead);
        IN do_rows = d_o + do_offset + column + (size_t)row * do_stride;
        IN o_rows = o + o_offset + column + (size_t)row * o_stride;
        BARRIER;
        load_columns(query, q + q_offset + column + (size_t)row * q_stride, q_stride, size, n, TQ);
        load_columns(out_gradient, do_rows, do_stride, size, n, TQ);
        fill(sum, TQ * EP, 0);
        FOR_MINE(r, TQ) {
            vec d = 0;
            for (int e = 0; r < n && e < size; e += VEC)
                d = fma(load(do_rows + (size_t)r * do_stride + e, size - e), load(o_rows + (size_t)r * o_stride + e, size - e), d);
            mean[r] = lanes_sum(d);
            level[r] = r < n ? log_sum[(size_t)(row + r) * heads + head] : 0;
            if (r < n) delta[(size_t)(row + r) * heads + head] = mean[r];
        }
        for (int j0 = first; j0 < end; j0 += TK) {
            const int n_keys = min(TK, end - j0), strips = (n_keys + SR - 1) / SR;
            const bool all_seen = place + n - 1 - j0 <= back && j0 + n_keys - 1 - place <= ahead;
            BARRIER;
            load_rows(tile, value_rows + (size_t)j0 * v_stride, v_stride, size, n_keys, strips * SR);
            BARRIER;
            FOR_TILES(strips) {
#define AT(r, n) (ds + (j + (r)) * TQ + c + (n) * VEC)
#define PUT(r, n) VSTORE(acc[r][n] - VLOAD(mean + c + (n) * VEC), AT(r, n))
                TILE(SR, SN, EP, tile + j * EP, EP, 1, out_gradient + c, TQ, ZERO, PUT);
#undef PUT
            }
            BARRIER;
            load_rows(tile, key_rows + (size_t)j0 * k_stride, k_stride, size, n_keys, strips * SR);
            BARRIER;
            FOR_TILES(strips) {
#define APART(r, n) ((place + c + (n) * VEC - j0 - j - (r)) + LANES)
#define SCORE(r, n) (all_seen ? acc[r][n] : hide(acc[r][n], APART(r, n), back, ahead))
#define PUT(r, n)                                                                                              \
    VSTORE(VLOAD(AT(r, n)) * vec_exp(fma(SCORE(r, n), (vec)(scale), -VLOAD(level + c + (n) * VEC))), AT(r, n))
                TILE(SR, SN, EP, tile + j * EP, EP, 1, query + c, TQ, ZERO, PUT);
#undef APART
#undef PUT
            }
            BARRIER;
            add_product(sum, ds, tile, n, n_keys);
        }
        BARRIER;
        store_rows(dq + dq_offset + column + (size_t)row * dq_stride, dq_stride, size, n, sum, scale);
    }
}

// After softmax_attention_backward_query. blocks are read as blocks of keys.
KERNEL void softmax_attention_backward_key(OUT dk, OUT dv, IN q, IN k, IN v, IN d_o, IN log_sum, IN delta,
                                           __global const int4 *restrict blocks, __global const int4 *restrict sequences,
                                           const int dk_stride, const int dk_offset, const int dv_stride,
                                           const int dv_offset, const int q_stride, const int q_offset,
                                           const int k_stride, const int k_offset, const int v_stride,
                                           const int v_offset, const int do_stride, const int do_offset,
                                           const int first_head, const int size, const int back, const int ahead,
                                           const float scale)
{
    __local float key[EP * TQ], value[EP * TQ], dk_sum[TQ * EP], dv_sum[TQ * EP], level[TK], mean[TK];
    __local float query[TK * EP], out_gradient[TK * EP], weight[TK * TQ], ds[TK * TQ];
    const int4 block = blocks[get_group_id(0)], range = sequences[block.z];
    const int head = get_group_id(1), heads = get_num_groups(1), column = (first_head + head) * size;
    for (int j0 = 0; j0 < block.y; j0 += TQ) {
        const int n = min(TQ, block.y - j0), row = block.x + j0, place = block.w + j0;
        const int first = max(0, place - ahead) / TK * TK, end = min(range.y, place + n + back);
        BARRIER;
        load_columns(key, k + k_offset + column + (size_t)row * k_stride, k_stride, size, n, TQ);
        load_columns(value, v + v_offset + column + (size_t)row * v_stride, v_stride, size, n, TQ);
        fill(dk_sum, TQ * EP, 0);
        fill(dv_sum, TQ * EP, 0);
        for (int i0 = first; i0 < end; i0 += TK) {
            const int n_queries = min(TK, end - i0), strips = (n_queries + SR - 1) / SR;
            const bool all_seen = i0 + n_queries - 1 - place <= back && place + n - 1 - i0 <= ahead;
            const size_t at = (size_t)(range.x + i0);
            BARRIER;
            load_rows(query, q + q_offset + column + at * q_stride, q_stride, size, n_queries, strips * SR);
            load_rows(out_gradient, d_o + do_offset + column + at * do_stride, do_stride, size, n_queries, strips * SR);
            FOR_MINE(r, strips * SR) {
                level[r] = r < n_queries ? log_sum[(at + r) * heads + head] : 0;
                mean[r] = r < n_queries ? delta[(at + r) * heads + head] : 0;
            }
            BARRIER;
            FOR_TILES(strips) {
#define APART(r, n) ((i0 + j + (r) - place - c - (n) * VEC) - LANES)
#define PUT(r, n)                                                                                              \
    VSTORE(vec_exp(fma(SCORE(r, n), (vec)(scale), (vec)(-level[j + (r)]))), weight + (j + (r)) * TQ + c + (n) * VEC)
                TILE(SR, SN, EP, query + j * EP, EP, 1, key + c, TQ, ZERO, PUT);
#undef PUT
#define PUT(r, n) VSTORE((acc[r][n] - mean[j + (r)]) * VLOAD(weight + (j + (r)) * TQ + c + (n) * VEC), AT(r, n))
                TILE(SR, SN, EP, out_gradient + j * EP, EP, 1, value + c, TQ, ZERO, PUT);
#undef PUT
            }
            BARRIER;
            add_product(dv_sum, weight, out_gradient, n, n_queries);
            add_product(dk_sum, ds, query, n, n_queries);
        }
        BARRIER;
        store_rows(dk + dk_offset + column + (size_t)row * dk_stride, dk_stride, size, n, dk_sum, scale);
        store_rows(dv + dv_offset + column + (size_t)row * dv_stride, dv_stride, size, n, dv_sum, 1);
    }
}
