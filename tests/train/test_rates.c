// Learning rates of tensors: what is frozen, and what the layers' decay makes of the others.
#include "train/rates.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ops/adamw.h"
#include "support/suite.h"

static struct pf_config make_config(const char *first, const char *second)
{
    const char *const settings[] = {"hidden_size=32",
                                    "num_hidden_layers=3",
                                    "num_attention_heads=2",
                                    "intermediate_size=64",
                                    "max_position_embeddings=50",
                                    first,
                                    second};
    struct pf_config config;
    pf_config_default(&config);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        ck_assert_msg(pf_config_set(&config, settings[i]) == PF_OK, "%s", pf_error_message());
    ck_assert_msg(pf_config_finish(&config, PF_CONFIG_USER) == PF_OK, "%s", pf_error_message());
    return config;
}

typedef struct fixture {
    pf_parameters *all;
    pf_rates rates;
    pf_status status;
} fixture;

static fixture make(const char *first, const char *second)
{
    const struct pf_config config = make_config(first, second);
    fixture f = {0};
    ck_assert_int_eq(pf_parameters_create(&config, &f.all), PF_OK);
    f.status = pf_rates_create(&config, f.all, &f.rates);
    return f;
}

static void end(fixture *f)
{
    pf_rates_free(&f->rates);
    pf_parameters_free(f->all);
}

static float rate_of(const fixture *f, const char *name)
{
    const pf_parameter *tensor = pf_parameters_find(f->all, name);
    ck_assert_msg(tensor, "%s", name);
    const size_t first = tensor->offset / PF_RATE_BLOCK,
                 last = (tensor->offset + tensor->count - 1) / PF_RATE_BLOCK;
    for (size_t block = first; block <= last; block++)
        ck_assert(f->rates.rate[block] == f->rates.rate[first]);
    return f->rates.rate[first];
}

START_TEST(without_either_key_there_is_no_table)
{
    fixture f = make("train.layer_decay=1", "train.freeze=");
    ck_assert_int_eq(f.status, PF_OK);
    ck_assert_ptr_null(f.rates.rate);
    ck_assert_int_eq(f.rates.lowest, -1);
    end(&f);
}
END_TEST

START_TEST(patterns_freeze_what_they_name)
{
    fixture f = make("train.layer_decay=1", "train.freeze=layers.1.*,*.norm.bias");
    ck_assert_int_eq(f.status, PF_OK);
    ck_assert(rate_of(&f, "layers.1.feed_forward.up.weight") == 0);
    ck_assert(rate_of(&f, "layers.0.attention.norm.bias") == 0);
    ck_assert(rate_of(&f, "layers.0.attention.norm.weight") == 1);
    ck_assert(rate_of(&f, "embed.token.weight") == 1);
    ck_assert(rate_of(&f, "norm.bias") == 1); // has nothing in front of its dot
    ck_assert_int_eq(f.rates.lowest, -1);
    end(&f);
}
END_TEST

static const struct {
    const char *freeze;
    int lowest;
} depths[] = {{"embed.*", 0},
              {"embed.*,layers.0.*", 1},
              {"embed.*,layers.1.*", 0},
              {"embed.*,layers.[01].*,layers.2.attention.*", 2},
              {"embed.*,layers.*", 3}};

START_TEST(backward_ends_at_the_lowest_layer_that_is_trained)
{
    char setting[100];
    snprintf(setting, sizeof setting, "train.freeze=%s", depths[_i].freeze);
    fixture f = make("train.layer_decay=1", setting);
    ck_assert_int_eq(f.status, PF_OK);
    ck_assert_int_eq(f.rates.lowest, depths[_i].lowest);
    end(&f);
}
END_TEST

// Adapters need no table of rates, and none of what they leave as it is needs a backward pass.
START_TEST(below_the_lowest_adapters_there_is_no_backward_pass)
{
    fixture all = make("lora.rank=2", "train.freeze="),
            some = make("lora.rank=2", "lora.targets=layers.[12].*.up");
    ck_assert_int_eq(all.status, PF_OK);
    ck_assert_int_eq(some.status, PF_OK);
    ck_assert_ptr_null(some.rates.rate);
    ck_assert_int_eq(all.rates.lowest, 0);
    ck_assert_int_eq(some.rates.lowest, 1);
    end(&all);
    end(&some);
    fixture frozen = make("lora.rank=2", "train.freeze=layers.0.*,*.lora_down.*");
    ck_assert_int_eq(frozen.status, PF_OK);
    ck_assert_int_eq(frozen.rates.lowest, 1);
    ck_assert(rate_of(&frozen, "layers.1.attention.value.lora_down.weight") == 0);
    ck_assert(rate_of(&frozen, "layers.1.attention.value.lora_up.weight") == 1);
    end(&frozen);
}
END_TEST

