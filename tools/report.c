// Messages on stderr: errors kept until main prints them, warnings at once.
#include "tools/report.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

enum { MESSAGE_BYTES = 2048 };

static _Thread_local char kept[MESSAGE_BYTES];

pf_status pf_tool_fail(pf_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(kept, sizeof kept, format, arguments);
    va_end(arguments);
    return status;
}

const char *pf_tool_message(void)
{
    return kept[0] ? kept : pf_error_message();
}

// Control characters of ASCII, and those of Latin-1 as UTF-8 writes them (a terminal obeys both).
static bool is_control(const unsigned char *byte)
{
    return *byte < 0x20 || *byte == 0x7f || (byte[0] == 0xc2 && byte[1] >= 0x80 && byte[1] < 0xa0);
}

static void print_line(const char *prefix, const char *text)
{
    fputs(prefix, stderr);
    for (const unsigned char *byte = (const unsigned char *)text; *byte; byte++) {
        if (!is_control(byte))
            putc(*byte, stderr);
        else
            fprintf(stderr, "\\x%02x", *byte == 0xc2 ? *++byte : *byte);
    }
    putc('\n', stderr);
}

void pf_print_error(const char *message)
{
    print_line("performer: ", message);
}

static void print_text(const char *prefix, const char *format, va_list arguments)
{
    char text[MESSAGE_BYTES];
    vsnprintf(text, sizeof text, format, arguments);
    print_line(prefix, text);
}

void pf_warn(const pf_common *common, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!common->quiet) print_text("performer: warning: ", format, arguments);
    va_end(arguments);
}

void pf_say(const pf_common *common, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!common->quiet) print_text("", format, arguments);
    va_end(arguments);
}

void pf_tell(const pf_common *common, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (common->verbose && !common->quiet) print_text("", format, arguments);
    va_end(arguments);
}
