// Finished models are opened with room for what is asked, give the golden logits however much room that is,
// and say what is wrong with options and files.
#include "performer/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/alphabet.h"
#include "data/batch.h"
#include "data/corpus.h"
#include "model/performer.h"
#include "performer/fasta.h"
#include "store/safetensors.h"
#include "support/device.h"
#include "support/suite.h"

static const char *const golden[] = {"mlm-learned-relu",          "mlm-learned-sigmoid-unnormalised",
                                     "mlm-sinusoidal-exact-tied", "clm-none-mixed-elu1",
                                     "clm-rotary-local-heads",    "clm-rotary-softmax"};
enum { GOLDEN = sizeof golden / sizeof *golden, LONGEST = 128 };

static const char *golden_path(const char *name, const char *file)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/golden/models/%s%s", PF_TEST_SOURCE, name, file);
    return path;
}

static pf_model *open_model(const char *name, const pf_model_options *options)
{
    pf_model *model = NULL;
    char *warnings = NULL;
    must(pf_model_open(test_device(), golden_path(name, ""), options, &model, &warnings));
    ck_assert_ptr_null(warnings);
    return model;
}

// Logits [rows, A] of a sequence on its own.
static int logits_of(pf_model *model, const char *sequence, float *out)
{
    const pf_pass pass = {0};
    pf_batch_builder builder;
    uint8_t residue[LONGEST];
    const size_t n = strlen(sequence);
    pf_alphabet_encode(residue, sequence, n);
    must(pf_batch_builder_create(&builder, LONGEST, 1));
    const int32_t row = pf_batch_builder_add(&builder, n + 2, 0);
    pf_alphabet_window(builder.token + row, residue, n, 0, n + 2);
    must(pf_model_forward(model, &builder.batch, &pass));
    must(pf_model_read_logits(model, out));
    pf_batch_builder_free(&builder);
    return (int)n + 2;
}

START_TEST(golden_logits)
{
    pf_model *model = open_model(golden[_i], &(pf_model_options){0});
    pf_safetensors *expected = NULL;
    pf_fasta *fasta = NULL;
    pf_fasta_record record;
    must(pf_safetensors_open(golden_path(golden[_i], "/expected.safetensors"), &expected));
    must(pf_fasta_open(golden_path("", "sequences.fasta"), &(pf_fasta_options){.keep_masks = true}, &fasta));
    int n_records = 0;
    for (; pf_fasta_next(fasta, &record) == PF_OK; n_records++) {
        static float got[LONGEST * PF_VOCAB_SIZE];
        static double want[LONGEST * PF_VOCAB_SIZE];
        const pf_tensor_info *tensor = pf_safetensors_find(expected, record.id);
        ck_assert_msg(tensor && tensor->type == PF_F64, "%s", record.id);
        ck_assert_uint_eq(tensor->count, (record.length + 2) * PF_VOCAB_SIZE);
        must(pf_safetensors_read(expected, tensor, want));
        ck_assert_int_eq(logits_of(model, record.sequence, got), (int)record.length + 2);
        // 1e-4 absolute is the golden cases' own bound; logits are of size 1, and float32 reaches 1e-6.
        for (size_t i = 0; i < tensor->count; i++)
            ck_assert_msg(fabs((double)got[i] - want[i]) <= 1e-4, "%s: %s[%zu]: %g, expected %g", golden[_i],
                          record.id, i, (double)got[i], want[i]);
    }
    ck_assert_int_eq(n_records, 5);
    pf_fasta_close(fasta);
    pf_safetensors_close(expected);
    pf_model_close(model);
}
END_TEST

