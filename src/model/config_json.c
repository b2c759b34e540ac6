// Configurations as JSON, and as single settings: loops over the table of keys. See
// performer/config.h. jansson refuses what other parsers let pass: a key twice, numbers that do not
// fit, bad UTF-8, text behind the end.
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"
#include "model/config_keys.h"
#include "performer/config.h"

enum { LARGEST_FILE = 1 << 20, ALLOWED_BYTES = 400, NAME_BYTES = 200 };

// --- one value ----------------------------------------------------------------------------------

static pf_status refuse(const pf_key *key, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    char quoted[PF_QUOTE_BYTES], allowed[ALLOWED_BYTES];
    pf_key_allowed(key, allowed, sizeof allowed);
    pf_quote(quoted, text ? text : "?", text ? strlen(text) : 1);
    free(text);
    return pf_fail(PF_ERROR_USAGE, "key %s: %s, expected %s%s", key->name, quoted,
                   key->choices && key->choices[1] ? "one of " : "", allowed);
}

static int find_choice(const pf_key *key, const json_t *value)
{
    const char *text = json_string_value(value);
    for (int i = 0; text && key->choices[i]; i++)
        if (strcmp(text, key->choices[i]) == 0) return i;
    return -1;
}

static bool is_allowed(const pf_key *key, double number)
{
    return (key->open_low ? number > key->low : number >= key->low) &&
           (key->open_high ? number < key->high : number <= key->high);
}

static pf_status store_types(const pf_key *key, const json_t *value, struct pf_config *config)
{
    struct pf_attention_config *attention = &config->attention;
    const size_t count = json_is_array(value) ? json_array_size(value) : 0;
    if (json_is_array(value) && (count < 1 || count > PF_MAX_LAYERS))
        return pf_fail(PF_ERROR_USAGE, "key %s: a list of %zu, expected one entry per layer", key->name, count);
    for (size_t i = 0; i < (count ? count : 1); i++) {
        const int choice = find_choice(key, count ? json_array_get(value, i) : value);
        if (choice < 0) return refuse(key, count ? json_array_get(value, i) : value);
        attention->type[i] = (uint8_t)choice;
    }
    attention->n_types = (int32_t)count;
    return PF_OK;
}

static pf_status store_texts(const pf_key *key, const json_t *value, struct pf_config *config)
{
    const size_t count = json_array_size(value), bytes = key->text_bytes;
    if (!json_is_array(value) || !is_allowed(key, (double)count)) return refuse(key, value);
    char *list = pf_key_at(key, config);
    memset(list, 0, (size_t)key->high * bytes);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(value, i));
        if (!text || !*text || strlen(text) >= bytes) return refuse(key, json_array_get(value, i));
        for (size_t j = 0; j < i; j++)
            if (strcmp(list + j * bytes, text) == 0) return refuse(key, json_array_get(value, i));
        strcpy(list + i * bytes, text);
    }
    const int32_t stored = (int32_t)count;
    memcpy((char *)config + key->count_offset, &stored, sizeof stored);
    return PF_OK;
}

static pf_status store_numbers(const pf_key *key, const json_t *value, struct pf_config *config)
{
    const size_t count = json_array_size(value);
    if (!json_is_array(value) || count > PF_MAX_HEAD_SIZE / 2) return refuse(key, value);
    memset(config->rotary_frequency, 0, sizeof config->rotary_frequency);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(value, i);
        if (!json_is_number(item) || !is_allowed(key, json_number_value(item))) return refuse(key, item);
        config->rotary_frequency[i] = json_number_value(item);
    }
    config->n_rotary_frequencies = (int32_t)count;
    return PF_OK;
}

static pf_status store_words(const pf_key *key, const json_t *value, char *at)
{
    const char *text = json_string_value(value);
    if (!text || strlen(text) >= PF_PATTERNS_BYTES) return refuse(key, value);
    memset(at, 0, PF_PATTERNS_BYTES);
    strcpy(at, text);
    return PF_OK;
}

