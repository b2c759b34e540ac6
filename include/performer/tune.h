// Which provider and which constants of our own kernels multiply fastest on a device, for a model's own
// products: a search that measures, and a small text file that later runs on this device read.
//
// The file lies where compiled programs are kept ($XDG_CACHE_HOME/performer, ~/.cache/performer, or what
// PERFORMER_CACHE names) and belongs to a device, driver, number of cores and version of the kernels. Our own
// kernels give the same bits with any constants; a change of provider changes roundings, and is known by the
// model's sizes, never by the number of rows.
#ifndef PERFORMER_TUNE_H
#define PERFORMER_TUNE_H

#include "performer/config.h"
#include "performer/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pf_tune pf_tune;

typedef struct pf_tune_result {
    char kind[3];                // "nt" forward, "nn" gradient of an input, "tn" gradient of weights
    int m, n, k;                 // C [m,n] = A [m,k] B [k,n], after the transposes
    int times;                   // in a training step of one micro-batch
    char built_in[48], best[48]; // provider and constants; the same where nothing beats the built-in choice
    double built_in_gflops, gflops;
    int tried, wrong, refused; // candidates: all, with wrong results, that the device did not take
    bool is_better;            // will be kept
} pf_tune_result;

// The products of a model with this configuration, which must be finished; `rows` of a batch, 0: as training
// has.
PF_API pf_status pf_tune_open(pf_device *device, const struct pf_config *config, int rows, pf_tune **out);
PF_API void pf_tune_close(pf_tune *tune); // NULL is fine; before the device is closed

PF_API int pf_tune_count(const pf_tune *tune);

// Measures product `i`: a second or so, more when candidates are compiled first. What is wrong is never
// taken. Errors: PF_ERROR_DEVICE.
PF_API pf_status pf_tune_run(pf_tune *tune, int i, pf_tune_result *out);

// Writes what was better to the device's file, beside what stands there for other products; what was measured
// and is not better leaves it. *path, if not NULL: that file; release with pf_release. Errors:
// PF_ERROR_FAILED; PF_ERROR_USAGE if nothing is to be kept (PERFORMER_CACHE=off).
PF_API pf_status pf_tune_save(const pf_tune *tune, char **path);

// *warning: why the device's file cannot be used (the built-in choices are), or NULL; release with
// pf_release.
PF_API pf_status pf_tune_check(const pf_device *device, char **warning);

#ifdef __cplusplus
}
#endif
#endif
