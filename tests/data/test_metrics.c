// Figures of merit are those of scipy and scikit-learn, and those of their definitions written out.
//
// The constants come from these lines (scipy 1.17, scikit-learn 1.9):
//   spearmanr(y,p)[0], pearsonr(y,p)[0], r2_score(y,p), mean_squared_error(y,p)**.5, mean_absolute_error(y,p)
//   q = exp(l) / exp(l).sum(1, keepdims=True); s = l.argmax(1)
//   accuracy_score(t,s), balanced_accuracy_score(t,s), matthews_corrcoef(t,s), f1_score(t,s,average="macro"),
//   log_loss(t,q), roc_auc_score(t,q[:,1]) or roc_auc_score(t,q,multi_class="ovr"), confusion_matrix(t,s)
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/metrics.h"
#include "support/suite.h"

// Sums of tens of numbers of size 1 in double, in another order than theirs.
static const double tolerance = 1e-12;

static void expect_figure(const pf_task_metrics *m, const char *name, double expected)
{
    double value;
    const char *found;
    for (int i = 0; (found = pf_task_metric(m, i, &value)); i++) {
        if (strcmp(found, name) != 0) continue;
        ck_assert_msg(fabs(value - expected) < tolerance, "%s is %.17g, expected %.17g", name, value,
                      expected);
        ck_assert_msg(!(fabs(value - (expected + 2 * tolerance)) < tolerance), "%s: the check sees nothing",
                      name);
        return;
    }
    ck_abort_msg("no figure %s", name);
}

static pf_task_metrics regression(const double *label, const float *said, size_t count)
{
    pf_task_metrics m;
    const pf_answers answers = {
        .count = count, .n_outputs = 1, .label = label, .output = said, .deviation = 1};
    ck_assert_int_eq(pf_measure_regression(&answers, &m), PF_OK);
    ck_assert_uint_eq(m.count, count);
    return m;
}

static pf_task_metrics classification(const int32_t *target, const float *logit, size_t count, int C,
                                      uint64_t *confusion)
{
    pf_task_metrics m;
    const pf_answers answers = {.count = count, .n_outputs = C, .target = target, .output = logit};
    ck_assert_int_eq(pf_measure_classification(&answers, confusion, &m), PF_OK);
    ck_assert_uint_eq(m.count, count);
    return m;
}

START_TEST(regression_is_that_of_scipy_and_scikit_learn)
{
    const double label[] = {1, 2, 2, 3.5, -1, 0.25, 7, 2};
    const float said[] = {0.5f, 2, 2, 4, -2, 0.5f, 6, 2.5f};
    const pf_task_metrics m = regression(label, said, 8);
    expect_figure(&m, "spearman", 0.9753829766914698);
    expect_figure(&m, "pearson", 0.9676902184491162);
    expect_figure(&m, "r2", 0.930110658124636);
    expect_figure(&m, "rmse", 0.5929270612815711);
    expect_figure(&m, "mae", 0.46875);
    ck_assert_ptr_null(m.undefined);
}
END_TEST

START_TEST(predictions_are_taken_back_to_the_labels_units)
{
    const double label[] = {105, 111, 95};
    const float said[] = {0, 1, -2};
    const pf_answers answers = {
        .count = 3, .n_outputs = 1, .label = label, .output = said, .mean = 105, .deviation = 5};
    pf_task_metrics m;
    ck_assert_int_eq(pf_measure_regression(&answers, &m), PF_OK);
    expect_figure(&m, "mae", 1.0 / 3);
    expect_figure(&m, "rmse", sqrt(1.0 / 3));
}
END_TEST

START_TEST(two_classes_are_those_of_scikit_learn)
{
    const int32_t target[] = {0, 1, 1, 0, 1, 0, 0};
    const float logit[] = {1, 0, 0, .5f, .25f, 0, .5f, .5f, 0, 2, 0, .5f, 3, 1};
    uint64_t confusion[4];
    const pf_task_metrics m = classification(target, logit, 7, 2, confusion);
    expect_figure(&m, "accuracy", 0.7142857142857143);
    expect_figure(&m, "balanced_accuracy", 0.7083333333333333);
    expect_figure(&m, "mcc", 0.4166666666666667);
    expect_figure(&m, "auc", 0.7916666666666666);
    expect_figure(&m, "macro_f1", 0.7083333333333333);
    expect_figure(&m, "log_loss", 0.5049083254861672);
    ck_assert_mem_eq(confusion, ((const uint64_t[]){3, 1, 1, 2}), sizeof confusion);
}
END_TEST

