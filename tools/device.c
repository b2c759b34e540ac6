// The device of a command. See device.h.
#include "tools/device.h"

#include <stdio.h>
#include <sys/resource.h>

#include "performer/tune.h"
#include "tools/report.h"

pf_status pf_tool_device_open(const pf_common *common, pf_device **out)
{
    const pf_device_options options = {
        .selector = common->device,
        .cache_directory = common->cache,
        .threads = common->threads_given ? (int)common->threads : 0,
        .profile = common->profile != NULL,
    };
    char *warning = NULL;
    pf_status status = pf_device_open(&options, out);
    if (status != PF_OK) return status;
    status = pf_tune_check(*out, &warning);
    if (warning) pf_warn(common, "%s", warning);
    pf_release(warning);
    if (status == PF_OK) return PF_OK;
    pf_device_close(*out);
    *out = NULL;
    return status;
}

void pf_tool_print_memory(const pf_device *device)
{
    struct rusage usage;
    const double resident = getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss * 1.024e-3 : 0; // from KiB
    fprintf(stderr, "device buffers: %.1f MB at most; resident memory: %.1f MB at most\n",
            (double)pf_device_peak_bytes(device) / 1e6, resident);
}

pf_status pf_tool_device_close(const pf_common *common, pf_device *device, pf_status status)
{
    const bool wanted = common->profile && (status == PF_OK || status == PF_INTERRUPTED);
    if (wanted) {
        const char *table = NULL;
        pf_status written = pf_device_write_profile(device, common->profile);
        if (written == PF_OK) written = pf_device_profile_table(device, &table);
        if (written == PF_OK) fputs(table, stderr);
        if (written != PF_OK) status = written;
    }
    if (common->verbose && status == PF_OK) pf_tool_print_memory(device);
    pf_device_close(device);
    return status;
}
