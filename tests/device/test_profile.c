// The profile tells how often each kernel ran, as a table and as a trace that is JSON; it stays bounded.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"
#include "support/device.h"
#include "support/suite.h"
#include "support/temporary.h"

static pf_device *open_device(bool profile)
{
    test_device(); // decides whether a missing device is a skip
    pf_device *device = NULL;
    const pf_device_options options = {.selector = getenv("PERFORMER_DEVICE"), .profile = profile};
    must(pf_device_open(&options, &device));
    return device;
}

// Launches the probe `count` times on a device of its own.
static void launch(pf_device *device, int count)
{
    pf_kernel *kernel = NULL;
    pf_buffer *buffer = NULL;
    must(pf_kernel_create(device, &(pf_program_key){.file = "probe"}, "probe", &kernel));
    must(pf_buffer_create(device, 4096, "answers", &buffer));
    for (int i = 0; i < count; i++)
        must(pf_launch(kernel, (pf_work){.groups = {1}, .flops = 1000, .bytes = 2000},
                       PF_ARGS(pf_arg_buffer(buffer), pf_arg_int(500))));
    pf_kernel_free(kernel);
    pf_buffer_free(buffer);
}

START_TEST(table_counts_every_launch)
{
    pf_device *device = open_device(true);
    const char *table = NULL;
    const int count = test_small() ? 20 : 5000; // more than are kept at once
    launch(device, count);
    must(pf_device_profile_table(device, &table));
    const char *line = strstr(table, "\nprobe ");
    ck_assert_msg(line, "%s", table);
    unsigned long long calls = 0;
    double ms = -1;
    ck_assert_int_eq(sscanf(line, " probe %llu %lf", &calls, &ms), 2);
    ck_assert_uint_eq(calls, (unsigned)count);
    ck_assert(ms >= 0);
    ck_assert_ptr_nonnull(strstr(table, "measured peak"));
    ck_assert_msg(!strstr(table, "peak_copy"), "measuring the peak is no part of the profile");
    ck_assert_msg(!strstr(table, "nan") && !strstr(table, "inf"), "%s", table);
    pf_device_close(device);
}
END_TEST

START_TEST(trace_is_json_with_an_event_for_each_launch)
{
    pf_device *device = open_device(true);
    const int count = 30;
    launch(device, count);
    must(pf_device_write_profile(device, temporary("trace.json")));
    json_error_t error;
    json_t *trace = json_load_file(temporary("trace.json"), 0, &error);
    ck_assert_msg(trace, "%s", error.text);
    const json_t *events = json_object_get(trace, "traceEvents");
    int launches = 0;
    double last = 0;
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *e = json_array_get(events, i);
        if (strcmp(json_string_value(json_object_get(e, "name")), "probe") != 0) continue;
        ck_assert_str_eq(json_string_value(json_object_get(e, "ph")), "X");
        const double at = json_number_value(json_object_get(e, "ts"));
        ck_assert(at >= last && json_number_value(json_object_get(e, "dur")) >= 0);
        last = at;
        launches++;
    }
    ck_assert_int_eq(launches, count);
    json_decref(trace);
    pf_device_close(device);
}
END_TEST

START_TEST(counts_can_be_read_and_begun_anew)
{
    pf_device *device = open_device(true);
    pf_kernel_profile kernels[4];
    int count = 0;
    launch(device, 3);
    must(pf_device_clear_profile(device));
    launch(device, 2);
    must(pf_device_read_profile(device, kernels, 4, &count));
    ck_assert_int_ge(count, 1);
    ck_assert_int_le(count, 4);
    uint64_t probes = 0;
    for (int i = 0; i < count; i++)
        if (strcmp(kernels[i].name, "probe") == 0) probes += kernels[i].calls;
    ck_assert_uint_eq(probes, 2);
    must(pf_device_clear_profile(device));
    must(pf_device_read_profile(device, kernels, 4, &count));
    ck_assert_int_eq(count, 0);
    pf_device_close(device);
}
END_TEST

START_TEST(without_a_profile_there_is_none_to_write)
{
    int count = 0;
    pf_device *device = open_device(false);
    const char *table = NULL;
    ck_assert_int_eq(pf_device_write_profile(device, temporary("none.json")), PF_ERROR_USAGE);
    ck_assert_int_eq(pf_device_profile_table(device, &table), PF_ERROR_USAGE);
    ck_assert_ptr_null(table);
    ck_assert_int_eq(pf_device_read_profile(device, NULL, 0, &count), PF_ERROR_USAGE);
    ck_assert_int_eq(pf_device_clear_profile(device), PF_ERROR_USAGE);
    pf_device_close(device);
}
END_TEST

START_TEST(unwritable_trace_is_told)
{
    pf_device *device = open_device(true);
    launch(device, 1);
    ck_assert_int_eq(pf_device_write_profile(device, temporary("no/such/folder/trace.json")), PF_ERROR_FAILED);
    pf_device_close(device);
}
END_TEST

START_TEST(peak_is_measured_and_leaves_no_trace)
{
    if (test_small()) return;
    pf_device *device = open_device(false);
    const uint64_t launches = pf_device_launches(device), bytes = pf_device_bytes(device);
    const uint64_t allocations = pf_device_allocations(device), most = pf_device_peak_bytes(device);
    pf_device_peak peak = {0};
    must(pf_device_measure_peak(device, &peak));
    ck_assert(peak.gflops > 0 && peak.gbytes_per_s > 0 && peak.launch_us > 0);
    ck_assert_uint_eq(pf_device_launches(device), launches);
    ck_assert_uint_eq(pf_device_allocations(device), allocations);
    ck_assert_uint_eq(pf_device_bytes(device), bytes);
    ck_assert_uint_eq(pf_device_peak_bytes(device), most);
    pf_device_close(device);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("profile");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, temporary_create, temporary_remove);
    tcase_add_test(all, table_counts_every_launch);
    tcase_add_test(all, trace_is_json_with_an_event_for_each_launch);
    tcase_add_test(all, counts_can_be_read_and_begun_anew);
    tcase_add_test(all, without_a_profile_there_is_none_to_write);
    tcase_add_test(all, unwritable_trace_is_told);
    tcase_add_test(all, peak_is_measured_and_leaves_no_trace);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
