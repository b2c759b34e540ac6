// The CLBlast provider. CLBlast keeps caches that belong to the whole process and are filled without care for threads
// before its version 1.6.1, and that know a context by its address: so one lock is held around every call, and the
// caches are emptied before a context can go. See provider.h.
#include <clblast_c.h>
#include <pthread.h>

#include "base/memory.h"
#include "device/opencl.h"
#include "ops/matmul/provider.h"

struct pf_clblast_provider {
    pf_device *device;
    pf_kernel *epilogue;
};

enum { EPILOGUE_ROWS = 16, LARGEST_TILE = 128 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

pf_status pf_clblast_create(pf_device *device, pf_clblast_provider **out)
{
    const pf_program_key key = {.file = "matmul_epilogue"};
    void *made = NULL;
    pf_status status;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_clblast_provider), "clblast provider"));
    pf_clblast_provider *clblast = made;
    clblast->device = device;
    PF_TRY_OR(failed, pf_kernel_create(device, &key, "matmul_epilogue", &clblast->epilogue));
    *out = clblast;
    return PF_OK;
failed:
    pf_clblast_free(clblast);
    return status;
}

void pf_clblast_free(pf_clblast_provider *clblast)
{
    if (!clblast) return;
    pthread_mutex_lock(&lock);
    CLBlastClearCache();
    pthread_mutex_unlock(&lock);
    pf_kernel_free(clblast->epilogue);
    pf_free(clblast);
}

static size_t rounded(int x)
{
    return ((size_t)x + LARGEST_TILE - 1) / LARGEST_TILE * LARGEST_TILE;
}

// An upper bound that grows with the sizes: CLBlast's own figure falls where a size happens to be a multiple of its
// tiles. It copies each matrix at most once, padded to a tile.
pf_status pf_clblast_scratch(const pf_clblast_provider *clblast, const pf_matmul_call *call, size_t *bytes)
{
    (void)clblast;
    const size_t m = rounded(call->m), n = rounded(call->n), k = rounded(call->k);
    *bytes = (m * k + k * n + m * n) * sizeof(float);
    return PF_OK;
}

static pf_status fail_clblast(const pf_clblast_provider *clblast, const char *call, CLBlastStatusCode code)
{
    if (code <= -1000)
        return pf_fail(PF_ERROR_DEVICE, "%s: CLBlast status %d on \"%s\"", call, (int)code, clblast->device->info.name);
    return pf_fail_opencl(clblast->device, call, (cl_int)code);
}

// Product number z of the batch. The scratch is CLBlast's between the two calls: one queue, in order.
static pf_status multiply(const pf_clblast_provider *clblast, const pf_matmul_call *call, const pf_buffer *scratch, int z)
{
    pf_device *device = clblast->device;
    const CLBlastTranspose a_transpose = call->transpose_a ? CLBlastTransposeYes : CLBlastTransposeNo;
    const CLBlastTranspose b_transpose = call->transpose_b ? CLBlastTransposeYes : CLBlastTransposeNo;
    const size_t m = (size_t)call->m, n = (size_t)call->n, k = (size_t)call->k;
    const size_t lda = (size_t)call->lda, ldb = (size_t)call->ldb, ldc = (size_t)call->ldc;
    const size_t a_at = call->a_offset + (size_t)z * call->a_stride, b_at = call->b_offset + (size_t)z * call->b_stride;
    const size_t c_at = call->c_offset + (size_t)z * call->c_stride, reserved = scratch ? pf_buffer_bytes(scratch) : 0;
    const float beta = call->residual == call->c ? call->beta : 0.0f;
    size_t needed = 0;
    cl_event event = NULL;
    pthread_mutex_lock(&lock);
    CLBlastStatusCode code =
        CLBlastSGemmTempBufferSize(CLBlastLayoutRowMajor, a_transpose, b_transpose, m, n, k, a_at, lda, b_at, ldb, c_at,
                                   ldc, &device->queue, &needed);
    if (code == CLBlastSuccess && needed <= reserved)
        code = CLBlastSgemmWithTempBuffer(CLBlastLayoutRowMajor, a_transpose, b_transpose, m, n, k, call->alpha,
                                          call->a->memory, a_at, lda, call->b->memory, b_at, ldb, beta,
                                          call->c->memory, c_at, ldc, &device->queue, device->profile ? &event : NULL,
                                          needed ? scratch->memory : NULL);
    pthread_mutex_unlock(&lock);
    if (code != CLBlastSuccess) return fail_clblast(clblast, "CLBlastSgemm", code);
    PF_CHECK(needed <= reserved, PF_ERROR_DEVICE, "CLBlastSgemm: %zu bytes of scratch wanted, %zu reserved", needed,
             reserved);
    device->launches++;
    // CLBlast gives the event of its last kernel only: copies that it makes before are not in the time.
    const pf_work work = {.flops = pf_product_flops(call) / call->batch, .bytes = pf_product_bytes(call) / call->batch};
    if (event) pf_profile_add(device->profile, "clblast_gemm", work, event);
    return PF_OK;
}

static pf_status finish(const pf_clblast_provider *clblast, const pf_matmul_call *call, bool has_product,
                        const pf_buffer *residual)
{
    const double numbers = (double)call->m * call->n * call->batch;
    const pf_work work = {.groups = {((size_t)call->m + EPILOGUE_ROWS - 1) / EPILOGUE_ROWS, 1, (size_t)call->batch},
                          .flops = 2 * numbers,
                          .bytes = numbers * (residual ? 12 : 8)};
    return pf_launch(clblast->epilogue, work,
                     PF_ARGS(pf_arg_buffer(call->c), pf_arg_buffer(call->pre_activation), pf_arg_buffer(residual),
                             pf_arg_buffer(call->bias), pf_arg_int(call->m), pf_arg_int(call->n), pf_arg_int(call->ldc),
                             pf_arg_uint((uint32_t)call->c_offset), pf_arg_uint((uint32_t)call->c_stride),
                             pf_arg_float(call->beta), pf_arg_int(pf_activation_code(call)), pf_arg_int(has_product),
                             pf_arg_int(EPILOGUE_ROWS)));
}

pf_status pf_clblast_run(pf_clblast_provider *clblast, const pf_matmul_call *call, pf_buffer *scratch)
{
    const bool has_product = call->k > 0;
    const pf_buffer *residual = has_product && call->residual == call->c ? NULL : call->residual;
    for (int z = 0; z < call->batch && has_product; z++) PF_TRY(multiply(clblast, call, scratch, z));
    if (has_product && !residual && !call->bias && !call->has_activation && !call->pre_activation) return PF_OK;
    return finish(clblast, call, has_product, residual);
}
