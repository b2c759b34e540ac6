// The file of tuned choices: what was written reads back, whatever else is refused with the line, and an
// entry is found by the model's sizes, never by the number of rows.
#include <stdio.h>
#include <string.h>

#include "ops/matmul/tuned.h"
#include "support/suite.h"

static const pf_tuned_device cpu = {"A CPU, driver 1", "00ff", {1, 16}, 512 << 10};
static const pf_tuned_device gpu = {"A GPU, driver 1", "00ff", {64, 4}, 32 << 10};

static const char good[] = "performer tune 1\ndevice A CPU, driver 1\nkernels 00ff\n"
                           "nt 1536 512 tile 1 6 4 1 96 512 gflops 390 built-in 371\n"
                           "nn 512 29 clblast gflops 80 built-in 60\n"
                           "tn 128 512 tile 2 12 2 1 96 128 gflops 200 built-in 150\n"
                           "end 3\n";

static pf_status parse(const char *text, const pf_tuned_device *device, pf_tuned *out)
{
    return pf_tuned_parse(text, strlen(text), device, out);
}

START_TEST(what_is_written_reads_back)
{
    pf_tuned tuned = {0};
    pf_text text = {0};
    ck_assert_int_eq(parse(good, &cpu, &tuned), PF_OK);
    ck_assert_int_eq(tuned.count, 3);
    ck_assert_int_eq(tuned.entry[2].provider, PF_MATMUL_TILE);
    ck_assert(tuned.entry[2].transpose_a && !tuned.entry[2].transpose_b);
    ck_assert(pf_tile_shape_equal(&tuned.entry[2].shape, &(pf_tile_shape){2, 12, 2, 1, 96, 128}));
    ck_assert_int_eq(tuned.entry[1].provider, PF_MATMUL_CLBLAST);
    ck_assert_double_eq(tuned.entry[1].gflops, 80);
    ck_assert_int_eq(pf_tuned_write(&tuned, &cpu, &text), PF_OK);
    ck_assert_str_eq(text.data, good);
    pf_text_free(&text);
}
END_TEST

START_TEST(a_file_that_is_cut_short_is_refused)
{
    pf_tuned tuned = {.count = -7};
    for (size_t length = 0; length < sizeof good - 1; length++)
        ck_assert_msg(pf_tuned_parse(good, length, &cpu, &tuned) != PF_OK, "%zu bytes were taken", length);
    ck_assert_int_eq(tuned.count, -7);
}
END_TEST

// One line of a good file in the place of another, with what the message must say.
static const struct damage {
    const char *line, *instead, *says;
} damages[] = {
    {"performer tune 1", "performer tuna 1", "line 1: expected \"performer tune\""},
    {"device A CPU, driver 1", "devise A CPU, driver 1", "line 2: expected the device"},
    {"kernels 00ff", "kernel 00ff", "line 3: expected the kernels"},
    {"nn 512", "nx 512", "line 5: expected KIND SIZE"},
    {"nn 512", "nnn 512", "line 5"},
    {"nn 512 29", "nn -512 29", "line 5"},
    {"nn 512 29", "nn 512 99999999999999999999", "line 5"},
    {"nn 512 29", "nn 512 29.5", "line 5"},
    {"nn 512 29 clblast", "nn 512 clblast", "line 5"},
    {"nn 512 29 clblast", "nn 512 29 cublas", "line 5"},
    {"clblast gflops 80", "clblast gflops nan", "line 5"},
    {"built-in 60\n", "built-in 60 7\n", "line 5"},
    {"built-in 60\n", "built-in 60\x01\n", "line 5"},
    {"nn 512 29 clblast", "tn 128 512 clblast", "line 6: expected no product twice"},
    {"1 6 4 1 96 512", "3 6 4 1 96 512", "line 4"},  // no such kind of panels
    {"1 6 4 1 96 512", "1 0 4 1 96 512", "line 4"},  // tiles without rows
    {"1 6 4 1 96 512", "1 6 0 1 96 512", "line 4"},  // without columns
    {"1 6 4 1 96 512", "1 32 8 1 96 512", "line 4"}, // of more numbers than a machine has registers
    {"1 6 4 1 96 512", "1 6 4 2 96 512", "line 4"},  // two items beside each other in a group of one
    {"1 6 4 1 96 512", "1 6 4 1 97 512",
     "line 4"}, // rows that tiles do not divide: writes past what is staged
    {"1 6 4 1 96 512", "1 6 4 1 96 500", "line 4"},  // a depth that vectors do not divide
    {"1 6 4 1 96 512", "1 6 4 1 960 512", "line 4"}, // more than local memory holds
    {"1 6 4 1 96 512", "1 6 4 1 96", "line 4"},
    {"end 3\n", "end 2\n", "\"end\", the number"},
    {"end 3\n", "end 3\nnn 1 1 clblast gflops 1 built-in 1\n", "nothing behind it"},
    {"end 3\n", "end 3", "line 7"},
    {"end 3\n", "end three\n", "line 7"},
};

