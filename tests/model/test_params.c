// The table of parameters: every tensor of the page, each at its own aligned place, decay and roles
// right, for all kinds of models.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/params.h"
#include "support/suite.h"

static struct pf_config make_config(const char *const *settings)
{
    struct pf_config config;
    pf_config_default(&config);
    static const char *const sizes[] = {"hidden_size=24", "num_hidden_layers=3", "num_attention_heads=2",
                                        "intermediate_size=40", "max_position_embeddings=50", NULL};
    for (int i = 0; sizes[i]; i++) ck_assert_int_eq(pf_config_set(&config, sizes[i]), PF_OK);
    for (int i = 0; settings[i]; i++)
        ck_assert_msg(pf_config_set(&config, settings[i]) == PF_OK, "%s", pf_error_message());
    ck_assert_msg(pf_config_finish(&config, PF_CONFIG_USER) == PF_OK, "%s", pf_error_message());
    return config;
}

static const char *const kinds[][8] = {
    {NULL},
    {"attention_bias=true", "tie_word_embeddings=true", NULL},
    {"position_embedding_type=rotary", "attention.type=softmax", NULL},
    {"position_embedding_type=none", "attention.type=favor,softmax,favor", NULL},
    {"attention.projection=none", "attention.kernel=elu1", NULL},
    {"hidden_size=11", "num_attention_heads=1", "position_embedding_type=none", "attention_bias=true", NULL},
    {"task.type=classification", "task.classes=a,b,c", "head_transform=true", NULL},
    {"task.type=regression", "tie_word_embeddings=true", NULL},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static pf_parameters *create(const struct pf_config *config)
{
    pf_parameters *all = NULL;
    ck_assert_msg(pf_parameters_create(config, &all) == PF_OK, "%s", pf_error_message());
    return all;
}

static int compare_places(const void *a, const void *b)
{
    const pf_parameter *left = a, *right = b;
    if (left->is_trained != right->is_trained) return left->is_trained ? -1 : 1;
    return left->offset < right->offset ? -1 : 1;
}

START_TEST(tensors_lie_apart_aligned_and_inside)
{
    const struct pf_config config = make_config(kinds[_i]);
    pf_parameters *all = create(&config);
    qsort(all->tensor, (size_t)all->n_tensors, sizeof *all->tensor, compare_places);
    size_t end = 0;
    uint64_t trained = 0;
    for (int i = 0; i < all->n_tensors; i++) {
        const pf_parameter *tensor = &all->tensor[i];
        if (i && tensor->is_trained != all->tensor[i - 1].is_trained) end = 0;
        if (tensor->joins) ck_assert_uint_eq(tensor->offset, end);
        else ck_assert_uint_eq(tensor->offset % PF_TENSOR_ALIGNMENT, 0);
        ck_assert_uint_ge(tensor->offset, end);
        ck_assert_uint_lt(tensor->offset, end + PF_TENSOR_ALIGNMENT);
        end = tensor->offset + tensor->count;
        ck_assert_uint_le(end, tensor->is_trained ? all->trained_size : all->projections_size);
        if (tensor->is_trained) ck_assert_int_eq(tensor->is_decayed, tensor->offset < all->decayed_size);
        if (tensor->is_decayed) ck_assert_uint_le(end, all->decayed_size);
        trained += tensor->is_trained ? tensor->count : 0;
        ck_assert_uint_eq(tensor->count, tensor->shape[0] * (tensor->rank == 2 ? tensor->shape[1] : 1));
    }
    ck_assert_uint_eq(all->n_trained, trained);
    ck_assert_uint_eq(all->decayed_size % PF_TENSOR_ALIGNMENT, 0);
    pf_parameters_free(all);
}
END_TEST

// The page: matrices are decayed, but embeddings, tied or not; the projection is not trained.
START_TEST(decay_is_for_matrices_but_the_embeddings)
{
    const struct pf_config config = make_config(kinds[_i]);
    pf_parameters *all = create(&config);
    for (int i = 0; i < all->n_tensors; i++) {
        const pf_parameter *tensor = &all->tensor[i];
        const bool is_projection = strstr(tensor->name, "projection") != NULL;
        const bool is_embedding = strncmp(tensor->name, "embed.", 6) == 0;
        ck_assert_int_eq(tensor->is_trained, !is_projection);
        ck_assert_int_eq(tensor->is_decayed, tensor->rank == 2 && !is_embedding && !is_projection);
        ck_assert_ptr_eq(pf_parameters_find(all, tensor->name), tensor);
    }
    ck_assert_ptr_null(pf_parameters_find(all, "layers.3.attention.norm.weight"));
    pf_parameters_free(all);
}
END_TEST

static size_t offset_of(const pf_parameters *all, const char *name)
{
    const pf_parameter *tensor = pf_parameters_find(all, name);
    ck_assert_msg(tensor != NULL, "%s", name);
    return tensor->offset;
}

START_TEST(roles_are_the_tensors_of_their_names)
{
    const struct pf_config config = make_config(kinds[_i]);
    pf_parameters *all = create(&config);
    const pf_layer_parameters *layer = &all->layer[2];
    const size_t D = (size_t)config.hidden_size;
    ck_assert_uint_eq(layer->qkv_weight, offset_of(all, "layers.2.attention.query.weight"));
    ck_assert_uint_eq(layer->qkv_weight + D * D, offset_of(all, "layers.2.attention.key.weight"));
    ck_assert_uint_eq(layer->qkv_weight + 2 * D * D, offset_of(all, "layers.2.attention.value.weight"));
    ck_assert_uint_eq(layer->output_weight, offset_of(all, "layers.2.attention.output.weight"));
    ck_assert_uint_eq(layer->attention_norm_bias, offset_of(all, "layers.2.attention.norm.bias"));
    ck_assert_uint_eq(layer->feed_forward_norm_weight, offset_of(all, "layers.2.feed_forward.norm.weight"));
    ck_assert_uint_eq(layer->up_weight, offset_of(all, "layers.2.feed_forward.up.weight"));
    ck_assert_uint_eq(layer->down_bias, offset_of(all, "layers.2.feed_forward.down.bias"));
    ck_assert_uint_eq(all->norm_weight, offset_of(all, "norm.weight"));
    const bool is_task = config.task.type != PF_TASK_NONE;
    ck_assert_uint_eq(all->head_bias, offset_of(all, is_task ? "task.bias" : "head.bias"));
    if (is_task) {
        ck_assert_uint_eq(all->head_weight, offset_of(all, "task.weight"));
        ck_assert_int_eq((int)pf_parameters_find(all, "task.weight")->shape[0], pf_config_outputs(&config));
        for (int i = 0; i < all->n_tensors; i++) ck_assert_int_ne(strncmp(all->tensor[i].name, "head.", 5), 0);
    }
    if (config.attention_bias) {
        ck_assert_uint_eq(layer->qkv_bias + 2 * D, offset_of(all, "layers.2.attention.value.bias"));
    } else {
        ck_assert_uint_eq(layer->qkv_bias, PF_ABSENT);
        ck_assert_uint_eq(layer->output_bias, PF_ABSENT);
    }
    ck_assert_int_eq(config.tie_word_embeddings && !is_task, all->head_weight == all->token_embedding);
    ck_assert_int_eq(config.position_embedding_type == PF_POSITION_LEARNED, all->position_embedding != PF_ABSENT);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pf_config_has_projection(&config, i), all->layer[i].projection != PF_ABSENT);
    pf_parameters_free(all);
}
END_TEST

