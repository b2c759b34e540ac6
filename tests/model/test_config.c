// Configurations: what is allowed is read, what is not is refused by the key's name, and what is
// written reads back the same.
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "model/config_keys.h"
#include "performer/config.h"
#include "support/suite.h"
#include "support/temporary.h"

#define SIZES                                                                   \
    "\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":4,"     \
    "\"intermediate_size\":64,\"max_position_embeddings\":128"

static pf_status read_text(struct pf_config *config, const char *text, pf_config_source source)
{
    return pf_config_read(config, text, strlen(text), "c.json", source);
}

static struct pf_config small(void)
{
    struct pf_config config;
    pf_config_default(&config);
    ck_assert_int_eq(read_text(&config, "{" SIZES "}", PF_CONFIG_USER), PF_OK);
    return config;
}

static void assert_message_has(const char *words)
{
    ck_assert_msg(strstr(pf_error_message(), words), "\"%s\" is not in \"%s\"", words, pf_error_message());
}

START_TEST(left_out_keys_have_the_page_s_defaults)
{
    struct pf_config config = small();
    ck_assert_int_eq(pf_config_finish(&config, PF_CONFIG_USER), PF_OK);
    ck_assert_int_eq(config.objective, PF_OBJECTIVE_MLM);
    ck_assert_int_eq(config.vocab_size, 29);
    ck_assert_int_eq(config.position_embedding_type, PF_POSITION_LEARNED);
    ck_assert_int_eq(config.hidden_act, PF_ACTIVATION_GELU);
    ck_assert(config.layer_norm_eps == 1e-6 && config.hidden_dropout == 0.1);
    ck_assert(!config.attention_bias && !config.tie_word_embeddings && config.attention.renormalize);
    ck_assert_int_eq(config.attention.kernel, PF_FAVOR_RELU);
    ck_assert_int_eq(config.attention.num_features, 256);
    ck_assert(config.attention.epsilon == 1e-3 && config.attention.oprf_s == 8 / 16.0);
    ck_assert_int_eq(config.attention.redraw_interval, 1000);
    ck_assert_int_eq(config.attention.window, 128);
    ck_assert_int_eq(config.train.steps, 10000);
    ck_assert_int_eq(config.train.micro_batch_tokens, 8192 + 2048);
    ck_assert_int_eq(config.train.max_length, 128);
    ck_assert_int_eq(config.train.shuffle_seed, 0);
    ck_assert(config.train.shuffle && config.train.clip_norm == 0.5 && config.train.masking.mask == 0.8);
    ck_assert_int_eq(config.train.keep_checkpoints, 3);
}
END_TEST

typedef struct bad_text {
    const char *text, *message;
} bad_text;

