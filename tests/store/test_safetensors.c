// Safetensors: what is written comes back bit for bit, in any number type, and files of other
// programs are read.
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "store/safetensors.h"
#include "support/suite.h"
#include "support/temporary.h"

static void fill(float *out, int count, uint64_t step)
{
    for (int i = 0; i < count; i++) out[i] = (float)pf_random_normal(1, PF_RANDOM_TEST, step, (uint64_t)i);
}

static int count_entries(const char *directory)
{
    int count = 0;
    DIR *stream = opendir(directory);
    while (readdir(stream)) count++;
    closedir(stream);
    return count - 2;
}

static pf_status write_pair(const char *path, const float *a, const float *b)
{
    const pf_tensor_spec tensors[] = {{"z", PF_F32, 2, {5, 7}}, {"a \"quoted\"\n", PF_F32, 1, {11}}};
    const pf_metadata metadata[] = {{"format", "pt"}, {"ids", "[\"x\"]"}};
    pf_safetensors_writer *writer = NULL;
    pf_status status = pf_safetensors_writer_open(path, tensors, 2, metadata, 2, &writer);
    if (status == PF_OK) status = pf_safetensors_write(writer, a, 35 * sizeof *a);
    if (status == PF_OK) status = pf_safetensors_write(writer, b, 3 * sizeof *b);
    if (status == PF_OK) status = pf_safetensors_write(writer, b + 3, 8 * sizeof *b);
    if (status == PF_OK) return pf_safetensors_commit(writer, NULL);
    pf_safetensors_discard(writer);
    return status;
}

START_TEST(what_is_written_comes_back)
{
    float a[35], b[11], back[35];
    fill(a, 35, 1);
    fill(b, 11, 2);
    ck_assert_int_eq(write_pair(temporary("f"), a, b), PF_OK);
    pf_safetensors *file = NULL;
    ck_assert_msg(pf_safetensors_open(temporary("f"), &file) == PF_OK, "%s", pf_error_message());
    ck_assert_int_eq(pf_safetensors_count(file), 2);
    ck_assert_str_eq(pf_safetensors_get(file, 0)->name, "z");
    ck_assert_uint_eq(pf_safetensors_get(file, 0)->offset % 64, 0);
    const pf_tensor_info *tensor = pf_safetensors_find(file, "z");
    ck_assert_int_eq(tensor->rank, 2);
    ck_assert_uint_eq(tensor->shape[0], 5);
    ck_assert_uint_eq(tensor->count, 35);
    ck_assert_int_eq(pf_safetensors_read(file, tensor, back), PF_OK);
    ck_assert_mem_eq(back, a, sizeof a);
    tensor = pf_safetensors_find(file, "a \"quoted\"\n");
    ck_assert_int_eq(pf_safetensors_read_float(file, tensor, 2, 9, back), PF_OK);
    ck_assert_mem_eq(back, b + 2, 9 * sizeof *b);
    ck_assert_int_eq(pf_safetensors_read_float(file, tensor, 2, 10, back), PF_ERROR_USAGE);
    ck_assert_ptr_null(pf_safetensors_find(file, "b"));
    ck_assert_str_eq(pf_safetensors_metadata(file, "ids"), "[\"x\"]");
    ck_assert_ptr_null(pf_safetensors_metadata(file, "none"));
    pf_safetensors_close(file);
}
END_TEST

START_TEST(a_file_with_too_few_or_too_many_bytes_is_not_made)
{
    const pf_tensor_spec tensor = {"a", PF_F32, 1, {2}};
    const float numbers[3] = {1, 2, 3};
    pf_safetensors_writer *writer = NULL;
    ck_assert_int_eq(pf_safetensors_writer_open(temporary("f"), &tensor, 1, NULL, 0, &writer), PF_OK);
    ck_assert_int_eq(pf_safetensors_write(writer, numbers, 12), PF_ERROR_USAGE);
    ck_assert_int_eq(pf_safetensors_write(writer, numbers, 4), PF_OK);
    ck_assert_int_eq(pf_safetensors_commit(writer, NULL), PF_ERROR_USAGE);
    ck_assert_int_eq(count_entries(temporary("")), 0);
}
END_TEST

// Every half and bfloat16 number, against the definition of the format.
START_TEST(small_floats_are_exact)
{
    for (uint32_t bits = 0; bits < 65536; bits++) {
        const int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
        const double magnitude = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        const double expected = bits & 0x8000 ? -magnitude : magnitude;
        const float half = pf_float_from_half((uint16_t)bits);
        if (exponent < 31) ck_assert((double)half == expected && !signbit(half) == !(bits & 0x8000));
        else ck_assert(fraction ? isnan(half) : isinf(half) && (half > 0) == !(bits & 0x8000));
        const uint32_t wide = bits << 16;
        const float bfloat = pf_float_from_bfloat((uint16_t)bits);
        ck_assert_mem_eq(&bfloat, &wide, 4);
    }
}
END_TEST

