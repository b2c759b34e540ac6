// Configurations: defaults, single settings, what follows from other keys, and what must agree. See
// performer/config.h; reading and writing JSON is config_json.c, the table of keys config_keys.c.
#include "performer/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "model/config_keys.h"
#include "model/lora.h"
#include "model/vocabulary.h"

static void set_default(const pf_key *key, struct pf_config *config)
{
    void *at = pf_key_at(key, config);
    switch (key->type) {
    case PF_KEY_SIZE:
    case PF_KEY_WORD_OR_SIZE:
    case PF_KEY_CHOICE: {
        const int32_t value = (int32_t)key->fallback;
        memcpy(at, &value, sizeof value);
        break;
    }
    case PF_KEY_COUNT: {
        const int64_t value = (int64_t)key->fallback;
        memcpy(at, &value, sizeof value);
        break;
    }
    case PF_KEY_NUMBER:
        memcpy(at, &key->fallback, sizeof key->fallback);
        break;
    case PF_KEY_FLAG:
        *(bool *)at = key->fallback != 0;
        break;
    case PF_KEY_CONSTANT:
    case PF_KEY_TYPES: // all zero: favor everywhere
    case PF_KEY_TEXTS:
    case PF_KEY_NUMBERS:
    case PF_KEY_TEXT:
        break;
    }
}

void pf_config_default(struct pf_config *config)
{
    memset(config, 0, sizeof *config);
    for (int i = 0; i < pf_config_key_count; i++) set_default(&pf_config_keys[i], config);
}

pf_attention_type pf_config_layer_type(const struct pf_config *config, int layer)
{
    return (pf_attention_type)config->attention.type[config->attention.n_types ? layer : 0];
}

bool pf_config_has_projection(const struct pf_config *config, int layer)
{
    return pf_config_layer_type(config, layer) == PF_ATTENTION_FAVOR &&
           config->attention.projection != PF_PROJECTION_NONE;
}

int pf_config_head_size(const struct pf_config *config)
{
    return config->hidden_size / config->num_attention_heads;
}

bool pf_config_is_rotary(const struct pf_config *config)
{
    return config->position_embedding_type == PF_POSITION_ROTARY ||
           config->position_embedding_type == PF_POSITION_LEARNED_ROTARY;
}

bool pf_config_has_position_table(const struct pf_config *config)
{
    return config->position_embedding_type == PF_POSITION_LEARNED ||
           config->position_embedding_type == PF_POSITION_LEARNED_ROTARY;
}

int pf_config_feature_count(const struct pf_config *config)
{
    const struct pf_attention_config *attention = &config->attention;
    if (attention->projection == PF_PROJECTION_NONE) return pf_config_head_size(config);
    const bool is_pair =
        attention->kernel == PF_FAVOR_SOFTMAX_HYPERBOLIC || attention->kernel == PF_FAVOR_SOFTMAX_TRIG;
    return is_pair ? 2 * attention->num_features : attention->num_features;
}

int pf_config_outputs(const struct pf_config *config)
{
    switch (config->task.type) {
    case PF_TASK_NONE:
        return config->vocab_size;
    case PF_TASK_REGRESSION:
        return 1;
    case PF_TASK_CLASSIFICATION:
        return config->task.n_classes;
    }
    return 0;
}

const char *pf_favor_kernel_name(pf_favor_kernel kernel)
{
    return pf_key_find("attention.kernel")->choices[kernel];
}

pf_status pf_favor_kernel_read(const char *name, pf_favor_kernel *out)
{
    const pf_key *key = pf_key_find("attention.kernel");
    for (int i = 0; key->choices[i]; i++) {
        if (strcmp(name, key->choices[i]) != 0) continue;
        *out = (pf_favor_kernel)i;
        return PF_OK;
    }
    char allowed[400];
    pf_key_allowed(key, allowed, sizeof allowed);
    return pf_fail(PF_ERROR_USAGE, "kernel %.80s: expected one of %s", name, allowed);
}

bool pf_favor_kernel_is_softmax(pf_favor_kernel kernel)
{
    return kernel == PF_FAVOR_SOFTMAX || kernel == PF_FAVOR_SOFTMAX_HYPERBOLIC ||
           kernel == PF_FAVOR_SOFTMAX_TRIG || kernel == PF_FAVOR_SOFTMAX_OPRF;
}

void pf_release(char *text)
{
    pf_free(text);
}

// --- finishing ----------------------------------------------------------------------------------

static pf_status check_required(const struct pf_config *config, pf_status code)
{
    for (int i = 0; i < pf_config_key_count; i++) {
        const pf_key *key = &pf_config_keys[i];
        if (!key->required) continue;
        int32_t value; // all required keys are sizes
        memcpy(&value, pf_key_in(key, config), sizeof value);
        char allowed[400];
        pf_key_allowed(key, allowed, sizeof allowed);
        PF_CHECK(value != 0, code, "key %s is missing, expected %s", key->name, allowed);
    }
    return PF_OK;
}

