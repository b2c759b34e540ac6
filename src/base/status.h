// How a failure is reported inside the library: a code, and one thread-local line of text that
// gains context on its way up ("training step 12: layer 3: ..."). The text never allocates, so it
// also works when memory is gone.
#ifndef PF_BASE_STATUS_H
#define PF_BASE_STATUS_H

#include "performer/status.h"

#if defined(__GNUC__)
#define PF_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define PF_PRINTF(text, first)
#endif

// Sets this thread's message and returns `status`. Text from files goes through pf_quote (text.h).
pf_status pf_fail(pf_status status, const char *format, ...) PF_PRINTF(2, 3);

// Puts "<text>: " in front of this thread's message and returns `status`; does nothing for PF_OK
// and PF_END. For frames that know something the reader needs: a path, a step, a tensor.
pf_status pf_context(pf_status status, const char *format, ...) PF_PRINTF(2, 3);

// Returns `code` with a message unless `condition` holds. Only in functions that own nothing yet.
#define PF_CHECK(condition, code, ...)                  \
    do {                                                \
        if (!(condition)) return pf_fail((code), __VA_ARGS__); \
    } while (0)

// Returns on anything but PF_OK. Only in functions that own nothing.
#define PF_TRY(call)                                    \
    do {                                                \
        const pf_status try_status_ = (call);           \
        if (try_status_ != PF_OK) return try_status_;   \
    } while (0)

// For functions that own something: stores the code in the local `status` and leaves by `label`.
#define PF_TRY_OR(label, call)                          \
    do {                                                \
        status = (call);                                \
        if (status != PF_OK) goto label;                \
    } while (0)

#endif
