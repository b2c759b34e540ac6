// Any bytes at all through the FASTA reader: it must read or refuse them, and keep its promises about
// records, counts and messages either way.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/alphabet.h"
#include "fuzz/target.h"
#include "performer/fasta.h"

static void promise(bool kept, const char *what)
{
    if (kept) return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

#define PROMISE(what) promise((what), #what)

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) return false;
    return true;
}

static void check_record(const pf_fasta_record *record, bool keep_masks)
{
    PROMISE(record->id_length > 0 && record->length > 0);
    PROMISE(strlen(record->id) == record->id_length);
    PROMISE(strcspn(record->id, " \t\r\n\1") == record->id_length);
    PROMISE(strlen(record->description) == record->description_length);
    PROMISE(record->description_length <= PF_FASTA_DESCRIPTION_BYTES);
    PROMISE(strlen(record->sequence) == record->length);
    PROMISE(strspn(record->sequence, keep_masks ? PF_FASTA_LETTERS "*" : PF_FASTA_LETTERS) == record->length);
}

static void check_statistics(const pf_fasta_statistics *counts, uint64_t records, uint64_t residues)
{
    uint64_t letters = counts->masks;
    for (int i = 0; i < PF_FASTA_LETTER_COUNT; i++) letters += counts->letters[i];
    PROMISE(counts->records == records && counts->residues == residues);
    PROMISE(letters == residues);
    PROMISE(counts->shortest <= counts->longest && counts->longest <= residues);
    PROMISE(counts->duplicate_ids < records || records == 0);
}

static void read_all(const char *path, bool keep_masks)
{
    const pf_fasta_options options = {.keep_masks = keep_masks, .most_residues = 1 << 20};
    pf_fasta *fasta = NULL;
    pf_fasta_record record;
    uint64_t records = 0, residues = 0;
    pf_status status = pf_fasta_open(path, &options, &fasta);
    PROMISE((status == PF_OK) == (fasta != NULL));
    while (status == PF_OK && (status = pf_fasta_next(fasta, &record)) == PF_OK) {
        check_record(&record, keep_masks);
        PROMISE(record.number == ++records);
        residues += record.length;
    }
    PROMISE(status == PF_END || status == PF_ERROR_INPUT);
    if (status == PF_END) PROMISE(records > 0);
    if (status == PF_ERROR_INPUT) PROMISE(strncmp(pf_error_message(), path, strlen(path)) == 0);
    if (status == PF_ERROR_INPUT) PROMISE(is_plain(pf_error_message()));
    if (fasta) check_statistics(pf_fasta_get_statistics(fasta), records, residues);
    for (size_t i = 0; fasta && i < pf_fasta_warning_count(fasta); i++)
        PROMISE(is_plain(pf_fasta_get_warning(fasta, i)));
    pf_fasta_close(fasta);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    const int file = memfd_create("fasta", MFD_CLOEXEC);
    promise(file >= 0 && write(file, data, size) == (ssize_t)size, "there is room for a file in memory");
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    read_all(path, false);
    read_all(path, true);
    close(file);
    return 0;
}
