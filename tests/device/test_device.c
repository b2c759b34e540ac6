// Opening a device and what goes wrong on it: each failure is PF_ERROR_DEVICE or PF_ERROR_USAGE with a line that
// names the culprit, outputs stay untouched, and the device works on.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device/opencl.h"
#include "support/device.h"
#include "support/suite.h"

#define tells(part) ck_assert_msg(strstr(pf_error_message(), part), "\"%s\" does not tell \"%s\"", pf_error_message(), part)

static pf_status open_device(const char *selector, int threads, pf_device **out)
{
    test_device();
    return pf_device_open(&(pf_device_options){.selector = selector, .cache_directory = "off", .threads = threads}, out);
}

START_TEST(selectors_that_fit_nothing_are_told)
{
    pf_device *device = NULL;
    ck_assert_int_eq(open_device("no such device", 0, &device), PF_ERROR_DEVICE);
    tells("no such device");
    tells("performer devices");
    ck_assert_int_eq(open_device("99.0", 0, &device), PF_ERROR_DEVICE);
    tells("99.0");
    ck_assert_int_eq(open_device("", 0, &device), PF_ERROR_USAGE);
    tells("selector");
    ck_assert_int_eq(open_device("a\033[31m", 0, &device), PF_ERROR_DEVICE);
    ck_assert_msg(!strchr(pf_error_message(), '\033'), "control characters are escaped");
    ck_assert_ptr_null(device);
}
END_TEST

START_TEST(any_of_several_selectors_will_do)
{
    pf_device *device = NULL;
    must(open_device("no such device,auto", 0, &device));
    pf_device_close(device);
    device = NULL;
    must(open_device(pf_device_describe(test_device())->id, 0, &device));
    ck_assert_str_eq(pf_device_describe(device)->name, pf_device_describe(test_device())->name);
    pf_device_close(device);
}
END_TEST

START_TEST(exactly_one_usable_device_is_auto)
{
    pf_device_info infos[64];
    int count = 0, n_auto = 0;
    test_device();
    must(pf_device_list(infos, 64, &count));
    for (int i = 0; i < count && i < 64; i++) {
        n_auto += infos[i].is_auto;
        ck_assert_msg(infos[i].usable || infos[i].reason[0], "%s is refused without a reason", infos[i].name);
    }
    ck_assert_int_eq(n_auto, 1);
}
END_TEST

// Opened and closed many times: a part of a device is released with it.
START_TEST(threads_take_a_part_of_the_device)
{
    for (int i = 0; i < 5; i++) {
        pf_device *device = NULL;
        must(open_device(getenv("PERFORMER_DEVICE"), 1, &device));
        ck_assert(!device->part || pf_device_describe(device)->compute_units == 1);
        pf_device_close(device);
    }
}
END_TEST

START_TEST(a_build_failure_names_file_constants_and_log)
{
    pf_kernel *kernel = NULL;
    ck_assert_int_eq(pf_kernel_create(test_device(), &(pf_program_key){.file = "nowhere"}, "x", &kernel), PF_ERROR_DEVICE);
    tells("cl/nowhere.cl");
    const pf_define broken[] = {{"vec", 7}}; // "typedef float16 7" is no C
    ck_assert_int_eq(pf_kernel_create(test_device(), &(pf_program_key){.file = "layer_norm", .defines = broken, .n_defines = 1},
                                      "layer_norm_forward", &kernel), PF_ERROR_DEVICE);
    tells("cl/layer_norm.cl");
    tells("-Dvec=7");
    tells("compiler says");
    ck_assert_msg(!strchr(pf_error_message(), '\n'), "one line");
    ck_assert_int_eq(pf_kernel_create(test_device(), &(pf_program_key){.file = "probe"}, "no_such_kernel", &kernel),
                     PF_ERROR_DEVICE);
    tells("no_such_kernel");
    ck_assert_ptr_null(kernel);
}
END_TEST

