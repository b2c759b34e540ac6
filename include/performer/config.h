// Configuration: what a model is, how it is trained and how it is computed.
//
// A plain struct filled in three steps: defaults, then any number of layers on top (a preset, a JSON
// file, single settings), then pf_config_finish, which fills in what follows from other keys and
// checks all of it. The keys, their ranges, defaults and help are one table (src/model/config_keys.c);
// their meaning in full: README, "The model", and docs/training.md.
#ifndef PERFORMER_CONFIG_H
#define PERFORMER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "performer/favor_kernels.h"
#include "performer/fine_tuning.h"
#include "performer/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PF_MAX_LAYERS = 1024,
    PF_MAX_HEADS = 1024,
    PF_MAX_HEAD_SIZE = 128,       // E: what the kernels' tiles are made for
    PF_MAX_HIDDEN_SIZE = 65536,   // D
    PF_MAX_INTERMEDIATE = 262144, // F
    PF_MAX_FEATURES = 65536,      // M
    PF_MAX_POSITIONS = 1 << 20,   // Lmax
    PF_VOCAB_SIZE = 29,           // A of alphabet protein-29
    PF_MAX_VOCAB_SIZE = 256,      // of an alphabet of its own
    PF_TOKEN_BYTES = 16,          // of a token's text there, its NUL counted
};

// What tokens are called: the 29 of this program (src/data/alphabet.h), or those that `token` lists in the
// order of their numbers, as the vocab.txt of an imported model has them.
typedef enum pf_alphabet_kind { PF_ALPHABET_PROTEIN_29, PF_ALPHABET_TOKENS } pf_alphabet_kind;

// Where a layer's norms stand: before attention and feed-forward, the stream passing by (GPT-2, ESM), or
// behind the sum of branch and stream (Vaswani et al. 2017; BERT).
typedef enum pf_norm_placement { PF_NORM_PRE, PF_NORM_POST } pf_norm_placement;

typedef enum pf_objective { PF_OBJECTIVE_MLM, PF_OBJECTIVE_CLM } pf_objective;

typedef enum pf_position {
    PF_POSITION_LEARNED,
    PF_POSITION_SINUSOIDAL,
    PF_POSITION_ROTARY,
    PF_POSITION_NONE,
    PF_POSITION_LEARNED_ROTARY, // a table that is added to the tokens, and rotation besides
} pf_position;

typedef enum pf_activation { PF_ACTIVATION_GELU, PF_ACTIVATION_GELU_TANH, PF_ACTIVATION_RELU } pf_activation;

typedef enum pf_attention_type { PF_ATTENTION_FAVOR, PF_ATTENTION_SOFTMAX } pf_attention_type;

typedef enum pf_projection_kind {
    PF_PROJECTION_ORTHOGONAL,
    PF_PROJECTION_IID,
    PF_PROJECTION_HADAMARD,
    PF_PROJECTION_GIVENS,
    PF_PROJECTION_NONE,
} pf_projection_kind;

typedef enum pf_row_norm { PF_ROW_NORM_CHI, PF_ROW_NORM_SQRT } pf_row_norm;

typedef enum pf_crop { PF_CROP_RANDOM, PF_CROP_FIRST } pf_crop;
typedef enum pf_packing { PF_PACKING_PAD, PF_PACKING_CONCAT } pf_packing;

typedef enum pf_schedule {
    PF_SCHEDULE_CONSTANT,
    PF_SCHEDULE_LINEAR,
    PF_SCHEDULE_COSINE,
    PF_SCHEDULE_RSQRT,
} pf_schedule;

// Weights of a classification's gradients: none, or each class as much as any other, whatever its number.
typedef enum pf_class_weights { PF_CLASS_WEIGHTS_NONE, PF_CLASS_WEIGHTS_BALANCED } pf_class_weights;

