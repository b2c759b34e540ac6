// Signals that ask for an end. See stop.h.
#include "tools/stop.h"

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    stop = 1;
    signal(number, SIG_DFL);
}

const volatile sig_atomic_t *pf_tool_catch_stop(void)
{
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    return &stop;
}