START_TEST(weights_of_classes_are_weights_of_their_losses)
{
    const int32_t target[] = {0, 1, 1, 0, 1, 0, 0};
    const float logit[] = {1, 0, 0, .5f, .25f, 0, .5f, .5f, 0, 2, 0, .5f, 3, 1}, weight[] = {0.875f, 3.5f};
    const float alike[] = {2, 2};
    const pf_answers answers = {.count = 7, .n_outputs = 2, .target = target, .output = logit};
    double sum = 0, weights = 0;
    for (int i = 0; i < 7; i++) {
        const double margin = (double)logit[2 * i + 1 - target[i]] - (double)logit[2 * i + target[i]];
        sum += (double)weight[target[i]] * log1p(exp(margin));
        weights += (double)weight[target[i]];
    }
    ck_assert_double_eq_tol(pf_weighted_log_loss(&answers, weight), sum / weights, 1e-14); // a few roundings
    ck_assert_double_eq_tol(pf_weighted_log_loss(&answers, alike), 0.5049083254861672, 1e-14);
}
END_TEST

START_TEST(three_classes_are_those_of_scikit_learn)
{
    const int32_t target[] = {0, 1, 2, 2, 1, 0, 2, 1, 0, 2};
    const float logit[] = {2,   1,    0, 0, 1, .5f, 0,    .25f, 1.5f, 1, 0, .5f, 0,   2,    1,
                           .5f, .75f, 0, 0, 0, 3,   .25f, 1,    2,    1, 0, 0,   .5f, .25f, .75f};
    uint64_t confusion[9];
    const pf_task_metrics m = classification(target, logit, 10, 3, confusion);
    expect_figure(&m, "accuracy", 0.7);
    expect_figure(&m, "balanced_accuracy", 0.6944444444444443);
    expect_figure(&m, "mcc", 0.5454545454545454);
    expect_figure(&m, "auc", 0.9017857142857143);
    expect_figure(&m, "macro_f1", 0.6944444444444443);
    expect_figure(&m, "log_loss", 0.7097629260679299);
    ck_assert_mem_eq(confusion, ((const uint64_t[]){2, 1, 0, 0, 2, 1, 1, 0, 3}), sizeof confusion);
}
END_TEST

// Few different values, so that there are ties.
static double coarse(uint64_t stream, uint64_t i)
{
    return (double)pf_random_below(7, 5, PF_RANDOM_TEST, stream, i) / 4;
}

// Ranks by counting, the correlation by its definition.
static double plain_spearman(const double *x, const double *y, size_t count)
{
    double xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < count; i++) {
        double a = 0, b = 0; // twice the rank's distance from the middle
        for (size_t j = 0; j < count; j++) {
            a += (x[j] < x[i]) - (x[j] > x[i]);
            b += (y[j] < y[i]) - (y[j] > y[i]);
        }
        xx += a * a, yy += b * b, xy += a * b;
    }
    return xy / sqrt(xx * yy);
}

START_TEST(ties_share_ranks)
{
    enum { COUNT = 60 };
    for (uint64_t round = 0; round < 20; round++) {
        double label[COUNT], said[COUNT];
        float output[COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            label[i] = coarse(2 * round, i);
            said[i] = label[i] / 2 + coarse(2 * round + 1, i);
            output[i] = (float)said[i];
        }
        const pf_task_metrics m = regression(label, output, COUNT);
        expect_figure(&m, "spearman", plain_spearman(label, said, COUNT));
    }
}
END_TEST

START_TEST(auc_is_the_share_of_pairs_in_the_right_order)
{
    enum { COUNT = 60 };
    for (uint64_t round = 0; round < 20; round++) {
        int32_t target[COUNT];
        float logit[2 * COUNT];
        double right = 0, pairs = 0;
        for (size_t i = 0; i < COUNT; i++) {
            target[i] = i < 3 ? (int32_t)(i % 2) : coarse(100 + round, i) > 1;
            logit[2 * i] = 0;
            logit[2 * i + 1] = (float)coarse(200 + round, i);
        }
        for (size_t i = 0; i < COUNT; i++)
            for (size_t j = 0; j < COUNT; j++) {
                if (target[i] != 1 || target[j] != 0) continue;
                const float a = logit[2 * i + 1], b = logit[2 * j + 1];
                pairs++, right += a > b ? 1 : a == b ? 0.5 : 0;
            }
        const pf_task_metrics m = classification(target, logit, COUNT, 2, NULL);
        expect_figure(&m, "auc", right / pairs);
    }
}
END_TEST

