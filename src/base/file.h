// Files: read whole with pread, written beside and renamed, so that a reader only ever sees a
// complete file.
#ifndef PF_BASE_FILE_H
#define PF_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

// The whole of `path`, with a NUL behind it that *size_bytes does not count; release with pf_free.
// Errors: PF_ERROR_INPUT with the path and the system's reason; also when it is larger than
// `limit_bytes`, not a regular file, or changes while being read.
pf_status pf_read_file(const char *path, size_t limit_bytes, char **out, size_t *size_bytes);

// A file in the making: `path` itself changes only in pf_writer_commit. Errors: PF_ERROR_FAILED
// with the path and the system's reason.
typedef struct pf_writer pf_writer;

pf_status pf_writer_open(const char *path, pf_writer **out);
pf_status pf_writer_write(pf_writer *writer, const void *bytes, size_t count);
// Overwrites `count` bytes at `offset` (for headers that are known last); what stands there must
// have been written already. The digest does not follow: ask for it with pf_file_sha256.
pf_status pf_writer_patch(pf_writer *writer, uint64_t offset, const void *bytes, size_t count);
uint64_t pf_writer_bytes(const pf_writer *writer); // written so far
// Syncs, closes and renames to `path`, then syncs the directory. `writer` is gone in any case.
// `sha256_hex` (65 bytes) may be NULL.
pf_status pf_writer_commit(pf_writer *writer, char *sha256_hex);
// Drops it and the file beside; NULL is fine.
void pf_writer_discard(pf_writer *writer);

// Writes `bytes` to `path` in one go.
pf_status pf_write_file(const char *path, const void *bytes, size_t count, char *sha256_hex);

// SHA-256 of a file's content, lower-case hex and NUL. Errors: PF_ERROR_INPUT.
pf_status pf_file_sha256(const char *path, char sha256_hex[65], uint64_t *size_bytes);

pf_status pf_make_directory(const char *path);      // with parents; fine if it is there
pf_status pf_sync_directory(const char *path);      // so that a rename survives a power cut
// Keeps other processes that ask for the same lock out until *lock is closed with pf_unlock_directory, or the process
// ends. Where the file system has no locks, *lock is -1 and nobody is kept out. Errors: PF_ERROR_USAGE when another has it.
pf_status pf_lock_directory(const char *path, int *lock);
void pf_unlock_directory(int lock); // -1 is fine
// The directory `fresh` takes the place of `path`; a directory that is there is removed, after the exchange where
// the system can exchange. Errors: PF_ERROR_FAILED.
pf_status pf_replace_directory(const char *fresh, const char *path);
pf_status pf_remove_tree(const char *path);         // a directory and the files in it; fine if absent
bool pf_is_directory(const char *path);
bool pf_exists(const char *path);
// "directory/name"; release with pf_free.
pf_status pf_join_path(char **out, const char *directory, const char *name);

#endif
