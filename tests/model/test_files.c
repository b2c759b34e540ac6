// Model directories: golden models are read, what is saved loads bit for bit, and every tensor that
// does not fit is named.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/files.h"
#include "model/init.h"
#include "store/safetensors.h"
#include "support/suite.h"
#include "support/temporary.h"

static const char *const golden[] = {"models/clm-none-mixed-elu1", "models/clm-rotary-local-heads",
                                     "models/clm-rotary-softmax", "models/mlm-learned-relu",
                                     "models/mlm-learned-sigmoid-unnormalised", "models/mlm-sinusoidal-exact-tied",
                                     "training/model"};
enum { GOLDEN = sizeof golden / sizeof *golden };

static const char *golden_path(int i, const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/golden/%s%s", PF_TEST_SOURCE, golden[i], name);
    return path;
}

static pf_model_arrays *load(const char *directory)
{
    pf_model_arrays *arrays = NULL;
    ck_assert_msg(pf_model_load(directory, &arrays) == PF_OK, "%s", pf_error_message());
    return arrays;
}

START_TEST(golden_models_are_read)
{
    pf_model_arrays *arrays = load(golden_path(_i, ""));
    ck_assert_uint_eq(arrays->n_not_finite, 0);
    pf_safetensors *file = NULL;
    ck_assert_int_eq(pf_safetensors_open(golden_path(_i, "/model.safetensors"), &file), PF_OK);
    ck_assert_int_eq(pf_safetensors_count(file), arrays->parameters->n_tensors);
    for (int i = 0; i < arrays->parameters->n_tensors; i++) {
        const pf_parameter *tensor = &arrays->parameters->tensor[i];
        float *expected = malloc(tensor->count * sizeof *expected);
        ck_assert_int_eq(pf_safetensors_read(file, pf_safetensors_find(file, tensor->name), expected), PF_OK);
        const float *found = (tensor->is_trained ? arrays->trained : arrays->projections) + tensor->offset;
        ck_assert_mem_eq(found, expected, tensor->count * sizeof *expected);
        free(expected);
    }
    pf_safetensors_close(file);
    pf_model_arrays_free(arrays);
}
END_TEST

START_TEST(what_is_saved_loads_bit_for_bit)
{
    pf_model_arrays *arrays = load(golden_path(_i, ""));
    pf_manifest *manifest = NULL;
    ck_assert_int_eq(pf_model_arrays_set_source(arrays, "golden \"case\""), PF_OK);
    ck_assert_int_eq(pf_manifest_create(&manifest), PF_OK);
    ck_assert_int_eq(pf_model_save(temporary(""), arrays, PF_CONFIG_ALL_KEYS, manifest), PF_OK);
    ck_assert_int_eq(pf_manifest_write(manifest, temporary("")), PF_OK);
    ck_assert_msg(pf_manifest_verify(temporary("")) == PF_OK, "%s", pf_error_message());
    pf_model_arrays *back = load(temporary(""));
    ck_assert_ptr_null(pf_config_difference(&arrays->config, &back->config, PF_CONFIG_ALL_KEYS, false));
    ck_assert_mem_eq(arrays->trained, back->trained, arrays->parameters->trained_size * sizeof(float));
    ck_assert_mem_eq(arrays->projections, back->projections, arrays->parameters->projections_size * sizeof(float));
    ck_assert_str_eq(back->source, "golden \"case\"");
    pf_manifest_free(manifest);
    pf_model_arrays_free(arrays);
    pf_model_arrays_free(back);
}
END_TEST

// A model directory with a small fresh model; its configuration with one more setting.
static void save_small(const char *directory, const char *setting)
{
    struct pf_config config;
    pf_config_default(&config);
    const char *const settings[] = {"hidden_size=8", "num_hidden_layers=2", "num_attention_heads=2",
                                    "intermediate_size=12", "max_position_embeddings=10",
                                    "attention.num_features=5", setting};
    for (int i = 0; i < 7; i++) ck_assert_int_eq(pf_config_set(&config, settings[i]), PF_OK);
    ck_assert_int_eq(pf_config_finish(&config, PF_CONFIG_USER), PF_OK);
    pf_model_arrays *arrays = NULL;
    ck_assert_int_eq(pf_model_arrays_create(&config, &arrays), PF_OK);
    ck_assert_int_eq(pf_init_parameters(&config, arrays->parameters, 1, arrays->trained, arrays->projections), PF_OK);
    ck_assert_int_eq(pf_make_directory(directory), PF_OK);
    ck_assert_int_eq(pf_model_save(directory, arrays, PF_CONFIG_MODEL_KEYS, NULL), PF_OK);
    pf_model_arrays_free(arrays);
}

