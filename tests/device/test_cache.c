// The cache of compiled programs gives back what was stored and nothing else: whatever happened to its files or its
// directory, loading is a miss at worst, never an error or a crash.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "device/cache.h"
#include "support/device.h"
#include "support/suite.h"
#include "support/temporary.h"

static const char *const options = "-cl-std=CL1.2 -DWG=1 -DVEC=4";

static pf_device *device; // with its cache in temporary("cache")
static const pf_source *source;
static cl_program built;
static char entry[512];

static pf_device *open_device(const char *cache)
{
    pf_device *opened = NULL;
    must(pf_device_open(&(pf_device_options){.selector = getenv("PERFORMER_DEVICE"), .cache_directory = cache}, &opened));
    return opened;
}

// The only .bin file there is; false if there is none.
static bool find_entry(void)
{
    DIR *listing = opendir(temporary("cache"));
    entry[0] = '\0';
    for (const struct dirent *d = listing ? readdir(listing) : NULL; d; d = readdir(listing))
        if (strstr(d->d_name, ".bin")) snprintf(entry, sizeof entry, "%s/%s", temporary("cache"), d->d_name);
    if (listing) closedir(listing);
    return entry[0] != '\0';
}

static void remove_entries(void)
{
    while (find_entry()) unlink(entry);
}

// A device with an empty cache, and a program in it.
static void set_up(void)
{
    test_device();
    temporary_create();
    device = open_device(temporary("cache"));
    remove_entries(); // of the probe
    ck_assert_ptr_nonnull(device->cache_directory);
    for (int i = 0; i < pf_n_sources; i++)
        if (strcmp(pf_sources[i].file, "probe") == 0) source = &pf_sources[i];
    const char *text = (const char *)source->text;
    cl_int code;
    built = clCreateProgramWithSource(device->context, 1, &text, &source->bytes, &code);
    ck_assert_int_eq(code, CL_SUCCESS);
    ck_assert_int_eq(clBuildProgram(built, 1, &device->id, options, NULL, NULL), CL_SUCCESS);
    pf_cache_store(device, source, options, built);
}

static void tear_down(void)
{
    clReleaseProgram(built);
    pf_device_close(device);
    chmod(temporary("cache"), S_IRWXU);
    temporary_remove();
}

static bool loads(const char *with_options)
{
    cl_program program = NULL;
    if (!pf_cache_load(device, source, with_options, &program)) return false;
    cl_int code;
    cl_kernel kernel = clCreateKernel(program, "probe", &code);
    ck_assert_int_eq(code, CL_SUCCESS);
    clReleaseKernel(kernel);
    clReleaseProgram(program);
    return true;
}

START_TEST(what_was_stored_is_loaded)
{
    struct stat about;
    ck_assert(find_entry() && stat(entry, &about) == 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0600);
    ck_assert(stat(temporary("cache"), &about) == 0 && (about.st_mode & 0777) == 0700);
    ck_assert(loads(options));
    ck_assert(loads(options));
    ck_assert_msg(!loads("-cl-std=CL1.2 -DWG=1 -DVEC=8"), "other options are another program");
    pf_source other = *source;
    other.bytes--;
    cl_program program = NULL;
    ck_assert_msg(!pf_cache_load(device, &other, options, &program), "another text is another program");
    ck_assert_msg(find_entry(), "a miss removes nothing");
}
END_TEST

START_TEST(devices_share_it)
{
    pf_device *second = open_device(temporary("cache")), *third = open_device(temporary("cache"));
    ck_assert_uint_eq(second->cache_hits, 0);
    ck_assert_uint_ge(third->cache_hits, 1); // the probe that the second one stored
    pf_device *none = open_device("off");
    ck_assert_ptr_null(none->cache_directory);
    pf_device_close(second), pf_device_close(third), pf_device_close(none);
}
END_TEST

static char *bytes;
static size_t n_bytes;

static void read_it(void)
{
    ck_assert(find_entry());
    must(pf_read_file(entry, 1 << 26, &bytes, &n_bytes));
}

