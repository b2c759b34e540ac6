// Matrix products by register tiles: C = activation(alpha op(A) op(B) + beta residual + bias), row-major.
//
//   -DPACKED  1: B lies in panels that matmul_pack_* made; 2: the group lays a block of a panel into its local memory for
//             all its rows; 0: a group's items share one tile, for which it stages what it needs of A and B
//   -DMR      rows and -DNV vectors of an item's register tile
//   -DGN      items beside each other: a panel is PW = GN*NV*VEC columns wide; the WG/GN others are below each other
//   -DMC      rows of A that a group stages at once, a multiple of GM*MR
//   -DKC      depth of a stage
//
// With PACKED 1 and 2 a group (one item) goes block by block down k, stages rows of A, and runs them through its
// panels; sums rest in C between blocks. Without, the group stages A and B of one tile together, and sums stay in
// registers.
// Either way element (i, j) is beta*residual + bias, then + alpha*a[i,0]*b[0,j], + alpha*a[i,1]*b[1,j], ... each with
// one fma: its bits depend on nothing else. Rows and columns beyond the matrix are zeros in the same tile.
#include "lib/base.clh"
#include "lib/tile.clh"
#include "lib/math.clh"
#include "lib/gelu.clh"
#include "lib/activation.clh"

#ifndef PACKED
#define PACKED 1
#define MR 4
#define NV 2
#define GN 1
#define MC 16
#define KC 32
#endif

#include "lib/product.clh"

// acc += (MR x depth of staged rows) x (depth x NR of a panel)
#define MULTIPLY(acc, A, ta, B, width, depth)                                                       \
    for (int k = 0; k < (depth); k++) {                                                             \
        vec row[NV];                                                                                \
        UNROLL for (int n = 0; n < NV; n++) row[n] = VLOAD((B) + k * (width) + n * VEC);            \
        UNROLL for (int r = 0; r < MR; r++) {                                                       \
            const vec one = (vec)((A)[r * ROW(ta) + k * STEP(ta)]);                                 \
            UNROLL for (int n = 0; n < NV; n++) acc[r][n] = fma(one, row[n], acc[r][n]);            \
        }                                                                                           \
    }

#define FOR_TILE UNROLL for (int r = 0; r < MR; r++) UNROLL for (int n = 0; n < NV; n++)
#define AT_TILE ((size_t)(i + r) * p.ldc + j + n * VEC)

// What the sums of a block start from: bias and beta*residual at the first, else what C holds (1*x + -0 is x).
typedef struct start {
    __global const float *from;
    float times;
    int first;
} start;

static inline vec start_column(const product p, const start s, const int j, const int left)
{
    if (!s.first) return (vec)(-0.0f);
    return p.bias ? load(p.bias + j, left) : (vec)(0);
}

// The start of a tile at an edge, through memory: rows and columns outside are 0.
static inline void start_edge(__local float *tile, const product p, const start s, const int i, const int j)
{
    for (int r = 0; r < MR; r++)
        for (int n = 0; n < NR; n += VEC) {
            const int left = i + r < p.m ? p.n - j - n : 0;
            vec x = 0;
            if (left > 0) x = start_column(p, s, j + n, left);
            if (left > 0 && s.from)
                x = fma((vec)(s.times), load(s.from + (size_t)(i + r) * p.ldc + j + n, left), x);
            VSTORE(x, tile + r * NR + n);
        }
}

static inline void finish_edge(__local const float *tile, const product p, const int i, const int j, const int last)
{
    for (int r = 0; r < MR && i + r < p.m; r++)
        for (int n = 0; n < NR && j + n < p.n; n += VEC) {
            const int left = p.n - j - n;
            const size_t at = (size_t)(i + r) * p.ldc + j + n;
            const vec x = VLOAD(tile + r * NR + n);
            if (last && p.pre) store(p.pre + at, x, left);
            store(p.c + at, last ? activate(x, p.activation) : x, left);
        }
}

