// A machine without OpenCL: the error says what to install and is the environment's (exit 4).
#include <stdlib.h>
#include <string.h>

#include "performer/device.h"
#include "support/suite.h"
#include "support/temporary.h"

START_TEST(no_platform_tells_what_to_install)
{
    setenv("OCL_ICD_VENDORS", temporary("empty/"), 1); // read by the loader at its first call
    pf_device *device = NULL;
    pf_device_info info;
    int count = 7;
    ck_assert_int_eq(pf_device_open(&(pf_device_options){.selector = NULL}, &device), PF_ERROR_DEVICE);
    ck_assert_ptr_null(device);
    ck_assert_msg(strstr(pf_error_message(), "install"), "%s", pf_error_message());
    ck_assert_int_eq(pf_device_list(&info, 1, &count), PF_ERROR_DEVICE);
    ck_assert_int_eq(count, 7);
    ck_assert_msg(strstr(pf_error_message(), "no OpenCL platform"), "%s", pf_error_message());
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("no_platform");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, temporary_create, temporary_remove);
    tcase_add_test(all, no_platform_tells_what_to_install);
    suite_add_tcase(s, all);
    return s;
}
