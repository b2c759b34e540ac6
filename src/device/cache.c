// Compiled programs on disk. See cache.h. A file is: magic, lengths, SHA-256 of all that follows it and of the lengths,
// the key as text, the driver's binary. Its name is the SHA-256 of the key.
#include "device/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "device/directory.h"

enum { FORMAT = 1, NAME_BYTES = 96 };

static const uint64_t most_bytes = (uint64_t)256 << 20; // of all files together
static const uint64_t most_entry_bytes = (uint64_t)64 << 20;

typedef struct header {
    char magic[8];
    uint64_t key_bytes, binary_bytes;
    uint8_t digest[SHA256_DIGEST_SIZE];
} header;

static const char magic[8] = "PFCACHE";

// ---- the directory ----

// PoCL keeps compiled programs itself.
static bool caches_itself(const pf_device *device)
{
    return strstr(device->info.platform, "Portable Computing Language") != NULL;
}

void pf_cache_open(pf_device *device, const char *wanted)
{
    if (!wanted) wanted = getenv("PERFORMER_CACHE");
    if (wanted && strcmp(wanted, "off") == 0) return;
    const bool is_default = !wanted || wanted[0] == '\0';
    char *path = NULL;
    if ((is_default ? pf_default_directory(&path) : pf_copy_text(&path, wanted)) != PF_OK) return;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') path[--length] = '\0'; // else O_NOFOLLOW would follow
    device->directory = path;
    if (is_default && caches_itself(device)) return;
    if (pf_prepare_directory(path)) device->cache_directory = path;
}

// ---- the key ----

// All that a binary depends on; the text of the kernels by its digest.
static pf_status write_key(const pf_device *device, const pf_source *source, const char *options, pf_text *out)
{
    const pf_device_info *info = &device->info;
    char text[PF_HEX_BYTES], platform_version[128] = "", c_version[128] = "";
    cl_uint vendor = 0;
    clGetPlatformInfo(device->platform, CL_PLATFORM_VERSION, sizeof platform_version - 1, platform_version, NULL);
    clGetDeviceInfo(device->id, CL_DEVICE_OPENCL_C_VERSION, sizeof c_version - 1, c_version, NULL);
    clGetDeviceInfo(device->id, CL_DEVICE_VENDOR_ID, sizeof vendor, &vendor, NULL);
    pf_digest_text(source->text, source->bytes, text);
    PF_TRY(pf_text_add(out, "format %d, pointers of %zu bytes\n%s, %s\n", FORMAT, sizeof(void *), info->platform,
                       platform_version));
    PF_TRY(pf_text_add(out, "%s, vendor %u, %s, driver %s, %s\n", info->name, (unsigned)vendor, info->version, info->driver,
                       c_version));
    return pf_text_add(out, "%s.cl %s\noptions %s\n", source->file, text, options);
}

// A file of the cache: NAME.bin, or NAME.loading while a driver is being handed its binary.
typedef struct entry {
    pf_text key;
    pf_text path, marker;
} entry;

static void entry_free(entry *e)
{
    pf_text_free(&e->key);
    pf_text_free(&e->path);
    pf_text_free(&e->marker);
}

static pf_status entry_find(const pf_device *device, const pf_source *source, const char *options, entry *e)
{
    char name[PF_HEX_BYTES];
    PF_TRY(write_key(device, source, options, &e->key));
    pf_digest_text(e->key.data, e->key.length, name);
    PF_TRY(pf_text_add(&e->path, "%s/%s.bin", device->cache_directory, name));
    return pf_text_add(&e->marker, "%s/%s.loading", device->cache_directory, name);
}

static void digest_entry(const header *h, const void *key, const void *binary, uint8_t digest[SHA256_DIGEST_SIZE])
{
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, offsetof(header, digest), (const uint8_t *)h);
    sha256_update(&context, (size_t)h->key_bytes, key);
    sha256_update(&context, (size_t)h->binary_bytes, binary);
    sha256_digest(&context, SHA256_DIGEST_SIZE, digest);
}

