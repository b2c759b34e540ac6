// What the golden cases leave out: masks kept, limits, formats, messages, lending, lack of memory.
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "performer/fasta.h"
#include "support/suite.h"
#include "support/temporary.h"

static const char *write_text(const char *text, size_t count)
{
    const char *path = temporary("x.fa");
    FILE *file = fopen(path, "wb");
    fwrite(text, 1, count, file);
    fclose(file);
    return path;
}

static pf_fasta *open_text(const char *text, const pf_fasta_options *options)
{
    pf_fasta *fasta = NULL;
    ck_assert_msg(pf_fasta_open(write_text(text, strlen(text)), options, &fasta) == PF_OK, "%s",
                  pf_error_message());
    return fasta;
}

// Reads all of `count` bytes; what the last call said.
static pf_status read_all(const char *text, size_t count)
{
    pf_fasta *fasta = NULL;
    pf_fasta_record record;
    pf_status status = pf_fasta_open(write_text(text, count), NULL, &fasta);
    while (status == PF_OK) status = pf_fasta_next(fasta, &record);
    pf_fasta_close(fasta);
    return status;
}

START_TEST(stops_can_be_kept_as_masks)
{
    pf_fasta *fasta = open_text(">a\nMK*TA**\n>b\n*\n", &(pf_fasta_options){.keep_masks = true});
    pf_fasta_record record;
    ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_OK);
    ck_assert_str_eq(record.sequence, "MK*TA**");
    ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_OK);
    ck_assert_str_eq(record.sequence, "*");
    ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_END);
    ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_END);
    ck_assert_uint_eq(pf_fasta_get_statistics(fasta)->masks, 4);
    ck_assert_uint_eq(pf_fasta_get_statistics(fasta)->stops_dropped, 0);
    pf_fasta_close(fasta);
}
END_TEST

START_TEST(a_record_knows_its_place)
{
    pf_fasta *fasta = open_text("\n>a  the first \n\n>b\nMK\nTA\n;c\n>c\tx\1y\nM\n", NULL);
    pf_fasta_record record;
    ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_OK);
    ck_assert_str_eq(record.id, "b");
    ck_assert_str_eq(record.description, "");
    ck_assert_uint_eq(record.line, 4);
    ck_assert_uint_eq(record.number, 1);
    ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_OK);
    ck_assert_str_eq(record.description, "x");
    ck_assert_uint_eq(record.line, 8);
    ck_assert_uint_eq(record.number, 2);
    ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_END);
    const pf_fasta_statistics *counts = pf_fasta_get_statistics(fasta);
    ck_assert_uint_eq(counts->shortest, 1);
    ck_assert_uint_eq(counts->longest, 4);
    ck_assert_str_eq(counts->longest_id, "b");
    ck_assert_uint_eq(counts->letters[0], 1);
    ck_assert_uint_eq(counts->letters[10], 2);
    pf_fasta_close(fasta);
}
END_TEST

START_TEST(text_in_memory_is_read_as_a_file_is)
{
    char text[] = ">a first\nmkta\nYI*\n>b\nM";
    pf_fasta *fasta = NULL;
    pf_fasta_record record;
    ck_assert_int_eq(pf_fasta_open_text(text, sizeof text - 1, NULL, &fasta), PF_OK);
    memset(text, '!', sizeof text); // it was copied
    ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_OK);
    ck_assert_str_eq(record.sequence, "MKTAYI");
    ck_assert_str_eq(record.description, "first");
    ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_OK);
    ck_assert_str_eq(record.sequence, "M");
    ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_END);
    pf_fasta_close(fasta);
    ck_assert_int_eq(pf_fasta_open_text(">a\nM1\n", 6, NULL, &fasta), PF_OK);
    ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_ERROR_INPUT);
    ck_assert_msg(strstr(pf_error_message(), "text: line 2"), "%s", pf_error_message());
    pf_fasta_close(fasta);
    ck_assert_int_eq(pf_fasta_open_text("", 0, NULL, &fasta), PF_OK);
    ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_ERROR_INPUT);
    pf_fasta_close(fasta);
}
END_TEST

