// Kernels out of the embedded texts: one compiled program per (file, constants), kept by the device.
// See device.h.
#include "device/opencl.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "device/cache.h"

struct pf_program {
    pf_program *next;
    cl_program program;
    char *key; // file and options
};

static const pf_source *find_source(const char *file)
{
    for (int i = 0; i < pf_n_sources; i++)
        if (strcmp(pf_sources[i].file, file) == 0) return &pf_sources[i];
    return NULL;
}

static pf_status write_options(const pf_device *device, const pf_program_key *key, pf_text *out)
{
    const pf_shape shape = key->shape.work_group ? key->shape : device->shape;
    PF_TRY(pf_text_add(out, "-cl-std=CL1.2 -DWG=%d -DVEC=%d", shape.work_group, shape.vector));
    for (int i = 0; i < key->n_defines; i++)
        PF_TRY(pf_text_add(out, " -D%s=%ld", key->defines[i].name, key->defines[i].value));
    // Oclgrind cannot run what LLVM makes of `restrict` in a helper once that is inlined.
    if (strcmp(device->info.platform, "Oclgrind") == 0) PF_TRY(pf_text_add(out, " -Drestrict="));
    return PF_OK;
}

// The head of the compiler's log, on one line.
static pf_status fail_build(const pf_device *device, cl_program program, const char *key, cl_int code)
{
    static const size_t shown = 700;
    char log[4096] = "";
    size_t bytes = 0;
    clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes);
    void *all = NULL;
    if (bytes && pf_alloc(&all, bytes + 1, 1, "build log") == PF_OK) {
        clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, bytes, all, NULL);
        snprintf(log, sizeof log, "%s", (const char *)all);
        pf_free(all);
    }
    for (char *c = log; *c; c++)
        if (*c == '\n' || *c == '\t' || *c == '\r') *c = ' ';
    log[shown] = '\0';
    return pf_fail(PF_ERROR_DEVICE, "cl/%s: %s on \"%s\"; the compiler says: %s", key, pf_opencl_error(code),
                   device->info.name, log[0] ? log : "nothing");
}

static pf_status build_from_source(pf_device *device, const pf_source *source, const char *options, cl_program *out)
{
    const char *text = (const char *)source->text;
    cl_int code;
    cl_program program = clCreateProgramWithSource(device->context, 1, &text, &source->bytes, &code);
    if (code != CL_SUCCESS) return pf_fail_opencl(device, "clCreateProgramWithSource", code);
    code = clBuildProgram(program, 1, &device->id, options, NULL, NULL);
    // PoCL's own cache is not safe between processes: a build that failed may pass at once.
    if (code == CL_BUILD_PROGRAM_FAILURE) code = clBuildProgram(program, 1, &device->id, options, NULL, NULL);
    if (code != CL_SUCCESS) {
        char key[600];
        snprintf(key, sizeof key, "%s.cl (%s)", source->file, options);
        const pf_status status = fail_build(device, program, key, code);
        clReleaseProgram(program);
        return status;
    }
    *out = program;
    return PF_OK;
}

static pf_status add_program(pf_device *device, const pf_source *source, const char *options, const char *key,
                             cl_program *out)
{
    pf_status status;
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_program), "program"));
    pf_program *entry = made;
    PF_TRY_OR(failed, pf_copy_text(&entry->key, key));
    if (!pf_cache_load(device, source, options, &entry->program)) {
        PF_TRY_OR(failed, build_from_source(device, source, options, &entry->program));
        pf_cache_store(device, source, options, entry->program);
    }
    entry->next = device->programs;
    device->programs = entry;
    *out = entry->program;
    return PF_OK;
failed:
    pf_free(entry->key);
    pf_free(entry);
    return status;
}

pf_status pf_program_get(pf_device *device, const pf_program_key *key, cl_program *out)
{
    const pf_source *source = find_source(key->file);
    PF_CHECK(source, PF_ERROR_DEVICE, "no kernel file cl/%s.cl in this build", key->file);
    pf_text options = {0}, name = {0};
    pf_status status;
    PF_TRY_OR(done, write_options(device, key, &options));
    PF_TRY_OR(done, pf_text_add(&name, "%s.cl %s", key->file, options.data));
    for (const pf_program *p = device->programs; p; p = p->next)
        if (strcmp(p->key, name.data) == 0) {
            *out = p->program;
            goto done;
        }
    PF_TRY_OR(done, add_program(device, source, options.data, name.data, out));
done:
    pf_text_free(&options);
    pf_text_free(&name);
    return status;
}

void pf_programs_free(pf_device *device)
{
    while (device->programs) {
        pf_program *next = device->programs->next;
        clReleaseProgram(device->programs->program);
        pf_free(device->programs->key);
        pf_free(device->programs);
        device->programs = next;
    }
}

// What the driver made of the kernel: fewer work-items than asked for is better learned now. But one runtime tells its
// preferred multiple here (32) and runs the 64 that the kernel requires: what it took as required counts too.
static pf_status check_work_group(pf_kernel *kernel)
{
    const cl_device_id id = kernel->device->id;
    size_t most = 0, required[3] = {0};
    const cl_int code = clGetKernelWorkGroupInfo(kernel->kernel, id, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most, NULL);
    if (code != CL_SUCCESS) return pf_fail_opencl(kernel->device, "clGetKernelWorkGroupInfo", code);
    if (most >= kernel->work_group) return PF_OK;
    clGetKernelWorkGroupInfo(kernel->kernel, id, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof required, required, NULL);
    PF_CHECK(required[0] == kernel->work_group && kernel->device->info.largest_work_group >= kernel->work_group,
             PF_ERROR_DEVICE, "kernel %s: groups of %zu, \"%s\" takes at most %zu", kernel->name, kernel->work_group,
             kernel->device->info.name, most);
    return PF_OK;
}

pf_status pf_kernel_create(pf_device *device, const pf_program_key *program, const char *name, pf_kernel **out)
{
    cl_program compiled = NULL;
    PF_TRY(pf_program_get(device, program, &compiled));
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_kernel), "kernel"));
    pf_kernel *kernel = made;
    kernel->device = device;
    kernel->work_group = (size_t)(program->shape.work_group ? program->shape.work_group : device->shape.work_group);
    snprintf(kernel->name, sizeof kernel->name, "%s", name);
    cl_int code;
    pf_status status = PF_OK;
    kernel->kernel = clCreateKernel(compiled, name, &code);
    if (code != CL_SUCCESS)
        status = pf_context(pf_fail_opencl(device, "clCreateKernel", code), "kernel %s of cl/%s.cl", name, program->file);
    if (status == PF_OK) status = check_work_group(kernel);
    if (status != PF_OK) {
        pf_kernel_free(kernel);
        return status;
    }
    *out = kernel;
    return PF_OK;
}

void pf_kernel_free(pf_kernel *kernel)
{
    if (!kernel) return;
    if (kernel->kernel) clReleaseKernel(kernel->kernel);
    pf_free(kernel);
}

void pf_kernel_label(pf_kernel *kernel, const char *label)
{
    const size_t used = strlen(kernel->name);
    snprintf(kernel->name + used, sizeof kernel->name - used, " %s", label);
}
