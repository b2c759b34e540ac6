// The table of configuration keys, and looking things up in it. See config_keys.h.
#include "model/config_keys.h"

#include <stdio.h>
#include <string.h>

#define AT(field) offsetof(struct pf_config, field)
#define STEPS 9007199254740992.0 // 2^53: whole numbers that every JSON reader keeps

static const char *const formats[] = {"performer-1", NULL};
static const char *const alphabets[] = {"protein-29", "tokens", NULL};
static const char *const objectives[] = {"mlm", "clm", NULL};
static const char *const positions[] = {"learned", "sinusoidal", "rotary", "none", "learned_rotary", NULL};
static const char *const norm_placements[] = {"pre", "post", NULL};
static const char *const activations[] = {"gelu", "gelu_tanh", "relu", NULL};
static const char *const attention_types[] = {"favor", "softmax", NULL};
#define NAME(constant, name) name,
static const char *const kernels[] = {PF_FAVOR_KERNEL_TABLE(NAME) NULL};
#undef NAME
static const char *const projections[] = {"orthogonal", "iid", "hadamard", "givens", "none", NULL};
static const char *const row_norms[] = {"chi", "sqrt", NULL};
static const char *const crops[] = {"random", "first", NULL};
static const char *const packings[] = {"pad", "concat", NULL};
static const char *const schedules[] = {"constant", "linear", "cosine", "rsqrt", NULL};
static const char *const matmuls[] = {"auto", "clblast", "tile", NULL};
static const char *const task_types[] = {"none", "regression", "classification", NULL};
static const char *const class_weights[] = {"none", "balanced", NULL};
static const char *const task_levels[] = {"sequence", "residue", NULL};
static const char *const segments[] = {"off", "on", NULL};
static const char *const storages[] = {"fp32", "bf16", "fp16", NULL};

_Static_assert(sizeof(pf_favor_kernel) == sizeof(int32_t), "choices are stored as int32_t");

#define CONSTANT(text, values, words) {.name = text, .type = PF_KEY_CONSTANT, .choices = values, .help = words}
#define RANGE(text, kind, field, from, to, value, ...) \
    {.name = text, .type = kind, .offset = AT(field), .low = from, .high = to, .fallback = value, __VA_ARGS__}
#define SIZE(text, ...) RANGE(text, PF_KEY_SIZE, __VA_ARGS__)
#define COUNT(text, ...) RANGE(text, PF_KEY_COUNT, __VA_ARGS__)
#define NUMBER(text, ...) RANGE(text, PF_KEY_NUMBER, __VA_ARGS__)
#define FLAG(text, field, value, words) \
    {.name = text, .type = PF_KEY_FLAG, .offset = AT(field), .fallback = value, .help = words}
#define RARE_FLAG(text, field, words)                                                                        \
    {                                                                                                        \
        .name = text, .type = PF_KEY_FLAG, .offset = AT(field), .is_rare = true, .help = words               \
    }
#define RARE_CHOICE(text, field, values, words)                                                              \
    {                                                                                                        \
        .name = text, .type = PF_KEY_CHOICE, .offset = AT(field), .choices = values, .is_rare = true,        \
        .help = words                                                                                        \
    }
#define CHOICE(text, field, values, words) \
    {.name = text, .type = PF_KEY_CHOICE, .offset = AT(field), .choices = values, .help = words}