static const bad_text bad_texts[] = {
    {"", "line 1"},
    {"[]", "expected a JSON object"},
    {"{\"hidden_size\": 32,}", "line 1"},
    {"{\"hidden_size\": 32} x", "line 1"},
    {"{\"hidden_size\": 32, \"hidden_size\": 32}", "duplicate"},
    {"{\"hiden_size\": 32}", "hiden_size is not known; the nearest known key is hidden_size"},
    {"{\"kernel\": \"relu\"}", "the nearest known key is attention.kernel"},
    {"{\"attention\": {\"feature\": 3}}", "attention.feature is not known; the nearest known key is attention."},
    {"{\"attention.kernel\": \"relu\"}", "attention.kernel is not known"},
    {"{\"train\": {\"masking\": {\"mask\": 2}}}", "train.masking.mask: 2, expected a number from 0 and up to 1"},
    {"{\"train\": 3}", "train: expected an object"},
    {"{\"train\": {\"masking\": 0.15}}", "train.masking: expected an object"},
    {"{\"hidden_size\": {}}", "hidden_size: {}, expected a whole number from 1 to 65536"},
    {"{\"hidden_size\": 32.0}", "hidden_size: 32.0, expected a whole number"},
    {"{\"hidden_size\": \"32\"}", "hidden_size: \"32\", expected a whole number"},
    {"{\"hidden_size\": 0}", "hidden_size: 0"}, {"{\"hidden_size\": -1}", "hidden_size: -1"},
    {"{\"hidden_size\": 65537}", "hidden_size: 65537"},
    {"{\"hidden_size\": 4294967328}", "hidden_size: 4294967328"},
    {"{\"hidden_size\": 9223372036854775808}", "too big"},
    {"{\"num_hidden_layers\": 1025}", "num_hidden_layers: 1025"},
    {"{\"num_attention_heads\": 0}", "num_attention_heads"},
    {"{\"max_position_embeddings\": 1048577}", "max_position_embeddings"},
    {"{\"layer_norm_eps\": 1e400}", "line 1"}, {"{\"layer_norm_eps\": NaN}", "line 1"},
    {"{\"layer_norm_eps\": -1e-9}", "layer_norm_eps"},
    {"{\"hidden_dropout\": 1}", "hidden_dropout: 1, expected a number from 0 and below 1"},
    {"{\"hidden_dropout\": true}", "hidden_dropout: true"},
    {"{\"attention_bias\": 0}", "attention_bias: 0, expected true or false"},
    {"{\"attention_bias\": null}", "attention_bias: null"},
    {"{\"objective\": \"MLM\"}", "objective: \"MLM\", expected one of mlm, clm"},
    {"{\"objective\": 1}", "objective: 1"},
    {"{\"format\": \"performer-2\"}", "format: \"performer-2\", expected performer-1"},
    {"{\"alphabet\": \"dna\"}", "alphabet: \"dna\", expected one of protein-29, tokens"},
    {"{\"attention\": {\"type\": []}}", "attention.type"},
    {"{\"attention\": {\"type\": [\"favor\", \"exact\"]}}", "attention.type: \"exact\", expected one of favor"},
    {"{\"attention\": {\"oprf_s\": 0}}", "attention.oprf_s"},
    {"{\"attention\": {\"window\": 0}}", "attention.window"},
    {"{\"train\": {\"steps\": 0}}", "train.steps"},
    {"{\"train\": {\"keep_checkpoints\": 0}}", "train.keep_checkpoints"},
    {"{\"compute\": {\"matmul\": \"cublas\"}}", "compute.matmul: \"cublas\", expected one of auto, clblast, tile"},
    {"{\"\\u001b[2J\": 1}", "\\x1b[2J"},
    {"{\"objective\": \"\\u001b[2J\"}", "objective"},
};

START_TEST(a_bad_text_is_refused_by_name_and_changes_nothing)
{
    struct pf_config config = small();
    const struct pf_config before = config;
    ck_assert_int_eq(read_text(&config, bad_texts[_i].text, PF_CONFIG_USER), PF_ERROR_USAGE);
    assert_message_has("c.json: ");
    assert_message_has(bad_texts[_i].message);
    ck_assert_ptr_null(strchr(pf_error_message(), '\x1b'));
    ck_assert_mem_eq(&config, &before, sizeof config);
    ck_assert_int_eq(read_text(&config, bad_texts[_i].text, PF_CONFIG_MODEL), PF_ERROR_INPUT);
}
END_TEST

