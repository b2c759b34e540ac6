// The one thing a test file exports: its suite. `main.c` runs it.
#ifndef TESTS_SUPPORT_SUITE_H
#define TESTS_SUPPORT_SUITE_H

#include <check.h>

Suite *suite(void);

#endif