// ---- loading ----

// The whole file, if it is a plain file of ours alone and of a size that can be.
static bool read_entry(const char *path, char **out, size_t *bytes)
{
    const int file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return false;
    struct stat about;
    void *data = NULL;
    bool fine = fstat(file, &about) == 0 && S_ISREG(about.st_mode) && pf_is_ours_alone(&about) &&
                about.st_size > (off_t)sizeof(header) && (uint64_t)about.st_size <= most_entry_bytes &&
                pf_alloc(&data, (size_t)about.st_size, 1, "compiled program") == PF_OK;
    size_t done = 0;
    while (fine && done < (size_t)about.st_size) {
        const ssize_t got = read(file, (char *)data + done, (size_t)about.st_size - done);
        if (got < 0 && errno == EINTR) continue;
        fine = got > 0;
        if (fine) done += (size_t)got;
    }
    if (fine) futimens(file, NULL); // used now: eviction takes the oldest
    close(file);
    if (!fine) pf_free(data);
    *out = fine ? data : NULL;
    *bytes = done;
    return fine;
}

// Whether the bytes are an undamaged entry of this very key.
static bool verify(const entry *e, const char *data, size_t bytes, const unsigned char **binary, size_t *binary_bytes)
{
    header h;
    uint8_t digest[SHA256_DIGEST_SIZE];
    memcpy(&h, data, sizeof h);
    const size_t left = bytes - sizeof h;
    if (memcmp(h.magic, magic, sizeof magic) != 0 || h.key_bytes != e->key.length || h.key_bytes > left ||
        h.binary_bytes != left - h.key_bytes || h.binary_bytes == 0)
        return false;
    const char *key = data + sizeof h;
    digest_entry(&h, key, key + h.key_bytes, digest);
    if (memcmp(digest, h.digest, sizeof digest) != 0 || memcmp(key, e->key.data, e->key.length) != 0) return false;
    *binary = (const unsigned char *)key + h.key_bytes;
    *binary_bytes = (size_t)h.binary_bytes;
    return true;
}

static bool build_binary(const pf_device *device, const unsigned char *binary, size_t bytes, const char *options,
                         cl_program *out)
{
    cl_int code, accepted = CL_SUCCESS;
    cl_program program = clCreateProgramWithBinary(device->context, 1, &device->id, &bytes, &binary, &accepted, &code);
    if (code != CL_SUCCESS) return false;
    if (accepted == CL_SUCCESS) code = clBuildProgram(program, 1, &device->id, options, NULL, NULL);
    if (accepted != CL_SUCCESS || code != CL_SUCCESS) {
        clReleaseProgram(program);
        return false;
    }
    *out = program;
    return true;
}