typedef enum pf_matmul_choice { PF_MATMUL_AUTO, PF_MATMUL_CLBLAST, PF_MATMUL_TILE } pf_matmul_choice;
typedef enum pf_storage { PF_STORAGE_FP32, PF_STORAGE_BF16, PF_STORAGE_FP16 } pf_storage;
enum { PF_RECOMPUTE_OFF = 0, PF_RECOMPUTE_ON = -1 }; // ON: as many layers as take least memory

struct pf_attention_config {
    int32_t n_types;              // 0: type[0] holds for all layers; else one entry per layer
    uint8_t type[PF_MAX_LAYERS];  // pf_attention_type; read it with pf_config_layer_type
    pf_favor_kernel kernel;
    int32_t num_features;         // M
    double epsilon;               // added to each feature of a generalised kernel
    double softmax_epsilon;       // added to each feature of kernel softmax, of which the largest is 1
    pf_projection_kind projection;
    pf_row_norm row_norm;
    double oprf_s;                // above 0 once finished
    int64_t redraw_interval;      // training steps, 0: never
    bool renormalize;
    int32_t local_heads;          // the first heads do exact attention over a window
    int32_t window;
};

struct pf_masking_config {
    double fraction;              // of the residues are targets
    double mask, random, keep;    // what becomes of them; sum 1
};

struct pf_train_config {
    int64_t steps;
    int64_t batch_tokens;         // per optimiser step
    int64_t micro_batch_tokens;   // most on the device at once
    int32_t max_length;           // tokens, at most max_position_embeddings
    pf_crop crop;
    pf_packing packing;
    bool shuffle;
    int64_t seed, shuffle_seed;
    double learning_rate, weight_decay;
    int64_t warmup_steps;
    pf_schedule schedule;
    double clip_norm;             // 0: none
    double layer_decay;           // of the learning rate, from each layer to the one below
    char freeze[PF_PATTERNS_BYTES]; // names of tensors that stay as they are, "" for none; see docs/training.md
    struct pf_masking_config masking;
    int64_t eval_interval, checkpoint_interval; // 0: at the end only
    int64_t keep_checkpoints;
    double time_limit;            // seconds of this process, 0: none
    int64_t patience;             // evaluations without a better one until the run ends, 0: it goes on
    pf_class_weights class_weights;
    int32_t recompute;            // segments of so many layers keep their input only, and the backward pass
                                  // computes them again, to the same bits; or PF_RECOMPUTE_OFF, PF_RECOMPUTE_ON
};

struct pf_compute_config {
    pf_matmul_choice matmul;
    pf_storage storage; // of activations between the passes; forward and loss are fp32's, gradients see rounded ones
};

struct pf_config {
    pf_alphabet_kind alphabet;
    int32_t n_tokens; // of alphabet tokens: A
    char token[PF_MAX_VOCAB_SIZE][PF_TOKEN_BYTES];
    pf_objective objective;
    int32_t vocab_size;              // A
    int32_t hidden_size;             // D
    int32_t num_hidden_layers;
    int32_t num_attention_heads;     // H; E = D/H
    int32_t intermediate_size;       // F
    int32_t max_position_embeddings; // Lmax
    pf_position position_embedding_type;
    pf_activation hidden_act;
    bool attention_bias, tie_word_embeddings;
    double layer_norm_eps, hidden_dropout;
    pf_norm_placement norm_placement; // this and what follows: pieces of other families, off by default
    bool embedding_norm;              // a norm of the embedding sum
    bool token_dropout;               // ESM's scale of the token embeddings
    bool head_transform;              // dense, activation and norm in front of the head
    bool contact_head;                // carries ESM's regression from attention to contacts
    int32_t n_rotary_frequencies;     // 0: 10000^(-2i/E); else E/2
    double rotary_frequency[PF_MAX_HEAD_SIZE / 2];
    struct pf_attention_config attention;
    struct pf_task_config task;
    struct pf_lora_config lora;
    struct pf_train_config train;
    struct pf_compute_config compute;
};

