// The device that only notes what is asked of it. See recorder.h.
#include "compile/recorder.h"

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PROGRAMS = 4096, MOST_KERNELS = 16384, MOST_ARGUMENTS = 64, WORK_GROUP = 1024, LOCAL = 48 << 10 };
enum { MOST_GROUPS = 65535 }; // in dimensions 1 and 2, where the hardware counts in 16 bits

struct _cl_mem {
    char *data;
    struct _cl_mem *whole; // of a sub-buffer
};

struct _cl_program {
    char *text, *options;
};

struct _cl_kernel {
    cl_program program;
    char name[64];
    bool is_set[MOST_ARGUMENTS];
    cl_mem first; // argument 0, for the probe
    int second;   // argument 1
};

static struct _cl_platform_id {
    int number;
} platform;
static struct _cl_device_id {
    int number;
} device;
static struct _cl_context {
    int number;
} context;
static struct _cl_command_queue {
    int number;
} queue;

static cl_program programs[MOST_PROGRAMS];
static struct _cl_kernel *kernels[MOST_KERNELS];
static int n_programs, n_kernels, refusals;

static cl_int refuse(cl_int code, const char *what, const char *who)
{
    fprintf(stderr, "refused: %s: %.300s\n", what, who);
    refusals++;
    return code;
}

int recorder_refusals(void)
{
    return refusals;
}

// ---- what there is ----

// Functions of OpenCL have as many parameters as they have: these hide them from those who count.
#define CALL(name, parameters) cl_int name parameters
#define CREATE(type, name, parameters) type name parameters
#define CHARACTERS(text) return give(text, sizeof(text), room, value, size)
#define NUMBER(type, number)                                                                                 \
    do {                                                                                                     \
        const type n = (number);                                                                             \
        return give(&n, sizeof n, room, value, size);                                                        \
    } while (0)

static cl_int give(const void *from, size_t bytes, size_t room, void *value, size_t *size)
{
    if (size) *size = bytes;
    if (value && room < bytes) return CL_INVALID_VALUE;
    if (value) memcpy(value, from, bytes);
    return CL_SUCCESS;
}

CALL(clGetPlatformIDs, (cl_uint n, cl_platform_id *ids, cl_uint *count))
{
    if (ids && n) ids[0] = &platform;
    if (count) *count = 1;
    return CL_SUCCESS;
}

CALL(clGetPlatformInfo, (cl_platform_id p, cl_platform_info what, size_t room, void *value, size_t *size))
{
    (void)p;
    if (what == CL_PLATFORM_VERSION) CHARACTERS("OpenCL 3.0 CUDA 12.4.0");
    CHARACTERS("recorder");
}

CALL(clGetDeviceIDs, (cl_platform_id p, cl_device_type type, cl_uint n, cl_device_id *ids, cl_uint *count))
{
    (void)p, (void)type;
    if (ids && n) ids[0] = &device;
    if (count) *count = 1;
    return CL_SUCCESS;
}

CALL(clGetDeviceInfo, (cl_device_id d, cl_device_info what, size_t room, void *value, size_t *size))
{
    (void)d;
    switch (what) {
    case CL_DEVICE_TYPE: NUMBER(cl_device_type, CL_DEVICE_TYPE_GPU);
    case CL_DEVICE_VERSION: CHARACTERS("OpenCL 3.0 CUDA");
    case CL_DEVICE_AVAILABLE:
    case CL_DEVICE_COMPILER_AVAILABLE:
    case CL_DEVICE_ENDIAN_LITTLE: NUMBER(cl_bool, CL_TRUE);
    case CL_DEVICE_MAX_COMPUTE_UNITS: NUMBER(cl_uint, 132);
    case CL_DEVICE_GLOBAL_MEM_SIZE: NUMBER(cl_ulong, (cl_ulong)80 << 30);
    case CL_DEVICE_MAX_MEM_ALLOC_SIZE: NUMBER(cl_ulong, (cl_ulong)20 << 30);
    case CL_DEVICE_LOCAL_MEM_SIZE: NUMBER(cl_ulong, LOCAL);
    case CL_DEVICE_MAX_WORK_GROUP_SIZE: NUMBER(size_t, WORK_GROUP);
    case CL_DEVICE_MEM_BASE_ADDR_ALIGN: NUMBER(cl_uint, 4096);
    case CL_DEVICE_NAME:
    case CL_DRIVER_VERSION:
        CHARACTERS("recorder");
    default: NUMBER(cl_uint, 0);
    }
}