// A process that died while its driver took this binary left the marker: the binary is not tried again.
static bool is_deadly(const char *marker)
{
    char text[32] = "";
    const int file = open(marker, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return errno != ENOENT;
    const ssize_t got = read(file, text, sizeof text - 1);
    close(file);
    const long process = got > 0 ? strtol(text, NULL, 10) : 0;
    return process <= 0 || (kill((pid_t)process, 0) != 0 && errno == ESRCH);
}

static void mark(const char *marker)
{
    char text[32];
    const int file = open(marker, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) return; // somebody alive is loading it too, or nothing can be written
    const int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    const ssize_t written = write(file, text, (size_t)length);
    (void)written; // an empty marker counts as deadly, which is safe
    close(file);
}

bool pf_cache_load(pf_device *device, const pf_source *source, const char *options, cl_program *out)
{
    entry e = {0};
    char *data = NULL;
    size_t bytes = 0, binary_bytes = 0;
    const unsigned char *binary = NULL;
    bool loaded = false;
    if (!device->cache_directory) return false;
    if (entry_find(device, source, options, &e) == PF_OK && !is_deadly(e.marker.data) &&
        read_entry(e.path.data, &data, &bytes)) {
        if (verify(&e, data, bytes, &binary, &binary_bytes)) {
            mark(e.marker.data);
            loaded = build_binary(device, binary, binary_bytes, options, out);
            unlink(e.marker.data);
        }
        if (!loaded) unlink(e.path.data); // damaged, or not to the driver's liking
    }
    pf_free(data);
    entry_free(&e);
    device->cache_hits += loaded;
    return loaded;
}

// ---- storing ----

typedef struct found {
    char name[NAME_BYTES];
    uint64_t bytes;
    time_t used;
} found;

static int by_age(const void *a, const void *b)
{
    const found *x = a, *y = b;
    return (x->used > y->used) - (x->used < y->used);
}

// Drops the files that were not used for longest until the rest is small enough.
static void evict(const char *directory, uint64_t limit_bytes)
{
    DIR *listing = opendir(directory);
    if (!listing) return;
    void *files = NULL;
    size_t n = 0, capacity = 0;
    uint64_t total = 0;
    for (const struct dirent *d = readdir(listing); d; d = readdir(listing)) {
        struct stat about;
        const size_t length = strlen(d->d_name);
        const bool is_entry = length > 4 && strcmp(d->d_name + length - 4, ".bin") == 0, is_rest = d->d_name[0] == '~';
        if ((!is_entry && !is_rest) || length >= NAME_BYTES) continue;
        if (fstatat(dirfd(listing), d->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(about.st_mode)) continue;
        if (pf_grow(&files, &capacity, n + 1, sizeof(found), "cache") != PF_OK) break;
        found *f = (found *)files + n++;
        snprintf(f->name, sizeof f->name, "%s", d->d_name);
        f->bytes = (uint64_t)about.st_size;
        f->used = about.st_mtime;
        total += f->bytes;
    }
    if (n) qsort(files, n, sizeof(found), by_age);
    for (size_t i = 0; i < n && total > limit_bytes; i++) {
        const found *f = (const found *)files + i;
        if (unlinkat(dirfd(listing), f->name, 0) == 0) total -= f->bytes;
    }
    closedir(listing);
    pf_free(files);
}

static bool write_fully(int file, const void *bytes, size_t count)
{
    for (size_t done = 0; done < count;) {
        const ssize_t wrote = write(file, (const char *)bytes + done, count - done);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        done += (size_t)wrote;
    }
    return true;
}

// Under a name of this process first, renamed once it is whole; of two writers the last one wins.
static bool write_entry(const pf_device *device, const entry *e, const unsigned char *binary, size_t bytes)
{
    header h = {.key_bytes = e->key.length, .binary_bytes = bytes};
    pf_text temporary = {0};
    memcpy(h.magic, magic, sizeof magic);
    digest_entry(&h, e->key.data, binary, h.digest);
    if (pf_text_add(&temporary, "%s/~%ld-%p", device->cache_directory, (long)getpid(), (const void *)device) != PF_OK)
        return false;
    const int file = open(temporary.data, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    bool fine = file >= 0;
    if (fine) {
        fine = write_fully(file, &h, sizeof h) && write_fully(file, e->key.data, e->key.length) &&
               write_fully(file, binary, bytes) && fsync(file) == 0;
        close(file);
        fine = fine && rename(temporary.data, e->path.data) == 0;
        if (!fine) unlink(temporary.data);
    }
    pf_text_free(&temporary);
    return fine;
}

void pf_cache_store(pf_device *device, const pf_source *source, const char *options, cl_program program)
{
    size_t bytes = 0;
    if (!device->cache_directory) return;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) != CL_SUCCESS) return;
    if (bytes == 0 || bytes > most_entry_bytes - (1 << 16)) return;
    entry e = {0};
    void *binary = NULL;
    if (pf_alloc(&binary, bytes, 1, "compiled program") != PF_OK) return;
    unsigned char *one = binary;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof one, &one, NULL) == CL_SUCCESS &&
        entry_find(device, source, options, &e) == PF_OK && !is_deadly(e.marker.data) &&
        write_entry(device, &e, binary, bytes))
        evict(device->cache_directory, most_bytes);
    pf_free(binary);
    entry_free(&e);
}
