// Shared main of all test programs: runs the file's suite and reports in TAP, so that the test
// runner counts and names every test. Exit 77 (a skip) is decided by the device fixture alone.
#include <stdlib.h>

#include "support/suite.h"

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (test_finish) test_finish();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
