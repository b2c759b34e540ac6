// Preloaded into the program (LD_PRELOAD), makes one of its calls fail: the N-th to OpenCL, or the N-th that changes a
// file. For tests/tools/test_faults.py; what a driver or a file system does to the program, at a place of our choice.
//
//   FAULT_KIND   opencl | file | kill: the process dies where the file's call would be
//   FAULT_AT     which call, from 1; 0: none
//   FAULT_CODE   what it fails with: an OpenCL error, or an errno; `short`: write() takes half
//   FAULT_BELOW  files: only those in this folder (drivers have files of their own)
//   FAULT_LOG    the names of the calls, a line each, written at exit
#undef _FILE_OFFSET_BITS // both names of open() and its like are defined here
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_CALLS = 1 << 16 };

static const char *calls[MOST_CALLS];
static atomic_int n_calls;

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

// Counts the call; whether it is the one that fails.
static bool is_due(const char *kind, const char *name)
{
    const bool kills = strcmp(setting("FAULT_KIND"), "kill") == 0 && strcmp(kind, "file") == 0;
    if (!kills && strcmp(setting("FAULT_KIND"), kind) != 0) return false;
    const int n = atomic_fetch_add(&n_calls, 1);
    if (n < MOST_CALLS) calls[n] = name;
    if (kills && n + 1 == atoi(setting("FAULT_AT"))) kill(getpid(), SIGKILL);
    return n + 1 == atoi(setting("FAULT_AT"));
}

__attribute__((destructor)) static void write_log(void)
{
    FILE *log = *setting("FAULT_LOG") ? fopen(setting("FAULT_LOG"), "w") : NULL;
    for (int i = 0; log && i < n_calls && i < MOST_CALLS; i++) fprintf(log, "%s\n", calls[i]);
    if (log) fclose(log);
}

static void *next(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (function) return function;
    fprintf(stderr, "faults: %s is nowhere\n", name);
    abort();
}

// --- OpenCL -------------------------------------------------------------------------------------

static cl_int opencl_error(void)
{
    return atoi(setting("FAULT_CODE"));
}

