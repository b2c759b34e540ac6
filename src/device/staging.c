// Uploads that nobody waits for. A blocking write on an in-order queue waits for all the kernels before it; a
// copy of what is to be written lets the host go on to prepare the next batch. Copies lie in two halves in
// turn: a half is used again once all that was in it has arrived.
#include "device/opencl.h"

#include <string.h>

#include "base/memory.h"

enum { HALVES = 2, ALIGNMENT = 64 };

static const size_t half_bytes = 4 << 20;

struct pf_staging {
    char *data; // [HALVES][half_bytes]; the system gives memory to the pages that are used
    int half;   // the one in use
    size_t used;
    cl_event arrived[HALVES]; // all that was in the half, or NULL
};

pf_status pf_staging_create(pf_staging **out)
{
    void *made = NULL, *data = NULL;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_staging), "staging"));
    const pf_status status = pf_alloc(&data, HALVES, half_bytes, "staging");
    if (status != PF_OK) {
        pf_free(made);
        return status;
    }
    pf_staging *s = made;
    s->data = data;
    *out = s;
    return PF_OK;
}

void pf_staging_free(pf_staging *s)
{
    if (!s) return;
    for (int i = 0; i < HALVES; i++)
        if (s->arrived[i]) clReleaseEvent(s->arrived[i]);
    pf_free(s->data);
    pf_free(s);
}

// Goes on to the other half, once what it held has arrived.
static cl_int turn(pf_device *device)
{
    pf_staging *s = device->staging;
    cl_int code = clEnqueueMarkerWithWaitList(device->queue, 0, NULL, &s->arrived[s->half]);
    if (code != CL_SUCCESS) {
        s->arrived[s->half] = NULL;
        return code;
    }
    s->half = (s->half + 1) % HALVES;
    s->used = 0;
    if (!s->arrived[s->half]) return CL_SUCCESS;
    device->waits++;
    code = clWaitForEvents(1, &s->arrived[s->half]);
    clReleaseEvent(s->arrived[s->half]);
    s->arrived[s->half] = NULL;
    return code;
}

cl_int pf_staging_write(pf_buffer *buffer, size_t offset_bytes, const void *data, size_t bytes,
                        cl_event *event)
{
    pf_device *device = buffer->device;
    pf_staging *s = device->staging;
    const size_t needed = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes > half_bytes) {
        device->waits++;
        return clEnqueueWriteBuffer(device->queue, buffer->memory, CL_TRUE, offset_bytes, bytes, data, 0,
                                    NULL, event);
    }
    if (s->used + needed > half_bytes) {
        const cl_int code = turn(device);
        if (code != CL_SUCCESS) return code;
    }
    char *copy = s->data + (size_t)s->half * half_bytes + s->used;
    memcpy(copy, data, bytes);
    const cl_int code = clEnqueueWriteBuffer(device->queue, buffer->memory, CL_FALSE, offset_bytes, bytes,
                                             copy, 0, NULL, event);
    if (code == CL_SUCCESS) s->used += needed;
    return code;
}
