// A model becomes what Hugging Face's EsmForMaskedLM reads: config.json, model.safetensors, vocab.txt. What
// its config.json cannot say is found by reading it back. See performer/import.h.
#include <stdio.h>
#include <string.h>

#include "api/convert.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/vocabulary.h"
#include "performer/import.h"

static const char *const activations[] = {"gelu", "gelu_new", "relu"}; // in the order of pf_activation

// --- config.json ----------------------------------------------------------------------------------

static json_t *make_config(const struct pf_config *c)
{
    const pf_vocabulary v = pf_vocabulary_of(c);
    const bool is_rotary = pf_config_is_rotary(c);
    const int pad = v.number[PF_BATCH_PAD], skipped = is_rotary ? 0 : pad + 1;
    return json_pack("{s:[s], s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:f, s:f, s:f, s:s, s:b, s:b, s:b, "
                     "s:i, s:i, s:b, s:s}",
                     "architectures", "EsmForMaskedLM", "model_type", "esm", "vocab_size", c->vocab_size,
                     "hidden_size", c->hidden_size, "num_hidden_layers", c->num_hidden_layers,
                     "num_attention_heads", c->num_attention_heads, "intermediate_size", c->intermediate_size,
                     "max_position_embeddings", c->max_position_embeddings + skipped, "hidden_act",
                     activations[c->hidden_act], "layer_norm_eps", c->layer_norm_eps, "hidden_dropout_prob",
                     c->hidden_dropout, "attention_probs_dropout_prob", 0.0, "position_embedding_type",
                     is_rotary ? "rotary" : "absolute", "token_dropout", c->token_dropout,
                     "emb_layer_norm_before", c->embedding_norm, "tie_word_embeddings",
                     c->tie_word_embeddings, "pad_token_id", pad, "mask_token_id", v.number[PF_BATCH_MASK],
                     "is_folding_model", 0, "torch_dtype", "float32");
}

// What importing it would make of it; from other files: tokens, frequencies, the contact head.
static pf_status read_back(const json_t *json, const struct pf_config *c, struct pf_config *back)
{
    int32_t skipped;
    pf_config_default(back);
    PF_TRY(pf_esm_config(json, back, &skipped));
    memcpy(back->token, c->token, sizeof back->token);
    memcpy(back->rotary_frequency, c->rotary_frequency, sizeof back->rotary_frequency);
    back->n_tokens = c->n_tokens;
    back->n_rotary_frequencies = c->n_rotary_frequencies;
    back->contact_head = c->contact_head;
    return pf_config_finish(back, PF_CONFIG_MODEL);
}

static pf_status check(const json_t *json, const struct pf_config *c, const char *path)
{
    struct pf_config back;
    PF_CHECK(c->task.type == PF_TASK_NONE, PF_ERROR_USAGE,
             "%s: the model answers a task; format esm is for language models", path);
    PF_CHECK(c->alphabet == PF_ALPHABET_TOKENS, PF_ERROR_USAGE,
             "%s: alphabet is protein-29, which format esm has no tokenizer for; expected tokens of ESM",
             path);
    PF_CHECK(pf_vocabulary_of(c).number[PF_BATCH_PAD] >= 0, PF_ERROR_USAGE, "%s: its tokens have no <pad>",
             path);
    PF_TRY(read_back(json, c, &back));
    const char *key = pf_config_difference(c, &back, PF_CONFIG_MODEL_KEYS, false);
    PF_CHECK(!key, PF_ERROR_USAGE, "%s: format esm cannot say %s as this model has it", path, key);
    return PF_OK;
}

pf_status pf_esm_check(const struct pf_config *config, const char *path)
{
    json_t *json = make_config(config);
    PF_CHECK(json, PF_ERROR_FAILED, "no memory for config.json");
    const pf_status status = check(json, config, path);
    json_decref(json);
    return status;
}

static pf_status write_texts(const json_t *json, const struct pf_config *c, const char *directory)
{
    pf_text tokens = {0};
    char *path = NULL, *text = NULL;
    pf_status status;
    for (int i = 0; i < c->n_tokens; i++) PF_TRY_OR(done, pf_text_add(&tokens, "%s\n", c->token[i]));
    PF_TRY_OR(done, pf_join_path(&path, directory, "vocab.txt"));
    PF_TRY_OR(done, pf_write_file(path, tokens.data, tokens.length, NULL));
    pf_free(path);
    path = NULL;
    text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    PF_TRY_OR(done, text ? PF_OK : pf_fail(PF_ERROR_FAILED, "no memory for config.json"));
    PF_TRY_OR(done, pf_join_path(&path, directory, "config.json"));
    PF_TRY_OR(done, pf_write_file(path, text, strlen(text), NULL));
done:
    pf_text_free(&tokens);
    pf_free(path);
    free(text);
    return status;
}

// --- tensors --------------------------------------------------------------------------------------

// A tensor of the file: one of ours, or with `tensor` NULL the rotary frequencies of a layer.
typedef struct exported {
    const pf_parameter *tensor;
    uint64_t skipped; // numbers that are 0 in front
    char name[PF_FOREIGN_NAME];
} exported;

