// Files. See file.h. A file is written under a temporary name beside its own, synced, closed and
// renamed, and its directory synced: each step closes a way in which a crash, a full disk or a
// power cut leaves a file that looks whole and is not. Nothing is mapped: a mapped file that
// somebody else truncates kills the reader.
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

enum { READ_FLAGS = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, MAX_NESTING = 64 };

static pf_status fail_system(pf_status status, const char *path, const char *what)
{
    const int code = errno;
    char text[128];
    return pf_fail(status, "%s: %s: %s", path, what, strerror_r(code, text, sizeof text));
}

static void digest_hex(struct sha256_ctx *context, char hex[65])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

// Reads until `count` bytes or the end; -1 with errno on failure.
static ssize_t read_fully(int file, void *bytes, size_t count, uint64_t offset)
{
    size_t done = 0;
    while (done < count) {
        const ssize_t got = pread(file, (char *)bytes + done, count - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

// --- reading ------------------------------------------------------------------------------------

// O_NONBLOCK in READ_FLAGS: opening a FIFO must not wait for a writer before it is refused.
static pf_status open_regular(const char *path, int *file, struct stat *about)
{
    const int opened = open(path, READ_FLAGS);
    if (opened < 0) return fail_system(PF_ERROR_INPUT, path, "cannot be opened");
    if (fstat(opened, about) != 0) {
        const pf_status status = fail_system(PF_ERROR_INPUT, path, "cannot be examined");
        close(opened);
        return status;
    }
    if (!S_ISREG(about->st_mode)) {
        close(opened);
        return pf_fail(PF_ERROR_INPUT, "%s: %s, expected a file", path,
                       S_ISDIR(about->st_mode) ? "is a directory" : "is not a regular file");
    }
    *file = opened;
    return PF_OK;
}

static bool is_unchanged(int file, const struct stat *before)
{
    struct stat after;
    return fstat(file, &after) == 0 && after.st_size == before->st_size &&
           after.st_mtim.tv_sec == before->st_mtim.tv_sec && after.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

pf_status pf_read_file(const char *path, size_t limit_bytes, char **out, size_t *size_bytes)
{
    int file = -1;
    struct stat about;
    PF_TRY(open_regular(path, &file, &about));
    pf_status status = PF_OK;
    void *bytes = NULL;
    const uint64_t size = (uint64_t)about.st_size;
    if (size > limit_bytes) {
        status = pf_fail(PF_ERROR_INPUT, "%s: %llu bytes, at most %zu are read from a file of this kind", path,
                         (unsigned long long)size, limit_bytes);
        goto done;
    }
    PF_TRY_OR(done, pf_alloc(&bytes, (size_t)size + 1, 1, path));
    const ssize_t got = read_fully(file, bytes, (size_t)size, 0);
    if (got < 0) {
        status = fail_system(PF_ERROR_INPUT, path, "cannot be read");
    } else if ((uint64_t)got != size || !is_unchanged(file, &about)) {
        status = pf_fail(PF_ERROR_INPUT, "%s: changed while it was read", path);
    }
done:
    close(file);
    if (status != PF_OK) {
        pf_free(bytes);
        return status;
    }
    *out = bytes;
    *size_bytes = (size_t)size;
    return PF_OK;
}

pf_status pf_file_sha256(const char *path, char sha256_hex[65], uint64_t *size_bytes)
{
    int file = -1;
    struct stat about;
    PF_TRY(open_regular(path, &file, &about));
    struct sha256_ctx context;
    sha256_init(&context);
    char block[1 << 15];
    uint64_t total = 0;
    ssize_t got;
    while ((got = read_fully(file, block, sizeof block, total)) > 0) {
        sha256_update(&context, (size_t)got, (const uint8_t *)block);
        total += (uint64_t)got;
    }
    const pf_status status = got < 0 ? fail_system(PF_ERROR_INPUT, path, "cannot be read") : PF_OK;
    close(file);
    if (status != PF_OK) return status;
    digest_hex(&context, sha256_hex);
    if (size_bytes) *size_bytes = total;
    return PF_OK;
}

// --- writing ------------------------------------------------------------------------------------

struct pf_writer {
    int file;
    char *path;
    char *temporary; // NULL: a device or FIFO, written as it is, nothing to rename
    uint64_t written;
    bool patched;
    struct sha256_ctx digest;
};

// A name of our own beside `path`: renaming works only within a file system.
static pf_status open_temporary(pf_writer *writer)
{
    const size_t room = strlen(writer->path) + 48;
    void *name = NULL;
    PF_TRY(pf_alloc(&name, room, 1, "file name"));
    writer->temporary = name;
    for (int attempt = 0; attempt < 1000; attempt++) {
        snprintf(writer->temporary, room, "%s.tmp-%ld-%d", writer->path, (long)getpid(), attempt);
        writer->file =
            open(writer->temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, (mode_t)0666);
        if (writer->file >= 0 || errno != EEXIST) break;
    }
    if (writer->file >= 0) return PF_OK;
    const pf_status status = fail_system(PF_ERROR_FAILED, writer->path, "cannot be created");
    pf_free(writer->temporary);
    writer->temporary = NULL;
    return status;
}

static pf_status open_output(pf_writer *writer)
{
    struct stat about;
    const bool exists = stat(writer->path, &about) == 0;
    PF_CHECK(!exists || !S_ISDIR(about.st_mode), PF_ERROR_FAILED, "%s: is a directory, expected a file",
             writer->path);
    if (!exists || S_ISREG(about.st_mode)) return open_temporary(writer);
    writer->file = open(writer->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (writer->file < 0) return fail_system(PF_ERROR_FAILED, writer->path, "cannot be opened for writing");
    return PF_OK;
}

pf_status pf_writer_open(const char *path, pf_writer **out)
{
    *out = NULL;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_writer), "file writer"));
    pf_writer *writer = memory;
    writer->file = -1;
    sha256_init(&writer->digest);
    pf_status status = pf_copy_text(&writer->path, path);
    if (status == PF_OK) status = open_output(writer);
    if (status != PF_OK) {
        pf_writer_discard(writer);
        return status;
    }
    *out = writer;
    return PF_OK;
}

pf_status pf_writer_write(pf_writer *writer, const void *bytes, size_t count)
{
    const uint8_t *next = bytes;
    for (size_t left = count; left > 0;) {
        const ssize_t put = write(writer->file, next, left);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail_system(PF_ERROR_FAILED, writer->path, "cannot be written");
        next += put;
        left -= (size_t)put;
    }
    sha256_update(&writer->digest, count, bytes);
    writer->written += count;
    return PF_OK;
}

pf_status pf_writer_patch(pf_writer *writer, uint64_t offset, const void *bytes, size_t count)
{
    PF_CHECK(offset <= writer->written && count <= writer->written - offset, PF_ERROR_USAGE,
             "%s: patch of %zu bytes at %llu is behind the end", writer->path, count, (unsigned long long)offset);
    const char *next = bytes;
    writer->patched = true;
    for (size_t done = 0; done < count;) {
        const ssize_t put = pwrite(writer->file, next + done, count - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail_system(PF_ERROR_FAILED, writer->path, "cannot be written");
        done += (size_t)put;
    }
    return PF_OK;
}

uint64_t pf_writer_bytes(const pf_writer *writer)
{
    return writer->written;
}

// A failed fsync is not tried again: the system has marked the pages clean and would say yes.
static pf_status finish(pf_writer *writer)
{
    const bool is_file = writer->temporary != NULL;
    if (is_file && fsync(writer->file) != 0) return fail_system(PF_ERROR_FAILED, writer->path, "cannot be synced");
    const int closed = close(writer->file);
    writer->file = -1;
    if (closed != 0) return fail_system(PF_ERROR_FAILED, writer->path, "cannot be closed");
    if (!is_file) return PF_OK;
    if (rename(writer->temporary, writer->path) != 0)
        return fail_system(PF_ERROR_FAILED, writer->path, "cannot be renamed into place");
    pf_free(writer->temporary);
    writer->temporary = NULL;
    const char *slash = strrchr(writer->path, '/');
    if (!slash) return pf_sync_directory(".");
    writer->path[slash == writer->path ? 1 : slash - writer->path] = 0;
    return pf_sync_directory(writer->path);
}

pf_status pf_writer_commit(pf_writer *writer, char *sha256_hex)
{
    const pf_status status = finish(writer);
    if (status == PF_OK && sha256_hex) {
        sha256_hex[0] = 0; // a digest of other bytes than the file's would be worse than none
        if (!writer->patched) digest_hex(&writer->digest, sha256_hex);
    }
    pf_writer_discard(writer);
    return status;
}

void pf_writer_discard(pf_writer *writer)
{
    if (!writer) return;
    if (writer->file >= 0) close(writer->file);
    if (writer->temporary) unlink(writer->temporary);
    pf_free(writer->temporary);
    pf_free(writer->path);
    pf_free(writer);
}

pf_status pf_write_file(const char *path, const void *bytes, size_t count, char *sha256_hex)
{
    pf_writer *writer = NULL;
    PF_TRY(pf_writer_open(path, &writer));
    const pf_status status = pf_writer_write(writer, bytes, count);
    if (status == PF_OK) return pf_writer_commit(writer, sha256_hex);
    pf_writer_discard(writer);
    return status;
}

// --- directories --------------------------------------------------------------------------------

bool pf_is_directory(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

bool pf_exists(const char *path)
{
    struct stat about;
    return lstat(path, &about) == 0;
}

pf_status pf_make_directory(const char *path)
{
    char *partial = NULL;
    PF_TRY(pf_copy_text(&partial, path));
    pf_status status = PF_OK;
    const size_t length = strlen(partial);
    for (size_t i = 1; i <= length && status == PF_OK; i++) {
        if (partial[i] != '/' && partial[i] != 0) continue;
        partial[i] = 0;
        if (mkdir(partial, 0777) != 0 && !(errno == EEXIST && pf_is_directory(partial)))
            status = fail_system(PF_ERROR_FAILED, partial, "directory cannot be made");
        if (i < length) partial[i] = '/';
    }
    pf_free(partial);
    return status;
}

pf_status pf_sync_directory(const char *path)
{
    const int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return fail_system(PF_ERROR_FAILED, path, "directory cannot be opened");
    // Some network file systems cannot sync a directory and say EINVAL; there is nothing to do then.
    const bool failed = fsync(directory) != 0 && errno != EINVAL;
    const pf_status status = failed ? fail_system(PF_ERROR_FAILED, path, "directory cannot be synced") : PF_OK;
    close(directory);
    return status;
}

pf_status pf_lock_directory(const char *path, int *lock)
{
    *lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock < 0) return fail_system(PF_ERROR_FAILED, path, "directory cannot be opened");
    if (flock(*lock, LOCK_EX | LOCK_NB) == 0) return PF_OK;
    const bool is_taken = errno == EWOULDBLOCK;
    pf_unlock_directory(*lock);
    *lock = -1;
    return is_taken ? pf_fail(PF_ERROR_USAGE, "%s is in use by another process; wait for its end, or stop it", path) : PF_OK;
}

void pf_unlock_directory(int lock)
{
    if (lock >= 0) close(lock);
}

// Empties the open directory and closes it. Symbolic links are removed, never followed.
static int empty_directory(int file, int nesting)
{
    DIR *directory = fdopendir(file);
    if (!directory) {
        close(file);
        return -1;
    }
    int result = 0;
    struct dirent *entry;
    while (result == 0 && (errno = 0, entry = readdir(directory))) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
        if (unlinkat(dirfd(directory), name, 0) == 0) continue;
        const int inner = openat(dirfd(directory), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner < 0 || nesting == MAX_NESTING) {
            if (inner >= 0) close(inner);
            result = -1;
        } else {
            result = empty_directory(inner, nesting + 1);
            if (result == 0) result = unlinkat(dirfd(directory), name, AT_REMOVEDIR);
        }
    }
    if (result == 0 && errno != 0) result = -1;
    const int reason = errno;
    closedir(directory);
    errno = reason;
    return result;
}

pf_status pf_remove_tree(const char *path)
{
    const int directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0 && errno == ENOENT) return PF_OK;
    if (directory < 0) return fail_system(PF_ERROR_FAILED, path, "directory cannot be opened");
    if (empty_directory(directory, 0) != 0 || rmdir(path) != 0)
        return fail_system(PF_ERROR_FAILED, path, "directory cannot be removed");
    return PF_OK;
}

pf_status pf_replace_directory(const char *fresh, const char *path)
{
    if (rename(fresh, path) == 0) return PF_OK; // nothing was there, or an empty directory
    if (errno != ENOTEMPTY && errno != EEXIST) return fail_system(PF_ERROR_FAILED, path, "cannot be put in place");
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_EXCHANGE) == 0) return pf_remove_tree(fresh);
    PF_TRY(pf_remove_tree(path)); // a file system without exchange
    return rename(fresh, path) == 0 ? PF_OK : fail_system(PF_ERROR_FAILED, path, "cannot be put in place");
}

pf_status pf_join_path(char **out, const char *directory, const char *name)
{
    const size_t length = strlen(directory);
    const char *between = length == 0 || directory[length - 1] == '/' ? "" : "/";
    const size_t room = length + strlen(name) + 2;
    void *path = NULL;
    PF_TRY(pf_alloc(&path, room, 1, "path"));
    snprintf(path, room, "%s%s%s", directory, between, name);
    *out = path;
    return PF_OK;
}