// clang-format off
const pf_key pf_config_keys[] = {
    CONSTANT("format", formats, "what this page of keys is; needed in a model's config.json"),
    CHOICE("alphabet", alphabet, alphabets, "20 letters, B O U X Z, begin, end, pad, mask; or the list `tokens`"),
    {.name = "tokens", .type = PF_KEY_TEXTS, .offset = AT(token), .count_offset = AT(n_tokens), .is_rare = true,
     .low = 2, .high = PF_MAX_VOCAB_SIZE, .text_bytes = PF_TOKEN_BYTES,
     .help = "alphabet tokens: what stands for each number, as in a vocab.txt"},
    CHOICE("objective", objective, objectives, "masked (sees both sides) or causal language model"),
    SIZE("vocab_size", vocab_size, 2, PF_MAX_VOCAB_SIZE, PF_VOCAB_SIZE, .help = "A: tokens of the alphabet"),
    SIZE("hidden_size", hidden_size, 1, PF_MAX_HIDDEN_SIZE, 0, .required = true,
         .help = "D: width of the model"),
    SIZE("num_hidden_layers", num_hidden_layers, 1, PF_MAX_LAYERS, 0, .required = true, .help = "layers"),
    SIZE("num_attention_heads", num_attention_heads, 1, PF_MAX_HEADS, 0, .required = true,
         .help = "H: heads; divides D"),
    SIZE("intermediate_size", intermediate_size, 1, PF_MAX_INTERMEDIATE, 0, .required = true,
         .help = "F: width of the feed-forward part"),
    SIZE("max_position_embeddings", max_position_embeddings, 2, PF_MAX_POSITIONS, 0, .required = true,
         .help = "Lmax: most tokens of a sequence"),
    CHOICE("position_embedding_type", position_embedding_type, positions, "how positions enter"),
    CHOICE("hidden_act", hidden_act, activations, "activation of the feed-forward part"),
    NUMBER("layer_norm_eps", layer_norm_eps, 0, 1, 1e-6, .help = "added to the variance in layer norms"),
    FLAG("attention_bias", attention_bias, false, "biases in query, key, value and output"),
    FLAG("tie_word_embeddings", tie_word_embeddings, false, "the head uses the token embedding"),
    NUMBER("hidden_dropout", hidden_dropout, 0, 1, 0.1, .open_high = true,
         .help = "dropout, in training only"),
    RARE_CHOICE("norm_placement", norm_placement, norm_placements, "norms before a layer's parts, or behind their sums"),
    RARE_FLAG("embedding_norm", embedding_norm, "a norm of the embedding sum"),
    RARE_FLAG("token_dropout", token_dropout, "tokens scaled as ESM does: masks are 0, the others 0.88 / (1 - share of masks)"),
    RARE_FLAG("head_transform", head_transform, "a dense layer, hidden_act and a norm in front of the head"),
    RARE_FLAG("contact_head", contact_head, "carries a regression from attention to contacts"),
    {.name = "rotary_frequencies", .type = PF_KEY_NUMBERS, .is_rare = true, .low = 0, .high = 1e6,
     .help = "angle per position of each pair of a head; none: 10000^(-2i/E)"},
    {.name = "attention.type", .type = PF_KEY_TYPES, .offset = AT(attention), .choices = attention_types,
     .help = "linear (FAVOR) or exact attention"},
    CHOICE("attention.kernel", attention.kernel, kernels, "feature map of FAVOR"),
    SIZE("attention.num_features", attention.num_features, 1, PF_MAX_FEATURES, 256,
         .help = "M: random features"),
    NUMBER("attention.epsilon", attention.epsilon, 0, 1e6, 1e-3,
         .help = "added to each feature of a generalised kernel"),
    NUMBER("attention.softmax_epsilon", attention.softmax_epsilon, 0, 1, 0, .is_rare = true,
           .help = "added to each feature of kernel softmax, of which the largest is 1 (performer-pytorch: 1e-4)"),
    CHOICE("attention.projection", attention.projection, projections, "how random features are drawn"),
    CHOICE("attention.row_norm", attention.row_norm, row_norms, "norms of the projection's rows"),
    NUMBER("attention.oprf_s", attention.oprf_s, 0, 1e6, 0, .open_low = true, .derived = "head size / 16",
         .help = "constant of softmax_oprf"),
    COUNT("attention.redraw_interval", attention.redraw_interval, 0, STEPS, 1000,
         .help = "training steps between draws of the features, 0: never"),
    FLAG("attention.renormalize", attention.renormalize, true, "divide by the sum of the weights"),
    SIZE("attention.local_heads", attention.local_heads, 0, PF_MAX_HEADS, 0,
         .help = "first heads that do exact attention over a window"),
    SIZE("attention.window", attention.window, 1, PF_MAX_POSITIONS, 128,
         .help = "tokens on each side that a local head sees, less one"),

    RARE_CHOICE("task.type", task.type, task_types, "a head for labels of the user's in place of the language model's"),
    RARE_CHOICE("task.level", task.level, task_levels, "what has a label"),
    {.name = "task.classes", .type = PF_KEY_TEXTS, .offset = AT(task.class_name), .count_offset = AT(task.n_classes),
     .is_rare = true, .low = 2, .high = PF_MAX_CLASSES, .text_bytes = PF_CLASS_BYTES,
     .help = "C: what stands for each number; found in the labels"},
    NUMBER("task.mean", task.mean, -1e300, 1e300, 0, .is_rare = true, .help = "of a regression's training labels"),
    NUMBER("task.deviation", task.deviation, 0, 1e300, 1, .open_low = true, .is_rare = true,
           .help = "of a regression's training labels, in which the head counts"),
    SIZE("lora.rank", lora.rank, 0, PF_MAX_LORA_RANK, 0, .is_rare = true,
         .help = "r: trains low-rank adapters of rank r in place of the weights, 0: the weights"),
    NUMBER("lora.alpha", lora.alpha, 0, 1e6, 16, .is_rare = true, .open_low = true,
           .help = "adapters are scaled by alpha / rank"),
    {.name = "lora.targets", .type = PF_KEY_TEXT, .offset = AT(lora.targets), .is_rare = true, .derived = "query,value",
     .help = "matrices with adapters: query, key, value, output, up, down; * for all, layers.[0-3].* for those of layers"},
    {.name = "lora.also", .type = PF_KEY_TEXT, .offset = AT(lora.also), .is_rare = true,
     .help = "tensors that are trained beside the adapters (a task's head always is), as in head.*,norm.*"},

    COUNT("train.steps", train.steps, 1, STEPS, 10000, .may_change = true, .help = "optimiser steps"),
    COUNT("train.batch_tokens", train.batch_tokens, 2, 1 << 30, 8192, .help = "tokens of an optimiser step"),
    COUNT("train.micro_batch_tokens", train.micro_batch_tokens, 2, 1 << 30, 0, .derived = "batch_tokens and a quarter",
         .help = "most tokens on the device at once"),
    SIZE("train.max_length", train.max_length, 2, PF_MAX_POSITIONS, 0, .derived = "max_position_embeddings",
         .help = "longer sequences are cropped to so many tokens"),
    CHOICE("train.crop", train.crop, crops, "which window of a long sequence"),
    CHOICE("train.packing", train.packing, packings, "sequence by sequence, or one stream cut into windows"),
    FLAG("train.shuffle", train.shuffle, true, "a new order in each pass over the data"),
    COUNT("train.seed", train.seed, 0, STEPS, 0, .help = "decides every random number (--seed)"),
    COUNT("train.shuffle_seed", train.shuffle_seed, 0, STEPS, -1, .derived = "seed",
         .help = "decides the order of the data alone"),
    NUMBER("train.learning_rate", train.learning_rate, 0, 1e3, 1e-3, .help = "of AdamW, after warm-up"),
    COUNT("train.warmup_steps", train.warmup_steps, 0, STEPS, 0,
         .help = "steps over which the learning rate rises"),
    CHOICE("train.schedule", train.schedule, schedules, "learning rate after warm-up"),
    NUMBER("train.weight_decay", train.weight_decay, 0, 1e3, 0.1, .help = "of matrices, not of embeddings"),
    NUMBER("train.clip_norm", train.clip_norm, 0, 1e30, 0.5, .help = "largest norm of the gradient, 0: any"),
    NUMBER("train.layer_decay", train.layer_decay, 0, 1, 1, .open_low = true, .is_rare = true,
           .help = "learning rate of a layer, in those of the layer above; the head's is learning_rate"),
    {.name = "train.freeze", .type = PF_KEY_TEXT, .offset = AT(train.freeze), .is_rare = true,
     .help = "tensors that stay as they are: names with * and ?, separated by commas, as in embed.*,layers.0.*"},
    NUMBER("train.masking.fraction", train.masking.fraction, 0, 1, 0.15, .open_low = true,
         .help = "residues that are targets (mlm)"),
    NUMBER("train.masking.mask", train.masking.mask, 0, 1, 0.8, .help = "of these become the mask token"),
    NUMBER("train.masking.random", train.masking.random, 0, 1, 0.1,
         .help = "of these become a random letter"),
    NUMBER("train.masking.keep", train.masking.keep, 0, 1, 0.1, .help = "of these stay"),
    COUNT("train.eval_interval", train.eval_interval, 0, STEPS, 500, .may_change = true,
         .help = "steps between evaluations, 0: at the end only"),
    COUNT("train.checkpoint_interval", train.checkpoint_interval, 0, STEPS, 500, .may_change = true,
         .help = "steps between checkpoints, 0: at the end only"),
    COUNT("train.keep_checkpoints", train.keep_checkpoints, 1, STEPS, 3, .may_change = true,
         .help = "newest checkpoints that stay"),
    NUMBER("train.time_limit", train.time_limit, 0, 1e9, 0, .may_change = true,
         .help = "seconds until the run is saved and ends, 0: none"),
    RARE_CHOICE("train.class_weights", train.class_weights, class_weights,
                "balanced: each class of a task weighs the same in gradients and validation loss, whatever its number"),
    COUNT("train.patience", train.patience, 0, STEPS, 0, .may_change = true, .is_rare = true,
          .help = "evaluations without a better one until the run ends, 0: never"),
    {.name = "train.recompute", .type = PF_KEY_WORD_OR_SIZE, .offset = AT(train.recompute), .low = 1, .high = PF_MAX_LAYERS,
     .choices = segments, .may_change = true,
     .help = "less memory for a slower step, same results: layers that are computed again together in the backward pass"},

    CHOICE("compute.matmul", compute.matmul, matmuls, "provider of matrix products"),
    CHOICE("compute.storage", compute.storage, storages, "numbers in which training keeps activations for the backward pass"),
};
// clang-format on