START_TEST(layers_learn_the_slower_the_lower_they_are)
{
    fixture f = make("train.layer_decay=0.5", "train.freeze=layers.2.attention.*");
    ck_assert_int_eq(f.status, PF_OK);
    ck_assert(rate_of(&f, "head.weight") == 1);
    ck_assert(rate_of(&f, "norm.weight") == 1);
    ck_assert(rate_of(&f, "layers.2.feed_forward.up.weight") == 0.5f);
    ck_assert(rate_of(&f, "layers.2.attention.output.weight") == 0);
    ck_assert(rate_of(&f, "layers.0.attention.query.weight") == 0.125f);
    ck_assert(rate_of(&f, "embed.token.weight") == 0.0625f);
    end(&f);
}
END_TEST

START_TEST(a_task_s_head_learns_as_a_language_model_s)
{
    fixture f = make("train.layer_decay=0.5", "task.type=regression");
    ck_assert_int_eq(f.status, PF_OK);
    ck_assert(rate_of(&f, "task.weight") == 1);
    ck_assert(rate_of(&f, "task.bias") == 1);
    ck_assert(rate_of(&f, "embed.token.weight") == 0.0625f);
    end(&f);
    f = make("train.freeze=embed.*,layers.*,norm.*", "task.type=regression"); // the head alone
    ck_assert_int_eq(f.status, PF_OK);
    ck_assert(rate_of(&f, "task.weight") == 1);
    ck_assert_int_eq(f.rates.lowest, 3);
    end(&f);
}
END_TEST

static pf_status add_up(void *context, size_t begin, size_t stop)
{
    *(size_t *)context += stop - begin;
    return PF_OK;
}

START_TEST(runs_of_frozen_numbers_are_all_of_them)
{
    fixture f = make("train.layer_decay=1", "train.freeze=layers.*");
    size_t found = 0, expected = 0;
    for (size_t block = 0; block < f.rates.count; block++)
        expected += f.rates.rate[block] == 0 ? PF_RATE_BLOCK : 0;
    ck_assert_int_eq(pf_rates_for_each_frozen(&f.rates, f.all->trained_size, add_up, &found), PF_OK);
    ck_assert_uint_eq(found, expected);
    ck_assert_uint_gt(found, 3 * 2 * 32 * 64);
    end(&f);
}
END_TEST

static const struct {
    const char *freeze, *says;
} wrong[] = {{"layers.7.*", "layers.7.* is no trained tensor's name"},
             {"embed.*,", ""},
             {"attention", "attention is no trained tensor's name"},
             {"layers.0.attention.projection", "is no trained tensor's name"},
             {"*", "leaves no tensor to train"},
             {"layers.0.attention.key.bias", "cannot be frozen apart"}};

START_TEST(what_cannot_be_frozen_is_named)
{
    char setting[100];
    snprintf(setting, sizeof setting, "train.freeze=%s", wrong[_i].freeze);
    fixture f = make("attention_bias=true", setting);
    if (*wrong[_i].says) {
        ck_assert_int_eq(f.status, PF_ERROR_USAGE);
        ck_assert_msg(strstr(pf_error_message(), wrong[_i].says), "%s", pf_error_message());
        ck_assert_ptr_null(f.rates.rate);
    } else
        ck_assert_int_eq(f.status, PF_OK); // a comma at the end names nothing
    end(&f);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("train/rates");
    TCase *tests = tcase_create("rates");
    tcase_add_test(tests, without_either_key_there_is_no_table);
    tcase_add_test(tests, patterns_freeze_what_they_name);
    tcase_add_loop_test(tests, backward_ends_at_the_lowest_layer_that_is_trained, 0,
                        sizeof depths / sizeof *depths);
    tcase_add_test(tests, below_the_lowest_adapters_there_is_no_backward_pass);
    tcase_add_test(tests, layers_learn_the_slower_the_lower_they_are);
    tcase_add_test(tests, a_task_s_head_learns_as_a_language_model_s);
    tcase_add_test(tests, runs_of_frozen_numbers_are_all_of_them);
    tcase_add_loop_test(tests, what_cannot_be_frozen_is_named, 0, sizeof wrong / sizeof *wrong);
    suite_add_tcase(s, tests);
    return s;
}
