// Directories to import made from bytes: a small ESM whose keys have odd values and whose tensors are
// missing, misnamed or of other types and shapes. What is imported must be a model that opens again; what is
// not must be a fault of the input.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "fuzz/target.h"
#include "model/files.h"
#include "performer/import.h"

static const struct {
    const char *name, *value;
} keys[] = {
    {"model_type", "\"esm\""},
    {"vocab_size", "33"},
    {"hidden_size", "4"},
    {"num_hidden_layers", "1"},
    {"num_attention_heads", "1"},
    {"intermediate_size", "4"},
    {"max_position_embeddings", "6"},
    {"layer_norm_eps", "1e-5"},
    {"hidden_act", "\"gelu\""},
    {"position_embedding_type", "\"rotary\""},
    {"token_dropout", "true"},
    {"pad_token_id", "1"},
    {"emb_layer_norm_before", "false"},
    {"tie_word_embeddings", "true"},
    {"hidden_dropout_prob", "0.1"},
    {"is_decoder", "false"},
    {"vocab_list", "null"},
    {"rope_theta", "10000"},
};
static const char *const values[] = {"0",
                                     "1",
                                     "2",
                                     "4",
                                     "33",
                                     "-1",
                                     "1.5",
                                     "1e300",
                                     "1e-300",
                                     "4294967297",
                                     "9223372036854775807",
                                     "true",
                                     "false",
                                     "null",
                                     "[]",
                                     "{}",
                                     "\"\"",
                                     "\"esm\"",
                                     "\"bert\"",
                                     "\"rotary\"",
                                     "\"absolute\"",
                                     "\"relu\"",
                                     "[1]",
                                     "[\"a\",\"a\"]"};
enum { KEYS = sizeof keys / sizeof *keys, VALUES = sizeof values / sizeof *values };

#define LAYER "esm.encoder.layer.0."
static const struct {
    const char *name;
    int rows, columns; // 0: a vector
} tensors[] = {
    {"esm.embeddings.word_embeddings.weight", 33, 4},
    {"esm.embeddings.position_embeddings.weight", 6, 4},
    {"esm.embeddings.layer_norm.weight", 4, 0},
    {"esm.embeddings.layer_norm.bias", 4, 0},
    {LAYER "attention.LayerNorm.weight", 4, 0},
    {LAYER "attention.LayerNorm.bias", 4, 0},
    {LAYER "attention.self.query.weight", 4, 4},
    {LAYER "attention.self.query.bias", 4, 0},
    {LAYER "attention.self.key.weight", 4, 4},
    {LAYER "attention.self.key.bias", 4, 0},
    {LAYER "attention.self.value.weight", 4, 4},
    {LAYER "attention.self.value.bias", 4, 0},
    {LAYER "attention.self.rotary_embeddings.inv_freq", 2, 0},
    {LAYER "attention.output.dense.weight", 4, 4},
    {LAYER "attention.output.dense.bias", 4, 0},
    {LAYER "LayerNorm.weight", 4, 0},
    {LAYER "LayerNorm.bias", 4, 0},
    {LAYER "intermediate.dense.weight", 4, 4},
    {LAYER "intermediate.dense.bias", 4, 0},
    {LAYER "output.dense.weight", 4, 4},
    {LAYER "output.dense.bias", 4, 0},
    {"esm.encoder.emb_layer_norm_after.weight", 4, 0},
    {"esm.encoder.emb_layer_norm_after.bias", 4, 0},
    {"lm_head.dense.weight", 4, 4},
    {"lm_head.dense.bias", 4, 0},
    {"lm_head.layer_norm.weight", 4, 0},
    {"lm_head.layer_norm.bias", 4, 0},
    {"lm_head.bias", 33, 0},
    {"lm_head.decoder.weight", 33, 4},
    {"esm.contact_head.regression.weight", 1, 1},
    {"esm.contact_head.regression.bias", 1, 0},
};
enum { TENSORS = sizeof tensors / sizeof *tensors, ODD = 4 }; // at most so many odd things in a directory

static char folder[64];

static void write_file(const char *name, const void *data, size_t size, size_t zeros)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || (size && fwrite(data, size, 1, file) != 1)) abort();
    for (size_t i = 0; i < zeros; i++) fputc(0, file);
    if (fclose(file)) abort();
}

// One of the first ODD pairs of bytes names `i`: what the other byte says is to become of it; 0: nothing.
static unsigned oddity(const uint8_t *pairs, unsigned i)
{
    for (int k = 0; k < ODD; k++)
        if (pairs[2 * k] % 64 == i) return 1u + pairs[2 * k + 1];
    return 0;
}

static void write_config(const uint8_t *pairs)
{
    pf_text text = {0};
    for (unsigned i = 0; i < KEYS; i++) {
        const unsigned odd = oddity(pairs, i);
        pf_text_add(&text, "%s\"%s\":%s", i ? "," : "{", keys[i].name,
                    odd ? values[odd % VALUES] : keys[i].value);
    }
    pf_text_add(&text, "}");
    write_file("config.json", text.data, text.length, 0);
    pf_text_free(&text);
}

static void write_weights(const uint8_t *pairs)
{
    static const char *const types[] = {"F32", "F16", "F64", "I64", "U8"};
    static const uint64_t bytes[] = {4, 2, 8, 8, 1};
    pf_text text = {0};
    uint64_t end = 0;
    pf_text_add(&text, "{");
    for (unsigned i = 0; i < TENSORS; i++) {
        const unsigned odd = oddity(pairs, KEYS + i), type = odd % 5;
        const uint64_t rows = (uint64_t)tensors[i].rows + (odd % 7 == 6),
                       columns = (uint64_t)tensors[i].columns;
        const uint64_t size = rows * (columns ? columns : 1) * bytes[type];
        if (odd % 11 == 10) continue;
        pf_text_add(&text, "%s\"%s%s\":{\"dtype\":\"%s\",\"shape\":[%" PRIu64, end ? "," : "",
                    tensors[i].name, odd % 13 == 12 ? "x" : "", types[type], rows);
        if (columns) pf_text_add(&text, ",%" PRIu64, columns);
        pf_text_add(&text, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", end, end + size);
        end += size;
    }
    pf_text_add(&text, "}");
    uint8_t *file = malloc(8 + text.length);
    const uint64_t length = text.length;
    memcpy(file, &length, 8);
    memcpy(file + 8, text.data, text.length);
    write_file("model.safetensors", file, 8 + text.length, (size_t)end);
    free(file);
    pf_text_free(&text);
}

static void remove_folder(void)
{
    static const char *const names[] = {
        "config.json", "model.safetensors", "out/config.json", "out/model.safetensors", "out", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
}

static void start(void)
{
    char out[128];
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.30s/performer-fuzz-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(folder)) abort();
    atexit(remove_folder);
    snprintf(out, sizeof out, "%s/out", folder);
    if (mkdir(out, 0700) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t pairs[2 * ODD] = {0};
    char out[128], *notes = NULL;
    pf_model_arrays *model = NULL;
    for (size_t i = 0; i < sizeof pairs; i++) pairs[i] = i < size ? data[i] : 63;
    if (!*folder) start();
    write_config(pairs);
    write_weights(pairs);
    snprintf(out, sizeof out, "%s/out", folder);
    const pf_import_options options = {0};
    const pf_status status = pf_import(folder, &options, out, &notes);
    if (status != PF_OK && status != PF_ERROR_INPUT) abort();
    if (status == PF_OK && pf_model_load(out, &model) != PF_OK) abort();
    pf_model_arrays_free(model);
    pf_release(notes);
    return 0;
}
