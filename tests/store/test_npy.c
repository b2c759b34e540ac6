// NumPy's files: arrays come back, files of NumPy itself are read, what is no plain float array is
// refused in words that help, and archives are what zip readers expect.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "store/npy.h"
#include "support/suite.h"
#include "support/temporary.h"

static int count_entries(const char *directory)
{
    int count = 0;
    DIR *stream = opendir(directory);
    while (readdir(stream)) count++;
    closedir(stream);
    return count - 2;
}

static void write_bytes(const char *path, const void *bytes, size_t count)
{
    FILE *stream = fopen(path, "w");
    ck_assert_uint_eq(fwrite(bytes, 1, count, stream), count);
    fclose(stream);
}

// A file with this dictionary and so many bytes of zeros behind it.
static void write_dictionary(int version, const char *dictionary, size_t data_bytes)
{
    char bytes[1024] = "\x93NUMPY";
    const uint32_t length = (uint32_t)strlen(dictionary);
    const size_t start = version == 1 ? 10 : 12;
    bytes[6] = (char)version;
    memcpy(bytes + 8, &length, start - 8);
    memcpy(bytes + start, dictionary, length);
    write_bytes(temporary("a.npy"), bytes, start + length + data_bytes);
}

START_TEST(arrays_come_back)
{
    static float data[24];
    for (int i = 0; i < 24; i++) data[i] = (float)i / 7;
    const uint64_t shape[] = {2, 3, 4};
    const uint64_t counts[] = {1, 2, 6, 24};
    ck_assert_int_eq(pf_npy_write(temporary("a.npy"), data, _i, shape), PF_OK);
    pf_npy_array array = {0};
    ck_assert_msg(pf_npy_read(temporary("a.npy"), &array) == PF_OK, "%s", pf_error_message());
    ck_assert_int_eq(array.rank, _i);
    ck_assert_uint_eq(array.count, counts[_i]);
    for (int i = 0; i < _i; i++) ck_assert_uint_eq(array.shape[i], shape[i]);
    ck_assert_mem_eq(array.data, data, (size_t)array.count * sizeof *data);
    pf_npy_free(&array);
}
END_TEST

START_TEST(rows_may_come_one_by_one)
{
    const uint64_t shape[] = {PF_NPY_OPEN_END, 3};
    const float row[] = {1, 2, 3};
    pf_npy_writer *writer = NULL;
    ck_assert_int_eq(pf_npy_writer_open(temporary("a.npy"), 2, shape, &writer), PF_OK);
    for (int i = 0; i < 5; i++) ck_assert_int_eq(pf_npy_writer_write(writer, row, 3), PF_OK);
    ck_assert_int_eq(pf_npy_writer_commit(writer), PF_OK);
    pf_npy_array array = {0};
    ck_assert_int_eq(pf_npy_read(temporary("a.npy"), &array), PF_OK);
    ck_assert_uint_eq(array.shape[0], 5);
    ck_assert_uint_eq(array.shape[1], 3);
    pf_npy_free(&array);
    ck_assert_int_eq(pf_npy_writer_open(temporary("b.npy"), 2, shape, &writer), PF_OK);
    ck_assert_int_eq(pf_npy_writer_write(writer, row, 2), PF_OK);
    ck_assert_int_eq(pf_npy_writer_commit(writer), PF_ERROR_USAGE);
    ck_assert_int_eq(count_entries(temporary("")), 1);
}
END_TEST

typedef struct dictionary_case {
    const char *text;
    size_t data_bytes;
    const char *message; // NULL: read
    int version;
} dictionary_case;