START_TEST(stops_are_held_back_over_line_ends)
{
    pf_fasta *fasta = open_text(">a\nMK*\n*\nTA*\n \n*", NULL);
    pf_fasta_record record;
    ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_OK);
    ck_assert_str_eq(record.sequence, "MKXXTA");
    ck_assert_uint_eq(pf_fasta_get_statistics(fasta)->replaced, 2);
    ck_assert_uint_eq(pf_fasta_get_statistics(fasta)->stops_dropped, 2);
    pf_fasta_close(fasta);
}
END_TEST

START_TEST(a_sequence_beyond_the_limit_is_refused)
{
    const pf_fasta_options options = {.most_residues = 5};
    static const char *const texts[] = {">a\nMKTAY\n>b\nMKTAYI\n", ">a\nMKTAY\n>b\nMKT\nAYI\n",
                                        ">a\nMKTAY\n>b\nM****T\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        pf_fasta *fasta = open_text(texts[i], &options);
        pf_fasta_record record;
        ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_OK);
        ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_ERROR_INPUT);
        ck_assert_ptr_nonnull(strstr(pf_error_message(), "more than 5 residues"));
        ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_ERROR_USAGE);
        pf_fasta_close(fasta);
    }
}
END_TEST

START_TEST(long_descriptions_are_cut_with_one_warning)
{
    enum { LONG = 3 * PF_FASTA_DESCRIPTION_BYTES };
    static char text[2 * LONG + 100];
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        n += (size_t)sprintf(text + n, ">id%d ", i);
        memset(text + n, 'd', LONG);
        n += LONG;
        n += (size_t)sprintf(text + n, "\nMK\n");
    }
    pf_fasta *fasta = open_text(text, NULL);
    pf_fasta_record record;
    while (pf_fasta_next(fasta, &record) == PF_OK)
        ck_assert_uint_eq(record.description_length, PF_FASTA_DESCRIPTION_BYTES);
    ck_assert_uint_eq(pf_fasta_get_statistics(fasta)->records, 2);
    ck_assert_uint_eq(pf_fasta_warning_count(fasta), 1);
    ck_assert_ptr_nonnull(
        strstr(pf_fasta_get_warning(fasta, 0), "cut 2 descriptions to 64 KiB, the first in line 1"));
    pf_fasta_close(fasta);
}
END_TEST

START_TEST(an_id_has_no_limit)
{
    enum { LONG = 1000000 };
    static char text[LONG + 100];
    text[0] = '>';
    memset(text + 1, 'i', LONG);
    sprintf(text + 1 + LONG, "\nMK\n");
    pf_fasta *fasta = open_text(text, NULL);
    pf_fasta_record record;
    ck_assert_int_eq(pf_fasta_next(fasta, &record), PF_OK);
    ck_assert_uint_eq(record.id_length, LONG);
    pf_fasta_close(fasta);
}
END_TEST

START_TEST(other_formats_are_named)
{
    static const struct {
        const char *bytes;
        size_t count;
        const char *name;
    } formats[] = {
        {"BZh91AY&SY", 10, "bunzip2"},
        {"\xfd"
         "7zXZ\0\0",
         7, "unxz"},
        {"\x28\xb5\x2f\xfd\x04", 5, "unzstd"},
        {"\x04\x22\x4d\x18\x64", 5, "unlz4"},
        {"PK\x03\x04\x14", 5, "unzip"},
        {"\x89PNG\r\n\x1a\n", 8, "PNG"},
        {"\x7f"
         "ELF\2",
         5, "ELF"},
        {"\x93NUMPY\1", 7, "NumPy"},
        {"BAM\1", 4, "BAM"},
        {"%PDF-1.4", 8, "PDF"},
        {"\x10\0\0\0\0\0\0\0{\"a\":1}", 15, "safetensors"},
        {"\xfe\xff\0>", 4, "UTF-16"},
        {">\0o\0n\0e\0", 8, "UTF-16"},
        {"LOCUS       X 5 aa\n", 19, "GenBank"},
        {"ID   HBA_HUMAN\n", 15, "EMBL"},
        {"# STOCKHOLM 1.0\n", 16, "Stockholm"},
        {"\n\nCLUSTAL W\n", 12, "Clustal"},
        {"@HD\tVN:1.6\n", 11, "SAM"},
        {"<?xml version='1.0'?>\n", 22, "XML"},
        {"{\"a\": 1}\n", 9, "JSON"},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        ck_assert_int_eq(read_all(formats[i].bytes, formats[i].count), PF_ERROR_INPUT);
        ck_assert_msg(strstr(pf_error_message(), formats[i].name), "%s: %s", formats[i].name,
                      pf_error_message());
    }
}
END_TEST