static void replace(char *out, size_t size, const struct damage *d)
{
    const char *at = strstr(good, d->line);
    ck_assert_ptr_nonnull(at);
    snprintf(out, size, "%.*s%s%s", (int)(at - good), good, d->instead, at + strlen(d->line));
}

START_TEST(a_damaged_line_is_named)
{
    char text[1000];
    pf_tuned tuned = {.count = -7};
    replace(text, sizeof text, &damages[_i]);
    ck_assert_msg(parse(text, &cpu, &tuned) == PF_ERROR_INPUT, "%s", damages[_i].instead);
    ck_assert_msg(strstr(pf_error_message(), damages[_i].says), "%s: %s", damages[_i].instead,
                  pf_error_message());
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "performer tune"));
    ck_assert_int_eq(tuned.count, -7);
}
END_TEST

START_TEST(a_file_for_something_else_is_passed_over)
{
    static const struct damage others[] = {{"performer tune 1", "performer tune 2", "version"},
                                           {"driver 1", "driver 2", "device"},
                                           {"00ff", "00fe", "kernels"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char text[1000];
        pf_tuned tuned = {.count = -7};
        replace(text, sizeof text, &others[i]);
        ck_assert_int_eq(parse(text, &cpu, &tuned), PF_END);
        ck_assert_ptr_nonnull(strstr(pf_error_message(), others[i].says));
        ck_assert_int_eq(tuned.count, -7);
    }
}
END_TEST

START_TEST(constants_must_suit_the_group)
{
    const pf_tile_shape shared = {0, 4, 2, 8, 32, 32};
    pf_tile_shape wrong[] = {shared, shared, shared, shared};
    ck_assert(pf_tile_shape_fits(&shared, &gpu));
    wrong[0].packed = 1;       // panels made ahead are for groups of one
    wrong[1].beside = 7;       // does not divide the group
    wrong[2].staged_rows = 64; // is not what the group's tiles cover
    wrong[3].depth = 512;      // 32 KiB do not hold it
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(!pf_tile_shape_fits(&wrong[i], &gpu), "shape %zu was taken", i);
}
END_TEST

START_TEST(an_entry_is_found_by_the_models_sizes)
{
    pf_tuned tuned = {0};
    ck_assert_int_eq(parse(good, &cpu, &tuned), PF_OK);
    const int rows[] = {1, 100, 4096};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const pf_matmul_call forward = {.m = rows[i], .n = 1536, .k = 512, .transpose_b = true};
        const pf_matmul_call weights = {.m = 128, .n = 512, .k = rows[i], .transpose_a = true};
        ck_assert_ptr_eq(pf_tuned_find(&tuned, &forward), &tuned.entry[0]);
        ck_assert_ptr_eq(pf_tuned_find(&tuned, &weights), &tuned.entry[2]);
    }
    ck_assert_ptr_null(
        pf_tuned_find(&tuned, &(pf_matmul_call){.m = 9, .n = 512, .k = 1536, .transpose_b = true}));
    ck_assert_ptr_null(pf_tuned_find(&tuned, &(pf_matmul_call){.m = 9, .n = 1536, .k = 512}));
}
END_TEST

// Every different tile is a program to compile.
START_TEST(there_is_room_for_so_many_entries_and_tiles)
{
    pf_tuned tuned = {0};
    for (int i = 0; i < PF_TUNED_SHAPES + 2; i++) {
        const pf_tuned_entry e = {
            .sizes = {i, 1}, .provider = PF_MATMUL_TILE, .shape = {1, 6, 4, 1, 96, 16 * (i + 1)}};
        ck_assert_int_eq(pf_tuned_add(&tuned, &e), i < PF_TUNED_SHAPES);
    }
    for (int i = tuned.count; i < PF_TUNED_ENTRIES + 2; i++) {
        const pf_tuned_entry e = {.sizes = {i, 1}, .provider = PF_MATMUL_CLBLAST};
        ck_assert_int_eq(pf_tuned_add(&tuned, &e), i < PF_TUNED_ENTRIES);
    }
    const pf_tuned_entry again = {.sizes = {0, 1}, .provider = PF_MATMUL_CLBLAST};
    ck_assert(pf_tuned_add(&tuned, &again));
    ck_assert_int_eq(tuned.count, PF_TUNED_ENTRIES);
    ck_assert_int_eq(tuned.entry[0].provider, PF_MATMUL_CLBLAST);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("tuned");
    TCase *all = tcase_create("all");
    tcase_add_test(all, what_is_written_reads_back);
    tcase_add_test(all, a_file_that_is_cut_short_is_refused);
    tcase_add_loop_test(all, a_damaged_line_is_named, 0, sizeof damages / sizeof *damages);
    tcase_add_test(all, a_file_for_something_else_is_passed_over);
    tcase_add_test(all, constants_must_suit_the_group);
    tcase_add_test(all, an_entry_is_found_by_the_models_sizes);
    tcase_add_test(all, there_is_room_for_so_many_entries_and_tiles);
    suite_add_tcase(s, all);
    return s;
}
