// Unique names by counting ids. See names.h.
#include "infer/names.h"

#include "base/memory.h"

// The slot of `digest`, or the free one where it belongs.
static pf_name_count *find(pf_name_count *slots, size_t capacity, pf_digest digest)
{
    size_t i = (size_t)digest.words[1] & (capacity - 1);
    while (slots[i].count &&
           (slots[i].digest.words[0] != digest.words[0] || slots[i].digest.words[1] != digest.words[1]))
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

static pf_status grow(pf_names *names)
{
    const size_t capacity = names->capacity ? names->capacity * 2 : 64;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, capacity, sizeof(pf_name_count), "table of names"));
    pf_name_count *slots = memory;
    for (size_t i = 0; i < names->capacity; i++)
        if (names->slots[i].count) *find(slots, capacity, names->slots[i].digest) = names->slots[i];
    pf_free(names->slots);
    names->slots = slots;
    names->capacity = capacity;
    return PF_OK;
}

// Counts one more use of this text; *count is how often it was used, this time included.
static pf_status count_use(pf_names *names, const char *text, size_t length, pf_name_count **slot)
{
    if (names->count >= names->capacity / 4 * 3) PF_TRY(grow(names));
    const pf_digest digest = pf_digest_of(text, length);
    *slot = find(names->slots, names->capacity, digest);
    if ((*slot)->count++ == 0) {
        (*slot)->digest = digest;
        names->count++;
    }
    return PF_OK;
}

pf_status pf_names_make(pf_names *names, const char *id, size_t length, pf_text *name)
{
    pf_name_count *slot, *other;
    name->length = 0;
    PF_TRY(pf_text_add_bytes(name, id, length));
    PF_TRY(count_use(names, id, length, &slot));
    // The name itself may be taken by an id that looks like it: then the next number.
    for (uint64_t number = slot->count; number > 1;) {
        name->length = length;
        PF_TRY(pf_text_add(name, "#%llu", (unsigned long long)number));
        PF_TRY(count_use(names, name->data, name->length, &other));
        slot = find(names->slots, names->capacity, pf_digest_of(id, length)); // the table may have grown
        if (other->count == 1) return PF_OK;
        number = ++slot->count;
    }
    return PF_OK;
}

void pf_names_free(pf_names *names)
{
    pf_free(names->slots);
    *names = (pf_names){0};
}