static const dictionary_case dictionaries[] = {
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }   \n", 24, NULL, 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }   \n", 24, NULL, 2},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }   \n", 48, NULL, 3},
    {"{\"shape\":(6,),\"descr\":\"<f8\",\"fortran_order\":True}", 48, NULL, 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4, NULL, 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 5)}", 0, NULL, 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", 23, "24", 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", 25, "24", 1},
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2)}", 24, "ascontiguousarray", 1},
    {"{'descr': '>f4', 'fortran_order': False, 'shape': (6,)}", 24, "big-endian", 1},
    {"{'descr': '<f2', 'fortran_order': False, 'shape': (6,)}", 12, "'<f2'", 1},
    {"{'descr': '<i8', 'fortran_order': False, 'shape': (3,)}", 24, "astype('float32')", 1},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (3,)}", 24, "Python objects", 1},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}", 12, "records", 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-6,)}", 24, "whole numbers", 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (6.0,)}", 24, "','", 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': 6}", 24, "shape", 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (6 2,)}", 24, "','", 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,", 24, "whole numbers", 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,6)}", 24, "dimensions", 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", 0, "counted", 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 0, "too large", 1},
    {"{'descr': '<f4', 'fortran_order': False}", 4, "expected descr", 1},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4, "descr", 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (), 'more': 1}", 4, "'more'", 1},
    {"{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", 4, "True or False", 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': ()} + x", 4, "behind", 1},
    {"{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}", 4, "descr", 1},
    {"[]", 4, "dictionary", 1},
    {"", 4, "dictionary", 1},
    {"{", 4, "key", 1},
    {"{'", 4, "key", 1},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4, "version 4.0", 4},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4, "version 0.0", 0},
};

START_TEST(plain_float_arrays_are_read_and_nothing_else)
{
    const dictionary_case *one = &dictionaries[_i];
    write_dictionary(one->version, one->text, one->data_bytes);
    pf_npy_array array = {.rank = 77};
    const pf_status status = pf_npy_read(temporary("a.npy"), &array);
    if (!one->message) {
        ck_assert_msg(status == PF_OK, "%s", pf_error_message());
        pf_npy_free(&array);
        return;
    }
    ck_assert_int_eq(status, PF_ERROR_INPUT);
    ck_assert_int_eq(array.rank, 77);
    ck_assert_msg(strstr(pf_error_message(), one->message), "\"%s\" is not in \"%s\"", one->message,
                  pf_error_message());
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "a.npy: "));
}
END_TEST

START_TEST(what_is_no_npy_file_is_named)
{
    pf_npy_array array = {0};
    write_bytes(temporary("a"), "PK\3\4............", 16);
    ck_assert_int_eq(pf_npy_read(temporary("a"), &array), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), ".npz"));
    write_bytes(temporary("a"), "hello world, this is text", 25);
    ck_assert_int_eq(pf_npy_read(temporary("a"), &array), PF_ERROR_INPUT);
    write_bytes(temporary("a"), "\x93NUMPY\1\0\xff\xff", 10);
    ck_assert_int_eq(pf_npy_read(temporary("a"), &array), PF_ERROR_INPUT);
    write_bytes(temporary("a"), "\x93NUMPY\2\0\xff\xff\xff\xff", 12);
    ck_assert_int_eq(pf_npy_read(temporary("a"), &array), PF_ERROR_INPUT);
    ck_assert_int_eq(pf_npy_read(temporary(""), &array), PF_ERROR_INPUT);
    ck_assert_int_eq(pf_npy_read(temporary("missing"), &array), PF_ERROR_INPUT);
    ck_assert_ptr_null(array.data);
}
END_TEST

START_TEST(a_file_of_numpy_cut_at_any_byte_is_refused)
{
    char path[600], *bytes = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/golden/attention/M16-E8.w.npy", PF_TEST_SOURCE);
    ck_assert_msg(pf_read_file(path, 1 << 20, &bytes, &size) == PF_OK, "%s", pf_error_message());
    pf_npy_array array = {0};
    ck_assert_msg(pf_npy_read(path, &array) == PF_OK, "%s", pf_error_message());
    ck_assert_uint_eq(array.shape[0], 16);
    pf_npy_free(&array);
    for (size_t cut = 0; cut < size; cut++) {
        write_bytes(temporary("a.npy"), bytes, cut);
        ck_assert_int_eq(pf_npy_read(temporary("a.npy"), &array), PF_ERROR_INPUT);
    }
    pf_free(bytes);
}
END_TEST

// --- archives -----------------------------------------------------------------------------------

static uint64_t number_at(const char *bytes, size_t at, int count)
{
    uint64_t value = 0;
    memcpy(&value, bytes + at, (size_t)count);
    return value;
}

