// What came of swapping a trained model's exact attention for FAVOR (Choromanski et al. 2021, section 4.3):
// the loss at once, after some steps, and how much of what was lost is back. See ablate.h.
#include "tools/ablate_swap.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// --- rows ---------------------------------------------------------------------------------------

static void add_finite(pf_statistic *s, double value)
{
    if (isfinite(value)) pf_statistic_add(s, value);
}

static pf_statistic losses_at_once(const pf_ablation *a, const char *kernel, int32_t features)
{
    pf_statistic s = {0};
    for (int i = 0; i < a->n_measures; i++) {
        const pf_measure *m = &a->measure[i];
        if (m->kind == PF_MEASURE_AT_ONCE && m->kernel == kernel && m->features == features)
            add_finite(&s, m->loss);
    }
    return pf_statistic_finish(s);
}

static pf_statistic losses_of_arms(const pf_ablation *a, pf_measure_kind kind, const pf_arm *first, int n)
{
    pf_statistic s = {0};
    for (int i = 0; i < a->n_measures; i++) {
        const pf_measure *m = &a->measure[i];
        if (m->kind == kind && m->arm >= first && m->arm < first + n) add_finite(&s, m->loss);
    }
    return pf_statistic_finish(s);
}

static void add_arms(const pf_ablation *a, int first, pf_swap_results *out)
{
    pf_swap_row *row = &out->row[out->n_rows++];
    const pf_arm *arm = &a->arm[first];
    *row = (pf_swap_row){.kernel = arm->kernel,
                         .tuned = arm->tuned,
                         .features = arm->features,
                         .redraw = arm->redraw,
                         .n_seeds = pf_ablation_group(a, first)};
    snprintf(row->label, sizeof row->label, "%s", arm->label);
    row->after = losses_of_arms(a, PF_MEASURE_AFTER, arm, row->n_seeds);
    row->fresh = losses_of_arms(a, PF_MEASURE_FRESH, arm, row->n_seeds);
    row->at_once = !arm->features   ? (pf_statistic){.mean = out->exact, .count = 1}
                   : arm->has_start ? losses_at_once(a, arm->kernel, arm->features)
                                    : pf_statistic_finish((pf_statistic){0});
    for (int s = 0; s < row->n_seeds; s++) {
        if (arm[s].failure && !row->failure) row->failure = arm[s].failure;
        row->n_failed += arm[s].failure != NULL;
    }
    out->steps = arm->config.train.steps;
    if (!arm->features) out->trained_on = row->after;
}

// Kernels and numbers of features that no arm was trained with.
static void add_untrained(const pf_ablation *a, const pf_measure *m, pf_swap_results *out)
{
    for (int i = 0; i < out->n_rows; i++)
        if (out->row[i].kernel == m->kernel && out->row[i].features == m->features) return;
    pf_swap_row *row = &out->row[out->n_rows++];
    *row = (pf_swap_row){.kernel = m->kernel, .tuned = "", .features = m->features};
    snprintf(row->label, sizeof row->label, "%s, M %d", m->kernel, m->features);
    row->at_once = losses_at_once(a, m->kernel, m->features);
    row->after = row->fresh = pf_statistic_finish((pf_statistic){0});
}

static pf_status make_results(const pf_ablation *a, pf_swap_results *out)
{
    *out = (pf_swap_results){.row = calloc((size_t)(a->n_arms + a->n_measures) + 1, sizeof *out->row)};
    if (!out->row) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    for (int i = 0; i < a->n_measures; i++) {
        if (a->measure[i].kind == PF_MEASURE_EXACT)
            out->exact = a->measure[i].loss, out->exact_accuracy = a->measure[i].accuracy;
        if (a->measure[i].kind == PF_MEASURE_AT_ONCE && a->measure[i].kernel == a->measure[1].kernel &&
            a->measure[i].features == a->measure[1].features)
            out->draws++;
    }
    for (int i = 0; i < a->n_arms; i += pf_ablation_group(a, i))
        if (a->arm[i].features || a->arm[i].has_start) add_arms(a, i, out);
    for (int i = 0; i < a->n_measures; i++)
        if (a->measure[i].kind == PF_MEASURE_AT_ONCE) add_untrained(a, &a->measure[i], out);
    return PF_OK;
}

