// The device of a command. See device.h.
#include "tools/device.h"

#include <stdio.h>

pf_status pf_tool_device_open(const pf_common *common, pf_device **out)
{
    const pf_device_options options = {
        .selector = common->device,
        .cache_directory = common->cache,
        .threads = common->threads_given ? (int)common->threads : 0,
        .profile = common->profile != NULL,
    };
    return pf_device_open(&options, out);
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
    pf_device_close(device);
    return status;
}
