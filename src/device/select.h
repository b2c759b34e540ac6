// Which devices there are and which one a selector means. For device.c only.
#ifndef PF_DEVICE_SELECT_H
#define PF_DEVICE_SELECT_H

#include "device/opencl.h"

enum { PF_MOST_DEVICES = 64 };

typedef struct pf_candidate {
    cl_platform_id platform;
    cl_device_id device;
    pf_device_info info;
    cl_device_type type;
    bool is_integrated; // shares the host's memory
} pf_candidate;

// The facts of candidate->device, platform being known, and why it cannot be used, if so. No id.
void pf_candidate_describe(pf_candidate *candidate);

// All devices of all platforms in order, each with its facts and why it cannot be used, if so.
// Errors: PF_ERROR_DEVICE if there is none, with what to install.
pf_status pf_candidates_find(pf_candidate out[PF_MOST_DEVICES], int *count);

// Indices of the candidates that `selector` names, best first. Errors: PF_ERROR_DEVICE when it
// names none, listing what there is; PF_ERROR_USAGE when it is empty.
pf_status pf_candidates_order(const pf_candidate *candidates, int count, const char *selector,
                              int order[PF_MOST_DEVICES], int *n_order);

#endif