// The share of what was lost at once that training brought back: what is left is counted from the exact model
// that was trained on. NaN where nothing was lost.
static double recovered(const pf_swap_results *all, const pf_swap_row *row)
{
    const double lost = row->at_once.mean - all->exact, left = row->after.mean - all->trained_on.mean;
    return lost > 0 ? 1 - left / lost : (double)NAN;
}

// --- files --------------------------------------------------------------------------------------

static void print_failure(pf_output *out, const pf_swap_row *row)
{
    if (!row->n_failed) {
        pf_output_print(out, "finite");
        return;
    }
    if (row->n_failed < row->n_seeds) pf_output_print(out, "%d of %d ", row->n_failed, row->n_seeds);
    pf_output_print(out, "NaN: ");
    pf_output_plain_text(out, row->failure, strlen(row->failure));
}

static void print_tsv_number(pf_output *out, double number, bool is_there)
{
    if (is_there)
        pf_output_print(out, "\t%.6f", number);
    else
        pf_output_print(out, "\t");
}

static void print_tsv_statistic(pf_output *out, const pf_statistic *s, bool is_there)
{
    print_tsv_number(out, s->mean, is_there);
    print_tsv_number(out, s->deviation, is_there && s->count > 1);
}

static pf_status write_tsv(const pf_ablation *a, const pf_swap_results *all)
{
    pf_output *out;
    const pf_status status = pf_ablation_open_file(a, "swap.tsv", &out);
    if (status != PF_OK) return status;
    pf_output_print(out,
                    "kernel\tfeatures\tredraw\ttrained\tsteps\tseeds\tat_once\tat_once_deviation\tafter\t"
                    "after_deviation\tfresh\tfresh_deviation\trecovered\tresult\n");
    pf_output_print(out, "exact\t\t\t\t\t\t%.6f\t\t\t\t\t\t\tfinite\n", all->exact);
    for (int i = 0; i < all->n_rows; i++) {
        const pf_swap_row *r = &all->row[i];
        const bool is_trained = r->tuned[0] != '\0', is_favor = r->features > 0,
                   is_scratch = !strcmp(r->tuned, "scratch");
        pf_output_print(out, "%s\t", r->kernel);
        if (is_favor) pf_output_print(out, "%d", r->features);
        pf_output_print(out, "\t");
        if (is_favor && is_trained) pf_output_print(out, "%" PRId64, r->redraw);
        pf_output_print(out, "\t%s\t", r->tuned);
        if (is_trained) pf_output_print(out, "%" PRId64, all->steps);
        pf_output_print(out, "\t");
        if (is_trained) pf_output_print(out, "%d", r->n_seeds);
        print_tsv_statistic(out, &r->at_once, !is_scratch);
        print_tsv_statistic(out, &r->after, is_trained);
        print_tsv_statistic(out, &r->fresh, is_trained && is_favor);
        print_tsv_number(out, recovered(all, r), is_trained && is_favor && !is_scratch);
        pf_output_print(out, "\t");
        print_failure(out, r);
        pf_output_print(out, "\n");
    }
    return pf_output_commit(out);
}

static void print_json_number(pf_output *out, const char *name, double number)
{
    if (isfinite(number))
        pf_output_print(out, ", \"%s\": %.9g", name, number);
    else
        pf_output_print(out, ", \"%s\": null", name);
}

static void print_json_statistic(pf_output *out, const char *name, const pf_statistic *s)
{
    char deviation[64];
    snprintf(deviation, sizeof deviation, "%s_deviation", name);
    print_json_number(out, name, s->mean);
    print_json_number(out, deviation, s->count > 1 ? s->deviation : (double)NAN);
}