START_TEST(nucleotides_are_told)
{
    pf_fasta *fasta = open_text(">dna\nACGTACGTNNACGTUUACGTACGT\n", NULL);
    pf_fasta_record record;
    while (pf_fasta_next(fasta, &record) == PF_OK) continue;
    ck_assert_uint_eq(pf_fasta_warning_count(fasta), 1);
    ck_assert_ptr_nonnull(strstr(pf_fasta_get_warning(fasta, 0), "DNA"));
    pf_fasta_close(fasta);
}
END_TEST

START_TEST(lone_returns_and_feeds_do_not_mix)
{
    ck_assert_int_eq(read_all(">a\rMK\n", 6), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "line 2: column 3: 0x0a"));
    ck_assert_int_eq(read_all(">a\rMK\r\n", 7), PF_ERROR_INPUT);
    ck_assert_int_eq(read_all(">a\r\nMK\r", 7), PF_ERROR_INPUT);
    ck_assert_int_eq(read_all(">a b\rMK\n>c\n", 11), PF_ERROR_INPUT);
    ck_assert_int_eq(read_all(">a\nM\n>b c\rd\nMK\n", 15), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "line 3: column 5: 0x0d"));
}
END_TEST

START_TEST(nul_bytes_are_refused_wherever_they_are)
{
    ck_assert_int_eq(read_all(">a\0b\nMK\n", 8), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "line 1: column 3: 0x00"));
    ck_assert_int_eq(read_all(";a\0b\n>a\nMK\n", 11), PF_ERROR_INPUT);
    ck_assert_int_eq(read_all("\0\0\0\0", 4), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "NUL"));
}
END_TEST

START_TEST(a_message_shows_no_control_characters)
{
    const char *path = temporary("odd\n\x1b[31mname.fa");
    pf_fasta *fasta = NULL;
    ck_assert_int_eq(pf_fasta_open(path, NULL, &fasta), PF_ERROR_INPUT);
    ck_assert_ptr_null(fasta);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "odd\\x0a\\x1b[31mname.fa: No such file"));
    ck_assert_int_eq(read_all("hello \x1b[31m\n", 12), PF_ERROR_INPUT);
    for (const char *c = pf_error_message(); *c; c++) ck_assert_int_ge(*c, ' ');
}
END_TEST

START_TEST(every_lack_of_memory_is_an_error_and_leaks_nothing)
{
    const char *path = write_text(">a b\nMK\n>a\n\n>c\nMKTA\n", 20);
    for (long n = 0;; n++) {
        pf_fasta *fasta = NULL;
        pf_fasta_record record;
        pf_alloc_fail_after(n, 0);
        pf_status status = pf_fasta_open(path, NULL, &fasta);
        if (status != PF_OK) ck_assert_ptr_null(fasta);
        while (status == PF_OK) status = pf_fasta_next(fasta, &record);
        pf_alloc_fail_after(-1, 0);
        pf_fasta_close(fasta);
        if (status == PF_END) break;
        ck_assert_int_eq(status, PF_ERROR_FAILED);
        ck_assert_int_lt(n, 100);
    }
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/fasta");
    TCase *tests = tcase_create("fasta");
    tcase_add_checked_fixture(tests, temporary_create, temporary_remove);
    tcase_add_test(tests, stops_can_be_kept_as_masks);
    tcase_add_test(tests, a_record_knows_its_place);
    tcase_add_test(tests, stops_are_held_back_over_line_ends);
    tcase_add_test(tests, a_sequence_beyond_the_limit_is_refused);
    tcase_add_test(tests, long_descriptions_are_cut_with_one_warning);
    tcase_add_test(tests, an_id_has_no_limit);
    tcase_add_test(tests, other_formats_are_named);
    tcase_add_test(tests, nucleotides_are_told);
    tcase_add_test(tests, lone_returns_and_feeds_do_not_mix);
    tcase_add_test(tests, text_in_memory_is_read_as_a_file_is);
    tcase_add_test(tests, nul_bytes_are_refused_wherever_they_are);
    tcase_add_test(tests, a_message_shows_no_control_characters);
    tcase_add_test(tests, every_lack_of_memory_is_an_error_and_leaks_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}
