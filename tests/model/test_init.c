// Fresh parameters: the page's distributions, from the seed and the tensor's name alone.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/init.h"
#include "support/suite.h"

typedef struct fresh {
    struct pf_config config;
    pf_parameters *all;
    float *trained, *projections;
} fresh;

static fresh make(const char *extra, uint64_t seed)
{
    fresh model;
    pf_config_default(&model.config);
    const char *const settings[] = {"hidden_size=48", "num_hidden_layers=2", "num_attention_heads=3",
                                    "intermediate_size=96", "max_position_embeddings=40", extra};
    for (int i = 0; i < 6; i++) ck_assert_int_eq(pf_config_set(&model.config, settings[i]), PF_OK);
    ck_assert_int_eq(pf_config_finish(&model.config, PF_CONFIG_USER), PF_OK);
    ck_assert_int_eq(pf_parameters_create(&model.config, &model.all), PF_OK);
    model.trained = calloc(model.all->trained_size, sizeof(float));
    model.projections = calloc(model.all->projections_size, sizeof(float));
    ck_assert_int_eq(pf_init_parameters(&model.config, model.all, seed, model.trained, model.projections), PF_OK);
    return model;
}

static void release(fresh *model)
{
    pf_parameters_free(model->all);
    free(model->trained);
    free(model->projections);
}

static const float *numbers(const fresh *model, const char *name)
{
    const pf_parameter *tensor = pf_parameters_find(model->all, name);
    ck_assert_ptr_nonnull(tensor);
    return (tensor->is_trained ? model->trained : model->projections) + tensor->offset;
}

static void moments(const float *x, size_t count, double *mean, double *square, double *largest)
{
    *mean = *square = *largest = 0;
    for (size_t i = 0; i < count; i++) {
        *mean += (double)x[i] / (double)count;
        *square += (double)x[i] * (double)x[i] / (double)count;
        *largest = fmax(*largest, fabs((double)x[i]));
    }
}

// Means and mean squares within five standard errors of `count` independent numbers.
START_TEST(distributions_are_the_page_s)
{
    fresh model = make("tie_word_embeddings=false", 1);
    double mean, square, largest;
    const double bound = sqrt(6.0 / (96 + 48)), n = 96 * 48;
    moments(numbers(&model, "layers.1.feed_forward.up.weight"), 96 * 48, &mean, &square, &largest);
    ck_assert(largest <= bound && largest > 0.99 * bound);
    ck_assert(fabs(mean) < 5 * bound / sqrt(3 * n));
    ck_assert(fabs(square / (bound * bound / 3) - 1) < 5 * sqrt(0.8 / n));
    moments(numbers(&model, "embed.token.weight"), 29 * 48, &mean, &square, &largest);
    ck_assert(fabs(mean) < 5 / sqrt(29 * 48));
    ck_assert(fabs(square - 1) < 5 * sqrt(2.0 / (29 * 48)));
    for (int i = 0; i < 48; i++) {
        ck_assert(numbers(&model, "norm.weight")[i] == 1);
        ck_assert(numbers(&model, "layers.0.feed_forward.down.bias")[i] == 0);
    }
    release(&model);
    model = make("tie_word_embeddings=true", 1);
    moments(numbers(&model, "embed.token.weight"), 29 * 48, &mean, &square, &largest);
    ck_assert(fabs(48 * square - 1) < 5 * sqrt(2.0 / (29 * 48)));
    release(&model);
}
END_TEST

START_TEST(the_position_table_is_the_sinusoids)
{
    fresh model = make("objective=mlm", 1);
    const float *table = numbers(&model, "embed.position.weight");
    for (int p = 0; p < 40; p++)
        for (int i = 0; i < 24; i++) {
            const double angle = p * pow(10000, -2.0 * i / 48);
            ck_assert(table[p * 48 + 2 * i] == (float)sin(angle));
            ck_assert(table[p * 48 + 2 * i + 1] == (float)cos(angle));
        }
    float rows[2 * 48];
    pf_sinusoids(rows, 7, 2, 48, NULL);
    ck_assert_mem_eq(rows, table + 7 * 48, sizeof rows);
    release(&model);
}
END_TEST

START_TEST(numbers_follow_the_seed_and_the_name_alone)
{
    fresh one = make("objective=mlm", 1), two = make("position_embedding_type=rotary", 1), other = make("objective=mlm", 2);
    static const char *const names[] = {"embed.token.weight", "layers.1.attention.value.weight", "head.weight",
                                        "layers.0.attention.projection"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const size_t bytes = pf_parameters_find(one.all, names[i])->count * sizeof(float);
        ck_assert_mem_eq(numbers(&one, names[i]), numbers(&two, names[i]), bytes);
        ck_assert_mem_ne(numbers(&one, names[i]), numbers(&other, names[i]), bytes);
    }
    ck_assert_mem_ne(numbers(&one, "layers.0.attention.query.weight"), numbers(&one, "layers.0.attention.key.weight"), 64);
    ck_assert_mem_ne(numbers(&one, "layers.0.attention.projection"), numbers(&one, "layers.1.attention.projection"), 64);
    release(&one);
    release(&two);
    release(&other);
}
END_TEST

START_TEST(gaps_stay_zero)
{
    fresh model = make("objective=mlm", 1);
    char *used = calloc(model.all->trained_size, 1);
    for (int i = 0; i < model.all->n_tensors; i++)
        if (model.all->tensor[i].is_trained)
            memset(used + model.all->tensor[i].offset, 1, model.all->tensor[i].count);
    for (size_t i = 0; i < model.all->trained_size; i++)
        if (!used[i]) ck_assert(model.trained[i] == 0);
    free(used);
    release(&model);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("init");
    TCase *cases = tcase_create("init");
    tcase_add_test(cases, distributions_are_the_page_s);
    tcase_add_test(cases, the_position_table_is_the_sinusoids);
    tcase_add_test(cases, numbers_follow_the_seed_and_the_name_alone);
    tcase_add_test(cases, gaps_stay_zero);
    suite_add_tcase(suite, cases);
    return suite;
}