const int pf_config_key_count = sizeof pf_config_keys / sizeof *pf_config_keys;

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

pf_config_parts pf_key_part(const pf_key *key)
{
    if (begins_with(key->name, "train.")) return PF_CONFIG_TRAIN_KEYS;
    if (begins_with(key->name, "compute.")) return PF_CONFIG_COMPUTE_KEYS;
    return PF_CONFIG_MODEL_KEYS;
}

const pf_key *pf_key_find(const char *name)
{
    for (int i = 0; i < pf_config_key_count; i++)
        if (strcmp(pf_config_keys[i].name, name) == 0) return &pf_config_keys[i];
    return NULL;
}

bool pf_key_is_group(const char *name)
{
    const size_t length = strlen(name);
    for (int i = 0; i < pf_config_key_count; i++)
        if (begins_with(pf_config_keys[i].name, name) && pf_config_keys[i].name[length] == '.') return true;
    return false;
}

// Levenshtein's distance, of the first 63 characters.
static int distance(const char *a, const char *b)
{
    enum { SEEN = 63 };
    int row[SEEN + 1];
    const int columns = (int)strnlen(b, SEEN);
    for (int j = 0; j <= columns; j++) row[j] = j;
    for (int i = 1; i <= SEEN && a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= columns; j++) {
            const int replace = diagonal + (a[i - 1] != b[j - 1]);
            const int edit = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            diagonal = row[j];
            row[j] = replace < edit ? replace : edit;
        }
    }
    return row[columns];
}

