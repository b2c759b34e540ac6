// Running the families of the self-test and judging their answers. See performer/selftest.h; what each family
// computes is in selftest_families.c.
#include "api/selftest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"

// float32 sums of some hundred numbers, through exp and division: 1e-6 is usual, a wrong kernel is off by
// 1e-2.
static const double tolerance = 2e-5;

static pf_status new_buffer(pf_selftest *t, const void *data, size_t bytes, pf_buffer **out)
{
    PF_CHECK(t->n_buffers < PF_SELFTEST_MOST_BUFFERS, PF_ERROR_FAILED, "a self-test with too many buffers");
    PF_TRY(pf_buffer_create(t->device, bytes, "self-test", out));
    t->buffers[t->n_buffers++] = *out;
    return pf_buffer_write(*out, 0, data, bytes);
}

pf_status pf_selftest_input(pf_selftest *t, int stream, int count, pf_buffer **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, (size_t)count, sizeof(float), "self-test"));
    float *data = memory;
    for (int i = 0; i < count; i++)
        data[i] = (float)pf_random_normal(0, PF_RANDOM_TEST, (uint64_t)stream, (uint64_t)i);
    const pf_status status = new_buffer(t, data, (size_t)count * sizeof(float), out);
    pf_free(data);
    return status;
}

pf_status pf_selftest_integers(pf_selftest *t, const int *values, int count, pf_buffer **out)
{
    return new_buffer(t, values, (size_t)count * sizeof *values, out);
}

pf_status pf_selftest_output(pf_selftest *t, int count, pf_buffer **out)
{
    void *zeros = NULL;
    PF_TRY(pf_alloc(&zeros, (size_t)count, sizeof(float), "self-test"));
    const pf_status status = new_buffer(t, zeros, (size_t)count * sizeof(float), out);
    pf_free(zeros);
    return status;
}

pf_status pf_selftest_take(pf_selftest *t, const pf_buffer *buffer, int count)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, (size_t)count, sizeof(float), "self-test"));
    const float *data = memory;
    const pf_status status = pf_buffer_read(buffer, 0, memory, (size_t)count * sizeof(float));
    for (int i = 0; status == PF_OK && i < count; i++, t->n_taken++) {
        const double x = (double)data[i];
        for (int k = 0; k < PF_SELFTEST_SUMS; k++)
            t->sums[k] +=
                x * (2 * pf_random_uniform(1, PF_RANDOM_TEST, (uint64_t)k, (uint64_t)t->n_taken) - 1);
        t->size += x * x;
    }
    pf_free(memory);
    return status;
}

pf_status pf_selftest_sums(pf_device *device, const pf_selftest_family *family, double sums[PF_SELFTEST_SUMS],
                           double *size)
{
    pf_selftest t = {.device = device};
    const pf_status status = family->run(&t);
    for (int i = 0; i < t.n_buffers; i++) pf_buffer_free(t.buffers[i]);
    memcpy(sums, t.sums, sizeof t.sums);
    *size = sqrt(t.size);
    return status;
}

static const pf_selftest_family *family_at(bool quick, int i)
{
    for (int k = 0; k < pf_n_selftest_families; k++) {
        if (quick && !pf_selftest_families[k].quick) continue;
        if (i-- == 0) return &pf_selftest_families[k];
    }
    return NULL;
}

int pf_selftest_count(bool quick)
{
    int count = 0;
    while (family_at(quick, count)) count++;
    return count;
}

void pf_selftest_run(pf_device *device, bool quick, int i, pf_selftest_result *result)
{
    const pf_selftest_family *family = family_at(quick, i);
    double sums[PF_SELFTEST_SUMS], size = 0, error = 0;
    *result = (pf_selftest_result){.family = family->name, .error = (double)INFINITY, .tolerance = tolerance};
    if (pf_selftest_sums(device, family, sums, &size) != PF_OK) {
        snprintf(result->reason, sizeof result->reason, "%s", pf_error_message());
        return;
    }
    for (int k = 0; k < PF_SELFTEST_SUMS; k++) error = fmax(error, fabs(sums[k] - family->answers[k]) / size);
    const bool is_number = isfinite(sums[0]) && isfinite(sums[1]) && isfinite(sums[2]) && size > 0;
    result->error = is_number ? error : (double)INFINITY;
    result->passed = is_number && error <= tolerance;
}