// Every half and what lies between it and the next one, above and below zero.
START_TEST(floats_become_the_nearest_half_ties_to_even)
{
    for (uint32_t bits = 0; bits < 0x7bff; bits++) {
        const float low = pf_float_from_half((uint16_t)bits), high = pf_float_from_half((uint16_t)(bits + 1));
        const float middle = (low + high) / 2; // exact
        ck_assert_uint_eq(pf_half_from_float(low), bits);
        ck_assert_uint_eq(pf_half_from_float(-low), bits | 0x8000);
        ck_assert_uint_eq(pf_half_from_float(nextafterf(middle, 0)), bits);
        ck_assert_uint_eq(pf_half_from_float(nextafterf(middle, INFINITY)), bits + 1);
        ck_assert_uint_eq(pf_half_from_float(middle), bits & 1 ? bits + 1 : bits);
    }
    ck_assert_uint_eq(pf_half_from_float(65504), 0x7bff);
    ck_assert_uint_eq(pf_half_from_float(65519.99f), 0x7bff);
    ck_assert_uint_eq(pf_half_from_float(65520), 0x7c00);
    ck_assert_uint_eq(pf_half_from_float(-INFINITY), 0xfc00);
    ck_assert(isnan(pf_float_from_half(pf_half_from_float(NAN))));
}
END_TEST

START_TEST(doubles_and_halves_are_read_as_floats)
{
    enum { COUNT = 20000 }; // more than a chunk of the reader
    static double doubles[COUNT];
    static uint16_t halves[COUNT];
    static float back[COUNT];
    for (int i = 0; i < COUNT; i++) {
        doubles[i] = pf_random_normal(1, PF_RANDOM_TEST, 5, (uint64_t)i);
        halves[i] = (uint16_t)(i % 31744);
    }
    const pf_tensor_spec tensors[] = {{"d", PF_F64, 1, {COUNT}}, {"h", PF_F16, 1, {COUNT}}, {"i", PF_I32, 1, {1}}};
    pf_safetensors_writer *writer = NULL;
    ck_assert_int_eq(pf_safetensors_writer_open(temporary("f"), tensors, 3, NULL, 0, &writer), PF_OK);
    ck_assert_int_eq(pf_safetensors_write(writer, doubles, sizeof doubles), PF_OK);
    ck_assert_int_eq(pf_safetensors_write(writer, halves, sizeof halves), PF_OK);
    ck_assert_int_eq(pf_safetensors_write(writer, &(int){3}, 4), PF_OK);
    ck_assert_int_eq(pf_safetensors_commit(writer, NULL), PF_OK);
    pf_safetensors *file = NULL;
    ck_assert_int_eq(pf_safetensors_open(temporary("f"), &file), PF_OK);
    ck_assert_int_eq(pf_safetensors_read_float(file, pf_safetensors_find(file, "d"), 1, COUNT - 1, back), PF_OK);
    for (int i = 1; i < COUNT; i++) ck_assert(back[i - 1] == (float)doubles[i]);
    ck_assert_int_eq(pf_safetensors_read_float(file, pf_safetensors_find(file, "h"), 0, COUNT, back), PF_OK);
    for (int i = 0; i < COUNT; i++) ck_assert(back[i] == pf_float_from_half(halves[i]));
    ck_assert_int_eq(pf_safetensors_read_float(file, pf_safetensors_find(file, "i"), 0, 1, back), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "tensor i: dtype I32"));
    pf_safetensors_close(file);
}
END_TEST

START_TEST(spooled_tensors_come_back)
{
    enum { TENSORS = 500 };
    pf_safetensors_spool *spool = NULL;
    ck_assert_int_eq(pf_safetensors_spool_open(temporary("f"), &spool), PF_OK);
    float numbers[TENSORS];
    fill(numbers, TENSORS, 3);
    char name[20];
    for (uint64_t i = 0; i < TENSORS; i++) {
        snprintf(name, sizeof name, "id%d", (int)i);
        const pf_tensor_spec tensor = {name, PF_F32, 1, {i % 40}};
        if (i % 3 == 0) {
            ck_assert_int_eq(pf_safetensors_spool_add(spool, &tensor, numbers + i / 2), PF_OK);
        } else { // in two pieces, the first of an odd length
            const size_t bytes = (size_t)(i % 40) * sizeof *numbers, part = bytes / 3;
            const char *data = (const char *)(numbers + i / 2);
            ck_assert_int_eq(pf_safetensors_spool_begin(spool, &tensor), PF_OK);
            ck_assert_int_eq(pf_safetensors_spool_write(spool, data, bytes + 1), PF_ERROR_USAGE);
            ck_assert_int_eq(pf_safetensors_spool_write(spool, data, part), PF_OK);
            const pf_tensor_spec next = {"next", PF_F32, 1, {1}};
            if (bytes) ck_assert_int_eq(pf_safetensors_spool_begin(spool, &next), PF_ERROR_USAGE);
            ck_assert_int_eq(pf_safetensors_spool_write(spool, data + part, bytes - part), PF_OK);
        }
        ck_assert_int_eq(pf_safetensors_spool_add(spool, &tensor, numbers), PF_ERROR_USAGE);
    }
    ck_assert_int_eq(pf_safetensors_spool_commit(spool, NULL, 0), PF_OK);
    ck_assert_int_eq(count_entries(temporary("")), 1);
    pf_safetensors *file = NULL;
    ck_assert_msg(pf_safetensors_open(temporary("f"), &file) == PF_OK, "%s", pf_error_message());
    ck_assert_int_eq(pf_safetensors_count(file), TENSORS);
    for (int i = 0; i < TENSORS; i++) {
        float back[40];
        snprintf(name, sizeof name, "id%d", i);
        const pf_tensor_info *tensor = pf_safetensors_find(file, name);
        ck_assert_uint_eq(tensor->count, (uint64_t)i % 40);
        ck_assert_int_eq(pf_safetensors_read(file, tensor, back), PF_OK);
        ck_assert_mem_eq(back, numbers + i / 2, tensor->bytes);
    }
    pf_safetensors_close(file);
}
END_TEST