static const char *last_part(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

// Whole names are compared, and last parts: "kernel" means attention.kernel, misplaced.
const char *pf_key_nearest(const char *name)
{
    const char *nearest = pf_config_keys[0].name;
    int least = 1000;
    for (int i = 0; i < pf_config_key_count; i++) {
        const char *known = pf_config_keys[i].name;
        const int whole = distance(name, known);
        const int last = 1 + distance(last_part(name), last_part(known));
        const int smaller = whole < last ? whole : last;
        if (smaller >= least) continue;
        least = smaller;
        nearest = known;
    }
    return nearest;
}

static void join_choices(const char *const *choices, char *out, size_t room)
{
    size_t used = 0;
    for (int i = 0; choices[i] && used < room; i++)
        used += (size_t)snprintf(out + used, room - used, "%s%s", i ? ", " : "", choices[i]);
}

void pf_key_allowed(const pf_key *key, char *out, size_t room)
{
    switch (key->type) {
    case PF_KEY_SIZE:
    case PF_KEY_COUNT:
        snprintf(out, room, "a whole number from %.0f to %.0f", key->low, key->high);
        break;
    case PF_KEY_NUMBER:
        snprintf(out, room, "a number %s %g and %s %g", key->open_low ? "above" : "from", key->low,
                 key->open_high ? "below" : "up to", key->high);
        break;
    case PF_KEY_FLAG:
        snprintf(out, room, "true or false");
        break;
    case PF_KEY_WORD_OR_SIZE: {
        char words[64];
        join_choices(key->choices, words, sizeof words);
        snprintf(out, room, "%s or a whole number from %.0f to %.0f", words, key->low, key->high);
        break;
    }
    case PF_KEY_CONSTANT:
    case PF_KEY_CHOICE:
    case PF_KEY_TYPES:
        join_choices(key->choices, out, room);
        break;
    case PF_KEY_TEXTS:
        snprintf(out, room, "a list of %.0f to %.0f different texts of 1 to %zu bytes", key->low, key->high,
                 key->text_bytes - 1);
        break;
    case PF_KEY_TEXT:
        snprintf(out, room, "a text of at most %d bytes", PF_PATTERNS_BYTES - 1);
        break;
    case PF_KEY_NUMBERS:
        snprintf(out, room, "a list of numbers from %g up to %g", key->low, key->high);
        break;
    }
}
