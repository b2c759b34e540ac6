// A device and buffers made of a caller's own OpenCL objects. See performer/opencl.h and borrow.h.
#include "device/borrow.h"

#include <stdio.h>

#include "base/memory.h"
#include "device/select.h"

static pf_status check_queue(cl_context context, cl_command_queue queue, const pf_device_options *options)
{
    cl_context home = NULL;
    cl_command_queue_properties properties = 0;
    PF_CHECK(context && queue, PF_ERROR_USAGE, "a device from OpenCL needs a context and a queue");
    cl_int code = clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof home, &home, NULL);
    if (code == CL_SUCCESS)
        code = clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof properties, &properties, NULL);
    PF_CHECK(code == CL_SUCCESS, PF_ERROR_USAGE, "the queue tells nothing of itself: %s",
             pf_opencl_error(code));
    PF_CHECK(home == context, PF_ERROR_USAGE, "the queue belongs to another context");
    PF_CHECK(!(properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE), PF_ERROR_USAGE,
             "the queue runs commands out of order; give one that keeps their order");
    PF_CHECK(!options->profile || (properties & CL_QUEUE_PROFILING_ENABLE), PF_ERROR_USAGE,
             "a profile needs a queue that was made with CL_QUEUE_PROFILING_ENABLE");
    PF_CHECK(!options->selector && options->threads == 0, PF_ERROR_USAGE,
             "the queue says which device it is; leave out the selector and the threads");
    return PF_OK;
}

// The device's facts: those of the list, or, for a part of a device, its own.
static pf_status describe_device(cl_device_id id, pf_candidate *out)
{
    static _Thread_local pf_candidate candidates[PF_MOST_DEVICES];
    int count = 0;
    PF_TRY(pf_candidates_find(candidates, &count));
    for (int i = 0; i < count; i++) {
        if (candidates[i].device != id) continue;
        *out = candidates[i];
        return PF_OK;
    }
    *out = (pf_candidate){.device = id};
    const cl_int code = clGetDeviceInfo(id, CL_DEVICE_PLATFORM, sizeof out->platform, &out->platform, NULL);
    PF_CHECK(code == CL_SUCCESS, PF_ERROR_DEVICE, "the queue's device has no platform: %s",
             pf_opencl_error(code));
    pf_candidate_describe(out);
    snprintf(out->info.id, sizeof out->info.id, "part");
    return PF_OK;
}

pf_status pf_device_from_opencl(cl_context context, cl_command_queue queue, const pf_device_options *given,
                                pf_device **out)
{
    const pf_device_options options = given ? *given : (pf_device_options){0};
    pf_candidate candidate;
    cl_device_id id = NULL;
    void *made = NULL;
    *out = NULL;
    PF_TRY(check_queue(context, queue, &options));
    const cl_int code = clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof id, &id, NULL);
    PF_CHECK(code == CL_SUCCESS, PF_ERROR_USAGE, "the queue has no device: %s", pf_opencl_error(code));
    PF_TRY(describe_device(id, &candidate));
    PF_CHECK(candidate.info.usable, PF_ERROR_DEVICE, "\"%s\": %s", candidate.info.name,
             candidate.info.reason);
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_device), "device"));
    pf_device *device = made;
    device->platform = candidate.platform;
    device->id = id;
    device->info = candidate.info;
    clRetainContext(context);
    device->context = context;
    clRetainCommandQueue(queue);
    device->queue = queue;
    const pf_status status = pf_device_prepare(device, &options, candidate.type);
    if (status == PF_OK)
        *out = device;
    else
        pf_device_close(device);
    return status;
}

cl_context pf_device_opencl_context(const pf_device *device)
{
    return device->context;
}

cl_command_queue pf_device_opencl_queue(const pf_device *device)
{
    return device->queue;
}

size_t pf_opencl_bytes(cl_mem memory)
{
    size_t bytes = 0;
    if (!memory || clGetMemObjectInfo(memory, CL_MEM_SIZE, sizeof bytes, &bytes, NULL) != CL_SUCCESS)
        return 0;
    return bytes;
}

pf_status pf_buffer_borrow(pf_device *device, cl_mem memory, size_t bytes, const char *name, pf_buffer **out)
{
    cl_context home = NULL;
    PF_CHECK(memory, PF_ERROR_USAGE, "%s: no buffer given", name);
    const cl_int code = clGetMemObjectInfo(memory, CL_MEM_CONTEXT, sizeof home, &home, NULL);
    PF_CHECK(code == CL_SUCCESS, PF_ERROR_USAGE, "%s: what was given is no buffer: %s", name,
             pf_opencl_error(code));
    PF_CHECK(home == device->context, PF_ERROR_USAGE,
             "%s: the buffer belongs to another context than the device", name);
    PF_CHECK(pf_opencl_bytes(memory) >= bytes, PF_ERROR_USAGE, "%s: a buffer of %zu bytes, %zu are needed",
             name, pf_opencl_bytes(memory), bytes);
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_buffer), "buffer"));
    pf_buffer *buffer = made;
    clRetainMemObject(memory);
    buffer->memory = memory;
    buffer->device = device;
    buffer->bytes = bytes;
    buffer->is_slice = true; // not the device's to count
    snprintf(buffer->name, sizeof buffer->name, "%s", name);
    *out = buffer;
    return PF_OK;
}