START_TEST(mcc_of_two_classes_is_the_correlation_of_zeros_and_ones)
{
    enum { COUNT = 50 };
    int32_t target[COUNT];
    float logit[2 * COUNT];
    double a[COUNT], b[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        a[i] = target[i] = coarse(300, i) > 1;
        b[i] = coarse(301, i) > 0.75;
        logit[2 * i] = 0.5f, logit[2 * i + 1] = (float)b[i];
    }
    const pf_task_metrics m = classification(target, logit, COUNT, 2, NULL);
    expect_figure(&m, "mcc", plain_spearman(a, b, COUNT)); // of two values ranks are as good as values
}
END_TEST

START_TEST(what_has_no_meaning_is_not_a_number_and_says_why)
{
    const double same[] = {2, 2, 2}, other[] = {1, 2, 3};
    const float flat[] = {1, 1, 1}, rising[] = {1, 2, 4};
    pf_task_metrics m = regression(same, rising, 3);
    ck_assert(isnan(m.spearman) && isnan(m.pearson) && isnan(m.r2) && isfinite(m.rmse) && isfinite(m.mae));
    ck_assert_str_eq(m.undefined, "all labels are the same");
    m = regression(other, flat, 3);
    ck_assert(isnan(m.spearman) && isnan(m.pearson) && isfinite(m.r2));
    ck_assert_str_eq(m.undefined, "all predictions are the same");
    m = regression(other, rising, 1);
    ck_assert(isnan(m.r2) && m.undefined);

    const int32_t one_class[] = {1, 1, 1}, both[] = {0, 1, 1};
    const float logit[] = {1, 0, 0, 1, 0, 1}, always[] = {0, 1, 0, 2, 0, 3};
    m = classification(one_class, logit, 3, 2, NULL);
    ck_assert(isnan(m.mcc) && isnan(m.auc) && isfinite(m.accuracy) && isfinite(m.balanced_accuracy));
    ck_assert_str_eq(m.undefined, "all labels are of one class");
    m = classification(both, always, 3, 2, NULL);
    ck_assert(isnan(m.mcc) && isfinite(m.auc) && isfinite(m.macro_f1));
    ck_assert_str_eq(m.undefined, "all predictions are of one class");
    ck_assert_int_eq(pf_measure_regression(&(pf_answers){.n_outputs = 1}, &m), PF_ERROR_INPUT);
    ck_assert_int_eq(pf_measure_classification(&(pf_answers){.n_outputs = 2}, NULL, &m), PF_ERROR_INPUT);
}
END_TEST

START_TEST(logits_beyond_exp_do_no_harm)
{
    const int32_t target[] = {0, 1, 0};
    const float logit[] = {2000, -2000, -2000, 2000, 1000, 2000};
    const pf_task_metrics m = classification(target, logit, 3, 2, NULL);
    expect_figure(&m, "log_loss", 1000.0 / 3);
    ck_assert(m.auc == 1);
}
END_TEST

START_TEST(figures_are_set_by_the_names_they_are_told_by)
{
    pf_task_metrics m = {.type = PF_TASK_CLASSIFICATION};
    ck_assert(pf_task_metric_set(&m, "auc", 0.25));
    ck_assert(!pf_task_metric_set(&m, "spearman", 0.25));
    expect_figure(&m, "auc", 0.25);
}
END_TEST

START_TEST(lack_of_memory_is_an_error)
{
    const double label[] = {1, 2};
    const float said[] = {1, 3};
    pf_task_metrics m;
    const pf_answers answers = {.count = 2, .n_outputs = 1, .label = label, .output = said};
    pf_alloc_fail_after(0, 0);
    ck_assert_int_eq(pf_measure_regression(&answers, &m), PF_ERROR_FAILED);
    pf_alloc_fail_after(-1, 0);
}
END_TEST

Suite *suite(void)
{
    Suite *suite = suite_create("data/metrics");
    TCase *tests = tcase_create("metrics");
    tcase_add_test(tests, regression_is_that_of_scipy_and_scikit_learn);
    tcase_add_test(tests, predictions_are_taken_back_to_the_labels_units);
    tcase_add_test(tests, two_classes_are_those_of_scikit_learn);
    tcase_add_test(tests, weights_of_classes_are_weights_of_their_losses);
    tcase_add_test(tests, three_classes_are_those_of_scikit_learn);
    tcase_add_test(tests, ties_share_ranks);
    tcase_add_test(tests, auc_is_the_share_of_pairs_in_the_right_order);
    tcase_add_test(tests, mcc_of_two_classes_is_the_correlation_of_zeros_and_ones);
    tcase_add_test(tests, what_has_no_meaning_is_not_a_number_and_says_why);
    tcase_add_test(tests, logits_beyond_exp_do_no_harm);
    tcase_add_test(tests, figures_are_set_by_the_names_they_are_told_by);
    tcase_add_test(tests, lack_of_memory_is_an_error);
    suite_add_tcase(suite, tests);
    return suite;
}
