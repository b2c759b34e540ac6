// Device memory with one owner. See device.h.
#include "device/opencl.h"

#include <stdio.h>

#include "base/memory.h"

static void note_created(pf_device *device, size_t bytes)
{
    device->allocations++;
    device->bytes += bytes;
    if (device->bytes > device->peak_bytes) device->peak_bytes = device->bytes;
}

pf_status pf_buffer_create(pf_device *device, size_t bytes, const char *name, pf_buffer **out)
{
    const size_t size = bytes ? bytes : 4; // OpenCL refuses empty buffers
    PF_CHECK(
        size <= device->info.largest_buffer_bytes, PF_ERROR_DEVICE,
        "%s: %zu bytes are more than \"%s\" gives in one buffer (%llu bytes); use a smaller batch or model",
        name, size, device->info.name, (unsigned long long)device->info.largest_buffer_bytes);
    // Drivers accept more than there is and fail later, at a launch: the sum is ours to check.
    PF_CHECK(size <= device->info.global_bytes && device->bytes <= device->info.global_bytes - size,
             PF_ERROR_DEVICE,
             "%s: %zu bytes more than the %llu in use do not fit the %llu bytes of \"%s\"; use a smaller "
             "batch or model",
             name, size, (unsigned long long)device->bytes, (unsigned long long)device->info.global_bytes,
             device->info.name);
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_buffer), "buffer"));
    pf_buffer *buffer = made;
    cl_int code;
    buffer->memory = clCreateBuffer(device->context, CL_MEM_READ_WRITE, size, NULL, &code);
    if (code != CL_SUCCESS) {
        pf_free(buffer);
        return pf_context(pf_fail_opencl(device, "clCreateBuffer", code), "%s (%zu bytes)", name, size);
    }
    buffer->device = device;
    buffer->bytes = bytes;
    snprintf(buffer->name, sizeof buffer->name, "%s", name);
    note_created(device, bytes);
    *out = buffer;
    return PF_OK;
}

pf_status pf_buffer_slice(pf_buffer *whole, size_t offset_bytes, size_t bytes, pf_buffer **out)
{
    pf_device *device = whole->device;
    PF_CHECK(offset_bytes <= whole->bytes && bytes <= whole->bytes - offset_bytes, PF_ERROR_USAGE,
             "%s: a slice of %zu bytes at %zu of %zu", whole->name, bytes, offset_bytes, whole->bytes);
    PF_CHECK(offset_bytes % device->alignment_bytes == 0, PF_ERROR_USAGE,
             "%s: slice at %zu, not a multiple of %zu", whole->name, offset_bytes, device->alignment_bytes);
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_buffer), "buffer"));
    pf_buffer *slice = made;
    cl_int code;
    const cl_buffer_region region = {offset_bytes, bytes};
    slice->memory =
        clCreateSubBuffer(whole->memory, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
    if (code != CL_SUCCESS) {
        pf_free(slice);
        return pf_context(pf_fail_opencl(device, "clCreateSubBuffer", code), "%s", whole->name);
    }
    slice->device = device;
    slice->bytes = bytes;
    slice->is_slice = true;
    snprintf(slice->name, sizeof slice->name, "%s", whole->name);
    *out = slice;
    return PF_OK;
}

void pf_buffer_free(pf_buffer *buffer)
{
    if (!buffer) return;
    clReleaseMemObject(buffer->memory);
    if (!buffer->is_slice) buffer->device->bytes -= buffer->bytes;
    pf_free(buffer);
}

size_t pf_buffer_bytes(const pf_buffer *buffer)
{
    return buffer->bytes;
}

static pf_status check_range(const pf_buffer *buffer, size_t offset_bytes, size_t bytes)
{
    PF_CHECK(offset_bytes <= buffer->bytes && bytes <= buffer->bytes - offset_bytes, PF_ERROR_USAGE,
             "%s: %zu bytes at %zu of a buffer of %zu", buffer->name, bytes, offset_bytes, buffer->bytes);
    return PF_OK;
}

// Where a command's event goes: nowhere without a profile.
static cl_event *wanted_event(const pf_buffer *buffer, cl_event *event)
{
    return buffer->device->profile ? event : NULL;
}

// Names in parentheses: these are the driver's own, no kernels of ours.
static void note_command(const pf_buffer *buffer, const char *what, double bytes, cl_event event)
{
    if (event) pf_profile_add(buffer->device->profile, what, (pf_work){.bytes = bytes}, event);
}

pf_status pf_buffer_write(pf_buffer *buffer, size_t offset_bytes, const void *data, size_t bytes)
{
    PF_TRY(check_range(buffer, offset_bytes, bytes));
    if (bytes == 0) return PF_OK;
    cl_event event = NULL;
    const cl_int code = pf_staging_write(buffer, offset_bytes, data, bytes, wanted_event(buffer, &event));
    if (code != CL_SUCCESS)
        return pf_context(pf_fail_opencl(buffer->device, "clEnqueueWriteBuffer", code), "%s", buffer->name);
    note_command(buffer, "(upload)", (double)bytes, event);
    return PF_OK;
}