// Sizes that commands.md names, in millions.
START_TEST(presets_have_the_sizes_they_say)
{
    static const struct {
        const char *name;
        double millions;
    } sizes[] = {{"tiny", 0.8}, {"small", 7.4}, {"base", 38}, {"large", 148}, {"paper", 76}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct pf_config config;
        pf_config_default(&config);
        ck_assert_int_eq(pf_config_preset(&config, sizes[i].name), PF_OK);
        ck_assert_int_eq(pf_config_finish(&config, PF_CONFIG_USER), PF_OK);
        pf_parameters *all = create(&config);
        const double millions = (double)all->n_trained / 1e6;
        // Rounded to two digits on the page.
        ck_assert_msg(millions > 0.97 * sizes[i].millions && millions < 1.03 * sizes[i].millions, "%s: %g M",
                      sizes[i].name, millions);
        pf_parameters_free(all);
    }
}
END_TEST

START_TEST(the_largest_model_s_sizes_do_not_overflow)
{
    struct pf_config config = make_config(kinds[0]);
    config.hidden_size = PF_MAX_HIDDEN_SIZE;
    config.num_hidden_layers = PF_MAX_LAYERS;
    config.num_attention_heads = PF_MAX_HEADS;
    config.intermediate_size = PF_MAX_INTERMEDIATE;
    config.max_position_embeddings = PF_MAX_POSITIONS;
    pf_parameters *all = create(&config);
    const double D = PF_MAX_HIDDEN_SIZE, F = PF_MAX_INTERMEDIATE;
    const double expected = PF_MAX_LAYERS * (4 * D * D + 2 * D * F) + PF_MAX_POSITIONS * D;
    ck_assert((double)all->n_trained > expected && (double)all->n_trained < 1.001 * expected);
    ck_assert_uint_ge(all->trained_size, all->n_trained);
    pf_parameters_free(all);
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    const struct pf_config config = make_config(kinds[0]);
    pf_status status = PF_ERROR_FAILED;
    for (long n = 0; status != PF_OK; n++) {
        pf_parameters *all = NULL;
        pf_alloc_fail_after(n, _i);
        status = pf_parameters_create(&config, &all);
        pf_alloc_fail_after(-1, 0);
        ck_assert((all != NULL) == (status == PF_OK));
        pf_parameters_free(all);
    }
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("params");
    TCase *cases = tcase_create("params");
    tcase_add_loop_test(cases, tensors_lie_apart_aligned_and_inside, 0, KINDS);
    tcase_add_loop_test(cases, decay_is_for_matrices_but_the_embeddings, 0, KINDS);
    tcase_add_loop_test(cases, roles_are_the_tensors_of_their_names, 0, KINDS);
    tcase_add_test(cases, presets_have_the_sizes_they_say);
    tcase_add_test(cases, the_largest_model_s_sizes_do_not_overflow);
    tcase_add_loop_test(cases, no_memory_is_an_error, 0, 2);
    suite_add_tcase(suite, cases);
    return suite;
}