static const bad_text disagreements[] = {
    {"{\"num_attention_heads\": 5}", "hidden_size 32 is not a multiple of num_attention_heads 5"},
    {"{\"hidden_size\": 1024}", "heads of 256"},
    {"{\"hidden_size\": 36, \"position_embedding_type\": \"rotary\"}", "rotary"},
    {"{\"hidden_size\": 33, \"num_attention_heads\": 1}", "even hidden_size"},
    {"{\"hidden_size\": 33, \"num_attention_heads\": 1, \"position_embedding_type\": \"sinusoidal\"}", "even"},
    {"{\"hidden_size\": 48, \"attention\": {\"projection\": \"hadamard\"}}", "power of two, not 12"},
    {"{\"attention\": {\"projection\": \"none\", \"kernel\": \"softmax\"}}", "attention.projection none"},
    {"{\"attention\": {\"projection\": \"none\", \"kernel\": \"softmax_trig\"}}", "softmax_trig"},
    {"{\"attention\": {\"type\": [\"favor\"]}}", "lists 1 layers, num_hidden_layers is 2"},
    {"{\"attention\": {\"local_heads\": 5}}", "local_heads 5"},
    {"{\"vocab_size\": 30}", "vocab_size 30, alphabet protein-29 has 29 tokens"},
    {"{\"train\": {\"max_length\": 129}}", "train.max_length 129"},
    {"{\"train\": {\"micro_batch_tokens\": 127}}", "micro_batch_tokens 127"},
    {"{\"train\": {\"masking\": {\"mask\": 0.7}}}", "add up to 0.9"},
};

START_TEST(keys_that_disagree_are_refused)
{
    struct pf_config config = small();
    ck_assert_msg(read_text(&config, disagreements[_i].text, PF_CONFIG_USER) == PF_OK, "%s", pf_error_message());
    const struct pf_config before = config;
    ck_assert_int_eq(pf_config_finish(&config, PF_CONFIG_USER), PF_ERROR_USAGE);
    assert_message_has(disagreements[_i].message);
    ck_assert_mem_eq(&config, &before, sizeof config);
    ck_assert_int_eq(pf_config_finish(&config, PF_CONFIG_MODEL), PF_ERROR_INPUT);
}
END_TEST

static const char *const agreements[] = {
    "{\"hidden_size\": 33, \"num_attention_heads\": 1, \"position_embedding_type\": \"none\"}",
    "{\"hidden_size\": 512, \"position_embedding_type\": \"rotary\"}",
    "{\"attention\": {\"projection\": \"none\", \"kernel\": \"elu1\", \"type\": [\"favor\", \"softmax\"]}}",
    "{\"attention\": {\"projection\": \"hadamard\", \"local_heads\": 4, \"window\": 1, \"epsilon\": 0}}",
    "{\"train\": {\"max_length\": 2, \"micro_batch_tokens\": 2, \"batch_tokens\": 2, \"clip_norm\": 0}}",
    "{\"train\": {\"seed\": 9007199254740992, \"time_limit\": 0.5, \"masking\":"
    " {\"mask\": 1, \"random\": 0, \"keep\": 0}}}",
    "{\"format\": \"performer-1\", \"alphabet\": \"protein-29\", \"vocab_size\": 29,"
    " \"compute\": {\"storage\": \"bf16\"}}",
};

START_TEST(the_edges_of_what_is_allowed_are_allowed)
{
    struct pf_config config = small();
    ck_assert_msg(read_text(&config, agreements[_i], PF_CONFIG_USER) == PF_OK, "%s", pf_error_message());
    ck_assert_msg(pf_config_finish(&config, PF_CONFIG_USER) == PF_OK, "%s", pf_error_message());
}
END_TEST

START_TEST(required_keys_must_come_from_somewhere)
{
    struct pf_config config;
    pf_config_default(&config);
    ck_assert_int_eq(pf_config_finish(&config, PF_CONFIG_USER), PF_ERROR_USAGE);
    assert_message_has("hidden_size is missing");
    config = small();
    config.max_position_embeddings = 0;
    ck_assert_int_eq(pf_config_finish(&config, PF_CONFIG_MODEL), PF_ERROR_INPUT);
    assert_message_has("max_position_embeddings is missing");
    ck_assert_int_eq(read_text(&config, "{" SIZES "}", PF_CONFIG_MODEL), PF_ERROR_INPUT);
    assert_message_has("format is missing");
}
END_TEST

