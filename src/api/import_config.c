// Configurations of ESM and BERT as Hugging Face writes them, in keys of ours. See convert.h.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/convert.h"
#include "base/file.h"
#include "base/memory.h"

// --- reading keys ---------------------------------------------------------------------------------

static pf_status refuse(const char *key, const json_t *value, const char *expected)
{
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL, quoted[PF_QUOTE_BYTES];
    pf_quote(quoted, text ? text : "missing", text ? strlen(text) : 7);
    free(text);
    return pf_fail(PF_ERROR_INPUT, "key %s: %s, expected %s", key, quoted, expected);
}

static pf_status read_size(const json_t *json, const char *key, int32_t *out)
{
    const json_t *value = json_object_get(json, key);
    const json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number > INT32_MAX)
        return refuse(key, value, "a whole number");
    *out = (int32_t)number;
    return PF_OK;
}

// Absent and null are the fallback, as in the classes there.
static pf_status read_number(const json_t *json, const char *key, double fallback, double *out)
{
    const json_t *value = json_object_get(json, key);
    *out = fallback;
    if (!value || json_is_null(value)) return PF_OK;
    if (!json_is_number(value)) return refuse(key, value, "a number");
    *out = json_number_value(value);
    return PF_OK;
}

static pf_status read_flag(const json_t *json, const char *key, bool fallback, bool *out)
{
    const json_t *value = json_object_get(json, key);
    *out = fallback;
    if (!value || json_is_null(value)) return PF_OK;
    if (!json_is_boolean(value)) return refuse(key, value, "true or false");
    *out = json_is_true(value);
    return PF_OK;
}

static pf_status must_be_off(const json_t *json, const char *key)
{
    bool is_on;
    PF_TRY(read_flag(json, key, false, &is_on));
    PF_CHECK(!is_on, PF_ERROR_INPUT, "key %s: true, but only plain encoders are imported", key);
    return PF_OK;
}

// The index of the text among `values`, -1: none; `fallback` where the key is absent.
static int read_choice(const json_t *json, const char *key, const char *const *values, int fallback)
{
    const json_t *value = json_object_get(json, key);
    const char *text = json_string_value(value);
    if (!value || json_is_null(value)) return fallback;
    for (int i = 0; text && values[i]; i++)
        if (strcmp(text, values[i]) == 0) return i;
    return -1;
}

// --- what both families say -----------------------------------------------------------------------