#define CALL(name, parameters, ...)                                \
    cl_int name parameters                                         \
    {                                                              \
        cl_int(*real) parameters;                                  \
        *(void **)&real = next(#name);                             \
        return is_due("opencl", #name) ? opencl_error() : real(__VA_ARGS__); \
    }

#define CREATE(type, name, parameters, ...)      \
    type name parameters                         \
    {                                            \
        type(*real) parameters;                  \
        *(void **)&real = next(#name);           \
        if (!is_due("opencl", #name)) return real(__VA_ARGS__); \
        if (error) *error = opencl_error();      \
        return NULL;                             \
    }

typedef void(CL_CALLBACK *context_callback)(const char *, const void *, size_t, void *);
typedef void(CL_CALLBACK *program_callback)(cl_program, void *);

#define EACH_CALL(CALL, CREATE) \
    CALL(clGetPlatformIDs, (cl_uint n, cl_platform_id *ids, cl_uint *count), n, ids, count) \
    CALL(clGetDeviceIDs, (cl_platform_id p, cl_device_type type, cl_uint n, cl_device_id *ids, cl_uint *count), \
        p, type, n, ids, count) \
    CALL(clGetDeviceInfo, (cl_device_id d, cl_device_info what, size_t room, void *value, size_t *size), d, \
        what, room, value, size) \
    CREATE(cl_context, clCreateContext, (const cl_context_properties *p, cl_uint n, const cl_device_id *ids, \
        context_callback f, void *user, cl_int *error), p, n, ids, f, user, error) \
    CREATE(cl_command_queue, clCreateCommandQueue, (cl_context c, cl_device_id d, cl_command_queue_properties p, \
        cl_int *error), c, d, p, error) \
    CREATE(cl_mem, clCreateBuffer, (cl_context c, cl_mem_flags flags, size_t size, void *host, cl_int *error), \
        c, flags, size, host, error) \
    CREATE(cl_mem, clCreateSubBuffer, (cl_mem b, cl_mem_flags flags, cl_buffer_create_type type, const void \
        *info, cl_int *error), b, flags, type, info, error) \
    CREATE(cl_program, clCreateProgramWithSource, (cl_context c, cl_uint n, const char **text, const size_t \
        *size, cl_int *error), c, n, text, size, error) \
    CALL(clBuildProgram, (cl_program p, cl_uint n, const cl_device_id *ids, const char *options, \
        program_callback f, void *user), p, n, ids, options, f, user) \
    CREATE(cl_kernel, clCreateKernel, (cl_program p, const char *name, cl_int *error), p, name, error) \
    CALL(clGetKernelWorkGroupInfo, (cl_kernel k, cl_device_id d, cl_kernel_work_group_info what, size_t room, \
        void *value, size_t *size), k, d, what, room, value, size) \
    CALL(clSetKernelArg, (cl_kernel k, cl_uint i, size_t size, const void *value), k, i, size, value) \
    CALL(clEnqueueNDRangeKernel, (cl_command_queue q, cl_kernel k, cl_uint dimensions, const size_t *offset, \
        const size_t *global, const size_t *local, cl_uint n, const cl_event *after, cl_event *event), q, k, \
        dimensions, offset, global, local, n, after, event) \
    CALL(clEnqueueReadBuffer, (cl_command_queue q, cl_mem b, cl_bool wait, size_t at, size_t size, void *to, \
        cl_uint n, const cl_event *after, cl_event *event), q, b, wait, at, size, to, n, after, event) \
    CALL(clEnqueueWriteBuffer, (cl_command_queue q, cl_mem b, cl_bool wait, size_t at, size_t size, const void \
        *from, cl_uint n, const cl_event *after, cl_event *event), q, b, wait, at, size, from, n, after, event) \
    CALL(clEnqueueFillBuffer, (cl_command_queue q, cl_mem b, const void *pattern, size_t pattern_size, size_t \
        at, size_t size, cl_uint n, const cl_event *after, cl_event *event), q, b, pattern, pattern_size, at, size, \
        n, after, event) \
    CALL(clEnqueueCopyBuffer, (cl_command_queue q, cl_mem a, cl_mem b, size_t from, size_t to, size_t size, \
        cl_uint n, const cl_event *after, cl_event *event), q, a, b, from, to, size, n, after, event) \
    CALL(clFinish, (cl_command_queue q), q)
EACH_CALL(CALL, CREATE)

// --- files --------------------------------------------------------------------------------------

// `path`, or the file of a descriptor, lies in the folder, and the call is the one that fails: with errno set.
static bool path_fails(const char *name, const char *path)
{
    const char *below = setting("FAULT_BELOW");
    if (!*below || strncmp(path, below, strlen(below)) != 0 || !is_due("file", name)) return false;
    errno = atoi(setting("FAULT_CODE"));
    return true;
}

static bool file_fails(const char *name, int file)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return false;
    path[length] = 0;
    return path_fails(name, path);
}

// The program is given paths relative to its folder: what does not begin with / is made whole.
static const char *whole(const char *path, char *room, size_t size)
{
    if (path[0] == '/' || !getcwd(room, size)) return path;
    const size_t length = strlen(room);
    snprintf(room + length, size - length, "/%s", path);
    return room;
}

static bool change_fails(const char *name, const char *path)
{
    char room[8192];
    return path_fails(name, whole(path, room, sizeof room));
}

static int open_file(const char *name, const char *path, int flags, mode_t mode)
{
    int (*real)(const char *, int, ...);
    *(void **)&real = next(name);
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && change_fails("open", path)) return -1;
    return real(path, flags, mode);
}

static mode_t mode_of(int flags, va_list list)
{
    return flags & O_CREAT ? va_arg(list, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    const mode_t mode = mode_of(flags, list);
    va_end(list);
    return open_file("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    const mode_t mode = mode_of(flags, list);
    va_end(list);
    return open_file("open64", path, flags, mode);
}

static FILE *open_stream(const char *name, const char *path, const char *how)
{
    FILE *(*real)(const char *, const char *);
    *(void **)&real = next(name);
    return how[0] != 'r' && change_fails("fopen", path) ? NULL : real(path, how);
}

FILE *fopen(const char *path, const char *how)
{
    return open_stream("fopen", path, how);
}

FILE *fopen64(const char *path, const char *how)
{
    return open_stream("fopen64", path, how);
}

ssize_t write(int file, const void *bytes, size_t count)
{
    ssize_t (*real)(int, const void *, size_t);
    *(void **)&real = next("write");
    if (!file_fails("write", file)) return real(file, bytes, count);
    return strcmp(setting("FAULT_CODE"), "short") == 0 ? real(file, bytes, count - count / 2) : -1;
}

#define CHANGE(name, parameters, fails, ...)   \
    int name parameters                        \
    {                                          \
        int(*real) parameters;                 \
        *(void **)&real = next(#name);         \
        return fails ? -1 : real(__VA_ARGS__); \
    }

#define EACH_CHANGE(CHANGE) \
    CHANGE(fsync, (int file), file_fails("fsync", file), file) \
    CHANGE(fdatasync, (int file), file_fails("fdatasync", file), file) \
    CHANGE(fflush, (FILE * stream), stream && file_fails("fflush", fileno(stream)), stream) \
    CHANGE(ftruncate, (int file, off_t size), file_fails("ftruncate", file), file, size) \
    CHANGE(ftruncate64, (int file, off64_t size), file_fails("ftruncate", file), file, size) \
    CHANGE(unlink, (const char *path), strcmp(setting("FAULT_KIND"), "kill") == 0 && change_fails("unlink", path), path) \
    CHANGE(rename, (const char *from, const char *to), change_fails("rename", to), from, to) \
    CHANGE(mkdir, (const char *path, mode_t mode), change_fails("mkdir", path), path, mode)
EACH_CHANGE(CHANGE)
