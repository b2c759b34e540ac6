// The one way to run a kernel: typed arguments, checked sizes, the kernel's name in every error,
// and the profile. See device.h.
#include "device/opencl.h"

// Some drivers send nothing off until they are told to: the device shall begin while the host still enqueues.
enum { LAUNCHES_AT_ONCE = 16 };

pf_arg pf_arg_buffer(const pf_buffer *buffer)
{
    return (pf_arg){PF_ARG_BUFFER, {.buffer = buffer}};
}

pf_arg pf_arg_int(int32_t value)
{
    return (pf_arg){PF_ARG_INT, {.i = value}};
}

pf_arg pf_arg_uint(uint32_t value)
{
    return (pf_arg){PF_ARG_UINT, {.u = value}};
}

pf_arg pf_arg_float(float value)
{
    return (pf_arg){PF_ARG_FLOAT, {.f = value}};
}

pf_arg pf_arg_local(size_t bytes)
{
    return (pf_arg){PF_ARG_LOCAL, {.local_bytes = bytes}};
}

static pf_status set_argument(pf_kernel *kernel, int index, const pf_arg *arg)
{
    cl_int code = CL_SUCCESS;
    switch (arg->kind) {
    case PF_ARG_BUFFER: {
        cl_mem memory = arg->value.buffer ? arg->value.buffer->memory : NULL;
        code = clSetKernelArg(kernel->kernel, (cl_uint)index, sizeof memory, &memory);
        break;
    }
    case PF_ARG_INT: code = clSetKernelArg(kernel->kernel, (cl_uint)index, sizeof(cl_int), &arg->value.i); break;
    case PF_ARG_UINT: code = clSetKernelArg(kernel->kernel, (cl_uint)index, sizeof(cl_uint), &arg->value.u); break;
    case PF_ARG_FLOAT: code = clSetKernelArg(kernel->kernel, (cl_uint)index, sizeof(cl_float), &arg->value.f); break;
    case PF_ARG_LOCAL: code = clSetKernelArg(kernel->kernel, (cl_uint)index, arg->value.local_bytes, NULL); break;
    }
    if (code != CL_SUCCESS)
        return pf_context(pf_fail_opencl(kernel->device, "clSetKernelArg", code), "kernel %s, argument %d",
                          kernel->name, index);
    return PF_OK;
}

static pf_status check_local(const pf_kernel *kernel, const pf_arg *args, int n_args)
{
    size_t local = 0;
    for (int i = 0; i < n_args; i++)
        if (args[i].kind == PF_ARG_LOCAL) local += args[i].value.local_bytes;
    PF_CHECK(local <= kernel->device->info.local_bytes, PF_ERROR_DEVICE,
             "kernel %s: %zu bytes of local memory, \"%s\" has %llu", kernel->name, local, kernel->device->info.name,
             (unsigned long long)kernel->device->info.local_bytes);
    return PF_OK;
}

pf_status pf_launch(pf_kernel *kernel, pf_work work, const pf_arg *args, int n_args)
{
    pf_device *device = kernel->device;
    if (work.groups[0] == 0) return PF_OK;
    PF_TRY(check_local(kernel, args, n_args));
    for (int i = 0; i < n_args; i++) PF_TRY(set_argument(kernel, i, &args[i]));
    const size_t local[3] = {kernel->work_group, 1, 1};
    const size_t global[3] = {work.groups[0] * local[0], work.groups[1] ? work.groups[1] : 1,
                              work.groups[2] ? work.groups[2] : 1};
    cl_event event = NULL;
    const cl_int code = clEnqueueNDRangeKernel(device->queue, kernel->kernel, 3, NULL, global, local, 0, NULL,
                                               device->profile ? &event : NULL);
    if (code != CL_SUCCESS)
        return pf_context(pf_fail_opencl(device, "clEnqueueNDRangeKernel", code),
                          "kernel %s, %zu x %zu x %zu groups of %zu", kernel->name, work.groups[0], global[1], global[2],
                          local[0]);
    if (++device->launches % LAUNCHES_AT_ONCE == 0) clFlush(device->queue);
    if (device->profile) pf_profile_add(device->profile, kernel->name, work, event);
    if (device->wait_each) return pf_context(pf_device_sync(device), "kernel %s", kernel->name);
    return PF_OK;
}