static void write_it(size_t count)
{
    const int file = open(entry, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert(file >= 0 && write(file, bytes, count) == (ssize_t)count);
    close(file);
}

START_TEST(any_damage_is_a_miss)
{
    read_it();
    const size_t head = 600 < n_bytes ? 600 : n_bytes; // header, key and the beginning of the binary
    for (size_t i = 0; i < n_bytes; i += i < head ? 1 : n_bytes / 40 + 1) {
        bytes[i] ^= 0x10;
        write_it(n_bytes);
        ck_assert_msg(!loads(options), "byte %zu flipped", i);
        ck_assert_msg(access(entry, F_OK) != 0, "what is damaged is removed");
        bytes[i] ^= 0x10;
    }
    for (size_t i = 0; i < n_bytes; i += i < 80 ? 1 : n_bytes / 60 + 1) {
        write_it(i);
        ck_assert_msg(!loads(options), "cut after %zu bytes", i);
    }
    bytes[n_bytes] = 0; // pf_read_file leaves a NUL there
    write_it(n_bytes + 1);
    ck_assert_msg(!loads(options), "longer than it says");
    write_it(n_bytes);
    ck_assert_msg(loads(options), "and undamaged it loads");
    pf_free(bytes);
}
END_TEST

START_TEST(files_of_others_are_not_trusted)
{
    ck_assert(find_entry());
    chmod(entry, 0620);
    ck_assert_msg(!loads(options), "writable for the group");
    pf_cache_store(device, source, options, built);
    ck_assert(find_entry() && loads(options));
    char moved[600];
    snprintf(moved, sizeof moved, "%s", temporary("moved"));
    ck_assert(rename(entry, moved) == 0 && symlink(moved, entry) == 0);
    ck_assert_msg(!loads(options), "a symbolic link");
    unlink(entry);
    ck_assert(mkdir(entry, 0700) == 0);
    ck_assert_msg(!loads(options), "a directory");
    rmdir(entry);
    ck_assert(mkfifo(entry, 0600) == 0);
    ck_assert_msg(!loads(options), "a pipe");
    unlink(entry);
    if (geteuid() == 0) {
        ck_assert(rename(moved, entry) == 0 && chown(entry, 12345, 12345) == 0);
        ck_assert_msg(!loads(options), "somebody else's");
    }
}
END_TEST

START_TEST(what_killed_a_process_is_not_loaded_again)
{
    char marker[600];
    ck_assert(find_entry());
    snprintf(marker, sizeof marker, "%.*s.loading", (int)(strlen(entry) - 4), entry);
    ck_assert(loads(options));
    ck_assert_msg(access(marker, F_OK) != 0, "no marker is left behind");
    FILE *file = fopen(marker, "w");
    fprintf(file, "%d\n", 0x3ffffffe); // no process has this number
    fclose(file);
    ck_assert_msg(!loads(options), "its last reader died");
    file = fopen(marker, "w");
    fprintf(file, "%ld\n", (long)getppid());
    fclose(file);
    ck_assert_msg(loads(options), "its reader is alive");
}
END_TEST

// A directory that cannot be trusted or written: the device opens all the same, without a cache or with a useless one.
START_TEST(no_directory_is_an_error)
{
    char path[600];
    snprintf(path, sizeof path, "%s", temporary("other"));
    ck_assert(mkdir(path, 0777) == 0 && chmod(path, 0777) == 0);
    pf_device *opened = open_device(path);
    ck_assert_msg(!opened->cache_directory, "writable for everybody");
    pf_device_close(opened);
    ck_assert(symlink(temporary("cache"), temporary("link")) == 0);
    opened = open_device(temporary("link"));
    ck_assert_msg(!opened->cache_directory, "a symbolic link");
    pf_device_close(opened);
    snprintf(path, sizeof path, "%s/", temporary("link"));
    opened = open_device(path);
    ck_assert_msg(!opened->cache_directory, "a symbolic link, with a slash");
    pf_device_close(opened);
    must(pf_write_file(temporary("file"), "x", 1, NULL));
    opened = open_device(temporary("file"));
    ck_assert_msg(!opened->cache_directory, "a file");
    pf_device_close(opened);
    opened = open_device("/proc/no/such/place");
    ck_assert_msg(!opened->cache_directory, "nowhere");
    pf_device_close(opened);
    remove_entries();
    chmod(temporary("cache"), 0500);
    pf_cache_store(device, source, options, built); // read-only (to all but root)
    loads(options);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("cache");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, what_was_stored_is_loaded);
    tcase_add_test(all, devices_share_it);
    tcase_add_test(all, any_damage_is_a_miss);
    tcase_add_test(all, files_of_others_are_not_trusted);
    tcase_add_test(all, what_killed_a_process_is_not_loaded_again);
    tcase_add_test(all, no_directory_is_an_error);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