START_TEST(single_settings_go_on_top)
{
    struct pf_config config = small();
    ck_assert_int_eq(pf_config_set(&config, "attention.kernel=softmax"), PF_OK);
    ck_assert_int_eq(pf_config_set(&config, "train.learning_rate=2e-4"), PF_OK);
    ck_assert_int_eq(pf_config_set(&config, "train.weight_decay=.5"), PF_OK);
    ck_assert_int_eq(pf_config_set(&config, "train.steps=7"), PF_OK);
    ck_assert_int_eq(pf_config_set(&config, "tie_word_embeddings=true"), PF_OK);
    ck_assert_int_eq(pf_config_set(&config, "attention.type=favor,softmax"), PF_OK);
    ck_assert_int_eq(config.attention.kernel, PF_FAVOR_SOFTMAX);
    ck_assert(config.train.learning_rate == 2e-4 && config.train.weight_decay == 0.5);
    ck_assert_int_eq(config.train.steps, 7);
    ck_assert(config.tie_word_embeddings);
    ck_assert_int_eq(config.attention.n_types, 2);
    ck_assert_int_eq(pf_config_layer_type(&config, 0), PF_ATTENTION_FAVOR);
    ck_assert_int_eq(pf_config_layer_type(&config, 1), PF_ATTENTION_SOFTMAX);
    ck_assert_int_eq(pf_config_set(&config, "attention.type=[\"softmax\"]"), PF_OK);
    ck_assert_int_eq(config.attention.n_types, 1);
    ck_assert_int_eq(pf_config_set(&config, "attention.type=softmax"), PF_OK);
    ck_assert_int_eq(config.attention.n_types, 0);
    ck_assert_int_eq(pf_config_layer_type(&config, 1), PF_ATTENTION_SOFTMAX);
}
END_TEST

static const bad_text bad_settings[] = {
    {"train.steps", "expected key=value"},
    {"train.steps=", "train.steps: \"\", expected a whole number"},
    {"train.steps=12abc", "train.steps: \"12abc\""},
    {"train.steps=1e3", "train.steps"},
    {"train.steps= 1", "train.steps"},
    {"train.learning_rate=nan", "train.learning_rate"},
    {"train.learning_rate=1,5", "train.learning_rate"},
    {"train.shuffle=1", "train.shuffle: \"1\", expected true or false"},
    {"train.stps=3", "train.stps is not known; the nearest known key is train.steps"},
    {"train=3", "group"}, {"=3", "nearest"},
    {"train.recompute=0", "train.recompute: 0, expected one of off, on or a whole number from 1 to 1024"},
    {"attention.kernel=\xff", "attention.kernel"},
    {"attention.type=favor,", "attention.type"},
    {"format=performer-2", "format"},
};

START_TEST(a_bad_setting_is_refused_by_name_and_changes_nothing)
{
    struct pf_config config = small();
    const struct pf_config before = config;
    ck_assert_int_eq(pf_config_set(&config, bad_settings[_i].text), PF_ERROR_USAGE);
    assert_message_has("--set");
    assert_message_has(bad_settings[_i].message);
    ck_assert_mem_eq(&config, &before, sizeof config);
}
END_TEST

// A random legal value for every key that is stored.
static void randomise(struct pf_config *config, uint64_t draw)
{
    for (int i = 0; i < pf_config_key_count; i++) {
        const pf_key *key = &pf_config_keys[i];
        void *at = pf_key_at(key, config);
        const double u = pf_random_uniform(9, PF_RANDOM_TEST, draw, (uint64_t)i);
        const double high = key->high < 1e4 ? key->high : 1e4;
        const double value = key->low + u * (high - key->low);
        int count = 0;
        while (key->choices && key->choices[count]) count++;
        if (key->type == PF_KEY_SIZE) *(int32_t *)at = (int32_t)value;
        if (key->type == PF_KEY_COUNT) *(int64_t *)at = (int64_t)value;
        if (key->type == PF_KEY_NUMBER) *(double *)at = value;
        if (key->type == PF_KEY_FLAG) *(bool *)at = u < 0.5;
        if (key->type == PF_KEY_CHOICE) *(int32_t *)at = (int32_t)(u * count);
        if (key->type == PF_KEY_WORD_OR_SIZE) *(int32_t *)at = u < 0.5 ? (int32_t)value : -(u < 0.75);
    }
    config->attention.n_types = draw % 2 ? config->num_hidden_layers % 9 : 0;
    for (int i = 0; i < config->attention.n_types; i++) config->attention.type[i] = (uint8_t)(draw >> i & 1);
}