static char *archive;
static size_t archive_size;

// Unpacks the entry whose central record is at `at` into the file "out.npy", checking what the two
// records say; returns where the next one is.
static size_t unpack(size_t at, const char *name)
{
    ck_assert_uint_eq(number_at(archive, at, 4), 0x02014b50);
    const size_t name_length = (size_t)number_at(archive, at + 28, 2), start = (size_t)number_at(archive, at + 42, 4);
    const size_t size = (size_t)number_at(archive, at + 20, 4), crc = (size_t)number_at(archive, at + 16, 4);
    ck_assert_uint_eq(name_length, strlen(name));
    ck_assert_mem_eq(archive + at + 46, name, name_length);
    ck_assert_uint_eq(number_at(archive, start, 4), 0x04034b50);
    ck_assert_uint_eq(number_at(archive, start + 14, 4), crc);
    ck_assert_mem_eq(archive + start + 30, name, name_length);
    ck_assert_uint_eq(number_at(archive, start + 30 + name_length + 4, 8), size);
    const size_t data = start + 30 + name_length + (size_t)number_at(archive, start + 28, 2);
    ck_assert_uint_le(data + size, archive_size);
    ck_assert_uint_eq(crc32(0, (const Bytef *)archive + data, (uInt)size), crc);
    write_bytes(temporary("out.npy"), archive + data, size);
    return at + 46 + name_length + (size_t)number_at(archive, at + 30, 2);
}

static pf_status write_archive(const char *path)
{
    const char *const texts[] = {"sp|P1|A", "\xce\xb1\xff", ""};
    const uint64_t open_end[] = {PF_NPY_OPEN_END, 2}, fixed[] = {3};
    const float numbers[] = {1, 2, 3, 4, 5, 6};
    pf_npz *npz = NULL;
    pf_status status = pf_npz_open(path, &npz);
    if (status == PF_OK) status = pf_npz_begin(npz, "embeddings", 2, open_end);
    if (status == PF_OK) status = pf_npz_write(npz, numbers, 2);
    if (status == PF_OK) status = pf_npz_write(npz, numbers + 2, 4);
    if (status == PF_OK) status = pf_npz_begin_texts(npz, "ids", pf_npz_text_width(texts[0]), 3);
    for (int i = 0; i < 3 && status == PF_OK; i++) status = pf_npz_write_text(npz, texts[i]);
    if (status == PF_OK) status = pf_npz_begin(npz, "last", 1, fixed);
    if (status == PF_OK) status = pf_npz_write(npz, numbers, 3);
    if (status == PF_OK) return pf_npz_commit(npz);
    pf_npz_discard(npz);
    return status;
}

START_TEST(an_archive_holds_its_arrays)
{
    ck_assert_msg(write_archive(temporary("a.npz")) == PF_OK, "%s", pf_error_message());
    ck_assert_int_eq(pf_read_file(temporary("a.npz"), 1 << 16, &archive, &archive_size), PF_OK);
    const size_t end = archive_size - 22;
    ck_assert_uint_eq(number_at(archive, end, 4), 0x06054b50);
    ck_assert_uint_eq(number_at(archive, end + 10, 2), 3);
    size_t at = unpack((size_t)number_at(archive, end + 16, 4), "embeddings.npy");
    pf_npy_array array = {0};
    ck_assert_msg(pf_npy_read(temporary("out.npy"), &array) == PF_OK, "%s", pf_error_message());
    ck_assert_uint_eq(array.shape[0], 3);
    ck_assert_uint_eq(array.shape[1], 2);
    ck_assert(array.data[5] == 6);
    pf_npy_free(&array);
    at = unpack(at, "ids.npy");
    char *ids = NULL;
    size_t size = 0;
    ck_assert_int_eq(pf_read_file(temporary("out.npy"), 4096, &ids, &size), PF_OK);
    ck_assert_ptr_nonnull(strstr(ids + 10, "'<U7'"));
    const uint32_t expected[3][7] = {{'s', 'p', '|', 'P', '1', '|', 'A'}, {0x3b1, 0xfffd}, {0}};
    ck_assert_mem_eq(ids + size - sizeof expected, expected, sizeof expected);
    pf_free(ids);
    ck_assert_uint_eq(unpack(at, "last.npy"), end);
    pf_free(archive);
}
END_TEST