START_TEST(memory_that_is_not_there_is_refused_before_the_driver_is_asked)
{
    pf_buffer *buffer = NULL;
    const uint64_t bytes = pf_device_bytes(test_device()), largest = pf_device_describe(test_device())->largest_buffer_bytes;
    ck_assert_int_eq(pf_buffer_create(test_device(), (size_t)largest + 1, "activations", &buffer), PF_ERROR_DEVICE);
    tells("activations");
    tells("smaller batch");
    ck_assert_ptr_null(buffer);
    pf_alloc_fail_after(0, 0);
    const pf_status status = pf_buffer_create(test_device(), 64, "activations", &buffer);
    pf_alloc_fail_after(-1, 0);
    ck_assert_int_eq(status, PF_ERROR_FAILED);
    ck_assert_ptr_null(buffer);
    ck_assert_uint_eq(pf_device_bytes(test_device()), bytes);
    must(pf_buffer_create(test_device(), 64, "activations", &buffer));
    char byte;
    ck_assert_int_eq(pf_buffer_read(buffer, 64, &byte, 1), PF_ERROR_USAGE);
    tells("activations");
    ck_assert_int_eq(pf_buffer_write(buffer, SIZE_MAX, &byte, 2), PF_ERROR_USAGE);
    pf_buffer_free(buffer);
}
END_TEST

START_TEST(rows_are_copied_and_nothing_between_them)
{
    enum { FROM_STRIDE = 7, TO_STRIDE = 5, ROWS = 4, WIDTH = 3, COUNT = 40 };
    int x[COUNT], y[COUNT] = {0};
    pf_buffer *from = NULL, *to = NULL;
    for (int i = 0; i < COUNT; i++) x[i] = i + 1;
    must(pf_buffer_create(test_device(), sizeof x, "from", &from));
    must(pf_buffer_create(test_device(), sizeof y, "to", &to));
    must(pf_buffer_write(from, 0, x, sizeof x));
    must(pf_buffer_write(to, 0, y, sizeof y));
    // From column 4 of row 1 on, to column 2 of row 2 on.
    const pf_buffer_rows source = {from, (FROM_STRIDE + 4) * sizeof *x, FROM_STRIDE * sizeof *x};
    const pf_buffer_rows target = {to, (2 * TO_STRIDE + 2) * sizeof *y, TO_STRIDE * sizeof *y};
    must(pf_buffer_copy_rows(target, source, WIDTH * sizeof *x, ROWS));
    must(pf_buffer_read(to, 0, y, sizeof y));
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < WIDTH; i++) {
            int *copied = &y[(2 + r) * TO_STRIDE + 2 + i];
            ck_assert_int_eq(*copied, x[(1 + r) * FROM_STRIDE + 4 + i]);
            *copied = 0;
        }
    for (int i = 0; i < COUNT; i++) ck_assert_int_eq(y[i], 0);
    ck_assert_int_eq(pf_buffer_copy_rows(target, source, WIDTH * sizeof *x, ROWS + 3), PF_ERROR_USAGE);
    ck_assert_int_eq(pf_buffer_copy_rows(target, source, (TO_STRIDE + 1) * sizeof *x, 1), PF_ERROR_USAGE);
    pf_buffer_free(from);
    pf_buffer_free(to);
}
END_TEST

START_TEST(host_memory_that_ends_while_opening_leaks_nothing)
{
    for (long n = 0;; n++) {
        pf_device *device = NULL;
        test_device();
        pf_alloc_fail_after(n, 1);
        const pf_status status = open_device(getenv("PERFORMER_DEVICE"), 0, &device);
        pf_alloc_fail_after(-1, 0);
        ck_assert_msg(n < 200, "opening a device takes 200 allocations");
        if (status != PF_OK) {
            ck_assert_ptr_null(device);
            continue;
        }
        pf_device_close(device);
        break;
    }
}
END_TEST

