// Open addressing over digests. See hash_set.h.
#include "data/hash_set.h"

#include <nettle/sha2.h>

#include "base/memory.h"

static uint64_t big_endian(const uint8_t *bytes)
{
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) word = word << 8 | bytes[i];
    return word;
}

pf_digest pf_digest_of(const void *bytes, size_t count)
{
    struct sha256_ctx context;
    uint8_t sum[16];
    sha256_init(&context);
    sha256_update(&context, count, bytes);
    sha256_digest(&context, sizeof sum, sum);
    return (pf_digest){{big_endian(sum), big_endian(sum + 8)}};
}

// The slot that holds `digest`, or the free one where it belongs. There is always a free one.
static pf_digest *find(pf_digest *slots, size_t capacity, pf_digest digest)
{
    size_t i = (size_t)digest.words[1] & (capacity - 1);
    while (slots[i].words[0] || slots[i].words[1]) {
        if (slots[i].words[0] == digest.words[0] && slots[i].words[1] == digest.words[1]) break;
        i = (i + 1) & (capacity - 1);
    }
    return &slots[i];
}

static pf_status grow(struct pf_hash_set_part *part)
{
    const size_t capacity = part->capacity ? part->capacity * 2 : 16;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, capacity, sizeof(pf_digest), "table of digests"));
    pf_digest *slots = memory;
    for (size_t i = 0; i < part->capacity; i++) {
        const pf_digest digest = part->slots[i];
        if (digest.words[0] || digest.words[1]) *find(slots, capacity, digest) = digest;
    }
    pf_free(part->slots);
    part->slots = slots;
    part->capacity = capacity;
    return PF_OK;
}

pf_status pf_hash_set_add(pf_hash_set *set, pf_digest digest, bool *was_there)
{
    struct pf_hash_set_part *part = &set->parts[digest.words[0] >> 56];
    if (digest.words[0] == 0 && digest.words[1] == 0) digest.words[1] = 1;
    if (part->count >= part->capacity - part->capacity / 8 * 2) PF_TRY(grow(part)); // at most 3/4 full
    pf_digest *slot = find(part->slots, part->capacity, digest);
    *was_there = slot->words[0] || slot->words[1];
    if (*was_there) return PF_OK;
    *slot = digest;
    part->count++;
    return PF_OK;
}

void pf_hash_set_free(pf_hash_set *set)
{
    for (int i = 0; i < 256; i++) pf_free(set->parts[i].slots);
    *set = (pf_hash_set){0};
}
