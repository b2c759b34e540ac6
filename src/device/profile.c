// A record of every launch: how often each kernel ran and how long, and a trace of the first launches. Events are
// drained in batches, so that what is kept does not grow with the run. See opencl.h.
#include "device/opencl.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

enum {
    PENDING = 2048,       // events kept before the oldest half is drained
    MOST_SPANS = 1 << 18, // launches in the trace: about 40 MB of JSON
    NAME_BYTES = 64,
};

// One kernel, all its launches together.
typedef struct site {
    char name[NAME_BYTES];
    uint64_t calls, lost; // lost: launches whose times the device did not tell
    double seconds, flops, bytes;
} site;

typedef struct pending_event {
    cl_event event;
    size_t site;
    pf_work work;
} pending_event;

// One launch of the trace; times in ns of the device's clock.
typedef struct span {
    size_t site;
    cl_ulong start, end;
} span;

struct pf_profile {
    site *sites;
    size_t n_sites, sites_capacity;
    pending_event pending[PENDING];
    size_t n_pending;
    span *spans;
    size_t n_spans, spans_capacity;
    uint64_t lost, untraced;
    cl_ulong first, last; // ns; first is 0 until there is one
    pf_text table;
};

pf_status pf_profile_create(pf_profile **out)
{
    void *made = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_profile), "profile"));
    *out = made;
    return PF_OK;
}

void pf_profile_free(pf_profile *profile)
{
    if (!profile) return;
    for (size_t i = 0; i < profile->n_pending; i++) clReleaseEvent(profile->pending[i].event);
    pf_free(profile->sites);
    pf_free(profile->spans);
    pf_text_free(&profile->table);
    pf_free(profile);
}

static bool read_times(cl_event event, cl_ulong *start, cl_ulong *end)
{
    return clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof *start, start, NULL) == CL_SUCCESS &&
           clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof *end, end, NULL) == CL_SUCCESS && *end >= *start;
}

static void keep_span(pf_profile *profile, size_t at, cl_ulong start, cl_ulong end)
{
    void *spans = profile->spans;
    if (profile->n_spans == MOST_SPANS ||
        pf_grow(&spans, &profile->spans_capacity, profile->n_spans + 1, sizeof(span), "trace") != PF_OK) {
        profile->untraced++;
        return;
    }
    profile->spans = spans;
    profile->spans[profile->n_spans++] = (span){at, start, end};
}

// Takes the times of the oldest `count` events, waiting for the last of them (the queue is in order).
static void drain(pf_profile *profile, size_t count)
{
    if (count == 0) return;
    clWaitForEvents(1, &profile->pending[count - 1].event); // a failed command shows as an event without times
    for (size_t i = 0; i < count; i++) {
        const pending_event *p = &profile->pending[i];
        site *s = &profile->sites[p->site];
        cl_ulong start = 0, end = 0;
        if (read_times(p->event, &start, &end)) {
            s->seconds += 1e-9 * (double)(end - start);
            s->flops += p->work.flops;
            s->bytes += p->work.bytes;
            if (profile->first == 0) profile->first = start;
            profile->last = end;
            keep_span(profile, p->site, start, end);
        } else {
            s->lost++;
        }
        clReleaseEvent(p->event);
    }
    profile->n_pending -= count;
    memmove(profile->pending, profile->pending + count, profile->n_pending * sizeof profile->pending[0]);
}

static bool find_site(pf_profile *profile, const char *name, size_t *out)
{
    for (size_t i = 0; i < profile->n_sites; i++)
        if (strncmp(profile->sites[i].name, name, NAME_BYTES - 1) == 0) {
            *out = i;
            return true;
        }
    void *sites = profile->sites;
    if (pf_grow(&sites, &profile->sites_capacity, profile->n_sites + 1, sizeof(site), "profile") != PF_OK) return false;
    profile->sites = sites;
    snprintf(profile->sites[profile->n_sites].name, NAME_BYTES, "%s", name);
    *out = profile->n_sites++;
    return true;
}

