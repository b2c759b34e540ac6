// The device of a command: opened from the options that every command has, closed with the profile
// that --profile asked for.
#ifndef TOOLS_DEVICE_H
#define TOOLS_DEVICE_H

#include "performer/device.h"
#include "tools/options.h"

// Errors: PF_ERROR_DEVICE, PF_ERROR_USAGE for a selector that cannot be read.
pf_status pf_tool_device_open(const pf_common *common, pf_device **out);

// Prints the most memory that buffers on the device and this process took.
void pf_tool_print_memory(const pf_device *device);

// Writes the profile if one was asked for and `status` is no error, prints the memory with --verbose, closes the
// device. Returns `status`, or what went wrong with the profile.
pf_status pf_tool_device_close(const pf_common *common, pf_device *device, pf_status status);

#endif
