// Finished records in a file. See journal.h.
#include "infer/journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"
#include "base/text.h"

enum { SYNC_BYTES = 32 << 20, MOST_NAME = 1 << 24 };

static const char magic[8] = "pf-work1";

typedef struct file_head {
    char magic[8];
    pf_digest key;
} file_head;

typedef struct entry_head {
    uint64_t name_length, count;
    pf_digest content;
    uint32_t crc, zero; // crc: of this head without it, name and numbers
} entry_head;

struct pf_journal {
    char *path;
    pf_digest key;
    FILE *file; // NULL: not begun
    off_t end;  // of the last entry that was read or written
    off_t size; // of the file, while it is read
    bool reading;
    uint64_t unsynced;
    pf_text name;
    float *numbers;
    size_t capacity;
};

static pf_status fail(const pf_journal *j, const char *what)
{
    return pf_fail(PF_ERROR_FAILED, "%s: %s: %s", j->path, what, strerror(errno ? errno : EIO));
}

static uint32_t checksum(const entry_head *head, const char *name, const float *numbers)
{
    entry_head plain = *head;
    plain.crc = 0;
    uLong crc = crc32_z(0, (const Bytef *)&plain, sizeof plain);
    if (head->name_length)
        crc = crc32_z(crc, (const Bytef *)name, head->name_length); // NULL would begin anew
    if (head->count) crc = crc32_z(crc, (const Bytef *)numbers, head->count * sizeof *numbers);
    return (uint32_t)crc;
}

static pf_status begin(pf_journal *j)
{
    file_head head = {.key = j->key};
    memcpy(head.magic, magic, sizeof magic);
    errno = 0;
    j->file = fopen(j->path, "w+be");
    if (!j->file || fwrite(&head, sizeof head, 1, j->file) != 1) return fail(j, "cannot be written");
    j->end = (off_t)sizeof head;
    return PF_OK;
}

static pf_status open_old(pf_journal *j)
{
    file_head head;
    j->file = fopen(j->path, "r+be");
    if (!j->file && errno == ENOENT) return PF_OK;
    if (!j->file) return fail(j, "cannot be opened");
    if (fread(&head, sizeof head, 1, j->file) != 1) return begin(j); // killed before anything was written
    PF_CHECK(memcmp(head.magic, magic, sizeof magic) == 0 && memcmp(&head.key, &j->key, sizeof j->key) == 0,
             PF_ERROR_USAGE,
             "%s was begun with another model or other options; give the same command, or start anew without "
             "--resume",
             j->path);
    return pf_journal_rewind(j);
}

pf_status pf_journal_open(const char *path, pf_digest key, bool resume, pf_journal **out)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_journal), "work file"));
    pf_journal *j = memory;
    j->key = key;
    pf_status status = pf_copy_text(&j->path, path);
    if (status == PF_OK && resume) status = open_old(j);
    if (status == PF_OK)
        *out = j;
    else
        pf_journal_close(j);
    return status;
}

void pf_journal_close(pf_journal *j)
{
    if (!j) return;
    if (j->file) fclose(j->file);
    pf_text_free(&j->name);
    pf_free(j->numbers);
    pf_free(j->path);
    pf_free(j);
}

// From reading to writing: what is behind the last whole entry goes.
static pf_status cut(pf_journal *j)
{
    errno = 0;
    if (fseeko(j->file, j->end, SEEK_SET) != 0 || ftruncate(fileno(j->file), j->end) != 0)
        return fail(j, "cannot be cut");
    j->reading = false;
    return PF_OK;
}

// Nothing may be NULL, which fwrite may not be given.
static bool write_part(FILE *file, const void *from, size_t bytes)
{
    return bytes == 0 || fwrite(from, 1, bytes, file) == bytes;
}

pf_status pf_journal_append(pf_journal *j, const pf_journal_entry *entry)
{
    if (!j->file) PF_TRY(begin(j));
    if (j->reading) PF_TRY(cut(j));
    entry_head head = {.name_length = entry->name_length, .count = entry->count, .content = entry->content};
    head.crc = checksum(&head, entry->name, entry->numbers);
    errno = 0;
    if (!write_part(j->file, &head, sizeof head) || !write_part(j->file, entry->name, entry->name_length) ||
        !write_part(j->file, entry->numbers, entry->count * sizeof *entry->numbers))
        return fail(j, "cannot be written");
    const uint64_t bytes = sizeof head + entry->name_length + entry->count * sizeof *entry->numbers;
    j->end += (off_t)bytes;
    j->unsynced += bytes;
    return j->unsynced > SYNC_BYTES ? pf_journal_sync(j) : PF_OK;
}

pf_status pf_journal_flush(pf_journal *j)
{
    errno = 0;
    return j->file && !j->reading && fflush(j->file) != 0 ? fail(j, "cannot be written") : PF_OK;
}

pf_status pf_journal_sync(pf_journal *j)
{
    errno = 0;
    j->unsynced = 0;
    if (j->file && !j->reading && (fflush(j->file) != 0 || fdatasync(fileno(j->file)) != 0))
        return fail(j, "cannot be synced");
    return PF_OK;
}

pf_status pf_journal_rewind(pf_journal *j)
{
    if (!j->file) return PF_OK;
    errno = 0;
    if (fflush(j->file) != 0 || fseeko(j->file, 0, SEEK_END) != 0 || (j->size = ftello(j->file)) < 0 ||
        fseeko(j->file, (off_t)sizeof(file_head), SEEK_SET) != 0)
        return fail(j, "cannot be read back");
    j->reading = true;
    j->end = (off_t)sizeof(file_head);
    return PF_OK;
}

// Bytes of the file behind the entry's head: no more are ever asked memory for.
static bool fits(const pf_journal *j, const entry_head *head)
{
    const uint64_t left = (uint64_t)(j->size - j->end) - sizeof *head;
    return head->name_length <= MOST_NAME && head->name_length <= left &&
           head->count <= (left - head->name_length) / sizeof(float);
}

pf_status pf_journal_next(pf_journal *j, pf_journal_entry *out)
{
    entry_head head;
    if (!j->file) return PF_END;
    const off_t at = j->end;
    if (!j->reading || j->size - at < (off_t)sizeof head || fread(&head, sizeof head, 1, j->file) != 1 ||
        !fits(j, &head))
        return PF_END;
    PF_TRY(
        pf_grow((void **)&j->numbers, &j->capacity, head.count, sizeof *j->numbers, "numbers of a record"));
    PF_TRY(pf_grow((void **)&j->name.data, &j->name.capacity, head.name_length + 1, 1, "name of a record"));
    if (fread(j->name.data, 1, head.name_length, j->file) != head.name_length ||
        fread(j->numbers, sizeof *j->numbers, head.count, j->file) != head.count ||
        checksum(&head, j->name.data, j->numbers) != head.crc)
        return PF_END;
    j->name.data[head.name_length] = '\0';
    j->end = at + (off_t)(sizeof head + head.name_length + head.count * sizeof *j->numbers);
    *out = (pf_journal_entry){j->name.data, head.name_length, head.content, j->numbers, head.count};
    return PF_OK;
}

pf_status pf_journal_remove(pf_journal *j)
{
    if (unlink(j->path) != 0 && errno != ENOENT) return fail(j, "cannot be removed");
    return PF_OK;
}