START_TEST(what_is_written_reads_back_bit_for_bit)
{
    struct pf_config config, back;
    pf_config_default(&config);
    randomise(&config, (uint64_t)_i);
    char *json = NULL;
    ck_assert_int_eq(pf_config_write(&config, PF_CONFIG_ALL_KEYS, &json), PF_OK);
    pf_config_default(&back);
    ck_assert_msg(read_text(&back, json, PF_CONFIG_MODEL) == PF_OK, "%s\n%s", pf_error_message(), json);
    pf_release(json);
    ck_assert_ptr_null(pf_config_difference(&config, &back, PF_CONFIG_ALL_KEYS, false));
    ck_assert_mem_eq(&config, &back, sizeof config);
}
END_TEST

START_TEST(parts_are_written_apart)
{
    struct pf_config config = small();
    char *json = NULL;
    ck_assert_int_eq(pf_config_write(&config, PF_CONFIG_MODEL_KEYS, &json), PF_OK);
    ck_assert_ptr_nonnull(strstr(json, "\"format\": \"performer-1\""));
    ck_assert_ptr_nonnull(strstr(json, "\"attention\": {"));
    ck_assert_ptr_null(strstr(json, "train"));
    ck_assert_ptr_null(strstr(json, "compute"));
    pf_release(json);
}
END_TEST

START_TEST(differences_are_named)
{
    const struct pf_config config = small();
    struct pf_config other = config;
    other.train.steps = 5;
    other.compute.storage = PF_STORAGE_BF16;
    other.train.recompute = PF_RECOMPUTE_ON;
    ck_assert_ptr_null(pf_config_difference(&config, &other, PF_CONFIG_ALL_KEYS, true));
    ck_assert_str_eq(pf_config_difference(&config, &other, PF_CONFIG_ALL_KEYS, false), "train.steps");
    other.train.learning_rate = 1;
    ck_assert_str_eq(pf_config_difference(&config, &other, PF_CONFIG_ALL_KEYS, true), "train.learning_rate");
    ck_assert_ptr_null(pf_config_difference(&config, &other, PF_CONFIG_MODEL_KEYS, true));
    other = config;
    other.attention.n_types = 2; // the same types, said otherwise
    ck_assert_ptr_null(pf_config_difference(&config, &other, PF_CONFIG_ALL_KEYS, false));
    other.attention.type[1] = PF_ATTENTION_SOFTMAX;
    ck_assert_str_eq(pf_config_difference(&config, &other, PF_CONFIG_ALL_KEYS, false), "attention.type");
}
END_TEST

START_TEST(every_preset_is_complete)
{
    for (int i = 0; pf_preset_name(i); i++) {
        struct pf_config config;
        pf_config_default(&config);
        ck_assert_msg(pf_config_preset(&config, pf_preset_name(i)) == PF_OK, "%s", pf_error_message());
        ck_assert_msg(pf_config_finish(&config, PF_CONFIG_USER) == PF_OK, "%s", pf_error_message());
        ck_assert_int_eq(pf_config_head_size(&config), 64);
        ck_assert_uint_gt(strlen(pf_preset_summary(i)), 10);
    }
    struct pf_config config;
    pf_config_default(&config);
    ck_assert_int_eq(pf_config_preset(&config, "huge"), PF_ERROR_USAGE);
    assert_message_has("tiny, small, base, large or paper");
}
END_TEST

