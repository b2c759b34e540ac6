// Opening a device: context, queue, shape, and a known answer before it is trusted. See device.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/cache.h"
#include "device/select.h"

static const pf_shape wide = {1, 16}, narrow = {64, 4};

pf_shape pf_device_shape(const pf_device *device)
{
    return device->shape;
}

size_t pf_device_alignment(const pf_device *device)
{
    return device->alignment_bytes;
}

const pf_device_info *pf_device_describe(const pf_device *device)
{
    return &device->info;
}

uint64_t pf_device_bytes(const pf_device *device)
{
    return device->bytes;
}

uint64_t pf_device_peak_bytes(const pf_device *device)
{
    return device->peak_bytes;
}

uint64_t pf_device_launches(const pf_device *device)
{
    return device->launches;
}

uint64_t pf_device_allocations(const pf_device *device)
{
    return device->allocations;
}

uint64_t pf_device_waits(const pf_device *device)
{
    return device->waits;
}

pf_status pf_device_sync(pf_device *device)
{
    device->waits++;
    const cl_int code = clFinish(device->queue);
    return code == CL_SUCCESS ? PF_OK : pf_fail_opencl(device, "clFinish", code);
}

// The known answer: steps of a linear congruence that no compiler can shorten, through local memory and a barrier.
// PROBE_TERMS is beyond what one implementation grants a work-item before it ends its loops without a word.
enum { PROBE_ITEMS = 128, PROBE_TERMS = 70000 };

static pf_status run_probe(pf_device *device, bool long_loops, bool *right)
{
    const int terms = long_loops ? PROBE_TERMS : 1000;
    uint32_t answers[PROBE_ITEMS] = {0};
    pf_buffer *sums = NULL;
    pf_kernel *kernel = NULL;
    pf_status status;
    const pf_program_key key = {.file = "probe"};
    PF_TRY_OR(done, pf_kernel_create(device, &key, "probe", &kernel));
    PF_TRY_OR(done, pf_buffer_create(device, sizeof answers, "probe", &sums));
    const size_t groups = PROBE_ITEMS / (size_t)device->shape.work_group;
    PF_TRY_OR(done, pf_launch(kernel, (pf_work){.groups = {groups}}, PF_ARGS(pf_arg_buffer(sums), pf_arg_int(terms))));
    PF_TRY_OR(done, pf_buffer_read(sums, 0, answers, sizeof answers));
    *right = true;
    for (uint32_t i = 0; i < PROBE_ITEMS; i++) {
        uint32_t expected = i + 1;
        for (int k = 0; k < terms; k++) expected = expected * 1664525u + 1013904223u;
        *right = *right && answers[i] == expected;
    }
done:
    pf_kernel_free(kernel);
    pf_buffer_free(sums);
    return status;
}

// What kernels in the wide shape may ask for. A group of one item keeps whole tiles in local memory, which on a CPU
// is memory like any other.
static const uint64_t wide_local_bytes = 128 << 10;

// Type alone never picks the wide shape: the device must also keep long loops and hold large tiles. PERFORMER_SHAPE
// (for tests) forces one of them.
static pf_status choose_shape(pf_device *device, cl_device_type type)
{
    const char *forced = getenv("PERFORMER_SHAPE");
    bool right = false;
    const bool may_be_cpu = !(type & CL_DEVICE_TYPE_GPU) || (type & CL_DEVICE_TYPE_CPU);
    const bool try_wide = forced ? strcmp(forced, "narrow") != 0
                                 : may_be_cpu && device->info.local_bytes >= wide_local_bytes;
    if (try_wide) {
        device->shape = wide;
        if (run_probe(device, true, &right) == PF_OK && right) return PF_OK;
    }
    device->shape = narrow;
    PF_CHECK(device->info.largest_work_group >= (uint64_t)narrow.work_group, PF_ERROR_DEVICE,
             "takes groups of %llu work-items, %d are needed", (unsigned long long)device->info.largest_work_group,
             narrow.work_group);
    PF_TRY(run_probe(device, false, &right));
    PF_CHECK(right, PF_ERROR_DEVICE, "gives a wrong answer to a known question; its driver is broken or too old");
    return PF_OK;
}

static pf_status open_queue(pf_device *device, bool profile)
{
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)device->platform, 0};
    cl_int code;
    device->context = clCreateContext(properties, 1, &device->id, NULL, NULL, &code);
    if (code != CL_SUCCESS) return pf_fail_opencl(device, "clCreateContext", code);
    device->queue = clCreateCommandQueue(device->context, device->id, profile ? CL_QUEUE_PROFILING_ENABLE : 0, &code);
    if (code != CL_SUCCESS) return pf_fail_opencl(device, "clCreateCommandQueue", code);
    return PF_OK;
}

