// Reading a run directory: what config.json and metrics.jsonl say, with and without a checkpoint, whole and
// cut short.
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "performer/run.h"
#include "support/suite.h"
#include "support/temporary.h"

static const char config[] =
    "{\"format\": \"performer-1\", \"hidden_size\": 32, \"num_hidden_layers\": 1, "
    "\"num_attention_heads\": 2, \"intermediate_size\": 48, \"max_position_embeddings\": 40, "
    "\"train\": {\"steps\": 7}}";
static const char step[] =
    "{\"step\": %d, \"loss\": 2.5, \"tokens\": 100, \"learning_rate\": 0.001, \"grad_norm\": 0.5, "
    "\"tokens_per_s\": 200, \"time\": %d}\n";

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(temporary(name), "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static void remove_file(const char *name)
{
    ck_assert_int_eq(remove(temporary(name)), 0);
}

// Two steps, an evaluation with this perplexity, and what follows it.
static void write_history(const char *perplexity, const char *rest)
{
    char text[2048];
    size_t used = (size_t)snprintf(text, sizeof text, step, 1, 1);
    used += (size_t)snprintf(text + used, sizeof text - used, step, 2, 3);
    snprintf(text + used, sizeof text - used,
             "{\"step\": 2, \"valid_loss\": 3, \"valid_perplexity\": %s, \"valid_accuracy\": 0.25}\n%s",
             perplexity, rest);
    write_text("config.json", config);
    write_text("metrics.jsonl", text);
}

START_TEST(a_history_is_read_with_tokens_added_up)
{
    pf_run *run = NULL;
    write_history("20.5", "{\"step\": 3, \"lo");
    ck_assert_int_eq(pf_run_read(temporary(""), &run), PF_OK);
    ck_assert_int_eq(run->n_steps, 2);
    ck_assert_int_eq(run->tokens, 200);
    ck_assert_int_eq(run->step[1].step, 2);
    ck_assert_double_eq(run->step[1].time_s, 3);
    ck_assert_int_eq(run->n_evaluations, 1);
    ck_assert_int_eq(run->evaluation[0].tokens_so_far, 200);
    ck_assert_double_eq(run->evaluation[0].time_s, 3);
    ck_assert_double_eq(run->evaluation[0].perplexity, 20.5);
    ck_assert_int_eq(run->config.train.steps, 7);
    ck_assert_int_eq(run->checkpoint_step, -1);
    ck_assert_int_eq(run->train.count, 0);
    ck_assert_int_gt(run->parameters, 0);
    pf_run_free(run);
}
END_TEST

START_TEST(a_perplexity_beyond_all_numbers_is_infinite)
{
    pf_run *run = NULL;
    write_history("null", "");
    ck_assert_int_eq(pf_run_read(temporary(""), &run), PF_OK);
    ck_assert(isinf(run->evaluation[0].perplexity));
    pf_run_free(run);
}
END_TEST

START_TEST(what_is_wrong_is_named_with_its_line)
{
    static const char *const wrong[] = {"{}\n", "[1]\n", "{\"step\": 3, \"step\": 3}\n",
                                        "{\"valid_loss\": 1}\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        pf_run *run = NULL;
        write_history("20.5", wrong[i]);
        ck_assert_int_eq(pf_run_read(temporary(""), &run), PF_ERROR_INPUT);
        ck_assert_ptr_null(run);
        ck_assert_ptr_nonnull(strstr(pf_error_message(), "metrics.jsonl: line 4"));
    }
    pf_run *run = NULL;
    write_history("\"x\"", "");
    ck_assert_int_eq(pf_run_read(temporary(""), &run), PF_ERROR_INPUT);
    remove_file("metrics.jsonl");
    ck_assert_int_eq(pf_run_read(temporary(""), &run), PF_ERROR_INPUT);
    remove_file("config.json");
    ck_assert_int_eq(pf_run_read(temporary(""), &run), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), "config.json"));
    ck_assert_ptr_null(run);
}
END_TEST

START_TEST(data_is_described_by_its_residues_alone)
{
    const char *path = temporary("a.fa"), *files[] = {path, path};
    pf_data_facts once, renamed, twice;
    write_text("a.fa", ">one\nMKV\n>two\nGSHMLEDP\n");
    ck_assert_int_eq(pf_data_describe(files, 1, &once), PF_OK);
    ck_assert_int_eq(pf_data_describe(files, 2, &twice), PF_OK);
    write_text("a.fa", ">other\nmkv\n>names\nGSHM\nLEDP\n");
    ck_assert_int_eq(pf_data_describe(files, 1, &renamed), PF_OK);
    ck_assert_int_eq(once.sequences, 2);
    ck_assert_int_eq(once.residues, 11);
    ck_assert_int_eq(once.longest, 8);
    ck_assert_int_eq(twice.residues, 22);
    ck_assert_str_eq(once.fingerprint, renamed.fingerprint);
    ck_assert_str_ne(once.fingerprint, twice.fingerprint);
    write_text("a.fa", "");
    ck_assert_int_eq(pf_data_describe(files, 1, &once), PF_ERROR_INPUT);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("run");
    TCase *tests = tcase_create("run");
    tcase_add_checked_fixture(tests, temporary_create, temporary_remove);
    tcase_add_test(tests, a_history_is_read_with_tokens_added_up);
    tcase_add_test(tests, a_perplexity_beyond_all_numbers_is_infinite);
    tcase_add_test(tests, what_is_wrong_is_named_with_its_line);
    tcase_add_test(tests, data_is_described_by_its_residues_alone);
    suite_add_tcase(suite, tests);
    return suite;
}
