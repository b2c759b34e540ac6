// Where files about devices lie, and which device one is about. See directory.h and device.h.
#include "device/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

bool pf_is_ours_alone(const struct stat *about)
{
    return about->st_uid == geteuid() && (about->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool pf_prepare_directory(const char *path)
{
    struct stat about;
    const char *slash = strrchr(path, '/');
    if (slash && slash != path) {
        char *parent = NULL;
        if (pf_copy_text(&parent, path) != PF_OK) return false;
        parent[slash - path] = '\0';
        const pf_status made = pf_make_directory(parent);
        pf_free(parent);
        if (made != PF_OK) return false;
    }
    if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST) return false;
    const int directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0) return false;
    const bool fine = fstat(directory, &about) == 0 && pf_is_ours_alone(&about);
    close(directory);
    return fine;
}

pf_status pf_default_directory(char **out)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/') return pf_join_path(out, cache, "performer");
    pf_text path = {0};
    if (!home || home[0] != '/')
        return pf_fail(PF_ERROR_DEVICE, "no home directory for a cache of compiled programs");
    PF_TRY(pf_text_add(&path, "%s/.cache/performer", home));
    *out = path.data;
    return PF_OK;
}

void pf_digest_text(const void *bytes, size_t count, char hex[PF_HEX_BYTES])
{
    struct sha256_ctx context;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&context);
    sha256_update(&context, count, bytes);
    sha256_digest(&context, sizeof digest, digest);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

pf_status pf_device_identity(const pf_device *device, pf_text *out)
{
    const pf_device_info *info = &device->info;
    pf_text whole = {0};
    pf_status status;
    PF_TRY_OR(done,
              pf_text_add(&whole, "%s, %s, %s, driver %s, %u units, groups of %d, vectors of %d", info->name,
                          info->platform, info->version, info->driver, (unsigned)info->compute_units,
                          device->shape.work_group, device->shape.vector));
    for (char *c = whole.data; *c; c++)
        if (*c < ' ' || *c > '~') *c = '?'; // a line of plain text, whatever drivers call themselves
    PF_TRY_OR(done, pf_text_add(out, "%s", whole.data));
done:
    pf_text_free(&whole);
    return status;
}

pf_status pf_kernel_digest(const char *file, char hex[PF_HEX_BYTES])
{
    for (int i = 0; i < pf_n_sources; i++)
        if (strcmp(pf_sources[i].file, file) == 0) {
            pf_digest_text(pf_sources[i].text, pf_sources[i].bytes, hex);
            return PF_OK;
        }
    return pf_fail(PF_ERROR_DEVICE, "no kernel file cl/%s.cl in this build", file);
}

pf_status pf_device_file(const pf_device *device, const char *name, bool prepare, char **out)
{
    enum { SHOWN = 16 }; // digits are enough to tell devices apart
    char hex[PF_HEX_BYTES];
    pf_text identity = {0}, path = {0};
    pf_status status;
    if (!device->directory) return PF_END;
    PF_CHECK(!prepare || pf_prepare_directory(device->directory), PF_ERROR_FAILED,
             "%s: cannot be made, or others can write to it; name another directory with PERFORMER_CACHE",
             device->directory);
    PF_TRY_OR(done, pf_device_identity(device, &identity));
    pf_digest_text(identity.data, identity.length, hex);
    PF_TRY_OR(done, pf_text_add(&path, "%s/%s-%.*s.txt", device->directory, name, SHOWN, hex));
    *out = path.data;
    path.data = NULL;
done:
    pf_text_free(&identity);
    pf_text_free(&path);
    return status;
}
