// Command lines are read as GNU programs read them, and what is wrong is named with its cure.
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"
#include "tools/report.h"

typedef struct options {
    pf_common common;
    bool list;
    const char *output, *kernel;
    int64_t steps;
    double rate;
    pf_integers features;
    pf_texts set, train;
} options;

#define AT(field) offsetof(options, field)

static const pf_option table[] = {
    {.name = "list", .letter = 'l', .type = PF_OPTION_FLAG, .at = AT(list), .help = "list"},
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(output),
     .required = true,
     .help = "out"},
    {.name = "kernel",
     .type = PF_OPTION_CHOICE,
     .choices = "relu|softmax",
     .fallback = "relu",
     .at = AT(kernel),
     .help = "k"},
    {.name = "steps",
     .letter = 'n',
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = -5,
     .high = 100,
     .fallback = "7",
     .at = AT(steps),
     .help = "n"},
    {.name = "rate",
     .type = PF_OPTION_NUMBER,
     .value = "R",
     .low = 0,
     .high = 1,
     .at = AT(rate),
     .help = "r"},
    {.name = "features",
     .type = PF_OPTION_INTEGERS,
     .value = "N,N",
     .low = 1,
     .high = 512,
     .fallback = "16,64",
     .at = AT(features),
     .help = "f"},
    {.name = "set", .type = PF_OPTION_TEXTS, .value = "K=V", .at = AT(set), .help = "s"},
    {.name = "train", .type = PF_OPTION_FILES, .value = "FASTA", .at = AT(train), .help = "t"},
    {0},
};

static const pf_command command = {
    .name = "trial",
    .summary = "a trial",
    .operands = "MODEL FASTA...",
    .example = "performer trial m x.fa -o y",
    .options = table,
    .options_bytes = sizeof(options),
    .min_operands = 1,
    .max_operands = 3,
};

static options given;

static pf_status parse(const char *line)
{
    static char words[400];
    static char *word[40];
    int count = 0;
    pf_options_free(&command, &given);
    snprintf(words, sizeof words, "%s", line);
    for (char *rest = words; (word[count] = strtok(rest, " ")); rest = NULL) count++;
    return pf_options_parse(&command, count, word, &given);
}

START_TEST(every_spelling_of_a_value_is_read)
{
    ck_assert_int_eq(parse("model --steps 3 -l a.fa -o out --rate=0.5 -"), PF_OK);
    ck_assert_int_eq(given.steps, 3);
    ck_assert(given.list);
    ck_assert_str_eq(given.output, "out");
    ck_assert_double_eq(given.rate, 0.5);
    ck_assert_int_eq(given.common.n_operands, 3);
    ck_assert_str_eq(given.common.operands[2], "-");
    ck_assert_int_eq(parse("model -lqn-4 -oout"), PF_OK);
    ck_assert_int_eq(given.steps, -4);
    ck_assert(given.list && given.common.quiet);
    ck_assert_str_eq(given.output, "out");
    ck_assert_int_eq(parse("-o --list --steps -1 -- -m --list"), PF_OK);
    ck_assert_str_eq(given.output, "--list");
    ck_assert_str_eq(given.common.operands[1], "--list");
    ck_assert(!given.list);
}
END_TEST

START_TEST(what_is_not_given_has_its_default)
{
    unsetenv("PERFORMER_DEVICE");
    unsetenv("PERFORMER_THREADS");
    ck_assert_int_eq(parse("model -o out"), PF_OK);
    ck_assert_int_eq(given.steps, 7);
    ck_assert_str_eq(given.kernel, "relu");
    ck_assert_int_eq(given.features.count, 2);
    ck_assert_int_eq(given.features.item[1], 64);
    ck_assert_str_eq(given.common.device, "auto");
    ck_assert(!given.common.device_given && !given.common.seed_given);
    ck_assert_int_ge(given.common.threads, 1);
}
END_TEST

START_TEST(an_option_comes_before_the_environment_and_that_before_the_default)
{
    setenv("PERFORMER_DEVICE", "gpu", 1);
    setenv("PERFORMER_THREADS", "3", 1);
    ck_assert_int_eq(parse("model -o out"), PF_OK);
    ck_assert_str_eq(given.common.device, "gpu");
    ck_assert_int_eq(given.common.threads, 3);
    ck_assert_int_eq(parse("model -o out --device cpu -j 2"), PF_OK);
    ck_assert_str_eq(given.common.device, "cpu");
    ck_assert_int_eq(given.common.threads, 2);
    setenv("PERFORMER_THREADS", "many", 1);
    ck_assert_int_eq(parse("model -o out"), PF_ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(pf_tool_message(), "PERFORMER_THREADS: 'many'"));
}
END_TEST

