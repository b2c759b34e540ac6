// Gzip data: cut at every byte, any bit changed, padded, blocked. Bad data never passes for good.
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "performer/fasta.h"
#include "support/suite.h"
#include "support/temporary.h"

static const char text[] = ">one first\nMKTAYIAKQRQISFVKSHFS\n>two\nGSHMLEDPMKTAYIAKQRQI\n";

// Packs `count` bytes as one member behind `at`; returns the new end. With `is_blocked` it gets
// the extra field of BGZF (its size is not looked at).
static size_t pack(unsigned char *at, const char *bytes, size_t count, bool is_blocked)
{
    z_stream stream = {0};
    unsigned char extra[6] = {'B', 'C', 2, 0, 0, 0};
    gz_header header = {.extra = extra, .extra_len = sizeof extra, .os = 255};
    ck_assert_int_eq(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    if (is_blocked) ck_assert_int_eq(deflateSetHeader(&stream, &header), Z_OK);
    unsigned char copy[4096];
    memcpy(copy, bytes, count);
    stream.next_in = copy;
    stream.avail_in = (uInt)count;
    stream.next_out = at;
    stream.avail_out = 4096;
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    const size_t made = 4096 - stream.avail_out;
    deflateEnd(&stream);
    return made;
}

typedef struct outcome {
    pf_status status;
    int records;
    char listing[300]; // ids and sequences
    size_t n_warnings;
    char warning[300];
} outcome;

static outcome read_bytes(const void *bytes, size_t count)
{
    const char *path = temporary("x.fa.gz");
    FILE *file = fopen(path, "wb");
    fwrite(bytes, 1, count, file);
    fclose(file);
    outcome got = {0};
    pf_fasta *fasta = NULL;
    pf_fasta_record record;
    got.status = pf_fasta_open(path, NULL, &fasta);
    while (got.status == PF_OK) {
        got.status = pf_fasta_next(fasta, &record);
        if (got.status != PF_OK) break;
        got.records++;
        const size_t used = strlen(got.listing);
        snprintf(got.listing + used, sizeof got.listing - used, "%s %s\n", record.id, record.sequence);
    }
    if (fasta) {
        got.n_warnings = pf_fasta_warning_count(fasta);
        snprintf(got.warning, sizeof got.warning, "%s", pf_fasta_get_warning(fasta, 0));
    }
    pf_fasta_close(fasta);
    return got;
}

START_TEST(whole_files_are_read)
{
    unsigned char packed[4096];
    const size_t size = pack(packed, text, strlen(text), false);
    const outcome got = read_bytes(packed, size);
    ck_assert_int_eq(got.status, PF_END);
    ck_assert_int_eq(got.records, 2);
    ck_assert_uint_eq(got.n_warnings, 0);
}
END_TEST

START_TEST(a_file_cut_at_any_byte_is_refused)
{
    unsigned char packed[4096];
    const size_t size = pack(packed, text, strlen(text), false);
    for (size_t cut = 0; cut < size; cut++) {
        const outcome got = read_bytes(packed, cut);
        ck_assert_msg(got.status == PF_ERROR_INPUT, "cut at %zu: %d", cut, got.status);
        if (cut > 1)
            ck_assert_msg(strstr(pf_error_message(), "cut short"), "%zu: %s", cut, pf_error_message());
    }
}
END_TEST

START_TEST(a_second_member_cut_at_any_byte_is_refused_or_garbage)
{
    unsigned char packed[8192];
    const size_t first = pack(packed, text, 30, false);
    const size_t size = first + pack(packed + first, text + 30, strlen(text) - 30, false);
    for (size_t cut = first + 1; cut < size; cut++) {
        const outcome got = read_bytes(packed, cut);
        if (cut == first + 1) // one byte does not make a member: it is what gzip calls trailing garbage
            ck_assert_ptr_nonnull(strstr(got.warning, "after the gzip data"));
        else
            ck_assert_msg(got.status == PF_ERROR_INPUT, "cut at %zu: %d", cut, got.status);
    }
}
END_TEST

START_TEST(a_changed_bit_of_data_or_checksum_is_refused)
{
    enum { HEADER = 10 }; // time stamp, flags of speed and system in the header may change
    unsigned char packed[4096];
    const size_t size = pack(packed, text, strlen(text), false);
    const outcome whole = read_bytes(packed, size);
    int harmless = 0; // bits that pad the data to a byte, between it and the checksum
    for (size_t bit = 8 * HEADER; bit < 8 * size; bit++) {
        packed[bit / 8] ^= (unsigned char)(1 << bit % 8);
        const outcome got = read_bytes(packed, size);
        if (got.status == PF_END) ck_assert_str_eq(got.listing, whole.listing);
        harmless += got.status == PF_END;
        packed[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    ck_assert_int_lt(harmless, 8);
}
END_TEST

START_TEST(zeros_after_the_end_are_padding_and_anything_else_is_told)
{
    unsigned char packed[5000] = {0};
    const size_t size = pack(packed, text, strlen(text), false);
    memset(packed + size, 0, sizeof packed - size);
    outcome got = read_bytes(packed, sizeof packed);
    ck_assert_int_eq(got.status, PF_END);
    ck_assert_uint_eq(got.n_warnings, 0);
    packed[sizeof packed - 1] = 'x';
    got = read_bytes(packed, sizeof packed);
    ck_assert_int_eq(got.status, PF_END);
    ck_assert_int_eq(got.records, 2);
    ck_assert_ptr_nonnull(strstr(got.warning, "after"));
}
END_TEST

START_TEST(many_small_members_are_one_text)
{
    static unsigned char packed[65536];
    size_t size = 0;
    for (size_t i = 0; i < strlen(text); i++) size += pack(packed + size, text + i, 1, false);
    const outcome got = read_bytes(packed, size);
    ck_assert_int_eq(got.status, PF_END);
    ck_assert_int_eq(got.records, 2);
}
END_TEST

START_TEST(blocked_gzip_without_its_end_block_is_told)
{
    unsigned char packed[8192];
    const size_t first = pack(packed, text, strlen(text), true);
    outcome got = read_bytes(packed, first);
    ck_assert_int_eq(got.status, PF_END);
    ck_assert_ptr_nonnull(strstr(got.warning, "BGZF"));
    got = read_bytes(packed, first + pack(packed + first, "", 0, true));
    ck_assert_int_eq(got.status, PF_END);
    ck_assert_uint_eq(got.n_warnings, 0);
}
END_TEST

START_TEST(gzip_in_gzip_is_named)
{
    unsigned char packed[4096], twice[8192];
    const size_t size = pack(packed, text, strlen(text), false);
    const size_t size_twice = pack(twice, (const char *)packed, size, false);
    ck_assert_int_eq(read_bytes(twice, size_twice).status, PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "gzip data inside gzip data"));
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/fasta_gzip");
    TCase *tests = tcase_create("fasta_gzip");
    tcase_add_checked_fixture(tests, temporary_create, temporary_remove);
    tcase_add_test(tests, whole_files_are_read);
    tcase_add_test(tests, a_file_cut_at_any_byte_is_refused);
    tcase_add_test(tests, a_second_member_cut_at_any_byte_is_refused_or_garbage);
    tcase_add_test(tests, a_changed_bit_of_data_or_checksum_is_refused);
    tcase_add_test(tests, zeros_after_the_end_are_padding_and_anything_else_is_told);
    tcase_add_test(tests, many_small_members_are_one_text);
    tcase_add_test(tests, blocked_gzip_without_its_end_block_is_told);
    tcase_add_test(tests, gzip_in_gzip_is_named);
    suite_add_tcase(suite, tests);
    return suite;
}
