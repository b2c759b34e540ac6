// A stand-in for OpenCL with one device, a GPU as a driver of NVIDIA describes it, that runs nothing: it
// notes which kernels are built and refuses what such a driver refuses. What is linked with recorder.c sees
// this device and no other.
#ifndef TESTS_COMPILE_RECORDER_H
#define TESTS_COMPILE_RECORDER_H

#include <stdbool.h>

// A line for each kernel that was created: file, compiler options, kernel. Once for each; texts go to
// FOLDER/FILE. False: a file could not be written.
bool recorder_write(const char *folder);

// Calls that a driver would have refused so far; each was told on standard error.
int recorder_refusals(void);

#endif