static pf_status write_json(const pf_ablation *a, const pf_swap_results *all)
{
    pf_output *out;
    const pf_status status = pf_ablation_open_file(a, "swap.json", &out);
    if (status != PF_OK) return status;
    pf_output_print(out, "{\"steps\": %" PRId64 ", \"draws\": %" PRId64, all->steps, all->draws);
    print_json_number(out, "exact", all->exact);
    print_json_number(out, "exact_accuracy", all->exact_accuracy);
    print_json_statistic(out, "exact_trained_on", &all->trained_on);
    pf_output_print(out, ", \"rows\": [");
    for (int i = 0; i < all->n_rows; i++) {
        const pf_swap_row *r = &all->row[i];
        pf_output_print(out,
                        "%s\n {\"kernel\": \"%s\", \"features\": %d, \"redraw\": %" PRId64
                        ", \"trained\": \"%s\", \"seeds\": %d",
                        i ? "," : "", r->kernel, r->features, r->redraw, r->tuned, r->n_seeds);
        print_json_statistic(out, "at_once", &r->at_once);
        print_json_statistic(out, "after", &r->after);
        print_json_statistic(out, "fresh", &r->fresh);
        print_json_number(out, "recovered", recovered(all, r));
        pf_output_print(out, "}");
    }
    pf_output_print(out, "]}\n");
    return pf_output_commit(out);
}

// --- for people ---------------------------------------------------------------------------------

static void print_column(pf_output *out, const pf_statistic *s)
{
    char text[40] = "";
    if (s->count > 1) snprintf(text, sizeof text, "%.4f ± %.4f", s->mean, s->deviation);
    if (s->count == 1) snprintf(text, sizeof text, "%.4f", s->mean);
    // ± has two bytes
    pf_output_print(out, "%*s", s->count > 1 ? 19 : 18, text);
}

static void print_rows(pf_output *out, const pf_swap_results *all)
{
    char after[32];
    size_t width = 10;
    for (int i = 0; i < all->n_rows; i++)
        if (strlen(all->row[i].label) > width) width = strlen(all->row[i].label);
    snprintf(after, sizeof after, "after %" PRId64 " steps", all->steps);
    pf_output_print(out, "%-*s%18s%18s%18s%8s\n", (int)width, "validation loss", "at once", after,
                    "new projections", "back");
    pf_output_print(out, "%-*s%18.4f\n", (int)width, "exact", all->exact);
    for (int i = 0; i < all->n_rows; i++) {
        const pf_swap_row *r = &all->row[i];
        pf_output_print(out, "%-*s", (int)width, r->label);
        print_column(out, &r->at_once);
        print_column(out, &r->after);
        print_column(out, &r->fresh);
        const double back = r->features && r->after.count ? recovered(all, r) : (double)NAN;
        if (isfinite(back)) pf_output_print(out, "%6.0f %%", 100 * back);
        if (r->n_failed) pf_output_print(out, "  "), print_failure(out, r);
        pf_output_print(out, "\n");
    }
}

// Slope of log(what is lost at once) against log M.
static void print_slope(pf_output *out, const pf_ablation *a, const pf_swap_results *all)
{
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    const char *kernel = a->measure[1].kernel;
    int32_t before = 0;
    for (int i = 1; i < a->n_measures; i++) {
        const pf_measure *m = &a->measure[i];
        if (m->kind != PF_MEASURE_AT_ONCE || m->kernel != kernel || m->features == before) continue;
        before = m->features;
        const double lost = losses_at_once(a, kernel, m->features).mean - all->exact;
        if (!(lost > 0)) continue;
        n++, x += log(m->features), y += log(lost);
        xx += log(m->features) * log(m->features), xy += log(m->features) * log(lost);
    }
    if (n * xx - x * x > 0)
        pf_output_print(out, "What %s loses at once falls as M^%.2f.\n", kernel,
                        (n * xy - x * y) / (n * xx - x * x));
}

