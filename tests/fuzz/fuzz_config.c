// Configurations made from bytes: keys of the table, misplaced, doubled and with odd values among
// them. What is accepted and finished must write and read back the same.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "fuzz/target.h"
#include "model/config_keys.h"

static const char *const values[] = {"1", "2", "8", "64", "128", "0", "-1", "1.5", "1e-3", "1e400", "true", "false",
                                     "null", "\"relu\"", "\"softmax\"", "\"none\"", "\"rotary\"", "\"clm\"",
                                     "[\"favor\"]", "[\"favor\",\"softmax\"]", "[]", "{}", "{\"mask\":1}",
                                     "9223372036854775807", "99999999999999999999", "\"performer-1\"", "\"\\u0000\"",
                                     "\"\xff\"", "{\"steps\":3}", "{\"type\":[]}"};
enum { VALUES = sizeof values / sizeof *values };

static void check(const struct pf_config *config)
{
    struct pf_config back;
    char *json = NULL;
    pf_config_default(&back);
    if (pf_config_write(config, PF_CONFIG_ALL_KEYS, &json) != PF_OK) abort();
    if (pf_config_read(&back, json, strlen(json), "written", PF_CONFIG_MODEL) != PF_OK) abort();
    if (pf_config_difference(config, &back, PF_CONFIG_ALL_KEYS, false)) abort();
    pf_release(json);
}

static void add_key(pf_text *text, const uint8_t *bytes)
{
    const char *name = pf_config_keys[bytes[0] % pf_config_key_count].name;
    const char *dot = strchr(name, '.');
    const int is_nested = dot && bytes[1] % 8; // now and then as if it had no group
    if (is_nested) pf_text_add(text, "\"%.*s\":{", (int)(dot - name), name);
    pf_text_add(text, "\"%s\":%s%s", is_nested ? dot + 1 : name, values[bytes[2] % VALUES], is_nested ? "}" : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    pf_text text = {0};
    if (data[0] % 8 == 0) {
        pf_text_add_bytes(&text, data + 1, size - 1);
    } else {
        pf_text_add(&text, "{\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
                           "\"intermediate_size\":64,\"max_position_embeddings\":64");
        for (size_t i = 1; i + 3 <= size && i < 1 + 3 * (size_t)(data[0] % 8); i += 3) {
            pf_text_add(&text, ",");
            add_key(&text, data + i);
        }
        pf_text_add(&text, "}");
    }
    struct pf_config config;
    pf_config_default(&config);
    const pf_status status = pf_config_read(&config, text.data, text.length, "fuzz", PF_CONFIG_USER);
    if (status != PF_OK && status != PF_ERROR_USAGE) abort();
    if (status == PF_OK && pf_config_finish(&config, PF_CONFIG_USER) == PF_OK) check(&config);
    // The same bytes as a single setting.
    if (text.data) pf_config_set(&config, text.data);
    pf_text_free(&text);
    return 0;
}