static pf_status check_shape(const struct pf_config *config, pf_status code)
{
    const int D = config->hidden_size, H = config->num_attention_heads;
    PF_CHECK(D % H == 0, code, "hidden_size %d is not a multiple of num_attention_heads %d", D, H);
    const int E = D / H;
    PF_CHECK(E <= PF_MAX_HEAD_SIZE, code,
             "hidden_size %d over num_attention_heads %d gives heads of %d numbers, at most %d are allowed", D, H, E,
             PF_MAX_HEAD_SIZE);
    const bool is_rotary = pf_config_is_rotary(config);
    PF_CHECK(!is_rotary || E % 2 == 0, code,
             "position_embedding_type rotary needs heads of an even size, hidden_size %d over "
             "num_attention_heads %d gives %d",
             D, H, E);
    PF_CHECK(config->n_rotary_frequencies == 0 || (is_rotary && config->n_rotary_frequencies == E / 2), code,
             "rotary_frequencies lists %d numbers, %s", config->n_rotary_frequencies,
             is_rotary ? "expected half of a head's size" : "position_embedding_type is not rotary");
    const bool needs_even =
        pf_config_has_position_table(config) || config->position_embedding_type == PF_POSITION_SINUSOIDAL;
    PF_CHECK(!needs_even || D % 2 == 0, code,
             "position_embedding_type learned and sinusoidal need an even hidden_size, not %d", D);
    return PF_OK;
}

// Pieces of other families that need one another.
static pf_status check_family(const struct pf_config *config, pf_status code)
{
    PF_CHECK(config->norm_placement != PF_NORM_POST || config->embedding_norm, code,
             "norm_placement post needs embedding_norm true: a layer's first norm is the one in front of it");
    PF_CHECK(!config->token_dropout || config->objective == PF_OBJECTIVE_MLM, code,
             "token_dropout needs objective mlm: it counts the masks of the whole sequence");
    return PF_OK;
}

static pf_status check_attention(const struct pf_config *config, pf_status code)
{
    const struct pf_attention_config *attention = &config->attention;
    const int E = pf_config_head_size(config);
    PF_CHECK(attention->n_types == 0 || attention->n_types == config->num_hidden_layers, code,
             "attention.type lists %d layers, num_hidden_layers is %d", attention->n_types,
             config->num_hidden_layers);
    PF_CHECK(attention->projection != PF_PROJECTION_HADAMARD || (E & (E - 1)) == 0, code,
             "attention.projection hadamard needs heads whose size is a power of two, not %d", E);
    PF_CHECK(attention->projection != PF_PROJECTION_NONE || !pf_favor_kernel_is_softmax(attention->kernel), code,
             "attention.projection none is for generalised kernels, attention.kernel is %s",
             pf_favor_kernel_name(attention->kernel));
    PF_CHECK(attention->softmax_epsilon == 0 ||
                 (attention->kernel == PF_FAVOR_SOFTMAX && attention->renormalize && config->objective == PF_OBJECTIVE_MLM),
             code, "attention.softmax_epsilon needs attention.kernel softmax, attention.renormalize true and objective mlm; "
                   "attention.softmax_epsilon=0 goes with all of them");
    PF_CHECK(attention->local_heads <= config->num_attention_heads, code,
             "attention.local_heads %d is more than num_attention_heads %d", attention->local_heads,
             config->num_attention_heads);
    return PF_OK;
}

static pf_status check_task(const struct pf_config *config, pf_status code)
{
    const bool has_classes = config->task.n_classes > 0, needs = config->task.type == PF_TASK_CLASSIFICATION;
    PF_CHECK(has_classes == needs, code, needs ? "task.type classification needs task.classes: a list of names"
                                               : "task.classes is set, expected task.type classification beside it");
    PF_CHECK(config->task.type == PF_TASK_NONE || config->objective == PF_OBJECTIVE_MLM, code,
             "task.type needs objective mlm: a head for labels sees the whole sequence");
    return PF_OK;
}

static pf_status check_training(const struct pf_config *config, pf_status code)
{
    const struct pf_train_config *train = &config->train;
    PF_CHECK(train->max_length <= config->max_position_embeddings, code,
             "train.max_length %d is more than max_position_embeddings %d", train->max_length,
             config->max_position_embeddings);
    PF_CHECK(train->micro_batch_tokens >= train->max_length, code,
             "train.micro_batch_tokens %lld is less than train.max_length %d: the longest sequence must fit",
             (long long)train->micro_batch_tokens, train->max_length);
    const struct pf_masking_config *masking = &train->masking;
    const double sum = masking->mask + masking->random + masking->keep;
    PF_CHECK(fabs(sum - 1) <= 1e-6, code, "train.masking.mask, random and keep add up to %g, expected 1", sum);
    return PF_OK;
}

static void fill_in(struct pf_config *config)
{
    if (config->lora.rank > 0 && !config->lora.targets[0]) strcpy(config->lora.targets, "query,value");
    struct pf_train_config *train = &config->train;
    if (config->attention.oprf_s == 0) config->attention.oprf_s = pf_config_head_size(config) / 16.0;
    if (train->max_length == 0) train->max_length = config->max_position_embeddings;
    if (train->shuffle_seed < 0) train->shuffle_seed = train->seed;
    if (train->micro_batch_tokens == 0) {
        train->micro_batch_tokens = train->batch_tokens + train->batch_tokens / 4;
        if (train->micro_batch_tokens < train->max_length) train->micro_batch_tokens = train->max_length;
    }
}

pf_status pf_config_finish(struct pf_config *config, pf_config_source source)
{
    const pf_status code = source == PF_CONFIG_USER ? PF_ERROR_USAGE : PF_ERROR_INPUT;
    struct pf_config finished = *config;
    PF_TRY(check_required(&finished, code));
    PF_TRY(pf_vocabulary_check(&finished, code));
    PF_TRY(check_shape(&finished, code));
    PF_TRY(check_family(&finished, code));
    PF_TRY(check_attention(&finished, code));
    PF_TRY(check_task(&finished, code));
    PF_TRY(pf_lora_check(&finished, code));
    fill_in(&finished);
    PF_TRY(check_training(&finished, code));
    *config = finished;
    return PF_OK;
}
