// A training run through the library: its memory is the plan's, none is taken after the first step,
// and nothing is written before everything has been checked.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "performer/train.h"
#include "support/device.h"
#include "support/suite.h"
#include "support/temporary.h"

static const char *const fasta[] = {PF_TEST_SOURCE "/golden/training/train.fasta"};

// A model small enough to take a step in no time, in the ways that attention differs.
static const char *const shapes[][2] = {
    {"attention.kernel=relu", "objective=mlm"},    {"attention.type=softmax", "objective=mlm"},
    {"attention.type=softmax", "objective=clm"},   {"train.recompute=on", "objective=mlm"},
    {"train.recompute=2", "objective=clm"},        {"compute.storage=bf16", "objective=mlm"},
    {"compute.storage=fp16", "train.recompute=2"}, {"lora.rank=4", "lora.targets=*"},
};

static pf_training_options options_for(const char *run, const char *const *settings, int n_settings)
{
    return (pf_training_options){
        .run = run,
        .preset = "tiny",
        .settings = settings,
        .n_settings = n_settings,
        .seed = 3,
        .train_files = fasta,
        .n_train_files = 1,
        .valid_files = fasta,
        .n_valid_files = 1,
    };
}

START_TEST(device_memory_is_the_plan)
{
    const char *settings[] = {"hidden_size=128",
                              "num_hidden_layers=3",
                              "num_attention_heads=2",
                              "intermediate_size=256",
                              "max_position_embeddings=64",
                              "train.steps=4",
                              "train.batch_tokens=512",
                              "train.micro_batch_tokens=256",
                              "hidden_dropout=0.1",
                              shapes[_i][0],
                              shapes[_i][1]};
    const pf_training_options options =
        options_for(temporary("run"), settings, sizeof settings / sizeof *settings);
    pf_device *device = test_device();
    const uint64_t before = pf_device_bytes(device);
    pf_training *training = NULL;
    must(pf_training_open(device, &options, &training));
    const double plan = (double)pf_training_plan(training)->total_bytes;
    pf_training_report report;
    must(pf_training_step(training, &report));
    const uint64_t allocations = pf_device_allocations(device);
    const double used = (double)(pf_device_bytes(device) - before);
    // The plan leaves out the small work buffers of reductions: 5 % is what is promised.
    ck_assert_msg(fabs(used - plan) <= 0.05 * plan, "%.0f bytes in use, the plan says %.0f", used, plan);
    pf_status status;
    while ((status = pf_training_step(training, &report)) == PF_OK) continue;
    ck_assert_int_eq(status, PF_END);
    ck_assert(report.step == 4 || pf_training_steps_done(training) == 4);
    ck_assert_uint_eq(pf_device_allocations(device), allocations);
    pf_training_close(training);
    ck_assert_uint_eq(pf_device_bytes(device), before); // every buffer had an owner
}
END_TEST

// The host waits for loss and norm of the gradient at the end of a step, and nowhere before, however many
// micro-batches there are.
START_TEST(a_step_waits_for_its_results_alone)
{
    static const char *const micro[] = {"train.micro_batch_tokens=1024", "train.micro_batch_tokens=64"};
    const char *settings[] = {"num_hidden_layers=1",    "max_position_embeddings=64", "train.steps=9",
                              "train.batch_tokens=512", "train.eval_interval=0",      micro[_i]};
    const pf_training_options options = options_for(temporary("run"), settings, sizeof settings / sizeof *settings);
    pf_training *training = NULL;
    pf_training_report report;
    must(pf_training_open(test_device(), &options, &training));
    for (int i = 0; i < 3; i++) {
        const uint64_t waits = pf_device_waits(test_device());
        must(pf_training_step(training, &report));
        ck_assert_uint_eq(pf_device_waits(test_device()), waits + 2);
    }
    pf_training_close(training);
}
END_TEST

// Validation loss after some steps, with one setting more.
static double loss_after(int steps, const char *setting)
{
    char count[64];
    snprintf(count, sizeof count, "train.steps=%d", steps);
    const char *settings[] = {"hidden_size=64",
                              "num_hidden_layers=3",
                              "num_attention_heads=2",
                              "intermediate_size=128",
                              "max_position_embeddings=64",
                              "train.batch_tokens=512",
                              "attention.kernel=relu",
                              "attention.num_features=32",
                              "train.learning_rate=3e-3",
                              "train.eval_interval=0",
                              "train.checkpoint_interval=0",
                              count,
                              setting};
    pf_training_options options = options_for(NULL, settings, sizeof settings / sizeof *settings);
    options.rehearsal = true;
    pf_training *training = NULL;
    pf_training_report report;
    double loss = NAN;
    must(pf_training_open(test_device(), &options, &training));
    while (pf_training_step(training, &report) == PF_OK)
        if (report.evaluated) loss = report.valid_loss;
    pf_training_close(training);
    return loss;
}

START_TEST(activations_in_16_bits_train_as_well)
{
    enum { STEPS = 60 };
    static const char *const packed[] = {"compute.storage=bf16", "compute.storage=fp16"};
    const double loss = loss_after(STEPS, "compute.storage=fp32");
    const double allowed = 0.005; // what is promised
    for (int i = 0; i < 2; i++) {
        const double other = loss_after(STEPS, packed[i]);
        ck_assert_msg(fabs(other / loss - 1) <= allowed, "%s: loss %.4f, fp32's is %.4f", packed[i], other,
                      loss);
        ck_assert(other != loss); // it did something
    }
    ck_assert(loss_after(STEPS, "train.recompute=on") == loss);
    // The twin: four steps fewer are seen.
    ck_assert_double_gt(fabs(loss_after(STEPS - 4, "compute.storage=fp32") / loss - 1), allowed);
}
END_TEST

START_TEST(a_refused_run_leaves_nothing_behind)
{
    const char *settings[] = {"train.steps=2"};
    static const char *const missing[] = {"no-such-file.fasta"};
    pf_training_options options = options_for(temporary("refused"), settings, 1);
    options.train_files = missing;
    pf_training *training = NULL;
    ck_assert_int_eq(pf_training_open(test_device(), &options, &training), PF_ERROR_INPUT);
    ck_assert_ptr_null(training);
    ck_assert(strstr(pf_error_message(), "no-such-file.fasta"));
    ck_assert(!pf_exists(options.run));
}
END_TEST

START_TEST(a_run_that_is_there_is_not_overwritten)
{
    const char *settings[] = {"num_hidden_layers=1", "train.steps=1", "train.batch_tokens=256",
                              "train.micro_batch_tokens=512"};
    const pf_training_options options = options_for(temporary("run"), settings, 4);
    pf_training *training = NULL;
    pf_training_report report;
    must(pf_training_open(test_device(), &options, &training));
    must(pf_training_step(training, &report));
    pf_training_close(training);
    training = NULL;
    ck_assert_int_eq(pf_training_open(test_device(), &options, &training), PF_ERROR_USAGE);
    ck_assert(strstr(pf_error_message(), "--resume"));
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("training");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, temporary_create, temporary_remove);
    tcase_add_loop_test(all, device_memory_is_the_plan, 0, sizeof shapes / sizeof *shapes);
    tcase_add_loop_test(all, a_step_waits_for_its_results_alone, 0, 2);
    tcase_add_test(all, activations_in_16_bits_train_as_well);
    tcase_add_test(all, a_refused_run_leaves_nothing_behind);
    tcase_add_test(all, a_run_that_is_there_is_not_overwritten);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