START_TEST(files_of_another_program_are_read)
{
    char path[600];
    snprintf(path, sizeof path, "%s/golden/models/clm-rotary-softmax/model.safetensors", PF_TEST_SOURCE);
    pf_safetensors *file = NULL;
    ck_assert_msg(pf_safetensors_open(path, &file) == PF_OK, "%s", pf_error_message());
    const pf_tensor_info *tensor = pf_safetensors_find(file, "layers.1.attention.projection");
    ck_assert_ptr_nonnull(tensor);
    ck_assert_uint_eq(tensor->shape[0], 32);
    ck_assert_uint_eq(tensor->shape[1], 8);
    pf_safetensors_close(file);
}
END_TEST

// Each allocation fails in turn, once and for ever: an error, nothing leaked, no file left.
START_TEST(no_memory_is_an_error)
{
    float a[35] = {0}, b[11] = {0};
    pf_status status = PF_ERROR_FAILED;
    for (long n = 0; status != PF_OK; n++) {
        ck_assert_int_lt(n, 100);
        pf_alloc_fail_after(n, _i);
        status = write_pair(temporary("f"), a, b);
        pf_alloc_fail_after(-1, 0);
        ck_assert_int_eq(count_entries(temporary("")), status == PF_OK);
    }
    status = PF_ERROR_FAILED;
    for (long n = 0; status != PF_OK; n++) {
        ck_assert_int_lt(n, 100);
        pf_safetensors *file = NULL;
        pf_alloc_fail_after(n, _i);
        status = pf_safetensors_open(temporary("f"), &file);
        pf_alloc_fail_after(-1, 0);
        ck_assert((file != NULL) == (status == PF_OK));
        pf_safetensors_close(file);
    }
}
END_TEST

static pf_status spool_two(const char *path)
{
    pf_safetensors_spool *spool = NULL;
    const pf_tensor_spec tensors[] = {{"a", PF_U8, 1, {3}}, {"b", PF_U8, 1, {2}}};
    pf_status status = pf_safetensors_spool_open(path, &spool);
    if (status == PF_OK) status = pf_safetensors_spool_add(spool, &tensors[0], "abc");
    if (status == PF_OK) status = pf_safetensors_spool_add(spool, &tensors[1], "de");
    if (status == PF_OK) return pf_safetensors_spool_commit(spool, NULL, 0);
    pf_safetensors_spool_discard(spool);
    return status;
}

START_TEST(no_memory_for_a_spool_leaves_nothing)
{
    pf_status status = PF_ERROR_FAILED;
    for (long n = 0; status != PF_OK; n++) {
        ck_assert_int_lt(n, 100);
        pf_alloc_fail_after(n, _i);
        status = spool_two(temporary("f"));
        pf_alloc_fail_after(-1, 0);
        ck_assert_int_eq(count_entries(temporary("")), status == PF_OK);
    }
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *cases = tcase_create("safetensors");
    tcase_add_checked_fixture(cases, temporary_create, temporary_remove);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, what_is_written_comes_back);
    tcase_add_test(cases, a_file_with_too_few_or_too_many_bytes_is_not_made);
    tcase_add_test(cases, small_floats_are_exact);
    tcase_add_test(cases, floats_become_the_nearest_half_ties_to_even);
    tcase_add_test(cases, doubles_and_halves_are_read_as_floats);
    tcase_add_test(cases, spooled_tensors_come_back);
    tcase_add_test(cases, files_of_another_program_are_read);
    tcase_add_loop_test(cases, no_memory_is_an_error, 0, 2);
    tcase_add_loop_test(cases, no_memory_for_a_spool_leaves_nothing, 0, 2);
    suite_add_tcase(suite, cases);
    return suite;
}
