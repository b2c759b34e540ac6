// Workloads of arithmetic alone: matrix products, and multiply-adds in registers as the peak to hold all
// others against. See performer/bench.h.
#include "api/bench.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "ops/matmul/matmul.h"

// ---- multiply-adds in registers ----

enum { GROUPS_EACH = 16, PEAK_ROUNDS = 16384, MOST_VECTOR_CHAINS = 16, FEW_CHAINS = 4 };

typedef struct peak_state {
    pf_kernel *kernel;
    pf_buffer *out;
    size_t groups;
} peak_state;

static pf_status run_peak(void *state)
{
    const peak_state *s = state;
    return pf_launch(
        s->kernel, (pf_work){.groups = {s->groups}},
        PF_ARGS(pf_arg_buffer(s->out), pf_arg_int(PEAK_ROUNDS), pf_arg_float(0.999f), pf_arg_float(0.001f)));
}

static void free_peak(void *state)
{
    peak_state *s = state;
    pf_kernel_free(s->kernel);
    pf_buffer_free(s->out);
    pf_free(s);
}

pf_status pf_workload_peak(pf_device *device, pf_workload **out)
{
    static const pf_workload_kind kind = {run_peak, free_peak};
    const pf_shape shape = pf_device_shape(device);
    const int chains = shape.work_group == 1 ? MOST_VECTOR_CHAINS : FEW_CHAINS; // as cl/peak.cl
    void *memory = NULL;
    pf_status status;
    PF_TRY(pf_alloc(&memory, 1, sizeof(peak_state), "workload"));
    peak_state *s = memory;
    s->groups = (size_t)pf_device_describe(device)->compute_units * GROUPS_EACH;
    const size_t floats = s->groups * (size_t)shape.work_group * (size_t)shape.vector;
    PF_TRY_OR(failed,
              pf_kernel_create(device, &(pf_program_key){.file = "peak"}, "peak_multiply_add", &s->kernel));
    PF_TRY_OR(failed, pf_bench_zeros(device, floats, &s->out));
    return pf_workload_create(device, &kind, s,
                              &(pf_workload_facts){.flops = 2.0 * (double)floats * chains * PEAK_ROUNDS,
                                                   .device_bytes = floats * sizeof(float)},
                              out);
failed:
    free_peak(s);
    return status;
}

// ---- matrix products ----

typedef struct matmul_state {
    pf_matmul *matmul;
    pf_matmul_call call;
    pf_buffer *a, *b, *c, *residual, *bias, *pre_activation;
} matmul_state;

static pf_status run_matmul(void *state)
{
    const matmul_state *s = state;
    return pf_matmul_run(s->matmul, &s->call);
}

static void free_matmul(void *state)
{
    matmul_state *s = state;
    pf_matmul_free(s->matmul);
    pf_buffer *const buffers[] = {s->a, s->b, s->c, s->residual, s->bias, s->pre_activation};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) pf_buffer_free(buffers[i]);
    pf_free(s);
}

static pf_status create_matrices(pf_device *device, const pf_matmul_workload *what, matmul_state *s)
{
    const size_t m = (size_t)what->m, n = (size_t)what->n, k = (size_t)what->k, batch = (size_t)s->call.batch;
    PF_TRY(pf_bench_filled(device, batch * m * k, &s->a));
    PF_TRY(pf_bench_filled(device, batch * k * n, &s->b));
    PF_TRY(pf_bench_zeros(device, batch * m * n, &s->c));
    if (what->has_residual) PF_TRY(pf_bench_filled(device, batch * m * n, &s->residual));
    if (what->has_bias) PF_TRY(pf_bench_filled(device, n, &s->bias));
    if (what->has_activation) PF_TRY(pf_bench_zeros(device, batch * m * n, &s->pre_activation));
    s->call.a = s->a, s->call.b = s->b, s->call.c = s->c;
    s->call.residual = s->residual, s->call.bias = s->bias, s->call.pre_activation = s->pre_activation;
    return PF_OK;
}

static pf_status prepare_matmul(pf_device *device, const pf_matmul_workload *what, matmul_state *s)
{
    const size_t m = (size_t)what->m, n = (size_t)what->n, k = (size_t)what->k;
    s->call = (pf_matmul_call){
        .m = what->m,
        .n = what->n,
        .k = what->k,
        .transpose_a = what->transpose_a,
        .transpose_b = what->transpose_b,
        .alpha = 1,
        .beta = what->has_residual || what->accumulates ? 1 : 0,
        .has_activation = what->has_activation,
        .activation = PF_ACTIVATION_GELU,
        .batch = what->batch > 0 ? what->batch : 1,
        .a_stride = m * k,
        .b_stride = k * n,
        .c_stride = m * n,
    };
    size_t scratch_bytes = 0;
    PF_TRY(create_matrices(device, what, s));
    PF_TRY(pf_matmul_create(device, what->provider, &s->matmul));
    PF_TRY(pf_matmul_scratch_bytes(s->matmul, &s->call, &scratch_bytes));
    return pf_matmul_reserve(s->matmul, scratch_bytes);
}

pf_status pf_workload_matmul(pf_device *device, const pf_matmul_workload *what, pf_workload **out)
{
    static const pf_workload_kind kind = {run_matmul, free_matmul};
    PF_CHECK(what->m >= 1 && what->n >= 1 && what->k >= 1 && what->batch >= 0, PF_ERROR_USAGE,
             "%d products of %d x %d x %d: every size is at least 1", what->batch, what->m, what->n, what->k);
    const uint64_t bytes = pf_device_bytes(device);
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(matmul_state), "workload"));
    matmul_state *s = memory;
    const pf_status status = prepare_matmul(device, what, s);
    if (status != PF_OK) {
        free_matmul(s);
        return pf_context(status, "product of %d x %d x %d", what->m, what->n, what->k);
    }
    char by[48];
    pf_matmul_describe(s->matmul, &s->call, by, sizeof by);
    const bool is_tile = strncmp(by, "tile ", 5) == 0;
    pf_workload_facts facts = {
        .flops = 2.0 * what->m * what->n * what->k * s->call.batch,
        .device_bytes = pf_device_bytes(device) - bytes,
        .provider = is_tile ? "tile" : "clblast",
    };
    if (is_tile) snprintf(facts.tiles, sizeof facts.tiles, "%.39s", by + 5);
    return pf_workload_create(device, &kind, s, &facts, out);
}
