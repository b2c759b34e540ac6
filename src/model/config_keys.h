// The one table of configuration keys. Parsing, checking, --set, writing and help are loops over it.
#ifndef PF_MODEL_CONFIG_KEYS_H
#define PF_MODEL_CONFIG_KEYS_H

#include "performer/config.h"

typedef enum pf_key_type {
    PF_KEY_CONSTANT, // a text with one allowed value; nothing is stored
    PF_KEY_SIZE,     // int32_t
    PF_KEY_COUNT,    // int64_t
    PF_KEY_NUMBER,   // double
    PF_KEY_FLAG,     // bool
    PF_KEY_CHOICE,   // an enum, stored as int32_t
    PF_KEY_TYPES,    // attention.type: one choice or a list, one per layer
    PF_KEY_TEXTS,    // a list of different texts: char [high][text_bytes], their number at count_offset
    PF_KEY_NUMBERS,  // rotary_frequencies: a list of numbers
    PF_KEY_WORD_OR_SIZE, // int32_t: a size, or a choice, stored as 0, -1, ...
    PF_KEY_TEXT,     // char [PF_PATTERNS_BYTES]
} pf_key_type;

typedef struct pf_key {
    const char *name;           // dotted: "attention.kernel"
    pf_key_type type;
    size_t offset;              // into struct pf_config
    double low, high;           // allowed, both ends included unless open; of a list of texts its length
    bool open_low, open_high;
    size_t count_offset, text_bytes; // of a list of texts
    const char *const *choices; // NULL-terminated, in the order of the enum
    double fallback;            // default; of choices the number; 0 where required or derived
    bool required;              // a model must say it
    bool may_change;            // when a run is resumed
    bool is_rare;               // left out of what is written where it is at its default
    const char *derived;        // what stands in for a default that follows from other keys, or NULL
    const char *help;
} pf_key;

extern const pf_key pf_config_keys[];
extern const int pf_config_key_count;

// The part that a key belongs to.
pf_config_parts pf_key_part(const pf_key *key);

// The key of that full name, NULL if there is none.
const pf_key *pf_key_find(const char *name);
// The name of the known key that is most like `name`.
const char *pf_key_nearest(const char *name);
// Whether keys stand below it ("attention").
bool pf_key_is_group(const char *name);

// What is allowed, as words: "a whole number from 1 to 1024", "relu, softmax".
void pf_key_allowed(const pf_key *key, char *out, size_t room);

// i-th text of a list, and the list's length.
static inline const char *pf_key_text(const pf_key *key, const struct pf_config *config, int i)
{
    return (const char *)config + key->offset + (size_t)i * key->text_bytes;
}

static inline int32_t pf_key_text_count(const pf_key *key, const struct pf_config *config)
{
    return *(const int32_t *)((const char *)config + key->count_offset);
}

static inline void *pf_key_at(const pf_key *key, struct pf_config *config)
{
    return (char *)config + key->offset;
}

static inline const void *pf_key_in(const pf_key *key, const struct pf_config *config)
{
    return (const char *)config + key->offset;
}

#endif
