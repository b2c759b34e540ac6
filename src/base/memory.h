// Checked host memory. Every allocation of the library goes through here, so that sizes are
// multiplied without overflow and a test can make the n-th allocation fail.
#ifndef PF_BASE_MEMORY_H
#define PF_BASE_MEMORY_H

#include <stddef.h>

#include "base/status.h"

// *out = `count` zeroed items of `item_bytes` each (count 0: one spare byte, so *out is never NULL
// on success). Errors: PF_ERROR_FAILED, naming `what` and the size.
pf_status pf_alloc(void **out, size_t count, size_t item_bytes, const char *what);

// Grows *array to hold at least `needed` items, at least doubling *capacity; new items are
// zeroed. On error both stay as they were. Errors: PF_ERROR_FAILED.
pf_status pf_grow(void **array, size_t *capacity, size_t needed, size_t item_bytes, const char *what);

// Releases what pf_alloc or pf_grow gave; NULL is fine.
void pf_free(void *memory);

// A copy of `text`. Errors: PF_ERROR_FAILED.
pf_status pf_copy_text(char **out, const char *text);

// For tests: the allocation that follows after `count` more succeeds fails, and with `forever`
// all later ones too. count < 0 switches it off. Not thread-safe.
void pf_alloc_fail_after(long count, int forever);

#endif
