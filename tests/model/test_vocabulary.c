// An alphabet of a model's own: which token of batches is which of its numbers, and what it must have. And
// the other keys of imported families.
#include "model/vocabulary.h"

#include <stdio.h>
#include <string.h>

#include "data/alphabet.h"
#include "support/suite.h"

#define AMINO_ACIDS "A C D E F G H I K L M N P Q R S T V W Y "
#define ESM "<cls> <pad> <eos> <unk> L A G V S E R T I D P K Q N F Y M H W C X B U Z O . - <null_1> <mask>"
#define BERT "[PAD] [UNK] [CLS] [SEP] [MASK] L A G V E S I K R D T P N Q F Y M H C W X U B Z O"

// The configuration that has these tokens, set as a user would.
static struct pf_config with_tokens(const char *tokens)
{
    struct pf_config config;
    char setting[2000] = "tokens=[", copy[1000], size[40], *at = copy;
    int count = 0;
    snprintf(copy, sizeof copy, "%s", tokens);
    for (const char *token; (token = strsep(&at, " "));) {
        if (!*token) continue;
        const size_t used = strlen(setting);
        snprintf(setting + used, sizeof setting - used, "%s\"%s\"", count++ ? "," : "", token);
    }
    strcat(setting, "]");
    pf_config_default(&config);
    ck_assert_int_eq(pf_config_set(&config, setting), PF_OK);
    snprintf(size, sizeof size, "vocab_size=%d", count);
    ck_assert_int_eq(pf_config_set(&config, size), PF_OK);
    ck_assert_int_eq(pf_config_set(&config, "alphabet=tokens"), PF_OK);
    return config;
}

START_TEST(without_tokens_numbers_stay)
{
    struct pf_config config;
    pf_config_default(&config);
    ck_assert_int_eq(pf_vocabulary_check(&config, PF_ERROR_USAGE), PF_OK);
    const pf_vocabulary v = pf_vocabulary_of(&config);
    for (int t = 0; t < PF_BATCH_TOKENS; t++) ck_assert_int_eq(v.number[t], t);
    ck_assert_int_eq(v.first_residue, 0);
    ck_assert_int_eq(v.last_residue, PF_RESIDUES - 1);
}
END_TEST

static const struct {
    const char *tokens;
    int first, last, begin, end, pad, mask;
} families[] = {{ESM, 4, 28, 0, 2, 1, 32}, {BERT, 5, 29, 2, 3, 0, 4}};

START_TEST(letters_are_found_where_the_family_has_them)
{
    const struct pf_config config = with_tokens(families[_i].tokens);
    ck_assert_msg(pf_vocabulary_check(&config, PF_ERROR_USAGE) == PF_OK, "%s", pf_error_message());
    const pf_vocabulary v = pf_vocabulary_of(&config);
    for (int t = 0; t < PF_RESIDUES; t++) {
        const char letter[] = {pf_alphabet_letter(t), '\0'};
        ck_assert_str_eq(config.token[v.number[t]], letter);
    }
    ck_assert_int_eq(v.first_residue, families[_i].first);
    ck_assert_int_eq(v.last_residue, families[_i].last);
    ck_assert_int_eq(v.number[PF_TOKEN_BEGIN], families[_i].begin);
    ck_assert_int_eq(v.number[PF_TOKEN_END], families[_i].end);
    ck_assert_int_eq(v.number[PF_TOKEN_PAD], families[_i].pad);
    ck_assert_int_eq(v.number[PF_TOKEN_MASK], families[_i].mask);
}
END_TEST

START_TEST(a_rare_letter_that_is_missing_counts_as_x_or_unknown)
{
    struct pf_config config = with_tokens("<cls> <eos> <mask> X " AMINO_ACIDS);
    ck_assert_int_eq(pf_vocabulary_check(&config, PF_ERROR_USAGE), PF_OK);
    ck_assert_int_eq(pf_vocabulary_of(&config).number[20], 3); // B
    config = with_tokens("<cls> <eos> <mask> " AMINO_ACIDS "<unk>");
    ck_assert_int_eq(pf_vocabulary_check(&config, PF_ERROR_USAGE), PF_OK);
    ck_assert_int_eq(pf_vocabulary_of(&config).number[PF_TOKEN_X], 23);
    config = with_tokens("<cls> <eos> X " AMINO_ACIDS); // no mask: for a causal model
    config.objective = PF_OBJECTIVE_CLM;
    ck_assert_int_eq(pf_vocabulary_check(&config, PF_ERROR_USAGE), PF_OK);
}
END_TEST

static const struct {
    const char *tokens, *message;
} bad[] = {
    {"<cls> <eos> <mask> X A C D E F G H I K L M N P Q R S T V W", "there is no Y"},
    {"<cls> <eos> <mask> " AMINO_ACIDS, "there is no B"},
    {"<eos> <mask> X " AMINO_ACIDS, "there is no <cls>"},
    {"<cls> <eos> X " AMINO_ACIDS, "there is no <mask>"},
    {"<cls> <eos> X <mask> " AMINO_ACIDS, "<mask> stands among the residues"},
};

