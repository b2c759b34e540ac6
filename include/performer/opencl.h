// The library on a caller's own OpenCL objects: a context and queue that it works on, and buffers that it
// reads and writes without a detour over the host. The other headers know nothing of OpenCL.
//
// Whose is what: the library retains the context and the queue until pf_device_close, and the buffers until
// the function returns; it releases what it retained and nothing else. The caller may release its own
// references at any time.
//
// Work goes into the caller's queue in order with its other commands. A function of this header returns when
// its work is enqueued: commands that follow in the same queue see the results, everybody else waits as for
// any command (clFinish, pf_device_sync).
#ifndef PERFORMER_OPENCL_H
#define PERFORMER_OPENCL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#include "performer/attention.h"
#include "performer/model.h"
#include "performer/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

// The device of `queue`, as pf_device_open gives one, on the caller's context and queue: in-order, with
// profiling switched on if options->profile. `options` may be NULL; selector and threads are the caller's to
// decide and must not be given. Errors: PF_ERROR_USAGE (a queue of another context, out of order, or without
// profiling), PF_ERROR_DEVICE (the device lacks something or fails the probe).
PF_API pf_status pf_device_from_opencl(cl_context context, cl_command_queue queue,
                                       const pf_device_options *options, pf_device **out);

// What an open device works on, of whatever origin: valid until it is closed, and not retained for the
// caller.
PF_API cl_context pf_device_opencl_context(const pf_device *device);
PF_API cl_command_queue pf_device_opencl_queue(const pf_device *device);

// pf_attention_arrays in buffers of the device's context. Each holds at least its numbers, from its first
// byte on (a part of a larger one: clCreateSubBuffer).
typedef struct pf_attention_opencl {
    int32_t batch, heads, length, head_size; // B, H, L, E
    const int32_t *lengths;                  // [B] on the host; NULL: all tokens are real
    cl_mem query, key, value;                // [B,H,L,E] float
    cl_mem gradient;                         // [B,H,L,E] of the output; NULL: no backward pass
    cl_mem projection;                       // W [M,E] if options.projected
    int32_t n_features;                      // M
    cl_mem output;                           // [B,H,L,E]; rows of padding become 0
    cl_mem dq, dk, dv;                       // [B,H,L,E], with `gradient`
} pf_attention_opencl;

// As pf_attention_run, to the same bits. Errors: PF_ERROR_USAGE also for a buffer that is missing, too small
// or of another context.
PF_API pf_status pf_attention_run_opencl(pf_device *device, const pf_attention_options *options,
                                         const pf_attention_opencl *buffers);

enum { PF_MAX_LAYERS_OPENCL = 8 };

// What a model makes of a stream of sequences: rows of all tokens that it sees, begin and end included,
// sequence behind sequence, N in all. As many buffers as are wanted; '*' is the mask.
typedef struct pf_rows_opencl {
    pf_stream_options stream;
    cl_mem logits;                       // [N,A]; NULL: not wanted
    cl_mem layers[PF_MAX_LAYERS_OPENCL]; // [N,D] of the i-th layer that the model was opened with; NULL: not
                                         // wanted
} pf_rows_opencl;

// Computes batch after batch; *n_rows (may be NULL) becomes N. Errors: PF_ERROR_USAGE for a buffer that is
// too small (the rows that fit are there) or of another context, PF_ERROR_INPUT, PF_ERROR_DEVICE.
PF_API pf_status pf_model_rows_opencl(pf_model *model, const pf_rows_opencl *request, uint64_t *n_rows);

#ifdef __cplusplus
}
#endif
#endif
