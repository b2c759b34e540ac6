// Compiled programs on disk. A damaged binary kills the process inside the driver, so nothing is
// handed to it before header, key and checksum have been verified; and a binary is native code, so
// only directories and files that are ours alone are trusted. Trouble with the cache never is an
// error: the program is built from its text.
#ifndef PF_DEVICE_CACHE_H
#define PF_DEVICE_CACHE_H

#include "device/opencl.h"

// Chooses and checks the directory: `wanted` as in pf_device_options, else PERFORMER_CACHE, for this device. "off" is
// none; the default is $XDG_CACHE_HOME/performer or ~/.cache/performer, and none where the runtime caches itself.
void pf_cache_open(pf_device *device, const char *wanted);

// The program if the cache has it and the driver takes it.
bool pf_cache_load(pf_device *device, const pf_source *source, const char *options, cl_program *out);

// Keeps the binary of a freshly built program.
void pf_cache_store(pf_device *device, const pf_source *source, const char *options, cl_program program);

#endif