CREATE(cl_context, clCreateContext,
       (const cl_context_properties *p, cl_uint n, const cl_device_id *ids,
        void(CL_CALLBACK *f)(const char *, const void *, size_t, void *), void *user, cl_int *error))
{
    (void)p, (void)n, (void)ids, (void)f, (void)user;
    *error = CL_SUCCESS;
    return &context;
}

CREATE(cl_command_queue, clCreateCommandQueue,
       (cl_context c, cl_device_id d, cl_command_queue_properties p, cl_int *error))
{
    (void)c, (void)d, (void)p;
    *error = CL_SUCCESS;
    return &queue;
}

// ---- memory ----

CREATE(cl_mem, clCreateBuffer, (cl_context c, cl_mem_flags flags, size_t bytes, void *host, cl_int *error))
{
    (void)c, (void)flags, (void)host;
    cl_mem made = calloc(1, sizeof *made);
    made->data = calloc(1, bytes);
    *error = CL_SUCCESS;
    if (bytes == 0) *error = refuse(CL_INVALID_BUFFER_SIZE, "clCreateBuffer", "no bytes");
    return made;
}

CREATE(cl_mem, clCreateSubBuffer,
       (cl_mem b, cl_mem_flags flags, cl_buffer_create_type type, const void *info, cl_int *error))
{
    (void)flags, (void)type;
    const cl_buffer_region *region = info;
    cl_mem made = calloc(1, sizeof *made);
    made->whole = b;
    made->data = b->data + region->origin;
    *error = CL_SUCCESS;
    if (region->size == 0) *error = refuse(CL_INVALID_BUFFER_SIZE, "clCreateSubBuffer", "no bytes");
    if (region->origin % 512)
        *error = refuse(CL_MISALIGNED_SUB_BUFFER_OFFSET, "clCreateSubBuffer", "misaligned");
    return made;
}

CALL(clReleaseMemObject, (cl_mem b))
{
    if (!b->whole) free(b->data);
    free(b);
    return CL_SUCCESS;
}

#define AFTER cl_uint n, const cl_event *after, cl_event *event

static cl_int done(cl_event *event)
{
    if (event) *event = NULL;
    return CL_SUCCESS;
}

CALL(clEnqueueReadBuffer,
     (cl_command_queue q, cl_mem b, cl_bool wait, size_t at, size_t bytes, void *to, AFTER))
{
    (void)q, (void)wait, (void)n, (void)after;
    memcpy(to, b->data + at, bytes);
    return done(event);
}

CALL(clEnqueueWriteBuffer,
     (cl_command_queue q, cl_mem b, cl_bool wait, size_t at, size_t bytes, const void *from, AFTER))
{
    (void)q, (void)wait, (void)n, (void)after;
    memcpy(b->data + at, from, bytes);
    return done(event);
}

CALL(clEnqueueFillBuffer,
     (cl_command_queue q, cl_mem b, const void *pattern, size_t size, size_t at, size_t bytes, AFTER))
{
    (void)q, (void)pattern, (void)n, (void)after;
    if (at % size || bytes % size)
        return refuse(CL_INVALID_VALUE, "clEnqueueFillBuffer", "no whole patterns");
    memset(b->data + at, 0, bytes);
    return done(event);
}

CALL(clEnqueueCopyBuffer,
     (cl_command_queue q, cl_mem a, cl_mem b, size_t from, size_t to, size_t bytes, AFTER))
{
    (void)q, (void)n, (void)after;
    memmove(b->data + to, a->data + from, bytes);
    return done(event);
}

