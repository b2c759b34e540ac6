// Areas under curves are the shares of pairs in the right order, whatever the scores; pictures name them.
#include "tools/roc_plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"

static const char *const two[] = {"no", "yes"};

static double area(const double *score, const int32_t *label, int64_t n, int n_classes, int of)
{
    double got = -1;
    const pf_roc roc = {.score = score, .label = label, .n = n, .n_classes = n_classes, .class_name = two};
    ck_assert_int_eq(pf_roc_area(&roc, of, &got), PF_OK);
    return got;
}

START_TEST(an_area_is_the_share_of_pairs_in_order)
{
    // Scores of yes: 4 3 of yes; 3 1 of no. Pairs: 4>3, 4>1, 3=3 (half), 3>1: 3.5 of 4.
    static const double score[] = {0, 4, 0, 3, 0, 3, 0, 1};
    static const int32_t label[] = {1, 1, 0, 0};
    ck_assert(area(score, label, 4, 2, 1) == 0.875);
    static const int32_t reversed[] = {0, 0, 1, 1};
    ck_assert(area(score, reversed, 4, 2, 1) == 0.125);
}
END_TEST

START_TEST(areas_of_many_points_are_those_of_all_pairs)
{
    enum { N = 500, CLASSES = 3 };
    static double score[N * CLASSES];
    static int32_t label[N];
    for (int i = 0; i < N; i++) {
        label[i] = i % 7 == 6 ? -1 : i % 7 % CLASSES;
        for (int c = 0; c < CLASSES; c++) score[i * CLASSES + c] = (i * 37 + c * 11) % 101 + 20 * (label[i] == c);
    }
    for (int c = 0; c < CLASSES; c++) {
        double right = 0, pairs = 0;
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                if (label[i] != c || label[j] == c || label[j] < 0) continue;
                const double a = score[i * CLASSES + c], b = score[j * CLASSES + c];
                pairs++;
                right += a > b ? 1 : a == b ? 0.5 : 0;
            }
        const double got = area(score, label, N, CLASSES, c);
        ck_assert(fabs(got - right / pairs) < 1e-12); // sums of halves below 2^53 are exact, the division is not
        ck_assert(got > 0.55 && got < 0.95);
    }
}
END_TEST

START_TEST(one_class_alone_has_no_area)
{
    static const double score[] = {0.5, 0.5, 0.2, 0.8};
    static const int32_t label[] = {1, 1};
    ck_assert(isnan(area(score, label, 2, 2, 1)));
    ck_assert(isnan(area(score, label, 0, 2, 1)));
}
END_TEST

static char *draw(const pf_roc *roc)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    ck_assert_int_eq(pf_roc_plot_write(out, roc), PF_OK);
    fclose(out);
    return text;
}

START_TEST(two_classes_have_one_curve_more_have_one_each)
{
    static const char *const three[] = {"a", "b", "c"};
    static const double score[] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    static const int32_t label[] = {0, 1, 2}, none[] = {0, 0, 0};
    char *text = draw(&(pf_roc){.score = score, .label = label, .n = 3, .n_classes = 3, .class_name = three});
    ck_assert(strstr(text, "a: AUC 1.000") && strstr(text, "b: AUC 1.000") && strstr(text, "c: AUC 1.000"));
    free(text);
    text = draw(&(pf_roc){.score = score, .label = label, .n = 2, .n_classes = 2, .class_name = two});
    ck_assert(strstr(text, "yes: AUC") && !strstr(text, "no: AUC"));
    free(text);
    text = draw(&(pf_roc){.score = score, .label = none, .n = 3, .n_classes = 2, .class_name = two});
    ck_assert(strstr(text, "yes: none, or no others") && !strstr(text, "nan"));
    free(text);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("roc_plot");
    TCase *t = tcase_create("roc_plot");
    tcase_add_test(t, an_area_is_the_share_of_pairs_in_order);
    tcase_add_test(t, areas_of_many_points_are_those_of_all_pairs);
    tcase_add_test(t, one_class_alone_has_no_area);
    tcase_add_test(t, two_classes_have_one_curve_more_have_one_each);
    suite_add_tcase(s, t);
    return s;
}