typedef struct misfit {
    const char *setting, *words; // the configuration says this, the file says another
} misfit;

static const misfit misfits[] = {
    {"tie_word_embeddings=true", "head.weight is unexpected"},
    {"attention_bias=true", "layers.0.attention.query.bias is missing"},
    {"position_embedding_type=rotary", "embed.position.weight is unexpected"},
    {"attention.type=softmax", "layers.1.attention.projection is unexpected"},
    {"attention.num_features=6", "layers.0.attention.projection has shape [5,4], expected [6,4]"},
    {"max_position_embeddings=11", "embed.position.weight has shape [10,8], expected [11,8]"},
    {"num_hidden_layers=3", "layers.2.attention.norm.weight is missing"},
    {"num_hidden_layers=1", "layers.1.attention"},
    {"hidden_size=16", "; and "},
    {"intermediate_size=13", "layers.0.feed_forward.up.bias has shape [12], expected [13]"},
};

START_TEST(tensors_that_do_not_fit_the_configuration_are_named)
{
    save_small(temporary("m"), "objective=mlm");
    save_small(temporary("other"), misfits[_i].setting);
    ck_assert_int_eq(rename(temporary("other/config.json"), temporary("m/config.json")), 0);
    pf_model_arrays *arrays = NULL;
    ck_assert_int_eq(pf_model_load(temporary("m"), &arrays), PF_ERROR_INPUT);
    ck_assert_ptr_null(arrays);
    ck_assert_msg(strstr(pf_error_message(), misfits[_i].words), "\"%s\" is not in \"%s\"", misfits[_i].words,
                  pf_error_message());
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "model.safetensors"));
}
END_TEST

START_TEST(a_tensor_of_another_type_is_named)
{
    const pf_tensor_spec tensor = {"head.bias", PF_F16, 1, {29}};
    const uint16_t numbers[29] = {0};
    save_small(temporary("m"), "objective=mlm");
    pf_safetensors_writer *writer = NULL;
    ck_assert_int_eq(pf_safetensors_writer_open(temporary("m/model.safetensors"), &tensor, 1, NULL, 0, &writer), PF_OK);
    ck_assert_int_eq(pf_safetensors_write(writer, numbers, sizeof numbers), PF_OK);
    ck_assert_int_eq(pf_safetensors_commit(writer, NULL), PF_OK);
    pf_model_arrays *arrays = NULL;
    ck_assert_int_eq(pf_model_load(temporary("m"), &arrays), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "embed.token.weight is missing; "));
    ck_assert_ptr_nonnull(strstr(pf_error_message(), " more"));
}
END_TEST

START_TEST(a_huge_configuration_beside_a_small_file_costs_no_memory)
{
    save_small(temporary("m"), "objective=mlm");
    const char *text = "{\"format\": \"performer-1\", \"hidden_size\": 65536, \"num_hidden_layers\": 1024,"
                       "\"num_attention_heads\": 1024, \"intermediate_size\": 262144,"
                       "\"max_position_embeddings\": 1048576}";
    ck_assert_int_eq(pf_write_file(temporary("m/config.json"), text, strlen(text), NULL), PF_OK);
    pf_model_arrays *arrays = NULL;
    ck_assert_int_eq(pf_model_load(temporary("m"), &arrays), PF_ERROR_INPUT);
}
END_TEST

START_TEST(numbers_that_are_not_finite_are_counted)
{
    pf_model_arrays *arrays = load(golden_path(0, ""));
    arrays->trained[arrays->parameters->norm_bias] = NAN;
    arrays->trained[arrays->parameters->norm_bias + 3] = -INFINITY;
    ck_assert_int_eq(pf_model_save(temporary(""), arrays, PF_CONFIG_MODEL_KEYS, NULL), PF_OK);
    pf_model_arrays_free(arrays);
    arrays = load(temporary(""));
    ck_assert_uint_eq(arrays->n_not_finite, 2);
    ck_assert_str_eq(arrays->not_finite->name, "norm.bias");
    pf_model_arrays_free(arrays);
}
END_TEST

