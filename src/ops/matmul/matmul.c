// The seam of matrix products: checks a call, completes it, and hands it to the provider. See matmul.h.
#include "ops/matmul/matmul.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "ops/matmul/provider.h"

struct pf_matmul {
    pf_device *device;
    pf_matmul_choice provider; // where nothing is tuned; never PF_MATMUL_AUTO
    bool may_choose;           // which provider runs is ours to say
    pf_tuned tuned;
    pf_tile_provider *tile; // NULL where no call asks for it; so too
    pf_clblast_provider *clblast;
    pf_buffer *scratch;
};

static bool is_asked_for(const pf_matmul *matmul, pf_matmul_choice provider)
{
    if (matmul->provider == provider) return true;
    for (int i = 0; i < matmul->tuned.count && matmul->may_choose; i++)
        if (matmul->tuned.entry[i].provider == provider) return true;
    return false;
}

static pf_status create_providers(pf_matmul *matmul)
{
    if (is_asked_for(matmul, PF_MATMUL_TILE))
        PF_TRY(pf_tile_create(matmul->device, &matmul->tuned, &matmul->tile));
    if (is_asked_for(matmul, PF_MATMUL_CLBLAST)) PF_TRY(pf_clblast_create(matmul->device, &matmul->clblast));
    return PF_OK;
}

pf_status pf_matmul_create_tuned(pf_device *device, pf_matmul_choice provider, const pf_tuned *tuned,
                                 pf_matmul **out)
{
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_matmul), "matrix products"));
    pf_matmul *matmul = made;
    const bool is_gpu = strcmp(pf_device_describe(device)->type, "gpu") == 0;
    matmul->device = device;
    matmul->may_choose = provider == PF_MATMUL_AUTO;
    matmul->provider = provider != PF_MATMUL_AUTO ? provider : is_gpu ? PF_MATMUL_CLBLAST : PF_MATMUL_TILE;
    if (tuned) matmul->tuned = *tuned;
    const pf_status status = create_providers(matmul);
    if (status == PF_OK)
        *out = matmul;
    else
        pf_matmul_free(matmul);
    return pf_context(status, "matrix products");
}

pf_status pf_matmul_create(pf_device *device, pf_matmul_choice provider, pf_matmul **out)
{
    pf_tuned tuned = {0};
    const pf_status loaded = pf_tuned_load(device, &tuned);
    if (loaded == PF_ERROR_FAILED) return loaded;
    const pf_status status = pf_matmul_create_tuned(device, provider, &tuned, out);
    if (status != PF_ERROR_DEVICE || tuned.count == 0) return status;
    return pf_matmul_create_tuned(device, provider, NULL,
                                  out); // a driver that refuses what it took while tuning
}

void pf_matmul_free(pf_matmul *matmul)
{
    if (!matmul) return;
    pf_tile_free(matmul->tile);
    pf_clblast_free(matmul->clblast);
    pf_buffer_free(matmul->scratch);
    pf_free(matmul);
}

pf_matmul_choice pf_matmul_provider(const pf_matmul *matmul)
{
    return matmul->provider;
}

static bool is_for_tile(const pf_matmul *matmul, const pf_matmul_call *call)
{
    const pf_tuned_entry *entry = matmul->may_choose ? pf_tuned_find(&matmul->tuned, call) : NULL;
    return (entry ? entry->provider : matmul->provider) == PF_MATMUL_TILE;
}

void pf_matmul_describe(const pf_matmul *matmul, const pf_matmul_call *call, char *out, size_t size)
{
    char label[40];
    if (!is_for_tile(matmul, call)) {
        snprintf(out, size, "clblast");
        return;
    }
    pf_tile_shape_label(pf_tile_shape_of(matmul->tile, call), pf_device_shape(matmul->device).vector, label,
                        sizeof label);
    snprintf(out, size, "tile %s", label);
}

// Fills in what zeros stand for.
static pf_matmul_call complete(const pf_matmul_call *call)
{
    pf_matmul_call full = *call;
    if (full.batch == 0) full.batch = 1;
    if (full.lda == 0) full.lda = full.transpose_a ? full.m : full.k;
    if (full.ldb == 0) full.ldb = full.transpose_b ? full.k : full.n;
    if (full.ldc == 0) full.ldc = full.n;
    if (full.beta == 0)
        full.residual = NULL;
    else if (!full.residual)
        full.residual = full.c;
    return full;
}

