// Adapters on the device. See adapters.h.
#include "model/adapters.h"

static const int first_targets[PF_LAYER_LINEARS + 1] = {0, PF_LORA_OUTPUT, PF_LORA_UP, PF_LORA_DOWN,
                                                        PF_LORA_TARGETS};

int pf_adapters_first_target(int linear)
{
    return first_targets[linear];
}

static bool has_any(const struct pf_config *config, int layer, int linear)
{
    for (int target = first_targets[linear]; target < first_targets[linear + 1]; target++)
        if (pf_lora_has(config, layer, target)) return true;
    return false;
}

bool pf_adapters_of(const struct pf_config *config, int layer, int linear, pf_adapters *out)
{
    if (config->lora.rank == 0 || linear >= PF_LAYER_LINEARS) return false;
    *out = (pf_adapters){.n_parts = first_targets[linear + 1] - first_targets[linear],
                         .rank = config->lora.rank,
                         .scale = (float)pf_lora_scale(config)};
    if (layer >= 0) return has_any(config, layer, linear);
    for (int any = 0; any < config->num_hidden_layers; any++)
        if (has_any(config, any, linear)) return true;
    return false;
}

static int part_rows(const pf_adapters *a, const pf_adapted *of)
{
    return of->out / a->n_parts;
}

static size_t part_offset(const pf_adapters *a, const pf_adapted *of, int part)
{
    return (size_t)part * (size_t)part_rows(a, of) * (size_t)of->in;
}

static pf_matmul_call merge_call(const pf_adapters *a, const pf_adapted *of, int part)
{
    return (pf_matmul_call){.c = a->merged,
                            .a = a->part[part].up,
                            .b = a->part[part].down,
                            .m = part_rows(a, of),
                            .n = of->in,
                            .k = a->rank,
                            .c_offset = part_offset(a, of, part),
                            .alpha = a->scale,
                            .beta = 1,
                            .residual = of->weight};
}

pf_status pf_adapters_merge(pf_matmul *matmul, const pf_adapters *a, const pf_adapted *of)
{
    const size_t bytes = (size_t)part_rows(a, of) * (size_t)of->in * sizeof(float);
    for (int part = 0; part < a->n_parts; part++) {
        const pf_matmul_call call = merge_call(a, of, part);
        const size_t at = call.c_offset * sizeof(float);
        if (a->part[part].down)
            PF_TRY(pf_matmul_run(matmul, &call));
        else
            PF_TRY(pf_buffer_copy(a->merged, at, of->weight, at, bytes));
    }
    return PF_OK;
}

enum { GRADIENT_CALLS = 3 };

// dW', then d_up and d_down of it.
static void gradient_calls(const pf_adapters *a, const pf_adapted *of, int part,
                           const pf_adapters_gradient *call, pf_matmul_call out[GRADIENT_CALLS])
{
    const pf_adapter *p = &a->part[part];
    const int rows = part_rows(a, of);
    const size_t offset = part_offset(a, of, part);
    out[0] = (pf_matmul_call){.c = a->d_merged,
                              .a = call->dy,
                              .b = call->x,
                              .m = rows,
                              .n = of->in,
                              .k = call->rows,
                              .transpose_a = true,
                              .lda = of->out,
                              .a_offset = (size_t)part * (size_t)rows,
                              .c_offset = offset,
                              .alpha = 1};
    out[1] = (pf_matmul_call){.c = p->d_up,
                              .a = a->d_merged,
                              .b = p->down,
                              .m = rows,
                              .n = a->rank,
                              .k = of->in,
                              .transpose_b = true,
                              .a_offset = offset,
                              .alpha = a->scale,
                              .beta = 1};
    out[2] = (pf_matmul_call){.c = p->d_down,
                              .a = p->up,
                              .b = a->d_merged,
                              .m = a->rank,
                              .n = of->in,
                              .k = rows,
                              .transpose_a = true,
                              .b_offset = offset,
                              .alpha = a->scale,
                              .beta = 1};
}

pf_status pf_adapters_backward(pf_matmul *matmul, const pf_adapters *a, const pf_adapted *of,
                               const pf_adapters_gradient *call)
{
    for (int part = 0; part < a->n_parts; part++) {
        pf_matmul_call calls[GRADIENT_CALLS];
        gradient_calls(a, of, part, call, calls);
        for (int i = 0; a->part[part].down && i < GRADIENT_CALLS; i++)
            PF_TRY(pf_matmul_run(matmul, &calls[i]));
    }
    return PF_OK;
}

pf_status pf_adapters_scratch_bytes(const pf_matmul *matmul, const pf_adapters *a, const pf_adapted *of,
                                    int rows, size_t *bytes)
{
    const pf_adapters_gradient call = {.rows = rows};
    for (int part = 0; part < a->n_parts; part++) {
        pf_matmul_call calls[GRADIENT_CALLS + 1];
        gradient_calls(a, of, part, &call, calls);
        calls[GRADIENT_CALLS] = merge_call(a, of, part);
        for (int i = 0; i <= GRADIENT_CALLS; i++) {
            size_t needed = 0;
            PF_TRY(pf_matmul_scratch_bytes(matmul, &calls[i], &needed));
            if (needed > *bytes) *bytes = needed;
        }
    }
    return PF_OK;
}