CALL(clEnqueueCopyBufferRect,
     (cl_command_queue q, cl_mem a, cl_mem b, const size_t *from, const size_t *to, const size_t *region,
      size_t a_row, size_t a_slice, size_t b_row, size_t b_slice, AFTER))
{
    (void)q, (void)n, (void)after, (void)a, (void)b, (void)from, (void)to, (void)a_slice, (void)b_slice;
    if (a_row < region[0] || b_row < region[0])
        return refuse(CL_INVALID_VALUE, "clEnqueueCopyBufferRect", "rows overlap");
    return done(event);
}

// ---- programs and kernels ----

// The options that every OpenCL 1.2 compiler knows.
static bool knows(const char *option, size_t length)
{
    static const char *const known[] = {"-D", "-I", "-cl-std=CL1.", "-cl-mad-enable",
                                        "-cl-single-precision-constant"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (length >= strlen(known[i]) && strncmp(option, known[i], strlen(known[i])) == 0) return true;
    return false;
}

CREATE(cl_program, clCreateProgramWithSource,
       (cl_context c, cl_uint n, const char **text, const size_t *bytes, cl_int *error))
{
    (void)c, (void)n;
    cl_program made = calloc(1, sizeof *made);
    made->text = strndup(text[0], bytes[0]);
    if (n_programs < MOST_PROGRAMS) programs[n_programs++] = made;
    *error = CL_SUCCESS;
    return made;
}

CREATE(cl_program, clCreateProgramWithBinary,
       (cl_context c, cl_uint n, const cl_device_id *ids, const size_t *bytes, const unsigned char **binary,
        cl_int *status, cl_int *error))
{
    (void)c, (void)n, (void)ids, (void)bytes, (void)binary, (void)status;
    *error = CL_INVALID_BINARY;
    return NULL;
}

CALL(clBuildProgram, (cl_program p, cl_uint n, const cl_device_id *ids, const char *options,
                      void(CL_CALLBACK *f)(cl_program, void *), void *user))
{
    (void)n, (void)ids, (void)f, (void)user;
    p->options = strdup(options);
    for (const char *option = options; *option;) {
        const size_t length = strcspn(option, " ");
        if (length && !knows(option, length))
            return refuse(CL_INVALID_BUILD_OPTIONS, "clBuildProgram", option);
        option += length + (option[length] == ' ');
    }
    return CL_SUCCESS;
}

CALL(clGetProgramBuildInfo,
     (cl_program p, cl_device_id d, cl_program_build_info what, size_t room, void *value, size_t *size))
{
    (void)p, (void)d, (void)what;
    CHARACTERS("");
}

CALL(clGetProgramInfo, (cl_program p, cl_program_info what, size_t room, void *value, size_t *size))
{
    (void)p, (void)what, (void)room, (void)value, (void)size;
    return CL_INVALID_VALUE;
}

CREATE(cl_kernel, clCreateKernel, (cl_program p, const char *name, cl_int *error))
{
    cl_kernel made = calloc(1, sizeof *made);
    made->program = p;
    snprintf(made->name, sizeof made->name, "%s", name);
    if (n_kernels < MOST_KERNELS) kernels[n_kernels++] = made;
    *error = CL_SUCCESS;
    return made;
}

// The work-group size that a program was built for.
static size_t work_group(cl_kernel kernel)
{
    const char *at = strstr(kernel->program->options, "-DWG=");
    return at ? strtoul(at + 5, NULL, 10) : 0;
}

CALL(clGetKernelWorkGroupInfo,
     (cl_kernel k, cl_device_id d, cl_kernel_work_group_info what, size_t room, void *value, size_t *size))
{
    (void)d;
    if (what == CL_KERNEL_WORK_GROUP_SIZE) NUMBER(size_t, work_group(k));
    if (what == CL_KERNEL_LOCAL_MEM_SIZE) NUMBER(cl_ulong, 0);
    const size_t sizes[3] = {work_group(k), 1, 1};
    return give(sizes, sizeof sizes, room, value, size);
}

CALL(clSetKernelArg, (cl_kernel k, cl_uint i, size_t bytes, const void *value))
{
    if (i >= MOST_ARGUMENTS || bytes == 0) return refuse(CL_INVALID_ARG_INDEX, "clSetKernelArg", k->name);
    k->is_set[i] = true;
    if (i == 0 && value && bytes == sizeof k->first) memcpy(&k->first, value, bytes);
    if (i == 1 && value && bytes == sizeof k->second) memcpy(&k->second, value, bytes);
    return CL_SUCCESS;
}

// The known answer that a device is asked before it is trusted (cl/probe.cl).
static void answer_probe(cl_kernel kernel, size_t items)
{
    uint32_t *answers = (uint32_t *)(void *)kernel->first->data;
    for (uint32_t i = 0; i < items; i++) {
        answers[i] = i + 1;
        for (int k = 0; k < kernel->second; k++) answers[i] = answers[i] * 1664525u + 1013904223u;
    }
}

CALL(clEnqueueNDRangeKernel, (cl_command_queue q, cl_kernel k, cl_uint dimensions, const size_t *offset,
                              const size_t *global, const size_t *local, AFTER))
{
    (void)q, (void)offset, (void)n, (void)after;
    if (local[0] != work_group(k) || local[0] > WORK_GROUP)
        return refuse(CL_INVALID_WORK_GROUP_SIZE, "clEnqueueNDRangeKernel", k->name);
    for (cl_uint i = 0; i < dimensions; i++)
        if (global[i] == 0 || global[i] % local[i] || (i && global[i] / local[i] > MOST_GROUPS))
            return refuse(CL_INVALID_GLOBAL_WORK_SIZE, "clEnqueueNDRangeKernel", k->name);
    if (strcmp(k->name, "probe") == 0) answer_probe(k, global[0]);
    return done(event);
}

// ---- the rest: nothing to do ----

CALL(clFinish, (cl_command_queue q)) { return q ? CL_SUCCESS : CL_INVALID_COMMAND_QUEUE; }
CALL(clFlush, (cl_command_queue q)) { return q ? CL_SUCCESS : CL_INVALID_COMMAND_QUEUE; }
CALL(clReleaseKernel, (cl_kernel k)) { return k ? CL_SUCCESS : CL_INVALID_KERNEL; }
CALL(clReleaseProgram, (cl_program p)) { return p ? CL_SUCCESS : CL_INVALID_PROGRAM; }
CALL(clReleaseCommandQueue, (cl_command_queue q)) { return q ? CL_SUCCESS : CL_INVALID_COMMAND_QUEUE; }
CALL(clReleaseContext, (cl_context c)) { return c ? CL_SUCCESS : CL_INVALID_CONTEXT; }

// ---- what was built ----

// The name that a flattened text begins with: #line 1 "FILE".
static bool file_name(const char *text, char out[64])
{
    return sscanf(text, "#line 1 \"%63[^\"/]\"", out) == 1;
}

static bool write_text(const char *folder, const char *name, const char *text)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (!file) return false;
    fputs(text, file);
    return fclose(file) == 0;
}

static bool is_known(int before, cl_kernel kernel)
{
    for (int i = 0; i < before; i++)
        if (strcmp(kernels[i]->name, kernel->name) == 0 &&
            strcmp(kernels[i]->program->text, kernel->program->text) == 0 &&
            strcmp(kernels[i]->program->options, kernel->program->options) == 0)
            return true;
    return false;
}

bool recorder_write(const char *folder)
{
    char name[64];
    for (int i = 0; i < n_programs; i++)
        if (!file_name(programs[i]->text, name) || !write_text(folder, name, programs[i]->text)) return false;
    for (int i = 0; i < n_kernels; i++) {
        if (is_known(i, kernels[i]) || !file_name(kernels[i]->program->text, name)) continue;
        printf("%s\t%s\t%s\n", name, kernels[i]->program->options, kernels[i]->name);
    }
    return fflush(stdout) == 0;
}