void pf_profile_add(pf_profile *profile, const char *kernel, pf_work work, cl_event event)
{
    size_t at;
    if (!event || !find_site(profile, kernel, &at)) {
        if (event) clReleaseEvent(event);
        profile->lost++;
        return;
    }
    if (profile->n_pending == PENDING) drain(profile, PENDING / 2);
    profile->sites[at].calls++;
    profile->pending[profile->n_pending++] = (pending_event){event, at, work};
}

static pf_status check_profile(const pf_device *device)
{
    PF_CHECK(device->profile, PF_ERROR_USAGE, "no profile was asked for when the device was opened");
    return PF_OK;
}

static pf_status add_head(const pf_device *device, pf_text *out)
{
    const pf_device_info *info = &device->info;
    PF_TRY(pf_text_add(out, "{\"displayTimeUnit\": \"ms\", \"otherData\": {\"device\": "));
    PF_TRY(pf_text_add_json(out, info->name, strlen(info->name)));
    PF_TRY(pf_text_add(out, ", \"driver\": "));
    PF_TRY(pf_text_add_json(out, info->driver, strlen(info->driver)));
    return pf_text_add(out, ", \"untraced\": %llu},\n\"traceEvents\": [\n{\"name\": \"thread_name\", \"ph\": \"M\", \"pid\": 1, "
                       "\"tid\": 1, \"args\": {\"name\": \"device queue\"}}",
                       (unsigned long long)device->profile->untraced);
}

static pf_status write_trace(const pf_device *device, pf_writer *writer)
{
    const pf_profile *profile = device->profile;
    pf_text text = {0};
    pf_status status;
    PF_TRY_OR(done, add_head(device, &text));
    for (size_t i = 0; i < profile->n_spans; i++) {
        const span *s = &profile->spans[i];
        PF_TRY_OR(done, pf_text_add(&text, ",\n{\"name\": "));
        PF_TRY_OR(done, pf_text_add_json(&text, profile->sites[s->site].name, strlen(profile->sites[s->site].name)));
        PF_TRY_OR(done, pf_text_add(&text, ", \"ph\": \"X\", \"pid\": 1, \"tid\": 1, \"ts\": %.3f, \"dur\": %.3f}",
                                    1e-3 * ((double)s->start - (double)profile->first), 1e-3 * (double)(s->end - s->start)));
        if (text.length > 1 << 20) {
            PF_TRY_OR(done, pf_writer_write(writer, text.data, text.length));
            text.length = 0;
        }
    }
    PF_TRY_OR(done, pf_text_add(&text, "\n]}\n"));
    PF_TRY_OR(done, pf_writer_write(writer, text.data, text.length));
done:
    pf_text_free(&text);
    return status;
}

pf_status pf_device_write_profile(pf_device *device, const char *path)
{
    PF_TRY(check_profile(device));
    PF_TRY(pf_device_sync(device));
    drain(device->profile, device->profile->n_pending);
    pf_writer *writer = NULL;
    PF_TRY(pf_writer_open(path, &writer));
    const pf_status status = write_trace(device, writer);
    if (status == PF_OK) return pf_writer_commit(writer, NULL);
    pf_writer_discard(writer);
    return status;
}

pf_status pf_device_read_profile(pf_device *device, pf_kernel_profile *out, int capacity, int *count)
{
    PF_TRY(check_profile(device));
    PF_TRY(pf_device_sync(device));
    pf_profile *profile = device->profile;
    drain(profile, profile->n_pending);
    for (size_t i = 0; i < profile->n_sites && i < (size_t)capacity; i++) {
        const site *s = &profile->sites[i];
        out[i] = (pf_kernel_profile){s->name, s->calls, s->seconds, s->flops, s->bytes};
    }
    *count = (int)profile->n_sites;
    return PF_OK;
}

pf_status pf_device_clear_profile(pf_device *device)
{
    PF_TRY(check_profile(device));
    PF_TRY(pf_device_sync(device));
    pf_profile *profile = device->profile;
    drain(profile, profile->n_pending);
    if (profile->n_sites) memset(profile->sites, 0, profile->n_sites * sizeof profile->sites[0]);
    profile->n_sites = profile->n_spans = 0;
    profile->lost = profile->untraced = 0;
    profile->first = profile->last = 0;
    return PF_OK;
}