START_TEST(more_room_changes_no_bit)
{
    static float before[LONGEST * PF_VOCAB_SIZE], after[LONGEST * PF_VOCAB_SIZE];
    static const char *const settings[] = {"compute.matmul=tile"};
    pf_model *model = open_model(golden[_i], &(pf_model_options){settings, 1, .batch_tokens = 30});
    const int rows = logits_of(model, "MQIFVKTLTGKTITLEVEPS", before);
    pf_model_limits limits = *pf_model_get_limits(model);
    ck_assert_int_eq(limits.max_rows, 30);
    limits.max_rows = 500;
    limits.max_sequences = 4;
    must(pf_model_resize(model, &limits));
    ck_assert_int_eq(pf_model_get_limits(model)->max_rows, 500);
    logits_of(model, "MQIFVKTLTGKTITLEVEPS", after);
    ck_assert_mem_eq(before, after, (size_t)rows * PF_VOCAB_SIZE * sizeof *before);
    pf_model_close(model);
}
END_TEST

START_TEST(rows_by_themselves_take_a_quarter_of_the_memory_at_most)
{
    pf_model *model = open_model("mlm-learned-relu", &(pf_model_options){0});
    const int32_t rows = pf_model_get_limits(model)->max_rows;
    ck_assert_int_ge(rows, 256);
    ck_assert_int_le(rows, 16384);
    ck_assert(rows == 256 || pf_plan_total_bytes(pf_model_plan(model), false) <=
                                 pf_device_describe(test_device())->global_bytes / 4);
    pf_model_close(model);
}
END_TEST

START_TEST(layers_are_counted_from_both_ends)
{
    static const int32_t layers[] = {0, 1, 2, -1, -2, -3};
    pf_model *model = open_model("mlm-learned-relu", &(pf_model_options){.layers = layers, .n_layers = 6});
    const pf_model_limits *limits = pf_model_get_limits(model);
    static const int32_t expected[] = {0, 1, -1, -1, 1, 0};
    ck_assert_int_eq(limits->n_captured, 6);
    ck_assert_mem_eq(limits->captured, expected, sizeof expected);
    pf_model_close(model);
}
END_TEST

static void refused(const char *path, const pf_model_options *options, pf_status status, const char *says)
{
    pf_model *model = NULL;
    char *warnings = NULL;
    ck_assert_int_eq(pf_model_open(test_device(), path, options, &model, &warnings), status);
    ck_assert_msg(strstr(pf_error_message(), says), "%s", pf_error_message());
    ck_assert_ptr_null(model);
    ck_assert_ptr_null(warnings);
}

START_TEST(wrong_options_are_refused)
{
    static const int32_t beyond[] = {3};
    static const char *const foreign[] = {"attention.kernel=exp"}, *const unknown[] = {
                                                                       "compute.matmul=abacus"};
    char path[600];
    snprintf(path, sizeof path, "%s", golden_path("mlm-learned-relu", ""));
    refused(path, &(pf_model_options){.layers = beyond, .n_layers = 1}, PF_ERROR_USAGE,
            "layer 3: the model has layers 0");
    refused(path, &(pf_model_options){.settings = foreign, .n_settings = 1}, PF_ERROR_USAGE,
            "attention.kernel=exp");
    refused(path, &(pf_model_options){.settings = unknown, .n_settings = 1}, PF_ERROR_USAGE,
            "compute.matmul");
    refused(path, &(pf_model_options){.carry = true}, PF_ERROR_USAGE, "causal");
    refused(path, &(pf_model_options){.max_length = 129}, PF_ERROR_USAGE, "129");
    refused(path, &(pf_model_options){.batch_tokens = -1}, PF_ERROR_USAGE, "-1");
    refused("/nowhere/at/all", &(pf_model_options){0}, PF_ERROR_INPUT, "/nowhere/at/all");
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("model in use");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, golden_logits, 0, GOLDEN);
    tcase_add_loop_test(all, more_room_changes_no_bit, 0, GOLDEN);
    tcase_add_test(all, rows_by_themselves_take_a_quarter_of_the_memory_at_most);
    tcase_add_test(all, layers_are_counted_from_both_ends);
    tcase_add_test(all, wrong_options_are_refused);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
