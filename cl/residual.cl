// The end of a branch: y = x + dropout(branch + bias), and its gradient.
//
//   -DD         width of a row        -DDROPOUT  see lib/dropout.clh
//
// A group does `rows_each` rows; every number is read and written once. y may be x or branch.
#include "lib/base.clh"
#include "lib/dropout.clh"

#ifndef D
#define D 64
#endif

// groups: ceil(rows / rows_each)
KERNEL void residual_forward(__global float *y, __global const float *x, __global const float *branch, IN bias,
                             const int has_bias, const int rows, const int rows_each, DROPOUT_PARAMETERS)
{
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    for (int n = first; n < last; n++)
        for (int i = LID * STEP; i < D; i += WG * STEP) {
            const size_t at = (size_t)n * D + i;
            vec v[DROP], old[DROP], b[DROP];
            load_step(v, branch + at, LEFT_STEP(D, i));
            load_step(old, x + at, LEFT_STEP(D, i));
            if (has_bias) {
                load_step(b, bias + i, LEFT_STEP(D, i));
                UNROLL for (int j = 0; j < DROP; j++) v[j] += b[j];
            }
            DROP_OUT(v, n, i);
            UNROLL for (int j = 0; j < DROP; j++) v[j] += old[j];
            store_step(y + at, v, LEFT_STEP(D, i));
        }
}

// dbranch = dy where the number stayed, scaled; 0 elsewhere. dbranch may be dy. groups: ceil(rows / rows_each)
KERNEL void residual_backward(__global float *dbranch, __global const float *dy, const int rows, const int rows_each,
                              DROPOUT_PARAMETERS)
{
    const int first = get_group_id(0) * rows_each, last = min(first + rows_each, rows);
    for (int n = first; n < last; n++)
        for (int i = LID * STEP; i < D; i += WG * STEP) {
            const size_t at = (size_t)n * D + i;
            vec v[DROP];
            load_step(v, dy + at, LEFT_STEP(D, i));
            DROP_OUT(v, n, i);
            store_step(dbranch + at, v, LEFT_STEP(D, i));
        }
}
