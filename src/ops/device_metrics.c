// Metrics read back. See device_metrics.h.
#include "ops/device_metrics.h"

pf_status pf_device_metrics_read(const pf_buffer *total, pf_metrics *out)
{
    pf_device_metrics got;
    PF_TRY(pf_buffer_read(total, 0, &got, sizeof got));
    *out = (pf_metrics){
        .loss = (double)got.loss[0] + (double)got.loss[1],
        .residue_loss = (double)got.residue_loss[0] + (double)got.residue_loss[1],
        .targets = got.targets,
        .hits = got.hits,
        .residue_targets = got.residue_targets,
        .residue_hits = got.residue_hits,
    };
    return PF_OK;
}