// Where a configuration comes from decides the status of what is wrong with it.
typedef enum pf_config_source {
    PF_CONFIG_USER,  // --config, --set: PF_ERROR_USAGE
    PF_CONFIG_MODEL, // a model's or run's config.json: PF_ERROR_INPUT, and `format` must be there
} pf_config_source;

// What pf_config_write writes.
typedef enum pf_config_parts {
    PF_CONFIG_MODEL_KEYS = 1,
    PF_CONFIG_TRAIN_KEYS = 2,
    PF_CONFIG_COMPUTE_KEYS = 4,
    PF_CONFIG_ALL_KEYS = 7,
} pf_config_parts;

// Every key at its default; the sizes that have none are 0 until a layer gives them.
PF_API void pf_config_default(struct pf_config *config);

// Puts the keys of a JSON text on top of `config`. `name` (a path) stands in front of messages.
// Errors, by `source`: what is no JSON, a key twice, unknown (the nearest known one is named), of the
// wrong type or out of its range.
PF_API pf_status pf_config_read(struct pf_config *config, const char *json, size_t length, const char *name,
                                pf_config_source source);
// The same for a file of at most 1 MiB.
PF_API pf_status pf_config_read_file(struct pf_config *config, const char *path, pf_config_source source);

// Puts "key=value" on top, key dotted ("attention.kernel"). Errors: PF_ERROR_USAGE.
PF_API pf_status pf_config_set(struct pf_config *config, const char *setting);

// Puts a built-in configuration on top. Errors: PF_ERROR_USAGE, with the names there are.
PF_API pf_status pf_config_preset(struct pf_config *config, const char *name);
// Name of the i-th preset, NULL behind the last; one line about it; its JSON text.
PF_API const char *pf_preset_name(int i);
PF_API const char *pf_preset_summary(int i);
PF_API const char *pf_preset_text(int i);

// Fills in what follows from other keys (oprf_s, max_length, micro_batch_tokens, shuffle_seed) and
// checks that all required keys are there and agree. Errors, by `source`.
PF_API pf_status pf_config_finish(struct pf_config *config, pf_config_source source);

// The configuration as JSON, every key of `parts`; numbers come back with the same bits. Release
// *json with pf_release.
PF_API pf_status pf_config_write(const struct pf_config *config, unsigned parts, char **json);

// The first key of `parts` in which two configurations differ, NULL if there is none. `for_resume`
// passes over the keys that may change when a run goes on (docs/training.md).
PF_API const char *pf_config_difference(const struct pf_config *a, const struct pf_config *b, unsigned parts,
                                        bool for_resume);

// Help: every key with its values, default and meaning, a line each. Release *text with pf_release.
PF_API pf_status pf_config_help(char **text);

// Releases text that this library allocated; NULL is fine.
PF_API void pf_release(char *text);

PF_API pf_attention_type pf_config_layer_type(const struct pf_config *config, int layer);
// Whether layer's attention has a projection matrix [M,E].
PF_API bool pf_config_has_projection(const struct pf_config *config, int layer);
// Features per key and query: M, 2M for hyperbolic and trig, E without a projection.
PF_API int pf_config_feature_count(const struct pf_config *config);
PF_API int pf_config_head_size(const struct pf_config *config); // E
PF_API int pf_config_outputs(const struct pf_config *config);   // of the head: A, or C of a task, 1 for regression
PF_API bool pf_config_is_rotary(const struct pf_config *config);
PF_API bool pf_config_has_position_table(const struct pf_config *config); // a trained one [Lmax,D]

// As in configurations. pf_favor_kernel_read: PF_ERROR_USAGE with the names there are.
PF_API const char *pf_favor_kernel_name(pf_favor_kernel kernel);
PF_API pf_status pf_favor_kernel_read(const char *name, pf_favor_kernel *out);
PF_API bool pf_favor_kernel_is_softmax(pf_favor_kernel kernel); // estimates softmax attention

#ifdef __cplusplus
}
#endif
#endif