static inline void multiply(const product p, const int ta, const int tb, __local float *shared)
{
    const int i0 = get_group_id(0) * p.rows_each, rows = min(p.rows_each, p.m - i0);
    const int panels = (p.n + PW - 1) / PW, panel0 = get_group_id(1) * p.panels_each;
    __local float *tile = shared + TILE_AT + LID * MR * NR, *panel_local = shared + A_FLOATS;
    const int depth_each = PACKED ? KC : max(p.k, 1);
    for (int k0 = 0; k0 == 0 || k0 < p.k; k0 += depth_each) {
        const int depth = min(depth_each, p.k - k0), last = k0 + depth == p.k;
        const start s = {k0 ? p.c : p.residual, k0 ? 1.0f : p.beta, k0 == 0};
#if PACKED
        stage_rows(shared, p, ta, i0, rows, k0, depth);
#endif
        for (int panel = panel0; panel < min(panel0 + p.panels_each, panels); panel++) {
#if PACKED == 2
            const size_t from = tb ? (size_t)panel * PW * p.ldb + k0 : (size_t)k0 * p.ldb + panel * PW;
            lay_panel(panel_local, PW, p.b + from, tb, p.ldb, p.n - panel * PW, depth);
#endif
            for (int below = LID / GN * MR; below < p.rows_each; below += GM * MR) {
                if (PACKED && below >= rows) break;
                const int i = i0 + below, j = panel * PW + LID % GN * NR;
                const int inside = i + MR <= p.m && j + NR <= p.n;
                vec acc[MR][NV];
                if (inside) {
                    UNROLL for (int n = 0; n < NV; n++) acc[0][n] = start_column(p, s, j + n * VEC, VEC);
                    UNROLL for (int r = 1; r < MR; r++) UNROLL for (int n = 0; n < NV; n++) acc[r][n] = acc[0][n];
                    if (s.from) FOR_TILE acc[r][n] = fma((vec)(s.times), VLOAD(s.from + AT_TILE), acc[r][n]);
                } else {
                    start_edge(tile, p, s, i, j);
                    FOR_TILE acc[r][n] = VLOAD(tile + r * NR + n * VEC);
                }
#if PACKED
#if PACKED == 1
                __global const float *b = p.b + ((size_t)panel * ((p.k + VEC - 1) / VEC * VEC) + k0) * PW;
#else
                __local const float *b = panel_local;
#endif
                MULTIPLY(acc, shared + below * ROW(ta), ta, b, PW, depth)
#else
                for (int kb = 0; kb < p.k; kb += KC) {
                    const int staged = min(KC, p.k - kb);
                    const size_t b_at = tb ? (size_t)panel * PW * p.ldb + kb : (size_t)kb * p.ldb + panel * PW;
                    BARRIER;
                    stage_rows(shared, p, ta, i0, MC, kb, staged);
                    lay_panel(panel_local, B_WIDTH, p.b + b_at, tb, p.ldb, p.n - panel * PW, staged);
                    BARRIER;
                    MULTIPLY(acc, shared + below * ROW(ta), ta, panel_local + LID % GN * NR, B_WIDTH, staged)
                }
                BARRIER;
#endif
                if (inside && !(last && (p.activation || p.pre)))
                    FOR_TILE VSTORE(acc[r][n], p.c + AT_TILE);
                else {
                    FOR_TILE VSTORE(acc[r][n], tile + r * NR + n * VEC);
                    finish_edge(tile, p, i, j, last);
                }
            }
        }
    }
}

// Gradients of weights have no activation: their kernel compiles sooner without one. See choose() in tile.c.
#define ACTIVATES(ta) (!(PACKED && (ta)))

// groups: blocks of rows_each rows, of panels_each panels, products of a batch
#define MATMUL(name, ta, tb)                                                                                          \
    KERNEL void name(__global float *c, __global float *pre, IN a, IN b, __global const float *residual,              \
                     IN bias, const int m, const int n, const int k, const int lda, const int ldb, const int ldc,     \
                     const uint a_at, const uint b_at, const uint c_at, const uint a_stride, const uint b_stride,     \
                     const uint c_stride, const float alpha, const float beta, const int activation,                  \
                     const int rows_each, const int panels_each)                                                      \
    {                                                                                                                 \
        __local float shared[LOCAL_FLOATS];                                                                           \
        const size_t z = get_group_id(2), c_of = c_at + z * c_stride;                                                 \
        const product p = {c + c_of, pre ? pre + c_of : pre, a + a_at + z * a_stride, b + b_at + z * b_stride,        \
                           residual ? residual + c_of : residual, bias, m, n, k, lda, ldb, ldc, alpha, beta,          \
                           ACTIVATES(ta) ? activation : 0, rows_each, panels_each};                                   \
        multiply(p, ta, tb, shared);                                                                                  \
    }
MATMUL(matmul_nn, 0, 0)
MATMUL(matmul_tn, 1, 0)
#if PACKED != 1 // panels of B and of B^T are alike; both transposed is seldom asked for: one program that has it is enough
MATMUL(matmul_nt, 0, 1)
MATMUL(matmul_tt, 1, 1)
#endif

#if PACKED == 1
#define PACK(name) \
    KERNEL void name(OUT panels, IN b, const int n, const int k, const int ldb, const uint b_at, const uint b_stride, \
                     const uint panels_stride, const int depth_each)
#define WHOLE ((k + VEC - 1) / VEC * VEC)

// B in panels [n/PW][k rounded up][PW]: row by row into all panels, as memory likes to be read.
// groups: 1, blocks of `depth_each` rows, matrices of a batch
PACK(matmul_pack_n)
{
    const int k0 = get_group_id(1) * depth_each;
    IN from = b + b_at + get_group_id(2) * (size_t)b_stride;
    OUT to = panels + get_group_id(2) * (size_t)panels_stride;
    for (int row = k0; row < min(k0 + depth_each, k); row++)
        for (int j = 0; j < n; j += PW)
            lay_panel(to + (size_t)j * WHOLE + (size_t)row * PW, PW, from + (size_t)row * ldb + j, 0, ldb, n - j, 1);
}

// The same of B^T. groups: panels, blocks of `depth_each` columns, matrices of a batch
PACK(matmul_pack_t)
{
    const int k0 = get_group_id(1) * depth_each, j = get_group_id(0) * PW;
    lay_panel(panels + get_group_id(2) * (size_t)panels_stride + (size_t)j * WHOLE + k0 * PW, PW,
              b + b_at + get_group_id(2) * (size_t)b_stride + (size_t)j * ldb + k0, 1, ldb, n - j,
              min(depth_each, k - k0));
}
#endif
