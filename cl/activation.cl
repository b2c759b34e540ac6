// g = dropout(act(u)), and du from u and dg, with g again on request so that training need not keep it.
//
//   -DF   width of a row     -DACTIVATION  see lib/activation.clh     -DDROPOUT  see lib/dropout.clh
//
// A group does `rows_each` rows; every number is read and written once.
#include "lib/base.clh"
#include "lib/math.clh"
#include "lib/gelu.clh"
#include "lib/activation.clh"
#include "lib/dropout.clh"

#ifndef F
#define F 64
#endif
#ifndef ACTIVATION
#define ACTIVATION ACTIVATION_GELU
#endif

// g may be u. groups: ceil(rows / rows_each)
KERNEL void activation_forward(__global float *g, __global const float *u, const int rows, const int rows_each,
                               DROPOUT_PARAMETERS)
{
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    for (int n = first; n < last; n++)
        for (int i = LID * STEP; i < F; i += WG * STEP) {
            const size_t at = (size_t)n * F + i;
            vec v[DROP];
            load_step(v, u + at, LEFT_STEP(F, i));
            UNROLL for (int j = 0; j < DROP; j++) v[j] = activate(v[j], ACTIVATION);
            DROP_OUT(v, n, i);
            store_step(g + at, v, LEFT_STEP(F, i));
        }
}

// du = slope(u) * dropout(dg); with keep_g also g. du may be dg or u, g may be u; not both u.
// groups: ceil(rows / rows_each)
KERNEL void activation_backward(__global float *du, __global float *g, __global const float *u, __global const float *dg,
                                const int keep_g, const int rows, const int rows_each, DROPOUT_PARAMETERS)
{
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    for (int n = first; n < last; n++)
        for (int i = LID * STEP; i < F; i += WG * STEP) {
            const size_t at = (size_t)n * F + i;
            vec value[DROP], slope[DROP], d[DROP], stay[DROP];
            load_step(value, u + at, LEFT_STEP(F, i));
            load_step(d, dg + at, LEFT_STEP(F, i));
            UNROLL for (int j = 0; j < DROP; j++) {
                value[j] = activate_and_slope(value[j], ACTIVATION, &slope[j]);
                stay[j] = (vec)(1);
            }
            DROP_OUT(stay, n, i);
            UNROLL for (int j = 0; j < DROP; j++) {
                d[j] *= slope[j] * stay[j];
                value[j] *= stay[j];
            }
            store_step(du + at, d, LEFT_STEP(F, i));
            if (keep_g) store_step(g + at, value, LEFT_STEP(F, i));
        }
}
