// The one thing a test file exports: its suite. `main.c` runs it.
#ifndef TESTS_SUPPORT_SUITE_H
#define TESTS_SUPPORT_SUITE_H

#include <check.h>

Suite *suite(void);

// Called by main at the end where support/device.c is linked: closes the device. Not with atexit, since
// some runtimes (Oclgrind) have lost their thread's memory by then.
void test_finish(void) __attribute__((weak));

#endif
