// Checked host memory. See memory.h.
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static long allocations_left = -1; // below 0: never fail
static int fail_forever;

void pf_alloc_fail_after(long count, int forever)
{
    allocations_left = count;
    fail_forever = forever;
}

static int must_fail(void)
{
    if (allocations_left < 0) return 0;
    if (allocations_left > 0) {
        allocations_left--;
        return 0;
    }
    if (!fail_forever) allocations_left = -1;
    return 1;
}

pf_status pf_alloc(void **out, size_t count, size_t item_bytes, const char *what)
{
    PF_CHECK(item_bytes == 0 || count <= SIZE_MAX / item_bytes, PF_ERROR_FAILED,
             "%s: %zu items of %zu bytes are more than can be addressed", what, count, item_bytes);
    const size_t bytes = count * item_bytes;
    void *memory = must_fail() ? NULL : calloc(bytes ? bytes : 1, 1);
    PF_CHECK(memory, PF_ERROR_FAILED, "%s: no memory for %zu bytes", what, bytes);
    *out = memory;
    return PF_OK;
}

pf_status pf_grow(void **array, size_t *capacity, size_t needed, size_t item_bytes, const char *what)
{
    if (needed <= *capacity) return PF_OK;
    size_t larger = *capacity < 16 ? 16 : *capacity;
    while (larger < needed) larger = larger > SIZE_MAX / 2 ? needed : larger * 2;
    PF_CHECK(larger <= SIZE_MAX / item_bytes, PF_ERROR_FAILED,
             "%s: %zu items of %zu bytes are more than can be addressed", what, needed, item_bytes);
    void *memory = must_fail() ? NULL : realloc(*array, larger * item_bytes);
    PF_CHECK(memory, PF_ERROR_FAILED, "%s: no memory for %zu bytes", what, larger * item_bytes);
    memset((char *)memory + *capacity * item_bytes, 0, (larger - *capacity) * item_bytes);
    *array = memory;
    *capacity = larger;
    return PF_OK;
}

void pf_free(void *memory)
{
    free(memory);
}

pf_status pf_copy_text(char **out, const char *text)
{
    void *copy = NULL;
    PF_TRY(pf_alloc(&copy, strlen(text) + 1, 1, "text"));
    memcpy(copy, text, strlen(text) + 1);
    *out = copy;
    return PF_OK;
}