static pf_status read_common(const json_t *json, struct pf_config *config)
{
    static const char *const names[] = {"gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "relu", NULL};
    static const pf_activation activations[] = {PF_ACTIVATION_GELU, PF_ACTIVATION_GELU_TANH,
                                                PF_ACTIVATION_GELU_TANH, PF_ACTIVATION_GELU_TANH,
                                                PF_ACTIVATION_RELU};
    const int activation = read_choice(json, "hidden_act", names, 0);
    if (activation < 0)
        return refuse("hidden_act", json_object_get(json, "hidden_act"),
                      "gelu, gelu_new, gelu_pytorch_tanh, gelu_fast or relu");
    config->hidden_act = activations[activation];
    PF_TRY(must_be_off(json, "is_decoder"));
    PF_TRY(must_be_off(json, "add_cross_attention"));
    PF_TRY(must_be_off(json, "is_folding_model"));
    PF_TRY(read_size(json, "vocab_size", &config->vocab_size));
    PF_TRY(read_size(json, "hidden_size", &config->hidden_size));
    PF_TRY(read_size(json, "num_hidden_layers", &config->num_hidden_layers));
    PF_TRY(read_size(json, "num_attention_heads", &config->num_attention_heads));
    if (config->num_attention_heads == 0 || config->hidden_size % config->num_attention_heads != 0)
        return refuse("num_attention_heads", json_object_get(json, "num_attention_heads"),
                      "a divisor of hidden_size");
    PF_TRY(read_size(json, "intermediate_size", &config->intermediate_size));
    PF_TRY(read_size(json, "max_position_embeddings", &config->max_position_embeddings));
    PF_TRY(read_number(json, "layer_norm_eps", 1e-12, &config->layer_norm_eps));
    PF_TRY(read_number(json, "hidden_dropout_prob", 0.1, &config->hidden_dropout));
    PF_TRY(read_flag(json, "tie_word_embeddings", true, &config->tie_word_embeddings));
    config->objective = PF_OBJECTIVE_MLM;
    config->alphabet = PF_ALPHABET_TOKENS;
    config->attention.n_types = 0;
    config->attention.type[0] = PF_ATTENTION_SOFTMAX;
    config->attention_bias = config->head_transform = true;
    return PF_OK;
}

pf_status pf_esm_config(const json_t *json, struct pf_config *config, int32_t *skipped_positions)
{
    static const char *const positions[] = {"absolute", "rotary", NULL};
    PF_TRY(read_common(json, config));
    const int position = read_choice(json, "position_embedding_type", positions, 0);
    if (position < 0)
        return refuse("position_embedding_type", json_object_get(json, "position_embedding_type"),
                      "rotary or absolute");
    PF_TRY(read_flag(json, "token_dropout", false, &config->token_dropout));
    PF_TRY(read_flag(json, "emb_layer_norm_before", false, &config->embedding_norm));
    config->position_embedding_type = position == 1 ? PF_POSITION_ROTARY : PF_POSITION_LEARNED;
    *skipped_positions = 0;
    if (position == 1) return PF_OK;
    // Positions count on from the number of the pad token.
    PF_TRY(read_size(json, "pad_token_id", skipped_positions));
    *skipped_positions += 1;
    PF_CHECK(*skipped_positions < config->max_position_embeddings, PF_ERROR_INPUT,
             "key max_position_embeddings: %d, expected more than pad_token_id and one",
             config->max_position_embeddings);
    config->max_position_embeddings -= *skipped_positions;
    return PF_OK;
}

static pf_status bert_config(const json_t *json, struct pf_config *config)
{
    static const char *const positions[] = {"absolute", NULL};
    PF_TRY(read_common(json, config));
    if (read_choice(json, "position_embedding_type", positions, 0) < 0)
        return refuse("position_embedding_type", json_object_get(json, "position_embedding_type"),
                      "absolute");
    config->position_embedding_type = PF_POSITION_LEARNED;
    config->norm_placement = PF_NORM_POST;
    config->embedding_norm = true;
    return PF_OK;
}

// --- tokens ---------------------------------------------------------------------------------------

static pf_status add_token(struct pf_config *config, const char *text, size_t length)
{
    char quoted[PF_QUOTE_BYTES];
    PF_CHECK(length > 0, PF_ERROR_INPUT, "line %d is empty, expected a token a line", config->n_tokens + 1);
    PF_CHECK(length < PF_TOKEN_BYTES, PF_ERROR_INPUT, "line %d: %s, expected a token of 1 to %d bytes",
             config->n_tokens + 1, pf_quote(quoted, text, length), PF_TOKEN_BYTES - 1);
    PF_CHECK(config->n_tokens < PF_MAX_VOCAB_SIZE, PF_ERROR_INPUT, "more than %d tokens", PF_MAX_VOCAB_SIZE);
    json_t *is_text = json_stringn(text, length);
    json_decref(is_text);
    PF_CHECK(is_text, PF_ERROR_INPUT, "line %d: %s is not UTF-8", config->n_tokens + 1,
             pf_quote(quoted, text, length));
    memcpy(config->token[config->n_tokens], text, length);
    for (int i = 0; i < config->n_tokens; i++)
        PF_CHECK(strcmp(config->token[i], config->token[config->n_tokens]) != 0, PF_ERROR_INPUT,
                 "line %d: %s is on line %d, too", config->n_tokens + 1, pf_quote(quoted, text, length),
                 i + 1);
    config->n_tokens++;
    return PF_OK;
}

static pf_status read_token_file(const char *path, struct pf_config *config)
{
    char *text = NULL;
    size_t size = 0;
    PF_TRY(pf_read_file(path, 1 << 20, &text, &size));
    pf_status status = PF_OK;
    for (const char *line = text; status == PF_OK && *line;) {
        const size_t length = strcspn(line, "\r\n");
        status = add_token(config, line, length);
        line += length;
        line += *line == '\r';
        line += *line == '\n';
    }
    if (status == PF_OK && strlen(text) != size)
        status = pf_fail(PF_ERROR_INPUT, "line %d has a byte of 0, expected text", config->n_tokens + 1);
    if (status == PF_OK && config->n_tokens == 0)
        status = pf_fail(PF_ERROR_INPUT, "is empty, expected a token a line");
    pf_free(text);
    return pf_context(status, "%s", path);
}

// The tokens that the user names, those of the directory, or what models of 33 tokens of this family have.
static pf_status read_tokens(const pf_import_job *job, const char *given, struct pf_config *config)
{
    char *path = NULL;
    pf_status status;
    PF_CHECK(
        given || pf_is_directory(job->source->path), PF_ERROR_USAGE,
        "%s: a file of weights does not say what its tokens are; give them with --tokens FILE, one a line",
        job->source->path);
    PF_TRY(pf_join_path(&path, job->source->path, "vocab.txt"));
    const char *file = given ? given : pf_exists(path) ? path : NULL;
    const json_t *list = json_object_get(job->source->config, "vocab_list");
    if (file) PF_TRY_OR(done, read_token_file(file, config));
    for (size_t i = 0; !file && i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        PF_TRY_OR(done, add_token(config, text ? text : "", text ? strlen(text) : 0));
    }
    if (config->n_tokens == 0 && job->kind == PF_FAMILY_ESM && config->vocab_size == 33)
        for (int i = 0; i < 33; i++)
            PF_TRY_OR(done, add_token(config, pf_esm_tokens[i], strlen(pf_esm_tokens[i])));
    status = PF_OK;
    if (config->n_tokens == 0)
        status = pf_fail(PF_ERROR_INPUT,
                         "%s: no such file; expected the model's tokens there, or in --tokens FILE", path);
    else if (config->n_tokens != config->vocab_size)
        status = pf_fail(PF_ERROR_INPUT, "%s: %d tokens, the model has vocab_size %d",
                         file ? file : "key vocab_list", config->n_tokens, config->vocab_size);
done:
    pf_free(path);
    return status;
}

// --- rotary frequencies ---------------------------------------------------------------------------

// The table of a layer; transformers 5 writes one for all, with an asterisk for the layer.
static const pf_source_tensor *find_frequencies(const pf_import_job *job, int layer)
{
    char name[PF_FOREIGN_NAME], number[16];
    snprintf(number, sizeof number, "%d", layer);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%sencoder.layer.%s.attention.self.rotary_embeddings.inv_freq",
                 job->has_prefix ? job->family->prefix : "", i ? "*" : number);
        pf_source_tensor *found = pf_source_find(job->source, name);
        if (!found) continue;
        found->is_used = true;
        return found;
    }
    return NULL;
}

