// .npy files made from bytes: headers put together from pieces that are nearly right, with data that
// are nearly as long. An array that is accepted must have the numbers that its shape says.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "fuzz/target.h"
#include "store/npy.h"

static const char *const pieces[] = {"{", "}", "'descr': '<f4', ", "'descr': '<f8', ", "'fortran_order': False, ",
                                     "'fortran_order': True, ", "'shape': (", "), ", "2, ", "0, ", "3", ",", "'", "(",
                                     "'shape': (2, 2), ", "'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}",
                                     " ", "\n", "99999999999999999999, ", "4611686018427387904, "};
enum { PIECES = sizeof pieces / sizeof *pieces };

static void check(const char *path)
{
    pf_npy_array array = {0};
    const pf_status status = pf_npy_read(path, &array);
    if (status != PF_OK && status != PF_ERROR_INPUT) abort();
    if (status != PF_OK) return;
    uint64_t count = 1;
    for (int i = 0; i < array.rank; i++) count *= array.shape[i];
    if (count != array.count) abort();
    volatile float sum = 0; // every number can be read
    for (uint64_t i = 0; i < count; i++) sum += array.data[i];
    pf_npy_free(&array);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return 0;
    pf_text file = {0};
    if (data[0] % 8 == 0) {
        pf_text_add_bytes(&file, data + 1, size - 1);
    } else {
        pf_text header = {0};
        for (size_t i = 3; i < size && i < 12; i++) pf_text_add(&header, "%s", pieces[data[i] % PIECES]);
        const uint16_t length = (uint16_t)(header.length + (data[1] == 0));
        pf_text_add_bytes(&file, "\x93NUMPY\1\0", 8);
        pf_text_add_bytes(&file, &length, 2);
        pf_text_add_bytes(&file, header.data, header.length);
        for (int i = data[2] % 40; i > 0; i--) pf_text_add_bytes(&file, "\0", 1);
        pf_text_free(&header);
    }
    const int memory = memfd_create("fuzz", MFD_CLOEXEC);
    if (memory < 0 || write(memory, file.data, file.length) != (ssize_t)file.length) abort();
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    check(path);
    close(memory);
    pf_text_free(&file);
    return 0;
}
