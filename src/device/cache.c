// Compiled programs on disk. See cache.h.
#include "device/cache.h"

void pf_cache_open(pf_device *device, const char *wanted)
{
    (void)wanted;
    device->cache_directory = NULL;
}

bool pf_cache_load(pf_device *device, const pf_source *source, const char *options, cl_program *out)
{
    (void)source, (void)options, (void)out;
    return device->cache_directory != NULL;
}

void pf_cache_store(pf_device *device, const pf_source *source, const char *options, cl_program program)
{
    (void)device, (void)source, (void)options, (void)program;
}
