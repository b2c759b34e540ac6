// The golden cases of tests/golden/attention, made by an independent program in float64, on the device.
#ifndef TESTS_OPS_FAVOR_GOLDEN_H
#define TESTS_OPS_FAVOR_GOLDEN_H

#include <stdbool.h>

#include "performer/config.h"

// Runs every FAVOR case of this direction whose kernel `wanted` accepts, forward and backward, each to its own
// tolerance. Returns how many there were.
int favor_golden_run(bool causal, bool (*wanted)(pf_favor_kernel kernel));

#endif