START_TEST(a_launch_that_cannot_be_names_its_kernel)
{
    pf_kernel *kernel = NULL;
    must(pf_kernel_create(test_device(), &(pf_program_key){.file = "probe"}, "probe", &kernel));
    const uint64_t launches = pf_device_launches(test_device());
    ck_assert_int_eq(pf_launch(kernel, (pf_work){.groups = {1}}, PF_ARGS(pf_arg_int(1), pf_arg_int(1), pf_arg_int(1))),
                     PF_ERROR_DEVICE);
    tells("kernel probe");
    must(pf_launch(kernel, (pf_work){.groups = {0}}, PF_ARGS(pf_arg_int(1))));
    ck_assert_uint_eq(pf_device_launches(test_device()), launches);
    pf_kernel_free(kernel);
}
END_TEST

// What is uploaded may be changed at once, however much is on its way and whatever still reads the buffer.
START_TEST(uploads_do_not_wait_and_arrive_in_order)
{
    enum { COUNT = 300000, TIMES = 10 }; // 12 MB: more than what can be on its way at once
    static int32_t x[COUNT], got[COUNT];
    pf_buffer *from = NULL, *to[TIMES];
    must(pf_buffer_create(test_device(), sizeof x, "from", &from));
    for (int i = 0; i < TIMES; i++) must(pf_buffer_create(test_device(), sizeof x, "to", &to[i]));
    const uint64_t waits = pf_device_waits(test_device());
    for (int i = 0; i < TIMES; i++) {
        for (int n = 0; n < COUNT; n++) x[n] = n ^ i;
        must(pf_buffer_write(from, 0, x, sizeof x));
        must(pf_buffer_copy(to[i], 0, from, 0, sizeof x));
        if (i == 2) ck_assert_uint_eq(pf_device_waits(test_device()), waits);
    }
    ck_assert_uint_le(pf_device_waits(test_device()), waits + TIMES / 3);
    for (int i = 0; i < TIMES; i++) {
        must(pf_buffer_read(to[i], 0, got, sizeof got));
        for (int n = 0; n < COUNT; n++) ck_assert_int_eq(got[n], n ^ i);
        pf_buffer_free(to[i]);
    }
    pf_buffer_free(from);
}
END_TEST

// Sizes below and above those that the driver is asked to fill; what lies around stays.
START_TEST(zeros_fill_what_was_asked_for)
{
    enum { COUNT = 100003 };
    static const int ranges[][2] = {{0, 1}, {5, 100}, {0, COUNT}, {3, 16384}, {7, 70001}, {1, 32768 + 5}, {COUNT - 20001, 20001}};
    static int32_t x[COUNT], got[COUNT];
    pf_buffer *buffer = NULL;
    must(pf_buffer_create(test_device(), sizeof x, "x", &buffer));
    for (int n = 0; n < COUNT; n++) x[n] = n + 1;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const int first = ranges[i][0], end = first + ranges[i][1];
        must(pf_buffer_write(buffer, 0, x, sizeof x));
        must(pf_buffer_zero(buffer, 4 * (size_t)first, 4 * (size_t)(end - first)));
        must(pf_buffer_read(buffer, 0, got, sizeof got));
        for (int n = 0; n < COUNT; n++) ck_assert_int_eq(got[n], n >= first && n < end ? 0 : n + 1);
    }
    pf_buffer_free(buffer);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("device");
    TCase *all = tcase_create("all");
    tcase_add_test(all, selectors_that_fit_nothing_are_told);
    tcase_add_test(all, any_of_several_selectors_will_do);
    tcase_add_test(all, exactly_one_usable_device_is_auto);
    tcase_add_test(all, threads_take_a_part_of_the_device);
    tcase_add_test(all, a_build_failure_names_file_constants_and_log);
    tcase_add_test(all, memory_that_is_not_there_is_refused_before_the_driver_is_asked);
    tcase_add_test(all, rows_are_copied_and_nothing_between_them);
    tcase_add_test(all, host_memory_that_ends_while_opening_leaks_nothing);
    tcase_add_test(all, a_launch_that_cannot_be_names_its_kernel);
    tcase_add_test(all, uploads_do_not_wait_and_arrive_in_order);
    tcase_add_test(all, zeros_fill_what_was_asked_for);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
