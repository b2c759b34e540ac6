// What devices there are and which one is meant. See select.h.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "device/select.h"

enum { MOST_PLATFORMS = 16 };

static void read_text(cl_device_id device, cl_device_info what, char *out, size_t size)
{
    char text[1024] = "";
    clGetDeviceInfo(device, what, sizeof text - 1, text, NULL);
    const char *start = text;
    while (*start == ' ') start++;
    size_t length = strlen(start);
    while (length && start[length - 1] == ' ') length--; // version strings may end in a blank
    snprintf(out, size, "%.*s", (int)length, start);
}

static uint64_t read_number(cl_device_id device, cl_device_info what)
{
    uint64_t value = 0; // cl_uint, cl_bool, cl_ulong and size_t all fit, little-endian
    clGetDeviceInfo(device, what, sizeof value, &value, NULL);
    return value;
}

static const char *type_name(cl_device_type type)
{
    // A bit test: a device may call itself several things at once.
    if (type & CL_DEVICE_TYPE_CPU) return "cpu";
    if (type & CL_DEVICE_TYPE_GPU) return "gpu";
    return "accelerator";
}

static void judge(pf_candidate *c)
{
    pf_device_info *info = &c->info;
    int major = 0, minor = 0;
    const int parsed = sscanf(info->version, "OpenCL %d.%d", &major, &minor);
    info->usable = false;
    if (parsed != 2 || major * 10 + minor < 12)
        snprintf(info->reason, sizeof info->reason, "needs OpenCL 1.2, has \"%.60s\"", info->version);
    else if (!read_number(c->device, CL_DEVICE_AVAILABLE))
        snprintf(info->reason, sizeof info->reason, "not available");
    else if (!read_number(c->device, CL_DEVICE_COMPILER_AVAILABLE))
        snprintf(info->reason, sizeof info->reason, "has no compiler");
    else if (!read_number(c->device, CL_DEVICE_ENDIAN_LITTLE))
        snprintf(info->reason, sizeof info->reason, "is big-endian");
    else if (info->local_bytes < 16384)
        snprintf(info->reason, sizeof info->reason, "has %llu bytes of local memory, 16384 are needed",
                 (unsigned long long)info->local_bytes);
    else info->usable = true;
}