static void list_tensors(const pf_model_arrays *m, exported *out, pf_tensor_spec *specs, int *count)
{
    const pf_family *family = pf_family_of(PF_FAMILY_ESM);
    const int pad = pf_vocabulary_of(&m->config).number[PF_BATCH_PAD];
    for (int i = 0; i < m->parameters->n_tensors; i++) {
        const pf_parameter *tensor = &m->parameters->tensor[i];
        exported *e = &out[*count];
        pf_tensor_spec *spec = &specs[(*count)++];
        const bool is_contact = strcmp(tensor->name, "contact.weight") == 0;
        const bool is_position = strcmp(tensor->name, "embed.position.weight") == 0;
        e->tensor = tensor;
        e->skipped = is_position ? (uint64_t)(pad + 1) * tensor->shape[1] : 0;
        pf_foreign_name(family, tensor->name, true, e->name);
        *spec = (pf_tensor_spec){e->name, PF_F32, tensor->rank, {tensor->shape[0], tensor->shape[1]}};
        if (is_position) spec->shape[0] += (uint64_t)(pad + 1);
        if (is_contact) *spec = (pf_tensor_spec){e->name, PF_F32, 2, {1, tensor->shape[0]}};
    }
    for (int layer = 0; m->config.n_rotary_frequencies && layer < m->config.num_hidden_layers; layer++) {
        exported *e = &out[*count];
        snprintf(e->name, sizeof e->name, "esm.encoder.layer.%d.attention.self.rotary_embeddings.inv_freq",
                 layer);
        specs[(*count)++] = (pf_tensor_spec){e->name, PF_F32, 1, {(uint64_t)m->config.n_rotary_frequencies}};
    }
}

static pf_status write_tensor(pf_safetensors_writer *writer, const pf_model_arrays *m, const exported *e)
{
    static const float zeros[1024];
    float frequencies[PF_MAX_HEAD_SIZE / 2];
    const int n = m->config.n_rotary_frequencies;
    for (int i = 0; i < n; i++) frequencies[i] = (float)m->config.rotary_frequency[i];
    if (!e->tensor) return pf_safetensors_write(writer, frequencies, (size_t)n * sizeof *frequencies);
    for (uint64_t left = e->skipped; left > 0;) {
        const size_t now = left < 1024 ? (size_t)left : 1024;
        PF_TRY(pf_safetensors_write(writer, zeros, now * sizeof *zeros));
        left -= now;
    }
    const float *from = pf_model_numbers(m, e->tensor);
    return pf_safetensors_write(writer, from, e->tensor->count * sizeof *from);
}

static pf_status write_weights(const pf_model_arrays *m, const char *directory)
{
    const size_t most = (size_t)m->parameters->n_tensors + (size_t)m->config.num_hidden_layers;
    const pf_metadata metadata[] = {{"format", "pt"}, {"source", m->source}};
    void *memory = NULL;
    exported *list = NULL;
    pf_tensor_spec *specs = NULL;
    pf_safetensors_writer *writer = NULL;
    char *path = NULL;
    int count = 0;
    pf_status status;
    PF_TRY_OR(done, pf_alloc(&memory, most, sizeof *list, "tensor table"));
    list = memory, memory = NULL;
    PF_TRY_OR(done, pf_alloc(&memory, most, sizeof *specs, "tensor table"));
    specs = memory;
    list_tensors(m, list, specs, &count);
    PF_TRY_OR(done, pf_join_path(&path, directory, "model.safetensors"));
    PF_TRY_OR(done, pf_safetensors_writer_open(path, specs, count, metadata, m->source ? 2 : 1, &writer));
    for (int i = 0; i < count; i++) PF_TRY_OR(done, write_tensor(writer, m, &list[i]));
    status = pf_safetensors_commit(writer, NULL);
    writer = NULL;
done:
    if (writer) pf_safetensors_discard(writer);
    pf_free(path);
    pf_free(list);
    pf_free(specs);
    return status;
}

pf_status pf_export_performer(const char *model, const char *directory)
{
    char *path = NULL;
    pf_model_arrays *m = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_model_resolve(model, &path, NULL));
    PF_TRY_OR(done, pf_model_load_merged(path, &m));
    PF_TRY_OR(done, pf_model_save(directory, m, PF_CONFIG_MODEL_KEYS, NULL));
done:
    pf_model_arrays_free(m);
    pf_free(path);
    return status;
}

pf_status pf_export_esm(const char *model, const char *directory)
{
    char *path = NULL;
    pf_model_arrays *m = NULL;
    json_t *json = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_model_resolve(model, &path, NULL));
    PF_TRY_OR(done, pf_model_load_merged(path, &m));
    json = make_config(&m->config);
    PF_TRY_OR(done, json ? PF_OK : pf_fail(PF_ERROR_FAILED, "no memory for config.json"));
    PF_TRY_OR(done, check(json, &m->config, model));
    PF_TRY_OR(done, write_texts(json, &m->config, directory));
    PF_TRY_OR(done, write_weights(m, directory));
done:
    json_decref(json);
    pf_model_arrays_free(m);
    pf_free(path);
    return status;
}
