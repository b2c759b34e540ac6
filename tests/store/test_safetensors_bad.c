// Damaged and hostile safetensors files: each is refused with its own words, none is believed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "store/safetensors.h"
#include "support/suite.h"
#include "support/temporary.h"

typedef struct bad_header {
    const char *text;
    uint64_t data_bytes;
    const char *message;
} bad_header;

#define ONE(entry) "{\"a\":{" entry "}}"
#define F32_4 "\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]"
#define TOO_MUCH "[4294967296,4294967296]"

static const bad_header bad_headers[] = {
    {"", 0, "header"},
    {"{", 0, "header"},
    {"x", 0, "header"},
    {"[]", 0, "expected a JSON object"},
    {"5", 0, "header"},
    {"\"a\"", 0, "header"},
    {"null", 0, "header"},
    {"{} x", 0, "header"},
    {"{}{}", 0, "header"},
    {"{/**/}", 0, "header"},
    {"{'a':1}", 0, "header"},
    {"{\"a\":1,}", 0, "header"},
    {"\xef\xbb\xbf{}", 0, "header"},
    {"{\"\xff\":1}", 0, "header"},
    {"{\"\xc0\x80\":1}", 0, "header"},
    {"{\"\\ud800\":1}", 0, "header"},
    {"{\"\\u0000\":{" F32_4 "}}", 16, "header"},
    {"{}", 1, "tensors take 0 bytes, 1 follow"},
    {"{\"a\":1}", 0, "tensor a: expected an object"},
    {"{\"a\":{}}", 0, "dtype"},
    {"{\"\":{" F32_4 "}}", 16, "without a name"},
    {"{\"a\":{" F32_4 "},\"a\":{" F32_4 "}}", 16, "duplicate"},
    {"{\"a\":{" F32_4 "},\"\\u0061\":{" F32_4 "}}", 16, "duplicate"},
    {ONE(F32_4 ",\"shape\":[4]"), 16, "duplicate"},
    {ONE(F32_4 ",\"extra\":1"), 16, "nothing else"},
    {ONE("\"dtype\":\"F32\",\"shape\":[4]"), 16, "data_offsets"},
    {ONE("\"dtype\":\"F32\",\"data_offsets\":[0,16]"), 16, "shape"},
    {ONE("\"shape\":[4],\"data_offsets\":[0,16]"), 16, "dtype"},
    {ONE("\"dtype\":\"f32\",\"shape\":[4],\"data_offsets\":[0,16]"), 16, "dtype \"f32\""},
    {ONE("\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[0,2]"), 2, "dtype \"F4\""},
    {ONE("\"dtype\":\"F32\x7f\",\"shape\":[4],\"data_offsets\":[0,16]"), 16, "F32\\x7f"},
    {ONE("\"dtype\":32,\"shape\":[4],\"data_offsets\":[0,16]"), 16, "dtype: expected a text"},
    {ONE("\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,16]"), 16, "shape: expected a list"},
    {ONE("\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,4]"), 4, "shape: expected a list"},
    {ONE("\"dtype\":\"F32\",\"shape\":[4.0],\"data_offsets\":[0,16]"), 16, "shape: expected whole"},
    {ONE("\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]"), 16, "shape: expected whole"},
    {ONE("\"dtype\":\"F32\",\"shape\":[-2,-2],\"data_offsets\":[0,16]"), 16, "shape: expected whole"},
    {ONE("\"dtype\":\"F32\",\"shape\":[\"4\"],\"data_offsets\":[0,16]"), 16, "shape: expected whole"},
    {ONE("\"dtype\":\"F32\",\"shape\":[null],\"data_offsets\":[0,16]"), 16, "shape: expected whole"},
    {ONE("\"dtype\":\"F32\",\"shape\":[true],\"data_offsets\":[0,4]"), 4, "shape: expected whole"},
    {ONE("\"dtype\":\"F32\",\"shape\":[9223372036854775808],\"data_offsets\":[0,16]"), 16, "header"},
    {ONE("\"dtype\":\"F32\",\"shape\":[1e400],\"data_offsets\":[0,16]"), 16, "header"},
    {ONE("\"dtype\":\"F32\",\"shape\":[NaN],\"data_offsets\":[0,16]"), 16, "header"},
    {ONE("\"dtype\":\"F32\",\"shape\":[04],\"data_offsets\":[0,16]"), 16, "header"},
    {ONE("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,4],\"data_offsets\":[0,16]"), 16, "9 dimensions"},
    {ONE("\"dtype\":\"U8\",\"shape\":" TOO_MUCH ",\"data_offsets\":[0,0]"), 0, "more numbers"},
    {ONE("\"dtype\":\"U8\",\"shape\":[0,4294967296,4294967296],\"data_offsets\":[0,0]"), 0, "more numbers"},
    {ONE("\"dtype\":\"U8\",\"shape\":[9223372036854775807,2,2],\"data_offsets\":[0,0]"), 0, "more numbers"},
    {ONE("\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]"), 0, "more bytes"},
    {ONE("\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]"), 0, "more bytes"},
    {ONE("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16]"), 16, "two numbers"},
    {ONE("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16,16]"), 16, "two numbers"},
    {ONE("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":16"), 16, "two numbers"},
    {ONE("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16.0]"), 16, "data_offsets: expected whole"},
    {ONE("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[-16,0]"), 16, "data_offsets: expected whole"},
    {ONE("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]"), 16, "end 0 is before begin 16"},
    {ONE("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,15]"), 15, "span 15 bytes, dtype and shape need 16"},
    {ONE("\"dtype\":\"F64\",\"shape\":[4],\"data_offsets\":[0,16]"), 16, "need 32"},
    {ONE("\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,0]"), 0, "need 4"},
    {ONE("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[4,20]"), 20, "begin at 4, the tensor before ends at 0"},
    {ONE(F32_4), 15, "tensors take 16 bytes, 15 follow"},
    {ONE(F32_4), 17, "tensors take 16 bytes, 17 follow"},
    {"{\"a\":{" F32_4 "},\"b\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[8,24]}}", 24, "tensor b"},
    {"{\"a\":{" F32_4 "},\"b\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[20,36]}}", 36, "tensor b"},
    {"{\"a\":{" F32_4 "},\"b\":{" F32_4 "}}", 16, "tensor b"},
    {"{\"__metadata__\":3}", 0, "__metadata__: expected an object"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__: a: expected a text"},
    {"{\"__metadata__\":{" F32_4 "}}", 16, "__metadata__"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate"},
};

START_TEST(a_bad_header_is_refused_in_its_own_words)
{
    const bad_header *bad = &bad_headers[_i];
    pf_safetensors *file = (pf_safetensors *)1;
    ck_assert_int_eq(pf_safetensors_parse(bad->text, strlen(bad->text), bad->data_bytes, &file), PF_ERROR_INPUT);
    ck_assert_ptr_null(file);
    ck_assert_msg(strstr(pf_error_message(), bad->message), "\"%s\" is not in \"%s\"", bad->message,
                  pf_error_message());
}
END_TEST

static const bad_header good_headers[] = {
    {"{}", 0, NULL},
    {" \t\n{} \n", 0, NULL},
    {ONE(F32_4), 16, NULL},
    {ONE("\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]"), 4, NULL},
    {ONE("\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]"), 0, NULL},
    {ONE("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,4],\"data_offsets\":[0,16]"), 16, NULL},
    {ONE("\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]"), 3, NULL},
    {"{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[16,18]},\"a\":{" F32_4 "}}", 18, NULL},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},\"b\":{" F32_4 "}}", 16, NULL},
    {"{\"__metadata__\":{\"format\":\"pt\"},\"../x\":{" F32_4 "}}", 16, NULL},
};

START_TEST(the_edges_of_the_format_are_read)
{
    const bad_header *good = &good_headers[_i];
    pf_safetensors *file = NULL;
    ck_assert_msg(pf_safetensors_parse(good->text, strlen(good->text), good->data_bytes, &file) == PF_OK, "%s",
                  pf_error_message());
    pf_safetensors_close(file);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    enum { DEPTH = 10000 };
    char text[2 * DEPTH + 8] = "{\"a\":";
    memset(text + 5, '[', DEPTH);
    memset(text + 5 + DEPTH, ']', DEPTH);
    text[5 + 2 * DEPTH] = '}';
    pf_safetensors *file = NULL;
    ck_assert_int_eq(pf_safetensors_parse(text, strlen(text), 0, &file), PF_ERROR_INPUT);
}
END_TEST

// A good file: two tensors, one of them empty, and metadata.
static char *good_file(size_t *size)
{
    const pf_tensor_spec tensors[] = {{"first", PF_F32, 2, {2, 3}}, {"none", PF_I64, 1, {0}}, {"last", PF_U8, 0, {0}}};
    const pf_metadata metadata[] = {{"format", "pt"}};
    const char data[25] = "0123456789012345678901234";
    pf_safetensors_writer *writer = NULL;
    ck_assert_int_eq(pf_safetensors_writer_open(temporary("good"), tensors, 3, metadata, 1, &writer), PF_OK);
    ck_assert_int_eq(pf_safetensors_write(writer, data, 25), PF_OK);
    ck_assert_int_eq(pf_safetensors_commit(writer, NULL), PF_OK);
    char *bytes = NULL;
    ck_assert_int_eq(pf_read_file(temporary("good"), 4096, &bytes, size), PF_OK);
    return bytes;
}

static pf_status open_bytes(const char *bytes, size_t count)
{
    FILE *stream = fopen(temporary("file"), "w");
    fwrite(bytes, 1, count, stream);
    fclose(stream);
    pf_safetensors *file = NULL;
    const pf_status status = pf_safetensors_open(temporary("file"), &file);
    ck_assert((file != NULL) == (status == PF_OK));
    for (int i = 0; file && i < pf_safetensors_count(file); i++) {
        const pf_tensor_info *tensor = pf_safetensors_get(file, i);
        ck_assert_uint_le(tensor->offset + tensor->bytes, count);
    }
    pf_safetensors_close(file);
    return status;
}

START_TEST(a_file_cut_at_any_byte_is_refused)
{
    size_t size = 0;
    char *bytes = good_file(&size);
    ck_assert_int_eq(open_bytes(bytes, size), PF_OK);
    for (size_t cut = 0; cut < size; cut++) ck_assert_int_eq(open_bytes(bytes, cut), PF_ERROR_INPUT);
    pf_free(bytes);
}
END_TEST

// A changed byte may make another valid file (a name, a blank); it must never make one whose tensors
// lie outside of it. The memory behind the header is exact, so the address sanitizer watches too.
START_TEST(a_changed_byte_never_reaches_outside)
{
    size_t size = 0;
    char *bytes = good_file(&size);
    int refused = 0, read = 0;
    for (size_t i = 0; i < size - 25; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (char)(1 << bit);
            const pf_status status = open_bytes(bytes, size);
            bytes[i] ^= (char)(1 << bit);
            ck_assert(status == PF_OK || status == PF_ERROR_INPUT);
            *(status == PF_OK ? &read : &refused) += 1;
        }
    }
    ck_assert_int_gt(refused, 500);
    ck_assert_int_gt(read, 10);
    pf_free(bytes);
}
END_TEST

static const uint64_t bad_lengths[] = {0, 1, 4096, PF_HEADER_LIMIT, 1ull << 32, 1ull << 63, ~0ull, ~0ull - 7};

START_TEST(a_length_beyond_the_file_is_refused)
{
    char bytes[64] = {0};
    memcpy(bytes, &bad_lengths[_i], 8);
    ck_assert_int_eq(open_bytes(bytes, sizeof bytes), PF_ERROR_INPUT);
}
END_TEST

START_TEST(a_header_above_the_limit_is_refused_before_it_is_read)
{
    const uint64_t length = PF_HEADER_LIMIT + 1;
    FILE *stream = fopen(temporary("large"), "w");
    fwrite(&length, 8, 1, stream);
    fseek(stream, PF_HEADER_LIMIT + 100, SEEK_SET); // a hole, no disk space
    fputc(0, stream);
    fclose(stream);
    pf_safetensors *file = NULL;
    ck_assert_int_eq(pf_safetensors_open(temporary("large"), &file), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "at most"));
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    pf_safetensors *file = NULL;
    ck_assert_int_eq(pf_safetensors_open(temporary("missing"), &file), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "missing"));
    ck_assert_int_eq(pf_safetensors_open(temporary(""), &file), PF_ERROR_INPUT);
    ck_assert_int_eq(mkfifo(temporary("fifo"), 0600), 0);
    ck_assert_int_eq(pf_safetensors_open(temporary("fifo"), &file), PF_ERROR_INPUT);
    ck_assert_ptr_null(file);
}
END_TEST

Suite *suite(void)
{
#define LOOP(test, table) tcase_add_loop_test(cases, test, 0, (int)(sizeof(table) / sizeof *(table)))
    Suite *suite = suite_create("safetensors_bad");
    TCase *cases = tcase_create("safetensors_bad");
    tcase_add_checked_fixture(cases, temporary_create, temporary_remove);
    tcase_set_timeout(cases, 60);
    LOOP(a_bad_header_is_refused_in_its_own_words, bad_headers);
    LOOP(the_edges_of_the_format_are_read, good_headers);
    tcase_add_test(cases, deep_nesting_is_refused);
    tcase_add_test(cases, a_file_cut_at_any_byte_is_refused);
    tcase_add_test(cases, a_changed_byte_never_reaches_outside);
    LOOP(a_length_beyond_the_file_is_refused, bad_lengths);
    tcase_add_test(cases, a_header_above_the_limit_is_refused_before_it_is_read);
    tcase_add_test(cases, what_is_no_file_is_refused);
    suite_add_tcase(suite, cases);
    return suite;
}