// The arm that differs in the interval alone.
static const pf_arm *find_redraw(const pf_ablation *a, const pf_arm *like, int64_t redraw)
{
    for (int i = 0; i < a->n_arms; i++) {
        const pf_arm *arm = &a->arm[i];
        if (arm->kernel == like->kernel && arm->features == like->features && arm->seed == like->seed &&
            arm->redraw == redraw && !strcmp(arm->tuned, like->tuned))
            return arm;
    }
    return NULL;
}

static void print_difference(pf_output *out, pf_statistic *s)
{
    *s = pf_statistic_finish(*s);
    pf_output_print(out, "%+.4f", s->mean);
    if (s->count > 1) pf_output_print(out, " ± %.4f", s->deviation / sqrt(s->count));
}

// Arms of one interval against those of the first one, pair by pair: mean and its standard error.
static void print_redraw(pf_output *out, const pf_ablation *a, int64_t first, int64_t redraw)
{
    pf_statistic after = {0}, fresh = {0};
    for (int i = 0; i < a->n_arms; i++) {
        const pf_arm *arm = &a->arm[i],
                     *other = arm->features && arm->redraw == first ? find_redraw(a, arm, redraw) : NULL;
        if (!other || arm->failure || other->failure) continue;
        pf_statistic_add(&after, losses_of_arms(a, PF_MEASURE_AFTER, other, 1).mean -
                                     losses_of_arms(a, PF_MEASURE_AFTER, arm, 1).mean);
        pf_statistic_add(&fresh, losses_of_arms(a, PF_MEASURE_FRESH, other, 1).mean -
                                     losses_of_arms(a, PF_MEASURE_FRESH, arm, 1).mean);
    }
    if (after.count == 0) return;
    pf_output_print(out, "New projections every %" PRId64 " steps change the loss after training by ",
                    redraw);
    print_difference(out, &after);
    pf_output_print(out, ", with projections never seen by ");
    print_difference(out, &fresh);
    if (first)
        pf_output_print(out, " (%d pairs; against every %" PRId64 ").\n", after.count, first);
    else
        pf_output_print(out, " (%d pairs; against the same all the time).\n", after.count);
}

static void print_redraws(pf_output *out, const pf_ablation *a, const pf_swap_results *all)
{
    int first = 0;
    while (first < all->n_rows && !all->row[first].features) first++;
    for (int i = first + 1; i < all->n_rows; i++) {
        const pf_swap_row *r = &all->row[i];
        bool is_new = r->tuned[0] && r->redraw != all->row[first].redraw;
        for (int j = first; j < i; j++) is_new &= all->row[j].redraw != r->redraw;
        if (is_new) print_redraw(out, a, all->row[first].redraw, r->redraw);
    }
}

static pf_status print_table(const pf_ablation *a, const pf_swap_results *all)
{
    pf_output *out;
    const pf_status status = pf_output_open(NULL, &out);
    if (status != PF_OK) return status;
    print_rows(out, all);
    pf_output_print(out, "\n");
    print_slope(out, a, all);
    print_redraws(out, a, all);
    return pf_output_commit(out);
}

static pf_status write_curves(const pf_ablation *a)
{
    pf_arm_groups groups;
    pf_status status = pf_arm_groups_create(a, &groups);
    if (status != PF_OK) return status;
    status = pf_ablation_write_curves(a, &groups);
    pf_arm_groups_free(&groups);
    return status;
}

pf_status pf_ablation_write_swap(const pf_ablation *a)
{
    pf_swap_results all;
    pf_status status = make_results(a, &all);
    if (status != PF_OK) return status;
    status = write_curves(a);
    if (status == PF_OK) status = write_tsv(a, &all);
    if (status == PF_OK) status = write_json(a, &all);
    if (status == PF_OK) status = pf_swap_plot(a, &all);
    if (status == PF_OK) status = print_table(a, &all);
    free(all.row);
    return status;
}
