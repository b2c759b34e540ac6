// performer selftest: known answers of every kernel family on the device.
#include "performer/selftest.h"

#include <stdio.h>

#include "tools/commands.h"
#include "tools/device.h"
#include "tools/report.h"

typedef struct selftest_options {
    pf_common common;
    bool quick;
} selftest_options;

static const pf_option table[] = {
    {.name = "quick",
     .type = PF_OPTION_FLAG,
     .at = offsetof(selftest_options, quick),
     .help = "only the families that training checks before it starts"},
    {0},
};

static pf_status run_all(const selftest_options *o, pf_device *device)
{
    const int count = pf_selftest_count(o->quick);
    int passed = 0, could_run = 0;
    printf("%s (%s)\n", pf_device_describe(device)->name, pf_device_describe(device)->platform);
    for (int i = 0; i < count; i++) {
        pf_selftest_result r;
        pf_selftest_run(device, o->quick, i, &r);
        passed += r.passed, could_run += !r.reason[0];
        printf("%-26s %s  error %.1e, allowed %.1e%s%s\n", r.family, r.passed ? "passed" : "FAILED", r.error,
               r.tolerance, r.reason[0] ? "  " : "", r.reason);
        fflush(stdout);
    }
    printf("%d passed, %d failed\n", passed, count - passed);
    if (passed == count) return PF_OK;
    return pf_tool_fail(
        PF_ERROR_FAILED,
        could_run < count
            ? "the device cannot run all kernels; see the reasons above"
            : "the device gives wrong answers; update its driver, or choose another with --device");
}

static pf_status run(void *options)
{
    const selftest_options *o = options;
    pf_device *device = NULL;
    const pf_status status = pf_tool_device_open(&o->common, &device);
    if (status != PF_OK) return status;
    return pf_tool_device_close(&o->common, device, run_all(o, device));
}

const pf_command pf_command_selftest = {
    .name = "selftest",
    .summary = "known answers of every kernel family on the device",
    .operands = "",
    .details = "Runs each family of kernels on tiny fixed inputs and compares with stored answers: one line "
               "each, then the "
               "count. Exit code 1 when one is wrong.",
    .example = "performer selftest\n"
               "performer selftest --device gpu --quick",
    .options = table,
    .options_bytes = sizeof(selftest_options),
    .run = run,
};
