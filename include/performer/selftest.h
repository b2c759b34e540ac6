// Known answers: a driver that computes wrongly is found before it spoils a run.
#ifndef PERFORMER_SELFTEST_H
#define PERFORMER_SELFTEST_H

#include <stdbool.h>

#include "performer/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_selftest_result {
    const char *family; // of kernels: "matmul", "favor", …
    double error;       // relative to the size of the answer; infinite when it could not be run
    double tolerance;
    bool passed;
    char reason[256]; // why it could not be run, or ""
} pf_selftest_result;

// How many families there are; `quick`: only those whose
// programs a training run compiles anyway (all but those of `matmul tile` where CLBlast is the provider).
PF_API int pf_selftest_count(bool quick);

// Runs family `i` on tiny fixed inputs and compares with its stored answer. Never fails as a call.
PF_API void pf_selftest_run(pf_device *device, bool quick, int i, pf_selftest_result *result);

#ifdef __cplusplus
}
#endif
#endif
