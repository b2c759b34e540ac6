// A set of 128-bit digests: what was seen before, at 16 bytes an entry and no copy of the text.
//
// In 256 parts that grow one by one, so that growing never needs twice the memory.
#ifndef PF_DATA_HASH_SET_H
#define PF_DATA_HASH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct pf_digest {
    uint64_t words[2];
} pf_digest;

// The first 128 bits of SHA-256, big-endian: the same on every machine, and nobody can make two
// texts collide.
pf_digest pf_digest_of(const void *bytes, size_t count);

typedef struct pf_hash_set {
    struct pf_hash_set_part {
        pf_digest *slots; // open addressing; all zeros: free
        size_t capacity, count;
    } parts[256];
} pf_hash_set; // zero-initialise it

// Puts `digest` in; *was_there tells whether it was in already. Errors: PF_ERROR_FAILED.
pf_status pf_hash_set_add(pf_hash_set *set, pf_digest digest, bool *was_there);
void pf_hash_set_free(pf_hash_set *set);

#endif