void pf_candidate_describe(pf_candidate *c)
{
    pf_device_info *info = &c->info;
    clGetPlatformInfo(c->platform, CL_PLATFORM_NAME, sizeof info->platform - 1, info->platform, NULL);
    read_text(c->device, CL_DEVICE_NAME, info->name, sizeof info->name);
    read_text(c->device, CL_DEVICE_VERSION, info->version, sizeof info->version);
    read_text(c->device, CL_DRIVER_VERSION, info->driver, sizeof info->driver);
    clGetDeviceInfo(c->device, CL_DEVICE_TYPE, sizeof c->type, &c->type, NULL);
    snprintf(info->type, sizeof info->type, "%s", type_name(c->type));
    info->compute_units = (uint32_t)read_number(c->device, CL_DEVICE_MAX_COMPUTE_UNITS);
    info->global_bytes = read_number(c->device, CL_DEVICE_GLOBAL_MEM_SIZE);
    info->largest_buffer_bytes = read_number(c->device, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    info->local_bytes = read_number(c->device, CL_DEVICE_LOCAL_MEM_SIZE);
    info->largest_work_group = read_number(c->device, CL_DEVICE_MAX_WORK_GROUP_SIZE);
    c->is_integrated = read_number(c->device, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
    judge(c);
}

// `auto`: discrete GPU 3, integrated 2, accelerator 1, CPU 0.
static int rank(const pf_candidate *c)
{
    if (strcmp(c->info.type, "gpu") == 0) return c->is_integrated ? 2 : 3;
    return strcmp(c->info.type, "accelerator") == 0;
}

static void mark_auto(pf_candidate *candidates, int count)
{
    int best = -1;
    for (int i = 0; i < count; i++)
        if (candidates[i].info.usable && (best < 0 || rank(&candidates[i]) > rank(&candidates[best]))) best = i;
    if (best < 0) return;
    candidates[best].info.is_auto = true;
    snprintf(candidates[best].info.reason, sizeof candidates[best].info.reason, "auto takes it: %s",
             count == 1 ? "the only device" : "discrete GPU, integrated GPU, accelerator, CPU, in this order");
}

pf_status pf_candidates_find(pf_candidate out[PF_MOST_DEVICES], int *count)
{
    cl_platform_id platforms[MOST_PLATFORMS];
    cl_uint n_platforms = 0;
    const cl_int code = clGetPlatformIDs(MOST_PLATFORMS, platforms, &n_platforms);
    PF_CHECK(code == CL_SUCCESS && n_platforms > 0, PF_ERROR_DEVICE,
             "no OpenCL platform on this machine; install your GPU's OpenCL driver, or PoCL to run on the CPU "
             "(Debian: apt-get install pocl-opencl-icd), and see what `clinfo -l` lists");
    if (n_platforms > MOST_PLATFORMS) n_platforms = MOST_PLATFORMS;
    int found = 0;
    for (cl_uint p = 0; p < n_platforms; p++) {
        cl_device_id devices[PF_MOST_DEVICES];
        cl_uint n = 0;
        if (clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, PF_MOST_DEVICES, devices, &n) != CL_SUCCESS) continue;
        for (cl_uint d = 0; d < n && d < PF_MOST_DEVICES && found < PF_MOST_DEVICES; d++) {
            pf_candidate *c = &out[found++];
            memset(c, 0, sizeof *c);
            c->platform = platforms[p];
            c->device = devices[d];
            pf_candidate_describe(c);
            snprintf(c->info.id, sizeof c->info.id, "%u.%u", (unsigned)p, (unsigned)d);
        }
    }
    PF_CHECK(found > 0, PF_ERROR_DEVICE,
             "%u OpenCL platform(s) but no device; with PoCL, check that the folder of POCL_CACHE_DIR or HOME can be "
             "written; see what `clinfo -l` lists", (unsigned)n_platforms);
    mark_auto(out, found);
    *count = found;
    return PF_OK;
}

pf_status pf_device_list(pf_device_info *infos, int capacity, int *count)
{
    static _Thread_local pf_candidate candidates[PF_MOST_DEVICES];
    int found = 0;
    PF_TRY(pf_candidates_find(candidates, &found));
    for (int i = 0; i < found && i < capacity; i++) infos[i] = candidates[i].info;
    *count = found;
    return PF_OK;
}

static bool contains_ignoring_case(const char *text, const char *part, size_t length)
{
    for (; *text; text++) {
        size_t i = 0;
        while (i < length && text[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])) i++;
        if (i == length) return true;
    }
    return false;
}

static bool equals(const char *name, const char *word, size_t length)
{
    return strlen(name) == length && strncmp(name, word, length) == 0;
}

static bool fits(const pf_candidate *c, const char *word, size_t length)
{
    if (equals("auto", word, length)) return true;
    if (equals("gpu", word, length) || equals("cpu", word, length) || equals("accelerator", word, length))
        return equals(c->info.type, word, length);
    if (equals(c->info.id, word, length)) return true;
    const bool is_id = isdigit((unsigned char)word[0]) && memchr(word, '.', length);
    return !is_id && (contains_ignoring_case(c->info.name, word, length) ||
                      contains_ignoring_case(c->info.platform, word, length));
}

// Appends the candidates that one word of the selector names, by rank, none twice.
static void add_matches(const pf_candidate *candidates, int count, const char *word, size_t length, int *order, int *n)
{
    for (int wanted = 3; wanted >= 0; wanted--)
        for (int i = 0; i < count; i++) {
            if (rank(&candidates[i]) != wanted || !fits(&candidates[i], word, length)) continue;
            bool known = false;
            for (int k = 0; k < *n; k++) known = known || order[k] == i;
            if (!known) order[(*n)++] = i;
        }
}

pf_status pf_candidates_order(const pf_candidate *candidates, int count, const char *selector,
                              int order[PF_MOST_DEVICES], int *n_order)
{
    char quoted[PF_QUOTE_BYTES];
    *n_order = 0;
    for (const char *word = selector; *word;) {
        while (*word == ',' || *word == ' ') word++;
        size_t length = strcspn(word, ",");
        if (length) add_matches(candidates, count, word, length, order, n_order);
        word += length;
    }
    PF_CHECK(*selector, PF_ERROR_USAGE, "the device selector is empty; give auto, gpu, cpu, accelerator, P.D or a name");
    PF_CHECK(*n_order > 0, PF_ERROR_DEVICE, "no device fits \"%s\"; `performer devices` lists what there is (%d)",
             pf_quote(quoted, selector, strlen(selector)), count);
    return PF_OK;
}