START_TEST(values_gather_in_the_order_given)
{
    ck_assert_int_eq(parse("model -o out --train a b - --set x=1 --train=c m2 --set y=2"), PF_OK);
    ck_assert_int_eq(given.train.count, 4);
    ck_assert_str_eq(given.train.item[2], "-");
    ck_assert_str_eq(given.train.item[3], "c");
    ck_assert_int_eq(given.set.count, 2);
    ck_assert_str_eq(given.set.item[1], "y=2");
    ck_assert_int_eq(given.common.n_operands, 2); // --train=c took one value only
}
END_TEST

START_TEST(what_is_wrong_is_named_with_its_cure)
{
    static const struct {
        const char *line, *says;
    } wrong[] = {
        {"m -o x --stepz 3", "did you mean --steps?"},
        {"m -o x --feat 3", "did you mean --features?"},
        {"m -o x --xyzzy", "performer trial --help"},
        {"m -o x -y", "unknown option '-y'"},
        {"m -o x --steps 3x", "'3x' is not a whole number from -5 to 100"},
        {"m -o x --steps 101", "'101' is not a whole number from -5 to 100"},
        {"m -o x --steps=", "'' is not a whole number"},
        {"m -o x --steps +3", "'+3' is not"},
        {"m -o x --steps 99999999999999999999", "is not a whole number"},
        {"m -o x --rate nan", "'nan' is not a number from 0 to 1"},
        {"m -o x --rate 0x1", "'0x1' is not a number"},
        {"m -o x --rate 1e-3,", "'1e-3,' is not a number"},
        {"m -o x --seed -1", "'-1' is not a whole number of at least 0"},
        {"m -o x --kernel Relu", "--kernel: 'Relu' is none of relu|softmax"},
        {"m -o x --kernel relu|softmax", "is none of"},
        {"m -o x --features 16,,64", "--features: '' is not"},
        {"m -o x --features 16,999", "'999' is not a whole number from 1 to 512"},
        {"m -o x --list=yes", "--list takes no value"},
        {"m -o", "-o needs a value: -o FILE"},
        {"m --set", "--set needs a value: --set K=V"},
        {"m", "--output FILE is missing"},
        {"-o x", "usage: performer trial [options] MODEL FASTA..."},
        {"a b c d -o x", "'d' is one argument too many"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(parse(wrong[i].line), PF_ERROR_USAGE);
        ck_assert_msg(strstr(pf_tool_message(), wrong[i].says) != NULL, "%s: says '%s'", wrong[i].line,
                      pf_tool_message());
    }
}
END_TEST

START_TEST(help_wins_over_what_is_missing_and_shows_every_option)
{
    ck_assert_int_eq(parse("--kernel softmax -h --nonsense"), PF_OK);
    ck_assert(given.common.help);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    pf_help_command(out, &command);
    fclose(out);
    for (const pf_option *row = table; row->type != PF_OPTION_END; row++)
        ck_assert_ptr_nonnull(strstr(text, row->name));
    for (const pf_option *row = pf_common_options; row->type != PF_OPTION_END; row++)
        ck_assert_ptr_nonnull(strstr(text, row->name));
    ck_assert_ptr_nonnull(strstr(text, "--train FASTA..."));
    ck_assert_ptr_nonnull(strstr(text, "(default: 16,64)"));
    ck_assert_ptr_nonnull(strstr(text, "relu|softmax"));
    ck_assert_ptr_nonnull(strstr(text, "[PERFORMER_DEVICE]"));
    ck_assert_ptr_nonnull(strstr(text, "Example:\n  performer trial m x.fa -o y"));
    free(text);
}
END_TEST

START_TEST(only_a_near_name_is_suggested)
{
    static const char *const names[] = {"train", "eval", "embed", "score"};
    ck_assert_str_eq(pf_nearest("trian", names, 4), "train");
    ck_assert_str_eq(pf_nearest("evl", names, 4), "eval");
    ck_assert_str_eq(pf_nearest("emb", names, 4), "embed");
    ck_assert_ptr_null(pf_nearest("xyzzy", names, 4));
    ck_assert_ptr_null(pf_nearest("", names, 4));
}
END_TEST

static void release(void)
{
    pf_options_free(&command, &given);
    memset(&given, 0, sizeof given);
}

Suite *suite(void)
{
    Suite *all = suite_create("tools/options");
    TCase *group = tcase_create("options");
    tcase_add_checked_fixture(group, NULL, release);
    tcase_add_test(group, every_spelling_of_a_value_is_read);
    tcase_add_test(group, what_is_not_given_has_its_default);
    tcase_add_test(group, an_option_comes_before_the_environment_and_that_before_the_default);
    tcase_add_test(group, values_gather_in_the_order_given);
    tcase_add_test(group, what_is_wrong_is_named_with_its_cure);
    tcase_add_test(group, help_wins_over_what_is_missing_and_shows_every_option);
    tcase_add_test(group, only_a_near_name_is_suggested);
    suite_add_tcase(all, group);
    return all;
}