START_TEST(an_archive_of_more_entries_than_16_bits_count)
{
    enum { ENTRIES = 70000 };
    pf_npz *npz = NULL;
    ck_assert_int_eq(pf_npz_open(temporary("a.npz"), &npz), PF_OK);
    const float number = 1;
    for (int i = 0; i < ENTRIES; i++) {
        char name[20];
        snprintf(name, sizeof name, "%d", i);
        ck_assert_int_eq(pf_npz_begin(npz, name, 0, NULL), PF_OK);
        ck_assert_int_eq(pf_npz_write(npz, &number, 1), PF_OK);
    }
    ck_assert_int_eq(pf_npz_commit(npz), PF_OK);
    ck_assert_int_eq(pf_read_file(temporary("a.npz"), 1 << 26, &archive, &archive_size), PF_OK);
    const size_t end = archive_size - 22, locator = end - 20;
    ck_assert_uint_eq(number_at(archive, end + 10, 2), 0xffff);
    const size_t record = (size_t)number_at(archive, locator + 8, 8);
    ck_assert_uint_eq(number_at(archive, locator, 4), 0x07064b50);
    ck_assert_uint_eq(number_at(archive, record, 4), 0x06064b50);
    ck_assert_uint_eq(number_at(archive, record + 32, 8), ENTRIES);
    unpack((size_t)number_at(archive, record + 48, 8), "0.npy");
    pf_free(archive);
}
END_TEST

START_TEST(an_array_that_does_not_fill_its_shape_is_refused)
{
    const uint64_t shape[] = {3};
    pf_npz *npz = NULL;
    ck_assert_int_eq(pf_npz_open(temporary("a.npz"), &npz), PF_OK);
    ck_assert_int_eq(pf_npz_begin(npz, "x", 1, shape), PF_OK);
    ck_assert_int_eq(pf_npz_write(npz, (const float[]){1}, 1), PF_OK);
    ck_assert_int_eq(pf_npz_commit(npz), PF_ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "x.npy: 1 numbers, the shape says 3"));
    ck_assert_int_eq(count_entries(temporary("")), 0);
}
END_TEST

START_TEST(no_memory_leaves_nothing)
{
    pf_status status = PF_ERROR_FAILED;
    for (long n = 0; status != PF_OK; n++) {
        ck_assert_int_lt(n, 100);
        pf_alloc_fail_after(n, _i);
        status = write_archive(temporary("a.npz"));
        pf_alloc_fail_after(-1, 0);
        ck_assert_int_eq(count_entries(temporary("")), status == PF_OK);
    }
    status = PF_ERROR_FAILED;
    write_dictionary(1, dictionaries[0].text, 24);
    for (long n = 0; status != PF_OK; n++) {
        pf_npy_array array = {0};
        pf_alloc_fail_after(n, _i);
        status = pf_npy_read(temporary("a.npy"), &array);
        pf_alloc_fail_after(-1, 0);
        ck_assert((array.data != NULL) == (status == PF_OK));
        pf_npy_free(&array);
    }
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("npy");
    TCase *cases = tcase_create("npy");
    tcase_add_checked_fixture(cases, temporary_create, temporary_remove);
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, arrays_come_back, 0, 4);
    tcase_add_test(cases, rows_may_come_one_by_one);
    tcase_add_loop_test(cases, plain_float_arrays_are_read_and_nothing_else, 0,
                        (int)(sizeof dictionaries / sizeof *dictionaries));
    tcase_add_test(cases, what_is_no_npy_file_is_named);
    tcase_add_test(cases, a_file_of_numpy_cut_at_any_byte_is_refused);
    tcase_add_test(cases, an_archive_holds_its_arrays);
    tcase_add_test(cases, an_archive_of_more_entries_than_16_bits_count);
    tcase_add_test(cases, an_array_that_does_not_fill_its_shape_is_refused);
    tcase_add_loop_test(cases, no_memory_leaves_nothing, 0, 2);
    suite_add_tcase(suite, cases);
    return suite;
}
