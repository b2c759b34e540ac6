// Result directories: files are made in a hidden folder inside and moved out when all are complete.
#include "tools/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pf_output_directory {
    char *path;
    char *staging;
    bool is_new; // made here, so a discard removes it
};

static pf_status system_error(const char *path, int error)
{
    return pf_tool_fail(PF_ERROR_FAILED, "%s: %s", path, strerror(error));
}

// Whether nothing lies in a directory, else the name of something that does.
static bool is_empty(const char *path, char first[256])
{
    DIR *folder = opendir(path);
    if (!folder) return true; // whoever writes there says why it cannot be read
    bool empty = true;
    for (const struct dirent *entry; empty && (entry = readdir(folder));) {
        empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
        if (!empty) snprintf(first, 256, "%s", entry->d_name);
    }
    closedir(folder);
    return empty;
}

pf_status pf_output_directory_check(const char *path)
{
    struct stat there;
    char first[256];
    if (stat(path, &there) != 0) return PF_OK;
    if (!S_ISDIR(there.st_mode)) {
        return pf_tool_fail(PF_ERROR_USAGE, "%s: is a file; -o takes a directory that is new or empty", path);
    }
    if (!is_empty(path, first)) {
        return pf_tool_fail(PF_ERROR_USAGE,
                            "%s: is not empty (it holds '%.80s'); -o takes a directory that is new or "
                            "empty",
                            path, first);
    }
    return PF_OK;
}

// mkdir with parents; *is_new tells whether the last one was missing.
static pf_status make_path(const char *path, bool *is_new)
{
    char *copy = strdup(path);
    if (!copy) return system_error(path, ENOMEM);
    for (char *slash = copy; (slash = strchr(slash + 1, '/'));) {
        *slash = 0;
        mkdir(copy, 0777);
        *slash = '/';
    }
    free(copy);
    *is_new = mkdir(path, 0777) == 0;
    return *is_new || errno == EEXIST ? PF_OK : system_error(path, errno);
}

static int remove_one(const char *path, const struct stat *what, int kind, struct FTW *place)
{
    (void)what, (void)kind, (void)place;
    return remove(path);
}

void pf_output_directory_discard(pf_output_directory *directory)
{
    if (!directory) return;
    if (directory->staging) nftw(directory->staging, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (directory->is_new) rmdir(directory->path);
    free(directory->path);
    free(directory->staging);
    free(directory);
}

pf_status pf_output_directory_open(const char *path, pf_output_directory **out)
{
    *out = NULL;
    pf_status status = pf_output_directory_check(path);
    if (status != PF_OK) return status;
    pf_output_directory *directory = calloc(1, sizeof *directory);
    if (!directory) return system_error(path, ENOMEM);
    directory->path = strdup(path);
    status = directory->path ? make_path(path, &directory->is_new) : system_error(path, ENOMEM);
    if (status == PF_OK && asprintf(&directory->staging, "%s/.partial", path) < 0) {
        directory->staging = NULL;
        status = system_error(path, ENOMEM);
    }
    if (status == PF_OK && mkdir(directory->staging, 0777) != 0) {
        status = system_error(path, errno);
        free(directory->staging);
        directory->staging = NULL;
    }
    if (status == PF_OK)
        *out = directory;
    else
        pf_output_directory_discard(directory);
    return status;
}

const char *pf_output_staging(const pf_output_directory *directory)
{
    return directory->staging;
}

// Moves each file of the staging folder to the directory itself.
static pf_status move_out(const pf_output_directory *directory)
{
    const int to = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = opendir(directory->staging);
    pf_status status = to >= 0 && folder ? PF_OK : system_error(directory->path, errno);
    for (const struct dirent *entry; status == PF_OK && (entry = readdir(folder));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (renameat(dirfd(folder), entry->d_name, to, entry->d_name) != 0) {
            status = system_error(directory->path, errno);
        }
    }
    if (status == PF_OK && fsync(to) != 0 && errno != EINVAL) status = system_error(directory->path, errno);
    if (folder) closedir(folder);
    if (to >= 0) close(to);
    return status;
}

pf_status pf_output_directory_commit(pf_output_directory *directory)
{
    const pf_status status = move_out(directory);
    if (status == PF_OK) directory->is_new = false; // rmdir would fail anyhow: it has files now
    pf_output_directory_discard(directory);
    return status;
}
