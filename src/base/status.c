// The thread's last message. See status.h.
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 2048 };

static _Thread_local char message[MESSAGE_BYTES];

const char *pf_error_message(void)
{
    return message;
}

// The message is one line for a terminal, whatever a path or a file smuggled into it.
static void replace_controls(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = '?';
}

pf_status pf_fail(pf_status status, const char *format, ...)
{
    char text[MESSAGE_BYTES]; // the arguments may point into `message`
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    replace_controls(text);
    memcpy(message, text, sizeof text);
    return status;
}

pf_status pf_context(pf_status status, const char *format, ...)
{
    if (status == PF_OK || status == PF_END) return status;
    char text[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    const int written = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (written < 0 || (size_t)written >= sizeof text - 3) return status;
    const size_t used = (size_t)written;
    snprintf(text + used, sizeof text - used, ": %.*s", (int)(sizeof text - used - 3), message);
    replace_controls(text);
    memcpy(message, text, sizeof text);
    return status;
}
