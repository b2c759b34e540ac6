// Names of tensors in other families' files. See convert.h.
#include <stdio.h>
#include <string.h>

#include "api/convert.h"

#define ATTENTION "encoder.layer.%d.attention."

static const pf_module_names esm_modules[] = {
    {"embed.token", "embeddings.word_embeddings", true},
    {"embed.position", "embeddings.position_embeddings", true},
    {"embed.norm", "embeddings.layer_norm", true},
    {"attention.norm", ATTENTION "LayerNorm", true}, // in front of attention
    {"attention.query", ATTENTION "self.query", true},
    {"attention.key", ATTENTION "self.key", true},
    {"attention.value", ATTENTION "self.value", true},
    {"attention.output", ATTENTION "output.dense", true},
    {"feed_forward.norm", "encoder.layer.%d.LayerNorm", true},
    {"feed_forward.up", "encoder.layer.%d.intermediate.dense", true},
    {"feed_forward.down", "encoder.layer.%d.output.dense", true},
    {"norm", "encoder.emb_layer_norm_after", true},
    {"head.transform", "lm_head.dense", false},
    {"head.norm", "lm_head.layer_norm", false},
    {"contact", "contact_head.regression", true},
    {0},
};

static const pf_module_names bert_modules[] = {
    {"embed.token", "embeddings.word_embeddings", true},
    {"embed.position", "embeddings.position_embeddings", true},
    {"embed.norm", "embeddings.LayerNorm", true},
    {"attention.query", ATTENTION "self.query", true},
    {"attention.key", ATTENTION "self.key", true},
    {"attention.value", ATTENTION "self.value", true},
    {"attention.output", ATTENTION "output.dense", true},
    {"attention.norm", ATTENTION "output.LayerNorm", true}, // behind attention
    {"feed_forward.up", "encoder.layer.%d.intermediate.dense", true},
    {"feed_forward.down", "encoder.layer.%d.output.dense", true},
    {"feed_forward.norm", "encoder.layer.%d.output.LayerNorm", true},
    {"head.transform", "cls.predictions.transform.dense", false},
    {"head.norm", "cls.predictions.transform.LayerNorm", false},
    {0},
};

#define LAYER "performer.net.layers.%d."

static const pf_module_names performer_pytorch_modules[] = {
    {"embed.token", "token_emb", false},
    {"embed.position", "pos_emb.emb", false},
    {"attention.norm", LAYER "0.norm", false},
    {"attention.query", LAYER "0.fn.to_q", false},
    {"attention.key", LAYER "0.fn.to_k", false},
    {"attention.value", LAYER "0.fn.to_v", false},
    {"attention.output", LAYER "0.fn.to_out", false},
    {"attention.projection", LAYER "0.fn.fast_attention.projection_matrix", false},
    {"feed_forward.norm", LAYER "1.norm", false},
    {"feed_forward.up", LAYER "1.fn.fn.w1", false},
    {"feed_forward.down", LAYER "1.fn.fn.w2", false},
    {"norm", "norm", false},
    {"head", "to_out", false},
    {0},
};

static const char *const esm_ignored[] = {"position_ids",
                                          "pooler.",
                                          "lm_head.decoder.",
                                          "rotary_embeddings.inv_freq",
                                          "position_embeddings.weight",
                                          NULL};
static const char *const bert_ignored[] = {"position_ids", "pooler.", "cls.seq_relationship.",
                                           "cls.predictions.decoder.", NULL};
static const char *const performer_pytorch_ignored[] = {
    "performer.proj_updater.", "layer_pos_emb.emb",       "fast_attention.projection_matrix",
    "pos_emb.inv_freq",        "calls_since_last_redraw", NULL};

static const pf_family families[] = {
    [PF_FAMILY_ESM] = {"esm", "esm.", esm_modules, esm_ignored},
    [PF_FAMILY_BERT] = {"bert", "bert.", bert_modules, bert_ignored},
    [PF_FAMILY_PERFORMER_PYTORCH] = {"performer-pytorch", "", performer_pytorch_modules,
                                     performer_pytorch_ignored},
};

const char *const pf_esm_tokens[33] = {"<cls>", "<pad>", "<eos>", "<unk>", "L",        "A",     "G", "V", "S",
                                       "E",     "R",     "T",     "I",     "D",        "P",     "K", "Q", "N",
                                       "F",     "Y",     "M",     "H",     "W",        "C",     "X", "B", "U",
                                       "Z",     "O",     ".",     "-",     "<null_1>", "<mask>"};

const pf_family *pf_family_of(pf_family_kind kind)
{
    return &families[kind];
}

// The names that do not go by modules: the head's bias belongs to no layer of its own where the weight is
// tied.
static const char *special_name(const pf_family *family, const char *ours)
{
    const bool is_bert = family == &families[PF_FAMILY_BERT];
    if (family == &families[PF_FAMILY_PERFORMER_PYTORCH]) return NULL;
    if (strcmp(ours, "head.bias") == 0) return is_bert ? "cls.predictions.bias" : "lm_head.bias";
    if (strcmp(ours, "head.weight") == 0)
        return is_bert ? "cls.predictions.decoder.weight" : "lm_head.decoder.weight";
    return NULL;
}

// "layers.N." in front is read off; *layer is -1 without.
static const char *behind_layer(const char *name, int *layer)
{
    int length = 0;
    *layer = -1;
    if (sscanf(name, "layers.%d.%n", layer, &length) == 1 && length > 0) return name + length;
    *layer = -1;
    return name;
}

static void put_layer(char out[PF_FOREIGN_NAME], const char *pattern, int layer)
{
    const char *place = strstr(pattern, "%d");
    if (place)
        snprintf(out, PF_FOREIGN_NAME, "%.*s%d%s", (int)(place - pattern), pattern, layer, place + 2);
    else
        snprintf(out, PF_FOREIGN_NAME, "%s", pattern);
}

void pf_foreign_name(const pf_family *family, const char *ours, bool has_prefix, char out[PF_FOREIGN_NAME])
{
    int layer;
    char module[PF_FOREIGN_NAME];
    const char *special = special_name(family, ours), *name = behind_layer(ours, &layer);
    snprintf(out, PF_FOREIGN_NAME, "%s", special ? special : "");
    for (const pf_module_names *m = family->modules; !special && m->ours; m++) {
        const size_t length = strlen(m->ours);
        const char *rest = name + length;
        if (strncmp(name, m->ours, length) != 0) continue;
        if (*rest && strcmp(rest, ".weight") != 0 && strcmp(rest, ".bias") != 0) continue;
        put_layer(module, m->theirs, layer);
        snprintf(out, PF_FOREIGN_NAME, "%s%.80s%s", has_prefix && m->in_body ? family->prefix : "", module,
                 rest);
        return;
    }
}