static pf_status store_integer(const pf_key *key, const json_t *value, void *at)
{
    if (!json_is_integer(value) || !is_allowed(key, (double)json_integer_value(value))) return refuse(key, value);
    const int64_t number = json_integer_value(value);
    const int32_t size = (int32_t)number;
    if (key->type == PF_KEY_COUNT) memcpy(at, &number, sizeof number);
    else memcpy(at, &size, sizeof size);
    return PF_OK;
}

static pf_status store_word_or_size(const pf_key *key, const json_t *value, void *at)
{
    if (!json_is_string(value)) return store_integer(key, value, at);
    const int32_t choice = find_choice(key, value), stored = -choice;
    if (choice < 0) return refuse(key, value);
    memcpy(at, &stored, sizeof stored);
    return PF_OK;
}

static pf_status store(const pf_key *key, const json_t *value, struct pf_config *config)
{
    void *at = pf_key_at(key, config);
    switch (key->type) {
    case PF_KEY_SIZE:
    case PF_KEY_COUNT:
        return store_integer(key, value, at);
    case PF_KEY_NUMBER: {
        const double number = json_number_value(value);
        if (!json_is_number(value) || !is_allowed(key, number)) return refuse(key, value);
        memcpy(at, &number, sizeof number);
        return PF_OK;
    }
    case PF_KEY_FLAG:
        if (!json_is_boolean(value)) return refuse(key, value);
        *(bool *)at = json_is_true(value);
        return PF_OK;
    case PF_KEY_CONSTANT:
        return find_choice(key, value) == 0 ? PF_OK : refuse(key, value);
    case PF_KEY_CHOICE: {
        const int32_t choice = find_choice(key, value);
        if (choice < 0) return refuse(key, value);
        memcpy(at, &choice, sizeof choice);
        return PF_OK;
    }
    case PF_KEY_TYPES:
        return store_types(key, value, config);
    case PF_KEY_TEXTS:
        return store_texts(key, value, config);
    case PF_KEY_NUMBERS:
        return store_numbers(key, value, config);
    case PF_KEY_WORD_OR_SIZE:
        return store_word_or_size(key, value, at);
    case PF_KEY_TEXT:
        return store_words(key, value, at);
    }
    return PF_OK;
}

static pf_status refuse_unknown(const char *name)
{
    char quoted[PF_QUOTE_BYTES];
    return pf_fail(PF_ERROR_USAGE, "key %s is not known; the nearest known key is %s",
                   pf_quote(quoted, name, strlen(name)), pf_key_nearest(name));
}

// --- reading ------------------------------------------------------------------------------------

static pf_status store_object(struct pf_config *config, json_t *object, const char *group)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) {
        char full[NAME_BYTES];
        snprintf(full, sizeof full, "%s%s%s", group, *group ? "." : "", name);
        // A name with a dot in it must not pass for one in an object.
        const bool is_plain = !strchr(name, '.');
        if (is_plain && pf_key_is_group(full)) {
            PF_CHECK(json_is_object(value), PF_ERROR_USAGE, "key %s: expected an object {...}", full);
            PF_TRY(store_object(config, value, full));
            continue;
        }
        const pf_key *key = is_plain ? pf_key_find(full) : NULL;
        if (!key) return refuse_unknown(full);
        PF_TRY(store(key, value, config));
    }
    return PF_OK;
}

static pf_status store_text(struct pf_config *config, const char *json, size_t length, bool needs_format)
{
    json_error_t error;
    json_t *root = json_loadb(json, length, JSON_REJECT_DUPLICATES, &error);
    char quoted[PF_QUOTE_BYTES];
    PF_CHECK(root, PF_ERROR_USAGE, "line %d, column %d: %s", error.line, error.column,
             pf_quote(quoted, error.text, strlen(error.text)));
    pf_status status = PF_OK;
    if (!json_is_object(root)) {
        status = pf_fail(PF_ERROR_USAGE, "expected a JSON object {...}");
    } else if (needs_format && !json_object_get(root, "format")) {
        status = pf_fail(PF_ERROR_USAGE, "key format is missing, expected performer-1%s",
                         json_object_get(root, "model_type") ? "; performer import makes a model of it" : "");
    } else {
        status = store_object(config, root, "");
    }
    json_decref(root);
    return status;
}

