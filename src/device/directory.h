// The directory where the program keeps files of its own between runs: compiled programs, what was measured
// on a device. Only directories and files that are ours alone are trusted.
#ifndef PF_DEVICE_DIRECTORY_H
#define PF_DEVICE_DIRECTORY_H

#include <sys/stat.h>

#include "device/opencl.h"

enum { PF_HEX_BYTES = 65 };

// $XDG_CACHE_HOME/performer or ~/.cache/performer. Errors: PF_ERROR_DEVICE without a home directory.
pf_status pf_default_directory(char **out);

// Nobody else can write to it.
bool pf_is_ours_alone(const struct stat *about);

// A directory of ours alone, made with its parent if it is not there.
bool pf_prepare_directory(const char *path);

// SHA-256, lower-case hex.
void pf_digest_text(const void *bytes, size_t count, char hex[PF_HEX_BYTES]);

#endif