START_TEST(what_is_missing_is_named)
{
    const struct pf_config config = with_tokens(bad[_i].tokens);
    ck_assert_int_eq(pf_vocabulary_check(&config, PF_ERROR_INPUT), PF_ERROR_INPUT);
    ck_assert_msg(strstr(pf_error_message(), bad[_i].message), "%s", pf_error_message());
}
END_TEST

START_TEST(sizes_and_lists_agree)
{
    struct pf_config config = with_tokens(ESM);
    config.vocab_size = 64;
    ck_assert_int_eq(pf_vocabulary_check(&config, PF_ERROR_USAGE), PF_ERROR_USAGE);
    ck_assert(strstr(pf_error_message(), "vocab_size 64, but tokens lists 33"));
    config = with_tokens(ESM);
    config.alphabet = PF_ALPHABET_PROTEIN_29;
    ck_assert_int_eq(pf_vocabulary_check(&config, PF_ERROR_USAGE), PF_ERROR_USAGE);
    ck_assert(strstr(pf_error_message(), "alphabet is protein-29"));
}
END_TEST

START_TEST(tokens_are_written_and_read_back)
{
    static const char *const sizes[] = {"hidden_size=32", "num_hidden_layers=1", "num_attention_heads=2",
                                        "intermediate_size=8", "max_position_embeddings=64"};
    struct pf_config config = with_tokens(ESM), back;
    char *json = NULL;
    for (int i = 0; i < 5; i++) ck_assert_int_eq(pf_config_set(&config, sizes[i]), PF_OK);
    ck_assert_int_eq(pf_config_finish(&config, PF_CONFIG_USER), PF_OK);
    ck_assert_int_eq(pf_config_write(&config, PF_CONFIG_MODEL_KEYS, &json), PF_OK);
    pf_config_default(&back);
    ck_assert_int_eq(pf_config_read(&back, json, strlen(json), "c.json", PF_CONFIG_MODEL), PF_OK);
    ck_assert_ptr_null(pf_config_difference(&config, &back, PF_CONFIG_MODEL_KEYS, false));
    strcpy(back.token[32], "<MASK>");
    ck_assert_str_eq(pf_config_difference(&config, &back, PF_CONFIG_MODEL_KEYS, false), "tokens");
    pf_release(json);
}
END_TEST

static const struct {
    const char *setting, *message;
} disagreements[] = {
    {"norm_placement=post", "norm_placement post needs embedding_norm true"},
    {"token_dropout=true", "token_dropout needs objective mlm"},
    {"rotary_frequencies=[1]", "rotary_frequencies lists 1 numbers, position_embedding_type is not rotary"},
};

START_TEST(keys_of_families_that_disagree_are_refused)
{
    static const char *const sizes[] = {
        "hidden_size=32",      "num_hidden_layers=1",        "num_attention_heads=2",
        "intermediate_size=8", "max_position_embeddings=64", "objective=clm"};
    struct pf_config config;
    pf_config_default(&config);
    for (int i = 0; i < 6; i++) ck_assert_int_eq(pf_config_set(&config, sizes[i]), PF_OK);
    ck_assert_int_eq(pf_config_set(&config, disagreements[_i].setting), PF_OK);
    ck_assert_int_eq(pf_config_finish(&config, PF_CONFIG_USER), PF_ERROR_USAGE);
    ck_assert_msg(strstr(pf_error_message(), disagreements[_i].message), "%s", pf_error_message());
}
END_TEST

static const struct {
    const char *setting, *message;
} bad_settings[] = {
    {"tokens=[\"A\"]", "tokens: [\"A\"], expected a list of 2 to 256"},
    {"tokens=[\"A\",\"A\"]", "tokens: \"A\""},
    {"tokens=[\"A\",\"\"]", "tokens: \"\""},
    {"tokens=[\"A\",\"1234567890123456\"]", "of 1 to 15 bytes"},
    {"rotary_frequencies=[1,-1]", "rotary_frequencies: -1"},
    {"vocab_size=257", "vocab_size: 257"},
    {"rotary_frequencies=1", "expected a list of numbers from 0"},
    {"norm_placement=middle", "expected one of pre, post"},
};

START_TEST(a_bad_setting_is_refused_by_name)
{
    struct pf_config config;
    pf_config_default(&config);
    ck_assert_int_eq(pf_config_set(&config, bad_settings[_i].setting), PF_ERROR_USAGE);
    ck_assert_msg(strstr(pf_error_message(), bad_settings[_i].message), "%s", pf_error_message());
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("vocabulary");
    TCase *all = tcase_create("all");
    tcase_add_test(all, without_tokens_numbers_stay);
    tcase_add_loop_test(all, letters_are_found_where_the_family_has_them, 0, 2);
    tcase_add_test(all, a_rare_letter_that_is_missing_counts_as_x_or_unknown);
    tcase_add_loop_test(all, what_is_missing_is_named, 0, (int)(sizeof bad / sizeof *bad));
    tcase_add_test(all, sizes_and_lists_agree);
    tcase_add_test(all, tokens_are_written_and_read_back);
    tcase_add_loop_test(all, keys_of_families_that_disagree_are_refused, 0, 3);
    tcase_add_loop_test(all, a_bad_setting_is_refused_by_name, 0,
                        (int)(sizeof bad_settings / sizeof *bad_settings));
    suite_add_tcase(s, all);
    return s;
}