pf_status pf_config_read(struct pf_config *config, const char *json, size_t length, const char *name,
                         pf_config_source source)
{
    struct pf_config changed = *config;
    const pf_status status = store_text(&changed, json, length, source == PF_CONFIG_MODEL);
    if (status != PF_OK)
        return pf_context(source == PF_CONFIG_MODEL ? PF_ERROR_INPUT : PF_ERROR_USAGE, "%s", name);
    *config = changed;
    return PF_OK;
}

pf_status pf_config_read_file(struct pf_config *config, const char *path, pf_config_source source)
{
    char *text = NULL;
    size_t length = 0;
    const pf_status status = pf_read_file(path, LARGEST_FILE, &text, &length);
    if (status == PF_ERROR_INPUT && source == PF_CONFIG_USER) return PF_ERROR_USAGE;
    if (status != PF_OK) return status;
    const pf_status read = pf_config_read(config, text, length, path, source);
    pf_free(text);
    return read;
}

// --- single settings ----------------------------------------------------------------------------

// "favor,softmax" as well as ["favor", "softmax"].
static json_t *list_value(const char *text)
{
    json_t *list = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_array(list)) return list;
    json_decref(list);
    if (!strchr(text, ',')) return json_string(text);
    list = json_array();
    for (const char *item = text; item;) {
        const char *comma = strchr(item, ',');
        json_array_append_new(list, json_stringn(item, comma ? (size_t)(comma - item) : strlen(item)));
        item = comma ? comma + 1 : NULL;
    }
    return list;
}

// The JSON value that a text means for this key; a string where it means nothing, so that `store`
// refuses it like any other.
static json_t *text_value(const pf_key *key, const char *text)
{
    int64_t integer;
    double number;
    const bool is_integer = key->type == PF_KEY_SIZE || key->type == PF_KEY_COUNT || key->type == PF_KEY_WORD_OR_SIZE;
    if (is_integer && pf_parse_integer(text, INT64_MIN, INT64_MAX, &integer) == PF_OK) return json_integer(integer);
    if (key->type == PF_KEY_NUMBER && pf_parse_number(text, -HUGE_VAL, HUGE_VAL, &number) == PF_OK)
        return json_real(number);
    if (key->type == PF_KEY_FLAG && strcmp(text, "true") == 0) return json_true();
    if (key->type == PF_KEY_FLAG && strcmp(text, "false") == 0) return json_false();
    const bool is_list =
        key->type == PF_KEY_TYPES || key->type == PF_KEY_TEXTS || key->type == PF_KEY_NUMBERS;
    return is_list ? list_value(text) : json_string(text);
}

pf_status pf_config_set(struct pf_config *config, const char *setting)
{
    char name[NAME_BYTES], quoted[PF_QUOTE_BYTES];
    const char *equals = strchr(setting, '=');
    PF_CHECK(equals, PF_ERROR_USAGE, "--set %s: expected key=value", pf_quote(quoted, setting, strlen(setting)));
    snprintf(name, sizeof name, "%.*s", (int)(equals - setting > 190 ? 190 : equals - setting), setting);
    const pf_key *key = pf_key_find(name);
    if (!key && pf_key_is_group(name))
        return pf_fail(PF_ERROR_USAGE, "--set %s: is a group of keys, expected one like %s", name,
                       pf_key_nearest(name));
    if (!key) return pf_context(refuse_unknown(name), "--set");
    json_t *value = text_value(key, equals + 1);
    PF_CHECK(value, PF_ERROR_USAGE, "--set %s: the value is not UTF-8 text", name);
    struct pf_config changed = *config;
    const pf_status status = store(key, value, &changed);
    json_decref(value);
    if (status != PF_OK) return pf_context(status, "--set");
    *config = changed;
    return PF_OK;
}