// Asked before trying: one runtime crashes where it cannot.
static bool can_be_cut(const pf_device *device)
{
    cl_device_partition_property kinds[16] = {0};
    cl_uint parts = 0;
    clGetDeviceInfo(device->id, CL_DEVICE_PARTITION_MAX_SUB_DEVICES, sizeof parts, &parts, NULL);
    const cl_int code = clGetDeviceInfo(device->id, CL_DEVICE_PARTITION_PROPERTIES, sizeof kinds, kinds, NULL);
    if (code != CL_SUCCESS || parts < 2) return false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i] == CL_DEVICE_PARTITION_BY_COUNTS) return true;
    return false;
}

// A part of a CPU device with fewer threads, where the implementation can cut one off.
static void limit_threads(pf_device *device, int threads)
{
    if (threads <= 0 || (uint32_t)threads >= device->info.compute_units || !can_be_cut(device)) return;
    const cl_device_partition_property parts[] = {CL_DEVICE_PARTITION_BY_COUNTS, threads,
                                                  CL_DEVICE_PARTITION_BY_COUNTS_LIST_END, 0};
    cl_device_id part = NULL;
    if (clCreateSubDevices(device->id, parts, 1, &part, NULL) != CL_SUCCESS) return;
    device->id = device->part = part;
    device->info.compute_units = (uint32_t)threads;
}

pf_status pf_device_prepare(pf_device *device, const pf_device_options *options, cl_device_type type)
{
    cl_uint align_bits = 0;
    clGetDeviceInfo(device->id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof align_bits, &align_bits, NULL);
    device->alignment_bytes = align_bits / 8 > 256 ? align_bits / 8 : 256;
    const char *sync = getenv("PERFORMER_SYNC");
    device->wait_each = sync && strcmp(sync, "1") == 0;
    PF_TRY(pf_staging_create(&device->staging));
    pf_cache_open(device, options->cache_directory);
    PF_TRY(choose_shape(device, type));
    PF_TRY(pf_kernel_create(device, &(pf_program_key){.file = "probe"}, "zero", &device->zero));
    if (options->profile) PF_TRY(pf_profile_create(&device->profile)); // begins after the probe
    device->launches = device->allocations = device->waits = device->peak_bytes = 0;
    return PF_OK;
}

static pf_status open_candidate(const pf_candidate *candidate, const pf_device_options *options, pf_device **out)
{
    PF_CHECK(candidate->info.usable, PF_ERROR_DEVICE, "%s", candidate->info.reason);
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_device), "device"));
    pf_device *device = made;
    pf_status status;
    device->platform = candidate->platform;
    device->id = candidate->device;
    device->info = candidate->info;
    limit_threads(device, options->threads);
    PF_TRY_OR(failed, open_queue(device, options->profile));
    PF_TRY_OR(failed, pf_device_prepare(device, options, candidate->type));
    *out = device;
    return PF_OK;
failed:
    pf_device_close(device);
    return status;
}

pf_status pf_device_open(const pf_device_options *options, pf_device **out)
{
    static _Thread_local pf_candidate candidates[PF_MOST_DEVICES];
    int count = 0, order[PF_MOST_DEVICES], n_order = 0;
    char refused[1024] = "";
    const char *selector = options->selector ? options->selector : "auto";
    PF_TRY(pf_candidates_find(candidates, &count));
    PF_TRY(pf_candidates_order(candidates, count, selector, order, &n_order));
    for (int i = 0; i < n_order; i++) {
        const pf_candidate *c = &candidates[order[i]];
        const pf_status status = open_candidate(c, options, out);
        if (status == PF_OK) return PF_OK;
        const size_t used = strlen(refused);
        snprintf(refused + used, sizeof refused - used, "%s%s \"%.60s\": %.400s", used ? "; " : "", c->info.id,
                 c->info.name, pf_error_message());
    }
    return pf_fail(PF_ERROR_DEVICE, "no usable device: %s", refused);
}

void pf_device_close(pf_device *device)
{
    if (!device) return;
    if (device->queue) clFinish(device->queue); // what is on its way lies in `staging`
    pf_staging_free(device->staging);
    pf_profile_free(device->profile);
    pf_kernel_free(device->zero);
    pf_programs_free(device);
    if (device->queue) clReleaseCommandQueue(device->queue);
    if (device->context) clReleaseContext(device->context);
    if (device->part) clReleaseDevice(device->part);
    pf_free(device->directory);
    pf_free(device);
}
