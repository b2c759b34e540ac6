// Metrics as they lie on the device: `metrics` of cl/lib/metrics.clh.
#ifndef PF_OPS_DEVICE_METRICS_H
#define PF_OPS_DEVICE_METRICS_H

#include "device/device.h"
#include "ops/cross_entropy.h"

typedef struct pf_device_metrics {
    float loss[2], residue_loss[2]; // value = sum of both
    int32_t targets, hits, residue_targets, residue_hits;
} pf_device_metrics;

// Waits.
pf_status pf_device_metrics_read(const pf_buffer *total, pf_metrics *out);

#endif