// ---- the table ----

// `value` in a column of `width`, "-" where there is nothing to tell (a timer that stands still, work not told).
static pf_status add_rate(pf_text *out, int width, double value)
{
    return value > 0 ? pf_text_add(out, " %*.*f", width, value < 10 ? 2 : value < 100 ? 1 : 0, value)
                     : pf_text_add(out, " %*s", width, "-");
}

static pf_status add_row(pf_text *out, const site *s, double all_seconds, const pf_device_peak *peak)
{
    const double gflops = s->seconds > 0 ? 1e-9 * s->flops / s->seconds : 0;
    const double gbytes = s->seconds > 0 ? 1e-9 * s->bytes / s->seconds : 0;
    const double of_arithmetic = peak->gflops > 0 ? 100 * gflops / peak->gflops : 0;
    const double of_memory = peak->gbytes_per_s > 0 ? 100 * gbytes / peak->gbytes_per_s : 0;
    PF_TRY(pf_text_add(out, "%-40.40s %8llu %10.2f", s->name, (unsigned long long)s->calls, 1e3 * s->seconds));
    PF_TRY(add_rate(out, 7, all_seconds > 0 ? 100 * s->seconds / all_seconds : 0));
    PF_TRY(add_rate(out, 9, gflops));
    PF_TRY(add_rate(out, 8, gbytes));
    PF_TRY(add_rate(out, 7, of_arithmetic > of_memory ? of_arithmetic : of_memory));
    if (s->lost) PF_TRY(pf_text_add(out, "  %llu without times", (unsigned long long)s->lost));
    return pf_text_add(out, "\n");
}

// Rows by time, longest first; as many passes as there are kernels.
static pf_status add_rows(pf_text *out, const pf_profile *profile, const pf_device_peak *peak)
{
    double all = 0;
    for (size_t i = 0; i < profile->n_sites; i++) all += profile->sites[i].seconds;
    bool *done = NULL;
    void *made = NULL;
    PF_TRY(pf_alloc(&made, profile->n_sites, sizeof *done, "profile"));
    done = made;
    pf_status status = PF_OK;
    for (size_t n = 0; n < profile->n_sites && status == PF_OK; n++) {
        size_t longest = profile->n_sites;
        for (size_t i = 0; i < profile->n_sites; i++)
            if (!done[i] && (longest == profile->n_sites || profile->sites[i].seconds > profile->sites[longest].seconds))
                longest = i;
        done[longest] = true;
        status = add_row(out, &profile->sites[longest], all, peak);
    }
    pf_free(done);
    if (status == PF_OK)
        status = pf_text_add(out, "device busy %.1f ms of %.1f ms", 1e3 * all,
                             1e-6 * (double)(profile->last - profile->first));
    return status;
}

static pf_status fill_table(const pf_device *device, const pf_device_peak *peak, pf_text *out)
{
    PF_TRY(pf_text_add(out, "%-40s %8s %10s %7s %9s %8s %7s\n", "kernel", "calls", "ms", "%", "GFLOP/s", "GB/s", "% peak"));
    PF_TRY(add_rows(out, device->profile, peak));
    if (device->profile->lost)
        PF_TRY(pf_text_add(out, "; %llu launches could not be kept", (unsigned long long)device->profile->lost));
    return pf_text_add(out, "; measured peak %.0f GFLOP/s, %.1f GB/s\n", peak->gflops, peak->gbytes_per_s);
}

pf_status pf_device_profile_table(pf_device *device, const char **out)
{
    PF_TRY(check_profile(device));
    PF_TRY(pf_device_sync(device));
    drain(device->profile, device->profile->n_pending);
    pf_device_peak peak = {0};
    if (pf_device_measure_peak(device, &peak) != PF_OK) peak = (pf_device_peak){0}; // the table is worth having without
    pf_text text = {0};
    const pf_status status = fill_table(device, &peak, &text);
    if (status != PF_OK) {
        pf_text_free(&text);
        return status;
    }
    pf_text_free(&device->profile->table);
    device->profile->table = text;
    *out = text.data;
    return PF_OK;
}
