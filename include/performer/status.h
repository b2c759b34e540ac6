// Status codes and the last error: what every fallible function of this library returns.
//
// A status is also the exit code of the program (README, "The program"), so scripts and C callers
// speak the same language. On any error outputs are untouched and constructors leave *out NULL.
#ifndef PERFORMER_STATUS_H
#define PERFORMER_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PF_API __attribute__((visibility("default")))
#else
#define PF_API
#endif

typedef enum pf_status {
    PF_END = -1,            // nothing more to read; not an error
    PF_OK = 0,
    PF_ERROR_FAILED = 1,    // the system refused: output that cannot be written, memory
    PF_ERROR_USAGE = 2,     // options, configuration, a call that breaks its contract
    PF_ERROR_INPUT = 3,     // a file that cannot be read, or whose content is wrong
    PF_ERROR_DEVICE = 4,    // no device, a device that refuses, a failed OpenCL call
    PF_INTERRUPTED = 5,     // stopped on request, everything saved
    PF_ERROR_NUMERICAL = 6, // a loss or gradient that is not finite
} pf_status;

// The message of this thread's last error: one line, never NULL, valid until this thread's next
// call into the library. Control characters in quoted input are escaped.
PF_API const char *pf_error_message(void);

#ifdef __cplusplus
}
#endif
#endif
