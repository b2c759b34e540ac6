// What a run with --init takes of a model: all of it, or, where the task is another, its body with a fresh
// head.
#include <stdlib.h>
#include <string.h>

#include "api/training.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/files.h"
#include "performer/model_directory.h"
#include "support/suite.h"
#include "support/temporary.h"

#define must(call) ck_assert_msg((call) == PF_OK, "%s", pf_error_message())

enum { GIVEN = 1, OWN = 2 }; // seeds: equal tensors come from the model, fresh ones differ

static const char *const language[] = {"hidden_size=24", NULL};
static const char *const tied[] = {"tie_word_embeddings=true", "head_transform=true", NULL};
static const char *const two[] = {"task.type=classification", "task.classes=in,out", NULL};
static const char *const others[] = {"task.type=classification", "task.classes=in,wall", NULL};
static const char *const residues[] = {"task.type=classification", "task.classes=in,out",
                                       "task.level=residue", NULL};
static const char *const values[] = {"task.type=regression", NULL};
static const char *const scaled[] = {"task.type=regression", "task.mean=3", "task.deviation=2", NULL};

static struct pf_config make_config(const char *const *settings, uint64_t seed)
{
    static const char *const sizes[] = {
        "hidden_size=24",       "num_hidden_layers=2",        "num_attention_heads=2",
        "intermediate_size=40", "max_position_embeddings=40", "attention.num_features=8"};
    struct pf_config config;
    pf_config_default(&config);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) must(pf_config_set(&config, sizes[i]));
    for (; *settings; settings++) must(pf_config_set(&config, *settings));
    config.train.seed = (int64_t)seed;
    must(pf_config_finish(&config, PF_CONFIG_USER));
    return config;
}

static float *tensor(const pf_model_arrays *m, const char *name)
{
    const pf_parameter *t = pf_parameters_find(m->parameters, name);
    return t ? m->trained + t->offset : NULL;
}

typedef struct start {
    pf_training training;
    pf_model_arrays *given;
    pf_status status;
} start;

static start load(const char *const *given, const char *const *own)
{
    const struct pf_config config = make_config(given, GIVEN);
    start s = {0};
    must(pf_make_directory(temporary("given")));
    must(pf_model_init_directory(&config, GIVEN, "test", temporary("given")));
    must(pf_model_load(temporary("given"), &s.given));
    s.training.config = make_config(own, OWN);
    must(pf_copy_text(&s.training.init, temporary("given")));
    s.status = pf_training_load_start(&s.training);
    return s;
}

static void end(start *s)
{
    pf_model_arrays_free(s->training.host);
    pf_model_arrays_free(s->given);
    pf_free(s->training.init);
}

static bool is_taken(const start *s, const char *name)
{
    const float *from = tensor(s->given, name), *to = tensor(s->training.host, name);
    ck_assert_msg(to != NULL, "%s", name);
    return from && memcmp(from, to, 24 * sizeof *to) == 0;
}

static void has_body(const start *s)
{
    static const char *const body[] = {"embed.token.weight", "layers.0.attention.query.weight",
                                       "layers.1.feed_forward.up.weight"};
    must(s->status);
    for (size_t i = 0; i < sizeof body / sizeof *body; i++) ck_assert(is_taken(s, body[i]));
}

static const struct {
    const char *const *given, *const *own;
    bool takes_head;
} cases[] = {{language, two, false}, {tied, NULL, false},  {two, two, true},      {two, others, false},
             {two, residues, false}, {two, values, false}, {values, scaled, true}};

START_TEST(the_body_is_taken_and_the_head_of_the_same_task)
{
    static const char *const tied_values[] = {"tie_word_embeddings=true", "head_transform=true",
                                              "task.type=regression", NULL};
    start s = load(cases[_i].given, cases[_i].own ? cases[_i].own : tied_values);
    has_body(&s);
    ck_assert_int_eq(is_taken(&s, "task.weight"), cases[_i].takes_head);
    end(&s);
}
END_TEST

START_TEST(a_task_s_model_gives_its_body_to_a_language_model)
{
    start s = load(two, language);
    has_body(&s);
    ck_assert(!is_taken(&s, "head.weight"));
    end(&s);
}
END_TEST

START_TEST(a_language_model_s_own_head_must_still_fit)
{
    start s = load(language, tied);
    ck_assert_int_eq(s.status, PF_ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "head."));
    end(&s);
}
END_TEST

START_TEST(a_body_of_other_sizes_is_refused_for_a_task_too)
{
    static const char *const wider[] = {"task.type=regression", "intermediate_size=48", NULL};
    start s = load(language, wider);
    ck_assert_int_eq(s.status, PF_ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "feed_forward"));
    end(&s);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("training_start");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, temporary_create, temporary_remove);
    tcase_add_loop_test(all, the_body_is_taken_and_the_head_of_the_same_task, 0,
                        sizeof cases / sizeof *cases);
    tcase_add_test(all, a_task_s_model_gives_its_body_to_a_language_model);
    tcase_add_test(all, a_language_model_s_own_head_must_still_fit);
    tcase_add_test(all, a_body_of_other_sizes_is_refused_for_a_task_too);
    suite_add_tcase(s, all);
    return s;
}
