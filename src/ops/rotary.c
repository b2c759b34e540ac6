// Rotary positions on the device. See rotary.h; kernel in cl/rotary.cl.
#include "ops/rotary.h"

#include <math.h>

#include "base/memory.h"
#include "ops/parts.h"
#include "ops/position_table.h"

enum { ROWS_EACH = 16 };

struct pf_rotary {
    pf_kernel *kernel;
    pf_position_table table; // a row: [2][E/2] cosines, sines
    int head_width;
    int rows_each;
};

static void make_angles(float *rows, int first, int count, int head_width, const double *frequencies)
{
    const int half = head_width / 2;
    for (int i = 0; i < half; i++) {
        for (int p = 0; p < count; p++) {
            float *row = rows + (size_t)p * (size_t)head_width;
            row[i] = (float)cos((first + p) * frequencies[i]);
            row[half + i] = (float)sin((first + p) * frequencies[i]);
        }
    }
}

pf_status pf_rotary_create(pf_device *device, int head_width, int room, const double *frequencies,
                           pf_rotary **out)
{
    PF_CHECK(head_width % 2 == 0, PF_ERROR_USAGE, "rotary positions need an even head width, not %d", head_width);
    const pf_define defines[] = {{"E", head_width}};
    const pf_program_key program = {.file = "rotary", .defines = defines, .n_defines = 1};
    pf_status status;
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_rotary), "rotary"));
    pf_rotary *op = made;
    op->rows_each = pf_rows_each(device, ROWS_EACH);
    op->head_width = head_width;
    PF_TRY_OR(failed, pf_kernel_create(device, &program, "rotary", &op->kernel));
    PF_TRY_OR(failed,
              pf_position_table_create(device, room, head_width, make_angles, frequencies, &op->table));
    *out = op;
    return PF_OK;
failed:
    pf_rotary_free(op);
    return status;
}

void pf_rotary_free(pf_rotary *op)
{
    if (!op) return;
    pf_kernel_free(op->kernel);
    pf_position_table_free(&op->table);
    pf_free(op);
}

pf_status pf_rotary_reach(pf_rotary *op, int first, int count)
{
    return pf_position_table_reach(&op->table, first, count);
}

pf_status pf_rotary_run(pf_rotary *op, const pf_rotary_call *call)
{
    const double n = (double)call->rows * call->heads * op->head_width;
    const pf_work work = {.groups = {pf_groups(call->rows, op->rows_each)}, .flops = 3 * n, .bytes = 8 * n};
    return pf_launch(op->kernel, work,
                     PF_ARGS(pf_arg_buffer(call->x.buffer), pf_arg_buffer(op->table.buffer), pf_arg_int(op->table.first),
                             pf_arg_buffer(call->place),
                             pf_arg_int(call->x.stride), pf_arg_int(call->x.offset), pf_arg_int(call->heads),
                             pf_arg_float(call->backward ? -1.0f : 1.0f), pf_arg_int(call->rows),
                             pf_arg_int(op->rows_each)));
}