// They carry the rounding of half precision from training: computed anew they move the logits.
static pf_status read_frequencies(const pf_import_job *job, struct pf_config *config)
{
    float first[PF_MAX_HEAD_SIZE / 2], other[PF_MAX_HEAD_SIZE / 2];
    const int H = config->num_attention_heads, half = H > 0 ? config->hidden_size / H / 2 : 0;
    PF_CHECK(half > 0 && half <= PF_MAX_HEAD_SIZE / 2, PF_ERROR_INPUT,
             "key num_attention_heads: %d, heads of 2 to %d numbers are possible", H, PF_MAX_HEAD_SIZE);
    for (int layer = 0; layer < config->num_hidden_layers; layer++) {
        const pf_source_tensor *t = find_frequencies(job, layer);
        PF_CHECK(t || layer == 0, PF_ERROR_INPUT,
                 "layer %d has no rotary_embeddings.inv_freq, the layers before it have", layer);
        if (!t) break;
        PF_CHECK(t->info->count == (uint64_t)half, PF_ERROR_INPUT, "tensor %s has %llu numbers, expected %d",
                 t->info->name, (unsigned long long)t->info->count, half);
        PF_TRY(pf_safetensors_read_float(t->file, t->info, 0, (uint64_t)half, layer ? other : first));
        PF_CHECK(!layer || memcmp(first, other, (size_t)half * sizeof *first) == 0, PF_ERROR_INPUT,
                 "tensor %s is not that of layer 0, expected one table for all layers", t->info->name);
        config->n_rotary_frequencies = half;
    }
    double theta;
    PF_TRY(read_number(job->source->config, "rope_theta", 10000, &theta));
    const bool is_other = config->n_rotary_frequencies == 0 && theta != 10000;
    for (int i = 0; i < config->n_rotary_frequencies; i++) config->rotary_frequency[i] = (double)first[i];
    for (int i = 0; is_other && i < half; i++) config->rotary_frequency[i] = pow(theta, -1.0 * i / half);
    if (is_other) config->n_rotary_frequencies = half;
    return PF_OK;
}

// --- a family -------------------------------------------------------------------------------------

static pf_status choose_family(pf_import_job *job)
{
    const json_t *json = job->source->config, *type = json_object_get(json, "model_type");
    const char *text = json_string_value(type);
    PF_CHECK(!json_object_get(json, "format"), PF_ERROR_INPUT, "this is a model of this program already");
    if (!text || (strcmp(text, "esm") != 0 && strcmp(text, "bert") != 0))
        return refuse("model_type", type, "esm or bert");
    job->kind = strcmp(text, "esm") == 0 ? PF_FAMILY_ESM : PF_FAMILY_BERT;
    job->family = pf_family_of(job->kind);
    char name[PF_FOREIGN_NAME];
    pf_foreign_name(job->family, "embed.token.weight", true, name);
    job->has_prefix = pf_source_find(job->source, name) != NULL;
    return PF_OK;
}

static pf_status read_config(pf_import_job *job, struct pf_config *config)
{
    PF_TRY(choose_family(job));
    if (job->kind == PF_FAMILY_BERT) return bert_config(job->source->config, config);
    return pf_esm_config(job->source->config, config, &job->skipped_positions);
}

pf_status pf_import_config(pf_import_job *job, const char *tokens, struct pf_config *config)
{
    if (!job->source->config) {
        PF_TRY(pf_performer_pytorch_config(job, config));
        return read_tokens(job, tokens, config);
    }
    PF_TRY(pf_context(read_config(job, config), "%s/config.json", job->source->path));
    PF_TRY(read_tokens(job, tokens, config));
    if (job->kind == PF_FAMILY_ESM) {
        char name[PF_FOREIGN_NAME];
        pf_foreign_name(job->family, "contact.weight", job->has_prefix, name);
        config->contact_head = pf_source_find(job->source, name) != NULL;
    }
    return pf_config_is_rotary(config) ? pf_context(read_frequencies(job, config), "%s", job->source->path)
                                       : PF_OK;
}
