// Activations in 16 bits while they wait for the backward pass: packed into bfloat16 or half, and back to
// fp32. Both round to nearest, ties to even: bfloat16 keeps 8 bits of a number and all of fp32's range; half
// keeps 11, between 6e-8 and 65504, and what is larger becomes 65504.
#ifndef PF_OPS_STORAGE_H
#define PF_OPS_STORAGE_H

#include "device/device.h"
#include "performer/config.h"

typedef struct pf_storage_op pf_storage_op;

// `storage` is PF_STORAGE_BF16 or PF_STORAGE_FP16.
pf_status pf_storage_op_create(pf_device *device, pf_storage storage, pf_storage_op **out);
void pf_storage_op_free(pf_storage_op *op);

//   from, to  [N,width]  one of fp32, the other of 16 bits a number
typedef struct pf_storage_call {
    pf_buffer *to;
    const pf_buffer *from;
    int rows, width;
} pf_storage_call;

pf_status pf_storage_pack(pf_storage_op *op, const pf_storage_call *call);
pf_status pf_storage_unpack(pf_storage_op *op, const pf_storage_call *call);

#endif