static pf_status check_sizes(const pf_matmul_call *call)
{
    const int a_width = call->transpose_a ? call->m : call->k,
              b_width = call->transpose_b ? call->k : call->n;
    PF_CHECK(call->m >= 0 && call->n >= 0 && call->k >= 0 && call->batch >= 1, PF_ERROR_USAGE,
             "matrix product of %d x %d x %d, %d times", call->m, call->n, call->k, call->batch);
    PF_CHECK(call->lda >= a_width && call->ldb >= b_width && call->ldc >= call->n, PF_ERROR_USAGE,
             "matrix product %d x %d x %d: rows %d, %d and %d apart are shorter than their content", call->m,
             call->n, call->k, call->lda, call->ldb, call->ldc);
    return PF_OK;
}

// One operand: `rows` stored rows of `width`, `ld` apart.
typedef struct operand {
    const char *name;
    const pf_buffer *buffer;
    int rows, width, ld;
    size_t offset, stride;
} operand;

static pf_status check_operand(const operand *x, int batch)
{
    // Kernels take offsets and strides as 32-bit numbers.
    PF_CHECK(x->offset <= UINT32_MAX && x->stride <= UINT32_MAX, PF_ERROR_USAGE,
             "matrix product: %s begins at %zu, more than 2^32 floats into its buffer; use a smaller batch",
             x->name, x->offset > x->stride ? x->offset : x->stride);
    if (x->rows == 0 || x->width == 0) return PF_OK;
    const size_t last = x->offset + (size_t)(batch - 1) * x->stride + (size_t)(x->rows - 1) * (size_t)x->ld;
    const size_t floats = x->buffer ? pf_buffer_bytes(x->buffer) / sizeof(float) : 0;
    PF_CHECK(last + (size_t)x->width <= floats, PF_ERROR_USAGE,
             "matrix product: %s needs %zu floats, its buffer has %zu", x->name, last + (size_t)x->width,
             floats);
    return PF_OK;
}

static pf_status check_buffers(const pf_matmul_call *call)
{
    const int m = call->m, n = call->n, k = call->k;
    const operand operands[] = {
        {"a", call->a, call->transpose_a ? k : m, call->transpose_a ? m : k, call->lda, call->a_offset,
         call->a_stride},
        {"b", call->b, call->transpose_b ? n : k, call->transpose_b ? k : n, call->ldb, call->b_offset,
         call->b_stride},
        {"c", call->c, m, n, call->ldc, call->c_offset, call->c_stride},
        {"residual", call->residual, call->residual ? m : 0, n, call->ldc, call->c_offset, call->c_stride},
        {"pre_activation", call->pre_activation, call->pre_activation ? m : 0, n, call->ldc, call->c_offset,
         call->c_stride},
        {"bias", call->bias, call->bias ? 1 : 0, n, n, 0, 0},
    };
    for (size_t i = 0; i < sizeof operands / sizeof *operands; i++)
        PF_TRY(check_operand(&operands[i], call->batch));
    return PF_OK;
}

pf_status pf_matmul_scratch_bytes(const pf_matmul *matmul, const pf_matmul_call *call, size_t *bytes)
{
    const pf_matmul_call full = complete(call);
    PF_TRY(check_sizes(&full));
    if (full.m == 0 || full.n == 0 || full.k == 0) {
        *bytes = 0;
        return PF_OK;
    }
    return is_for_tile(matmul, &full) ? pf_tile_scratch(matmul->tile, &full, bytes)
                                      : pf_clblast_scratch(matmul->clblast, &full, bytes);
}

pf_status pf_matmul_reserve(pf_matmul *matmul, size_t bytes)
{
    if (bytes == 0 || (matmul->scratch && pf_buffer_bytes(matmul->scratch) >= bytes)) return PF_OK;
    pf_buffer *larger = NULL;
    PF_TRY(pf_buffer_create(matmul->device, bytes, "matrix product scratch", &larger));
    pf_buffer_free(matmul->scratch);
    matmul->scratch = larger;
    return PF_OK;
}

pf_status pf_matmul_run(pf_matmul *matmul, const pf_matmul_call *call)
{
    const pf_matmul_call full = complete(call);
    size_t needed = 0;
    PF_TRY(check_sizes(&full));
    PF_TRY(check_buffers(&full));
    if (full.m == 0 || full.n == 0) return PF_OK;
    PF_TRY(pf_matmul_scratch_bytes(matmul, &full, &needed));
    const size_t reserved = matmul->scratch ? pf_buffer_bytes(matmul->scratch) : 0;
    PF_CHECK(needed <= reserved, PF_ERROR_USAGE,
             "matrix product %d x %d x %d: %zu bytes of scratch, %zu reserved", full.m, full.n, full.k,
             needed, reserved);
    return is_for_tile(matmul, &full) ? pf_tile_run(matmul->tile, &full, matmul->scratch)
                                      : pf_clblast_run(matmul->clblast, &full, matmul->scratch);
}
