// Configurations written out: as JSON, as help, and as the key in which two differ. Loops over the
// table of keys. See performer/config.h.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"
#include "model/config_keys.h"
#include "performer/config.h"

static pf_status add_types(pf_text *text, const pf_key *key, const struct pf_config *config)
{
    const struct pf_attention_config *attention = &config->attention;
    if (attention->n_types == 0) return pf_text_add(text, "\"%s\"", key->choices[attention->type[0]]);
    for (int i = 0; i < attention->n_types; i++)
        PF_TRY(pf_text_add(text, "%s\"%s\"", i ? ", " : "[", key->choices[attention->type[i]]));
    return pf_text_add(text, "]");
}

static pf_status add_texts(pf_text *text, const pf_key *key, const struct pf_config *config)
{
    PF_TRY(pf_text_add(text, "["));
    for (int i = 0; i < pf_key_text_count(key, config); i++) {
        const char *item = pf_key_text(key, config, i);
        if (i) PF_TRY(pf_text_add(text, ", "));
        PF_TRY(pf_text_add_json(text, item, strlen(item)));
    }
    return pf_text_add(text, "]");
}

static pf_status add_numbers(pf_text *text, const struct pf_config *config)
{
    PF_TRY(pf_text_add(text, "["));
    for (int i = 0; i < config->n_rotary_frequencies; i++) {
        if (i) PF_TRY(pf_text_add(text, ", "));
        PF_TRY(pf_text_add_number(text, config->rotary_frequency[i]));
    }
    return pf_text_add(text, "]");
}

static pf_status add_value(pf_text *text, const pf_key *key, const struct pf_config *config)
{
    const void *at = pf_key_in(key, config);
    int32_t size;
    int64_t count;
    double number;
    switch (key->type) {
    case PF_KEY_SIZE:
        memcpy(&size, at, sizeof size);
        return pf_text_add(text, "%" PRId32, size);
    case PF_KEY_COUNT:
        memcpy(&count, at, sizeof count);
        return pf_text_add(text, "%" PRId64, count);
    case PF_KEY_NUMBER:
        memcpy(&number, at, sizeof number);
        return pf_text_add_number(text, number);
    case PF_KEY_FLAG:
        return pf_text_add(text, "%s", *(const bool *)at ? "true" : "false");
    case PF_KEY_CONSTANT:
        return pf_text_add(text, "\"%s\"", key->choices[0]);
    case PF_KEY_CHOICE:
        memcpy(&size, at, sizeof size);
        return pf_text_add(text, "\"%s\"", key->choices[size]);
    case PF_KEY_TYPES:
        return add_types(text, key, config);
    case PF_KEY_TEXTS:
        return add_texts(text, key, config);
    case PF_KEY_NUMBERS:
        return add_numbers(text, config);
    case PF_KEY_WORD_OR_SIZE:
        memcpy(&size, at, sizeof size);
        return size > 0 ? pf_text_add(text, "%" PRId32, size) : pf_text_add(text, "\"%s\"", key->choices[-size]);
    case PF_KEY_TEXT:
        return pf_text_add_json(text, at, strlen(at));
    }
    return PF_OK;
}

// Length of the group in front of the last part, its dot included: "train.masking." of
// "train.masking.keep".
static size_t group_length(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? (size_t)(dot - name) + 1 : 0;
}

static int count_dots(const char *name, size_t length)
{
    int count = 0;
    for (size_t i = 0; i < length; i++) count += name[i] == '.';
    return count;
}

// Closes the groups of `before` that `name` is not in and opens those that are new. The keys of a
// group stand together in the table, so each opens once.
static pf_status change_group(pf_text *text, const char *before, const char *name, bool *is_first)
{
    const size_t from = group_length(before), to = group_length(name);
    size_t shared = 0;
    for (size_t i = 0; i < from && i < to && before[i] == name[i]; i++)
        if (name[i] == '.') shared = i + 1;
    const int common = count_dots(name, shared);
    for (int depth = count_dots(before, from); depth > common; depth--) {
        PF_TRY(pf_text_add(text, "\n%*s}", 2 * depth, ""));
        *is_first = false;
    }
    for (size_t start = shared; start < to;) {
        const size_t length = strcspn(name + start, ".");
        PF_TRY(pf_text_add(text, "%s\n%*s\"%.*s\": {", *is_first ? "" : ",",
                           2 * (count_dots(name, start) + 1), "", (int)length, name + start));
        *is_first = true;
        start += length + 1;
    }
    return PF_OK;
}

