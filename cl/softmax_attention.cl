// Exact softmax attention, forward, without the L x L matrix: tiles of keys pass by a tile of queries that carries
// a running maximum and sum (Milakov, Gimelshein 2018, arXiv:1805.02867; Rabe, Staats 2021, arXiv:2112.05682).
//
//   o[i] = sum_j p[i,j] v[j],   p[i,j] = exp(q[i].k[j] * scale - log_sum[i]),   j from i - back to i + ahead
//
//   -DEP numbers of a head, rounded up   -DTQ, -DTK queries and keys of a tile
//   -DSR, -DSN register tile of the scores: SR keys x SN vectors of queries
//   -DOR, -DON register tile of the output: OR queries x ON vectors
//
// Scores are held as [keys, queries]: lanes are queries, so maxima and sums run down the tile without a step across
// lanes, and only the queries are ever transposed. Tiles of keys are counted from the first key: which sums are
// formed depends on the query's place alone.
#include "lib/base.clh"
#include "lib/tile.clh"
#include "lib/math.clh"
#include "lib/attention.clh"

#ifndef EP
#define EP 64
#define TQ 32
#define TK 32
#define SR 4
#define SN 1
#define OR 4
#define ON 1
#endif

// weight[keys, queries] from scores, with the running maximum: one item does a vector of queries.
INLINE void raise_tops(__local const float *weight, __local float *top, __local float *factor, const int n_keys,
                              const float scale)
{
    FOR_MINE(c, TQ / VEC) {
        const vec before = VLOAD(top + c * VEC);
        vec now = before;
        for (int j = 0; j < n_keys; j++) now = fmax(now, VLOAD(weight + j * TQ + c * VEC));
        VSTORE(now, top + c * VEC);
        VSTORE(vec_exp((before - now) * scale), factor + c * VEC);
    }
}

INLINE void add_sums(__local const float *weight, __local float *sum, __local const float *factor, const int n_keys)
{
    FOR_MINE(c, TQ / VEC) {
        vec s = VLOAD(sum + c * VEC) * VLOAD(factor + c * VEC);
        for (int j = 0; j < n_keys; j++) s += VLOAD(weight + j * TQ + c * VEC);
        VSTORE(s, sum + c * VEC);
    }
}

// blocks[i] = {first row, rows, sequence, place of its first token}; keys[sequence] = {first row, keys, and if
// `has_place`: the place of the first query among the keys}. groups: (blocks, heads)
KERNEL void softmax_attention_forward(OUT o, OUT log_sum, IN q, IN k, IN v, __global const int4 *restrict blocks,
                                      __global const int4 *restrict keys, const int o_stride, const int o_offset,
                                      const int q_stride, const int q_offset, const int k_stride, const int k_offset,
                                      const int v_stride, const int v_offset, const int has_place, const int first_head,
                                      const int size, const int back, const int ahead, const int keep_log_sum,
                                      const float scale)
{
    __local float query[EP * TQ], tile[TK * EP], weight[TK * TQ], out[TQ * EP], top[TQ], sum[TQ], factor[TQ];
    const int4 block = blocks[get_group_id(0)], range = keys[block.z];
    const int head = get_group_id(1), heads = get_num_groups(1), column = (first_head + head) * size;
    IN key_rows = k + k_offset + column + (size_t)range.x * k_stride;
    IN value_rows = v + v_offset + column + (size_t)range.x * v_stride;
    for (int i0 = 0; i0 < block.y; i0 += TQ) {
        const int n = min(TQ, block.y - i0), row = block.x + i0;
        const int place = block.w + i0 + (has_place ? range.z : 0);
        const int first = max(0, place - back) / TK * TK, end = min(range.y, place + n + ahead);
        BARRIER;
        load_columns(query, q + q_offset + column + (size_t)row * q_stride, q_stride, size, n, TQ);
        fill(out, TQ * EP, 0);
        fill(sum, TQ, 0);
        fill(top, TQ, -1e30f);
        for (int j0 = first; j0 < end; j0 += TK) {
            const int n_keys = min(TK, end - j0), strips = (n_keys + SR - 1) / SR;
            const bool all_seen = place + n - 1 - j0 <= back && j0 + n_keys - 1 - place <= ahead;
            BARRIER;
            load_rows(tile, key_rows + (size_t)j0 * k_stride, k_stride, size, n_keys, strips * SR);
            BARRIER;
            FOR_MINE(i, strips * (TQ / (SN * VEC))) {
                const int j = i / (TQ / (SN * VEC)) * SR, c = i % (TQ / (SN * VEC)) * SN * VEC;
#define APART(r, n) ((place + c + (n) * VEC - j0 - j - (r)) + LANES)
#define PUT(r, n)                                                                                         \
    VSTORE(all_seen ? acc[r][n] : hide(acc[r][n], APART(r, n), back, ahead),                              \
           weight + (j + (r)) * TQ + c + (n) * VEC)
                TILE(SR, SN, EP, tile + j * EP, EP, 1, query + c, TQ, ZERO, PUT);
#undef PUT
            }
            BARRIER;
            raise_tops(weight, top, factor, n_keys, scale);
            BARRIER; // not needed, but PoCL 3.1 lets idle items run the loop above without it
            load_rows(tile, value_rows + (size_t)j0 * v_stride, v_stride, size, n_keys, n_keys);
            BARRIER;
            FOR_MINE(i, n_keys * (TQ / VEC)) {
                const vec t = VLOAD(top + i % (TQ / VEC) * VEC);
                VSTORE(vec_exp((VLOAD(weight + i * VEC) - t) * scale), weight + i * VEC);
            }
            BARRIER;
            add_sums(weight, sum, factor, n_keys);
            FOR_MINE(i, (n + OR - 1) / OR * (EP / (ON * VEC))) {
                const int r0 = i / (EP / (ON * VEC)) * OR, c = i % (EP / (ON * VEC)) * ON * VEC;
#define GET(r, n) (VLOAD(out + (r0 + (r)) * EP + c + (n) * VEC) * factor[r0 + (r)])
#define PUT(r, n) VSTORE(acc[r][n], out + (r0 + (r)) * EP + c + (n) * VEC)
                TILE(OR, ON, n_keys, weight + r0, 1, TQ, tile + c, EP, GET, PUT);
#undef GET
#undef PUT
            }
        }
        BARRIER;
        FOR_MINE(r, n) {
            const float inverse = sum[r] == 0 ? 0 : 1 / sum[r]; // no key: nothing is attended to
            if (keep_log_sum) log_sum[(size_t)(row + r) * heads + head] = top[r] * scale + log(sum[r]);
            for (int c = 0; c < EP; c += VEC)
                store(o + o_offset + column + (size_t)(row + r) * o_stride + c, VLOAD(out + r * EP + c) * inverse, size - c);
        }
    }
}
