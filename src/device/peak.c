// What the device can do at best, by the clock on the wall: some devices' own timers tell nothing.
#include "device/opencl.h"

#include <time.h>

enum { ROUNDS = 5, GROUPS_EACH = 16, COPY_EACH = 64 };

static const double long_enough_s = 0.02; // a launch long enough that starting it does not count
static const size_t most_copied_bytes = (size_t)128 << 20;

typedef struct peak_kernels {
    pf_kernel *multiply_add, *copy;
    pf_buffer *from, *to;
    size_t bytes; // of each buffer
} peak_kernels;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// The best of some rounds: what slows a round down is not the device.
static pf_status time_launch(pf_kernel *kernel, size_t groups, const pf_arg *args, int n_args, double *best_s)
{
    *best_s = 1e30;
    for (int round = 0; round < ROUNDS; round++) {
        const double start = now_s();
        PF_TRY(pf_launch(kernel, (pf_work){.groups = {groups}}, args, n_args));
        PF_TRY(pf_device_sync(kernel->device));
        const double seconds = now_s() - start;
        if (seconds < *best_s) *best_s = seconds;
    }
    return PF_OK;
}

static pf_status measure_launch(const peak_kernels *k, pf_device_peak *out)
{
    double seconds;
    PF_TRY(time_launch(k->multiply_add, 1, PF_ARGS(pf_arg_buffer(k->to), pf_arg_int(1), pf_arg_float(1), pf_arg_float(0)),
                       &seconds));
    out->launch_us = seconds * 1e6;
    return PF_OK;
}

static pf_status measure_arithmetic(const peak_kernels *k, pf_device_peak *out)
{
    const pf_device *device = k->multiply_add->device;
    const pf_shape shape = pf_device_shape(device);
    const bool is_wide = shape.work_group == 1;
    const size_t groups = (size_t)device->info.compute_units * GROUPS_EACH;
    const double each = 2.0 * shape.vector * (is_wide ? 16 : 4) * shape.work_group * (double)groups;
    double seconds = 0;
    // 32768 rounds at most: one implementation ends longer loops without a word.
    for (int n = 256; n <= 32768; n *= 4) {
        PF_TRY(time_launch(k->multiply_add, groups,
                           PF_ARGS(pf_arg_buffer(k->to), pf_arg_int(n), pf_arg_float(0.999f), pf_arg_float(0.001f)), &seconds));
        const double rate = each * n / seconds * 1e-9;
        if (rate > out->gflops) out->gflops = rate;
        if (seconds > long_enough_s) break;
    }
    return PF_OK;
}

static pf_status measure_copy(const peak_kernels *k, pf_device_peak *out)
{
    const pf_shape shape = pf_device_shape(k->copy->device);
    const size_t group_bytes = sizeof(float) * COPY_EACH * (size_t)shape.work_group * (size_t)shape.vector;
    const size_t groups = k->bytes / group_bytes;
    double seconds;
    PF_TRY(time_launch(k->copy, groups, PF_ARGS(pf_arg_buffer(k->to), pf_arg_buffer(k->from), pf_arg_int(COPY_EACH)),
                       &seconds));
    out->gbytes_per_s = 2.0 * (double)(groups * group_bytes) / seconds * 1e-9;
    return PF_OK;
}

static pf_status measure(pf_device *device, pf_device_peak *out)
{
    peak_kernels k = {.bytes = most_copied_bytes};
    pf_device_peak peak = {0};
    pf_status status;
    while (k.bytes > device->info.largest_buffer_bytes || k.bytes > device->info.global_bytes / 16) k.bytes /= 2;
    const pf_program_key program = {.file = "peak"};
    PF_TRY_OR(done, pf_kernel_create(device, &program, "peak_multiply_add", &k.multiply_add));
    PF_TRY_OR(done, pf_kernel_create(device, &program, "peak_copy", &k.copy));
    PF_TRY_OR(done, pf_buffer_create(device, k.bytes, "peak", &k.from));
    PF_TRY_OR(done, pf_buffer_create(device, k.bytes, "peak", &k.to));
    PF_TRY_OR(done, pf_buffer_zero(k.from, 0, k.bytes));
    PF_TRY_OR(done, measure_launch(&k, &peak));
    PF_TRY_OR(done, measure_arithmetic(&k, &peak));
    PF_TRY_OR(done, measure_copy(&k, &peak));
    *out = peak;
done:
    pf_kernel_free(k.multiply_add);
    pf_kernel_free(k.copy);
    pf_buffer_free(k.from);
    pf_buffer_free(k.to);
    return status;
}

pf_status pf_device_measure_peak(pf_device *device, pf_device_peak *out)
{
    // The measurement is no part of what a program did: it leaves no trace in its counts or its profile.
    pf_profile *profile = device->profile;
    const uint64_t launches = device->launches, allocations = device->allocations, peak_bytes = device->peak_bytes;
    device->profile = NULL;
    const pf_status status = measure(device, out);
    device->profile = profile;
    device->launches = launches;
    device->allocations = allocations;
    device->peak_bytes = peak_bytes;
    return pf_context(status, "measuring the device's peak");
}