static void assert_resolves(const char *path, const char *expected)
{
    char *directory = NULL;
    ck_assert_msg(pf_model_resolve(path, &directory, NULL) == PF_OK, "%s", pf_error_message());
    ck_assert_str_eq(directory, expected);
    pf_free(directory);
}

START_TEST(a_model_may_be_named_by_its_run_or_checkpoint)
{
    save_small(temporary("m"), "objective=mlm");
    assert_resolves(temporary("m"), temporary("m"));
    const char *checkpoint = temporary("run/checkpoints/step-000000000007");
    save_small(checkpoint, "objective=mlm");
    char *directory = NULL;
    ck_assert_int_eq(pf_model_resolve(temporary("run"), &directory, NULL), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "no complete checkpoint"));
    pf_manifest *manifest = NULL;
    char digest[65];
    ck_assert_int_eq(pf_file_sha256(temporary("run/checkpoints/step-000000000007/config.json"), digest, NULL), PF_OK);
    ck_assert_int_eq(pf_manifest_create(&manifest), PF_OK);
    ck_assert_int_eq(pf_manifest_add(manifest, checkpoint, "config.json", digest), PF_OK);
    ck_assert_int_eq(pf_manifest_write(manifest, checkpoint), PF_OK);
    pf_manifest_free(manifest);
    assert_resolves(temporary("run"), checkpoint);
    assert_resolves(checkpoint, checkpoint);
    ck_assert_int_eq(pf_write_file(temporary("run/checkpoints/step-000000000007/config.json"), "{", 1, NULL), PF_OK);
    ck_assert_int_eq(pf_model_resolve(checkpoint, &directory, NULL), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "its manifest says"));
    ck_assert_int_eq(pf_model_resolve(temporary("missing"), &directory, NULL), PF_ERROR_INPUT);
    ck_assert_int_eq(pf_model_resolve(temporary("m/config.json"), &directory, NULL), PF_ERROR_INPUT);
    ck_assert_int_eq(pf_model_resolve(temporary(""), &directory, NULL), PF_ERROR_INPUT);
    ck_assert_ptr_null(directory);
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    pf_status status = PF_ERROR_FAILED;
    pf_model_arrays *arrays = NULL;
    for (long n = 0; status != PF_OK; n++) {
        pf_alloc_fail_after(n, _i);
        status = pf_model_load(golden_path(3, ""), &arrays);
        pf_alloc_fail_after(-1, 0);
        ck_assert((arrays != NULL) == (status == PF_OK));
        ck_assert_int_lt(n, 300);
    }
    status = PF_ERROR_FAILED;
    for (long n = 0; status != PF_OK; n++) {
        pf_alloc_fail_after(n, _i);
        status = pf_model_save(temporary(""), arrays, PF_CONFIG_MODEL_KEYS, NULL);
        pf_alloc_fail_after(-1, 0);
        ck_assert_int_lt(n, 300);
    }
    pf_model_arrays_free(arrays);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("files");
    TCase *cases = tcase_create("files");
    tcase_add_checked_fixture(cases, temporary_create, temporary_remove);
    tcase_add_loop_test(cases, golden_models_are_read, 0, GOLDEN);
    tcase_add_loop_test(cases, what_is_saved_loads_bit_for_bit, 0, GOLDEN);
    tcase_add_loop_test(cases, tensors_that_do_not_fit_the_configuration_are_named, 0,
                        (int)(sizeof misfits / sizeof *misfits));
    tcase_add_test(cases, a_tensor_of_another_type_is_named);
    tcase_add_test(cases, a_huge_configuration_beside_a_small_file_costs_no_memory);
    tcase_add_test(cases, numbers_that_are_not_finite_are_counted);
    tcase_add_test(cases, a_model_may_be_named_by_its_run_or_checkpoint);
    tcase_add_loop_test(cases, no_memory_is_an_error, 0, 2);
    suite_add_tcase(suite, cases);
    return suite;
}
