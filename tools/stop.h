// Ending when asked to: the first SIGINT or SIGTERM asks for a checkpoint and an end, a second one ends at
// once.
#ifndef TOOLS_STOP_H
#define TOOLS_STOP_H

#include <signal.h>

// Catches both signals from here on. What is returned becomes non-zero with the first.
const volatile sig_atomic_t *pf_tool_catch_stop(void);

#endif
