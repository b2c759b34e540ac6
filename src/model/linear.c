// A linear layer on the device. See linear.h.
#include "model/linear.h"

#include <string.h>

static pf_matmul_call forward_call(const pf_linear *l, int rows)
{
    return (pf_matmul_call){.m = rows, .n = l->out, .k = l->in, .transpose_b = true, .alpha = 1};
}

static pf_matmul_call input_call(const pf_linear *l, int rows)
{
    return (pf_matmul_call){.m = rows, .n = l->in, .k = l->out, .alpha = 1};
}

static pf_matmul_call weights_call(const pf_linear *l, int rows)
{
    return (pf_matmul_call){.m = l->out, .n = l->in, .k = rows, .transpose_a = true, .alpha = 1, .beta = 1};
}

void pf_linear_kinds(const struct pf_config *config, pf_linear kinds[PF_LINEAR_KINDS])
{
    const int D = config->hidden_size, F = config->intermediate_size;
    const pf_linear all[PF_LINEAR_KINDS] = {{.in = D, .out = 3 * D},
                                            {.in = D, .out = D},
                                            {.in = D, .out = F},
                                            {.in = F, .out = D},
                                            [PF_LINEAR_HEAD] = {.in = D, .out = pf_config_outputs(config)}};
    memcpy(kinds, all, sizeof all);
}

int pf_widest_bias(const struct pf_config *config)
{
    pf_linear kinds[PF_LINEAR_KINDS];
    int widest = 0;
    pf_linear_kinds(config, kinds);
    for (int i = 0; i < PF_LINEAR_KINDS; i++)
        if (kinds[i].out > widest) widest = kinds[i].out;
    return widest;
}

void pf_linear_calls(const pf_linear *sizes, int rows, pf_matmul_call calls[PF_LINEAR_CALLS])
{
    calls[0] = forward_call(sizes, rows);
    calls[1] = input_call(sizes, rows);
    calls[2] = weights_call(sizes, rows);
}

// W, or W'.
static pf_status effective(pf_matmul *matmul, const pf_linear *l, const pf_buffer **weight)
{
    *weight = l->weight;
    if (!l->adapters) return PF_OK;
    *weight = l->adapters->merged;
    return pf_adapters_merge(matmul, l->adapters, &(pf_adapted){l->in, l->out, l->weight});
}

pf_status pf_linear_forward(pf_matmul *matmul, const pf_linear *linear, pf_buffer *y, const pf_buffer *x,
                            const pf_buffer *residual, int rows)
{
    pf_matmul_call call = forward_call(linear, rows);
    call.c = y, call.a = x;
    PF_TRY(effective(matmul, linear, &call.b));
    call.bias = linear->bias;
    call.residual = residual;
    call.beta = residual ? 1.0f : 0.0f;
    return pf_matmul_run(matmul, &call);
}

pf_status pf_linear_backward_input(pf_matmul *matmul, const pf_linear *linear, pf_buffer *dx,
                                   const pf_buffer *dy, const pf_buffer *residual, int rows)
{
    pf_matmul_call call = input_call(linear, rows);
    call.c = dx, call.a = dy;
    PF_TRY(effective(matmul, linear, &call.b));
    call.residual = residual;
    call.beta = residual ? 1.0f : 0.0f;
    return pf_matmul_run(matmul, &call);
}

pf_status pf_linear_backward_weights(pf_matmul *matmul, pf_column_sum *sums, const pf_linear *linear,
                                     const pf_buffer *dy, const pf_buffer *x, int rows)
{
    pf_matmul_call call = weights_call(linear, rows);
    call.c = linear->d_weight, call.a = dy, call.b = x;
    if (linear->adapters)
        PF_TRY(pf_adapters_backward(matmul, linear->adapters, &(pf_adapted){linear->in, linear->out, NULL},
                                    &(pf_adapters_gradient){dy, x, rows}));
    if (linear->d_weight) PF_TRY(pf_matmul_run(matmul, &call));
    if (!linear->d_bias) return PF_OK;
    return pf_column_sum_run(sums, &(pf_column_sum_call){
                                       .out = linear->d_bias,
                                       .x = {dy, linear->out, 0},
                                       .rows = rows,
                                       .columns = linear->out,
                                   });
}

pf_status pf_linear_scratch_bytes(const pf_matmul *matmul, const pf_linear *sizes, int rows, bool training,
                                  size_t *bytes)
{
    pf_matmul_call calls[PF_LINEAR_CALLS];
    pf_linear_calls(sizes, rows, calls);
    for (int i = 0; i < (training ? PF_LINEAR_CALLS : 1); i++) {
        size_t needed = 0;
        PF_TRY(pf_matmul_scratch_bytes(matmul, &calls[i], &needed));
        if (needed > *bytes) *bytes = needed;
    }
    if (sizes->adapters)
        return pf_adapters_scratch_bytes(matmul, sizes->adapters, &(pf_adapted){sizes->in, sizes->out, NULL},
                                         rows, bytes);
    return PF_OK;
}
