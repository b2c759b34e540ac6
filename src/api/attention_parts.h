// What attention on host arrays and on a caller's buffers share.
#ifndef PF_API_ATTENTION_PARTS_H
#define PF_API_ATTENTION_PARTS_H

#include "device/device.h"
#include "performer/attention.h"

enum { PF_ATTENTION_INPUTS = 4, PF_ATTENTION_OUTPUTS = 4 }; // q, k, v, gradient; o, dq, dk, dv

// Tensors that lie on the device already, each [B,H,L,E]; gradient and dq, dk, dv, or projection, may be
// NULL.
typedef struct pf_attention_buffers {
    pf_buffer *in[PF_ATTENTION_INPUTS], *out[PF_ATTENTION_OUTPUTS], *projection;
} pf_attention_buffers;

// Errors: PF_ERROR_USAGE for sizes and options, whatever holds the numbers.
pf_status pf_attention_check(const pf_attention_options *options, const pf_attention_arrays *arrays);

// `arrays` has the sizes and lengths; its numbers are in `buffers`. Enqueues.
pf_status pf_attention_run_buffers(pf_device *device, const pf_attention_options *options,
                                   const pf_attention_arrays *arrays, const pf_attention_buffers *buffers);

#endif