pf_status pf_buffer_read(const pf_buffer *buffer, size_t offset_bytes, void *data, size_t bytes)
{
    PF_TRY(check_range(buffer, offset_bytes, bytes));
    if (bytes == 0) return PF_OK;
    buffer->device->waits++;
    cl_event event = NULL;
    const cl_int code = clEnqueueReadBuffer(buffer->device->queue, buffer->memory, CL_TRUE, offset_bytes,
                                            bytes, data, 0, NULL, wanted_event(buffer, &event));
    if (code != CL_SUCCESS)
        return pf_context(pf_fail_opencl(buffer->device, "clEnqueueReadBuffer", code), "%s", buffer->name);
    note_command(buffer, "(download)", (double)bytes, event);
    return PF_OK;
}

// Some drivers fill a buffer with one thread, number by number: what is large enough for it to matter is a
// launch.
static const size_t small_bytes = 64 << 10;

static pf_status launch_zero(pf_buffer *buffer, size_t offset_bytes, size_t bytes)
{
    static const uint32_t each = 16 << 10;
    const uint32_t first = (uint32_t)(offset_bytes / sizeof(float)),
                   count = (uint32_t)(bytes / sizeof(float));
    return pf_launch(
        buffer->device->zero,
        (pf_work){.groups = {count / each + (count % each != 0)}, .bytes = (double)bytes},
        PF_ARGS(pf_arg_buffer(buffer), pf_arg_uint(first), pf_arg_uint(count), pf_arg_uint(each)));
}

pf_status pf_buffer_zero(pf_buffer *buffer, size_t offset_bytes, size_t bytes)
{
    PF_TRY(check_range(buffer, offset_bytes, bytes));
    if (bytes == 0) return PF_OK;
    if (bytes >= small_bytes && (offset_bytes + bytes) / sizeof(float) <= UINT32_MAX)
        return launch_zero(buffer, offset_bytes, bytes);
    const cl_uint zero = 0;
    cl_event event = NULL;
    const cl_int code = clEnqueueFillBuffer(buffer->device->queue, buffer->memory, &zero, sizeof zero,
                                            offset_bytes, bytes, 0, NULL, wanted_event(buffer, &event));
    if (code != CL_SUCCESS)
        return pf_context(pf_fail_opencl(buffer->device, "clEnqueueFillBuffer", code), "%s", buffer->name);
    note_command(buffer, "(fill)", (double)bytes, event);
    return PF_OK;
}

pf_status pf_buffer_copy(pf_buffer *to, size_t to_bytes, const pf_buffer *from, size_t from_bytes,
                         size_t bytes)
{
    PF_TRY(check_range(to, to_bytes, bytes));
    PF_TRY(check_range(from, from_bytes, bytes));
    if (bytes == 0) return PF_OK;
    cl_event event = NULL;
    const cl_int code = clEnqueueCopyBuffer(to->device->queue, from->memory, to->memory, from_bytes, to_bytes,
                                            bytes, 0, NULL, wanted_event(to, &event));
    if (code != CL_SUCCESS)
        return pf_context(pf_fail_opencl(to->device, "clEnqueueCopyBuffer", code), "%s", to->name);
    note_command(to, "(copy)", 2 * (double)bytes, event);
    return PF_OK;
}

static pf_status check_rows(pf_buffer_rows at, size_t width_bytes, size_t rows)
{
    PF_CHECK(width_bytes <= at.stride_bytes, PF_ERROR_USAGE, "%s: rows of %zu bytes, %zu apart",
             at.buffer->name, width_bytes, at.stride_bytes);
    return check_range(at.buffer, at.first_bytes, (rows - 1) * at.stride_bytes + width_bytes);
}

pf_status pf_buffer_copy_rows(pf_buffer_rows to, pf_buffer_rows from, size_t width_bytes, size_t rows)
{
    if (width_bytes == 0 || rows == 0) return PF_OK;
    PF_TRY(check_rows(to, width_bytes, rows));
    PF_TRY(check_rows(from, width_bytes, rows));
    const pf_buffer *target = to.buffer;
    const size_t to_origin[] = {to.first_bytes % to.stride_bytes, to.first_bytes / to.stride_bytes, 0};
    const size_t from_origin[] = {from.first_bytes % from.stride_bytes, from.first_bytes / from.stride_bytes,
                                  0};
    const size_t region[] = {width_bytes, rows, 1};
    cl_event event = NULL;
    const cl_int code = clEnqueueCopyBufferRect(target->device->queue, from.buffer->memory, target->memory,
                                                from_origin, to_origin, region, from.stride_bytes, 0,
                                                to.stride_bytes, 0, 0, NULL, wanted_event(target, &event));
    if (code != CL_SUCCESS)
        return pf_context(pf_fail_opencl(target->device, "clEnqueueCopyBufferRect", code), "%s",
                          target->name);
    note_command(target, "(copy)", 2 * (double)width_bytes * (double)rows, event);
    return PF_OK;
}
