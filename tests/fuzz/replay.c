// Runs a fuzz target over the files of a folder, each as it is, cut at every byte, and with every
// byte changed (small files): what a fuzzer would try first, in every test run.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"

enum { LARGEST = 1 << 16, SMALL = 600 };

static void try_neighbours(uint8_t *data, size_t size)
{
    static const uint8_t others[] = {'\0', '\n', '\r', '>', '*', ' ', 0xff};
    for (size_t cut = 0; cut < size; cut++) LLVMFuzzerTestOneInput(data, cut);
    for (size_t i = 0; i < size; i++) {
        const uint8_t kept = data[i];
        for (size_t k = 0; k < sizeof others; k++) {
            data[i] = others[k];
            LLVMFuzzerTestOneInput(data, size);
        }
        data[i] = kept ^ 0x20;
        LLVMFuzzerTestOneInput(data, size);
        data[i] = kept;
    }
}

static int replay(const char *path)
{
    static uint8_t data[LARGEST];
    FILE *file = fopen(path, "rb");
    if (!file) return 0;
    const size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    if (size <= SMALL) try_neighbours(data, size);
    return 1;
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    int count = 0;
    if (!folder) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return EXIT_FAILURE;
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[1024];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        count += replay(path);
    }
    closedir(folder);
    printf("1..1\n%sok 1 - %d files and their neighbours\n", count ? "" : "not ", count);
    return count ? EXIT_SUCCESS : EXIT_FAILURE;
}