START_TEST(help_names_every_key)
{
    char *help = NULL;
    ck_assert_int_eq(pf_config_help(&help), PF_OK);
    for (int i = 0; i < pf_config_key_count; i++)
        ck_assert_ptr_nonnull(strstr(help, pf_config_keys[i].name));
    pf_release(help);
}
END_TEST

START_TEST(the_golden_models_configurations_are_read)
{
    static const char *const names[] = {"models/clm-none-mixed-elu1", "models/clm-rotary-local-heads",
                                        "models/clm-rotary-softmax", "models/mlm-learned-relu",
                                        "models/mlm-learned-sigmoid-unnormalised",
                                        "models/mlm-sinusoidal-exact-tied", "training/model"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/golden/%s/config.json", PF_TEST_SOURCE, names[i]);
        struct pf_config config;
        pf_config_default(&config);
        ck_assert_msg(pf_config_read_file(&config, path, PF_CONFIG_MODEL) == PF_OK, "%s", pf_error_message());
        ck_assert_msg(pf_config_finish(&config, PF_CONFIG_MODEL) == PF_OK, "%s", pf_error_message());
        ck_assert_int_eq(config.hidden_size, 32);
    }
}
END_TEST

START_TEST(files_that_cannot_be_read_are_the_caller_s_kind_of_error)
{
    struct pf_config config = small();
    ck_assert_int_eq(pf_config_read_file(&config, temporary("none.json"), PF_CONFIG_USER), PF_ERROR_USAGE);
    ck_assert_int_eq(pf_config_read_file(&config, temporary("none.json"), PF_CONFIG_MODEL), PF_ERROR_INPUT);
    assert_message_has("none.json");
}
END_TEST

// Layers, memory failing at each allocation in turn: an error, nothing changed, nothing leaked.
START_TEST(no_memory_is_an_error)
{
    struct pf_config config = small();
    pf_status status = PF_ERROR_FAILED;
    for (long n = 0; status != PF_OK; n++) {
        char *json = NULL;
        pf_alloc_fail_after(n, _i);
        status = pf_config_write(&config, PF_CONFIG_ALL_KEYS, &json);
        pf_alloc_fail_after(-1, 0);
        ck_assert((json != NULL) == (status == PF_OK));
        pf_release(json);
        ck_assert_int_lt(n, 100);
    }
}
END_TEST

Suite *suite(void)
{
#define LOOP(test, table) tcase_add_loop_test(cases, test, 0, (int)(sizeof(table) / sizeof *(table)))
    Suite *suite = suite_create("config");
    TCase *cases = tcase_create("config");
    tcase_add_checked_fixture(cases, temporary_create, temporary_remove);
    tcase_add_test(cases, left_out_keys_have_the_page_s_defaults);
    LOOP(a_bad_text_is_refused_by_name_and_changes_nothing, bad_texts);
    LOOP(keys_that_disagree_are_refused, disagreements);
    LOOP(the_edges_of_what_is_allowed_are_allowed, agreements);
    tcase_add_test(cases, required_keys_must_come_from_somewhere);
    tcase_add_test(cases, single_settings_go_on_top);
    LOOP(a_bad_setting_is_refused_by_name_and_changes_nothing, bad_settings);
    tcase_add_loop_test(cases, what_is_written_reads_back_bit_for_bit, 0, 40);
    tcase_add_test(cases, parts_are_written_apart);
    tcase_add_test(cases, differences_are_named);
    tcase_add_test(cases, every_preset_is_complete);
    tcase_add_test(cases, help_names_every_key);
    tcase_add_test(cases, the_golden_models_configurations_are_read);
    tcase_add_test(cases, files_that_cannot_be_read_are_the_caller_s_kind_of_error);
    tcase_add_loop_test(cases, no_memory_is_an_error, 0, 2);
    suite_add_tcase(suite, cases);
    return suite;
}
