// What the program says on stderr: one line for an error, one for each warning, all beginning
// with "performer: ". Control characters in them are escaped, whatever a file or user wrote.
#ifndef TOOLS_REPORT_H
#define TOOLS_REPORT_H

#include "performer/status.h"
#include "tools/options.h"

#if defined(__GNUC__)
#define PF_TOOL_PRINTF(text, rest) __attribute__((format(printf, text, rest)))
#else
#define PF_TOOL_PRINTF(text, rest)
#endif

// Keeps the message of an error that the program itself found, and returns `status`. A command
// returns the status up to main, which prints the one line: this message, else the library's.
pf_status pf_tool_fail(pf_status status, const char *format, ...) PF_TOOL_PRINTF(2, 3);

// The message kept by pf_tool_fail, else the library's.
const char *pf_tool_message(void);

// Prints "performer: MESSAGE", "performer: warning: MESSAGE" (not with --quiet), or the text as it
// is, without a name in front: pf_say not with --quiet, pf_tell only with --verbose.
void pf_print_error(const char *message);
void pf_warn(const pf_common *common, const char *format, ...) PF_TOOL_PRINTF(2, 3);
void pf_say(const pf_common *common, const char *format, ...) PF_TOOL_PRINTF(2, 3);
void pf_tell(const pf_common *common, const char *format, ...) PF_TOOL_PRINTF(2, 3);

#endif