static bool is_equal(const pf_key *key, const struct pf_config *a, const struct pf_config *b)
{
    const void *left = pf_key_in(key, a), *right = pf_key_in(key, b);
    switch (key->type) {
    case PF_KEY_SIZE:
    case PF_KEY_CHOICE:
    case PF_KEY_WORD_OR_SIZE:
        return memcmp(left, right, sizeof(int32_t)) == 0;
    case PF_KEY_COUNT:
    case PF_KEY_NUMBER:
        return memcmp(left, right, sizeof(int64_t)) == 0;
    case PF_KEY_FLAG:
        return *(const bool *)left == *(const bool *)right;
    case PF_KEY_TYPES:
        for (int i = 0; i < a->num_hidden_layers && i < PF_MAX_LAYERS; i++)
            if (pf_config_layer_type(a, i) != pf_config_layer_type(b, i)) return false;
        return true;
    case PF_KEY_TEXTS:
        return pf_key_text_count(key, a) == pf_key_text_count(key, b) &&
               memcmp(left, right, (size_t)key->high * key->text_bytes) == 0;
    case PF_KEY_NUMBERS:
        return a->n_rotary_frequencies == b->n_rotary_frequencies &&
               memcmp(a->rotary_frequency, b->rotary_frequency, sizeof a->rotary_frequency) == 0;
    case PF_KEY_TEXT:
        return strcmp(left, right) == 0;
    case PF_KEY_CONSTANT:
        break;
    }
    return true;
}

static pf_status add_config(pf_text *text, const struct pf_config *config, unsigned parts)
{
    const char *before = "";
    bool is_first = true;
    struct pf_config defaults;
    pf_config_default(&defaults);
    PF_TRY(pf_text_add(text, "{"));
    for (int i = 0; i < pf_config_key_count; i++) {
        const pf_key *key = &pf_config_keys[i];
        if (!(pf_key_part(key) & parts) || (key->is_rare && is_equal(key, config, &defaults))) continue;
        PF_TRY(change_group(text, before, key->name, &is_first));
        const size_t group = group_length(key->name);
        PF_TRY(pf_text_add(text, "%s\n%*s\"%s\": ", is_first ? "" : ",", 2 * (count_dots(key->name, group) + 1),
                           "", key->name + group));
        PF_TRY(add_value(text, key, config));
        is_first = false;
        before = key->name;
    }
    PF_TRY(change_group(text, before, "", &is_first));
    return pf_text_add(text, "\n}\n");
}

pf_status pf_config_write(const struct pf_config *config, unsigned parts, char **json)
{
    pf_text text = {0};
    const pf_status status = add_config(&text, config, parts);
    if (status != PF_OK) {
        pf_text_free(&text);
        return status;
    }
    *json = text.data;
    return PF_OK;
}

const char *pf_config_difference(const struct pf_config *a, const struct pf_config *b, unsigned parts,
                                 bool for_resume)
{
    for (int i = 0; i < pf_config_key_count; i++) {
        const pf_key *key = &pf_config_keys[i];
        if (!(pf_key_part(key) & parts)) continue;
        if (for_resume && (key->may_change || pf_key_part(key) == PF_CONFIG_COMPUTE_KEYS)) continue;
        if (!is_equal(key, a, b)) return key->name;
    }
    return NULL;
}

static pf_status add_help(pf_text *text)
{
    struct pf_config defaults;
    pf_config_default(&defaults);
    for (int i = 0; i < pf_config_key_count; i++) {
        const pf_key *key = &pf_config_keys[i];
        char allowed[400];
        pf_key_allowed(key, allowed, sizeof allowed);
        PF_TRY(pf_text_add(text, "  %-28s %s (%s", key->name, key->help, allowed));
        if (key->required) {
            PF_TRY(pf_text_add(text, "; required"));
        } else if (key->derived) {
            PF_TRY(pf_text_add(text, "; default %s", key->derived));
        } else if (key->type != PF_KEY_CONSTANT) {
            PF_TRY(pf_text_add(text, "; default "));
            PF_TRY(add_value(text, key, &defaults));
        }
        PF_TRY(pf_text_add(text, ")\n"));
    }
    return PF_OK;
}

pf_status pf_config_help(char **out)
{
    pf_text text = {0};
    const pf_status status = add_help(&text);
    if (status != PF_OK) {
        pf_text_free(&text);
        return status;
    }
    *out = text.data;
    return PF_OK;
}
