// What came of swapping a trained model's exact attention for FAVOR (Choromanski et al. 2021, section 4.3):
// the loss at once, after some steps, and from scratch. See ablate.h.
#include <inttypes.h>
#include <math.h>

#include "tools/ablate_groups.h"

// The steps at which any arm but the exact one was measured, in order; the exact one's last counts as step 0.
static int longest_group(const pf_arm_groups *all)
{
    int longest = 0;
    for (int g = 1; g < all->count; g++)
        if (all->group[g].n_points > all->group[longest].n_points || longest == 0) longest = g;
    return longest;
}

static const pf_arm_point *point_at(const pf_arm_group *g, int64_t step)
{
    for (int i = 0; i < g->n_points; i++)
        if (g->point[i].step == step) return &g->point[i];
    return NULL;
}

static void print_row(pf_output *out, const pf_arm_groups *all, const pf_arm_group *g, bool is_tsv)
{
    const pf_arm_group *steps = &all->group[longest_group(all)];
    const bool is_exact = g == &all->group[0];
    pf_output_print(out, "%-*s", is_tsv ? 0 : pf_ablation_label_width(all), g->first->label);
    for (int i = 0; i < steps->n_points; i++) {
        const pf_arm_point *p = point_at(g, steps->point[i].step);
        if (is_exact) p = i == 0 && g->n_points ? &g->point[g->n_points - 1] : NULL;
        if (p)
            pf_output_print(out, is_tsv ? "\t%.6f" : " %8.4f", p->loss.mean);
        else
            pf_output_print(out, is_tsv ? "\t" : " %8s", "");
    }
    if (is_tsv || g->n_failed) {
        pf_output_print(out, is_tsv ? "\t" : " ");
        pf_ablation_print_failure(out, g);
    }
    pf_output_print(out, "\n");
}

static void print_rows(pf_output *out, const pf_arm_groups *all, bool is_tsv)
{
    const pf_arm_group *steps = &all->group[longest_group(all)];
    pf_output_print(out, "%-*s", is_tsv ? 0 : pf_ablation_label_width(all),
                    is_tsv ? "arm" : "loss after step");
    for (int i = 0; i < steps->n_points; i++)
        pf_output_print(out, is_tsv ? "\tstep_%" PRId64 : " %8" PRId64, steps->point[i].step);
    pf_output_print(out, is_tsv ? "\tresult\n" : "\n");
    for (int g = 0; g < all->count; g++) print_row(out, all, &all->group[g], is_tsv);
}

static void print_tsv(pf_output *out, const pf_arm_groups *all)
{
    print_rows(out, all, true);
}

// What a swapped model has come to: how much of what it lost at once is back.
static void print_verdict(pf_output *out, const pf_arm_groups *all, const pf_arm_group *g)
{
    const pf_arm_group *exact = &all->group[0];
    if (!g->first->start || g->n_points < 2 || exact->n_points == 0) return;
    const double trained = exact->point[exact->n_points - 1].loss.mean, at_once = g->point[0].loss.mean,
                 end = g->point[g->n_points - 1].loss.mean;
    int back = 1;
    while (back < g->n_points && g->point[back].loss.mean > trained) back++;
    pf_output_print(out, "%s: the loss goes from %.4f to %.4f at once", g->first->label, trained, at_once);
    const int64_t last = g->point[g->n_points - 1].step;
    if (at_once <= trained)
        pf_output_print(out, ", nothing is lost; it is %.4f after %" PRId64 " steps.\n", end, last);
    else if (back < g->n_points)
        pf_output_print(out, " and is back after %" PRId64 " steps; it is %.4f after %" PRId64 ".\n",
                        g->point[back].step, end, last);
    else if (end < at_once)
        pf_output_print(out, "; %.0f %% of what was lost is back after %" PRId64 " steps (%.4f).\n",
                        100 * (at_once - end) / (at_once - trained), last, end);
    else
        pf_output_print(out, "; nothing of what was lost is back after %" PRId64 " steps (%.4f).\n", last,
                        end);
}

static void print_table(pf_output *out, const pf_arm_groups *all)
{
    print_rows(out, all, false);
    pf_output_print(out, "\n");
    for (int g = 1; g < all->count; g++) print_verdict(out, all, &all->group[g]);
}

pf_status pf_ablation_write_swap(const pf_ablation *a)
{
    pf_arm_groups all;
    pf_status status = pf_arm_groups_create(a, &all);
    if (status != PF_OK) return status;
    status = pf_ablation_write_curves(a, &all);
    if (status == PF_OK) status = pf_ablation_write_table(a, "swap.tsv", &all, print_tsv);
    if (status == PF_OK)
        status = pf_ablation_plot_losses(
            a, &all,
            &(pf_ablation_plot){.name = "swap-tokens.svg",
                                .title = "A trained model's attention swapped for FAVOR",
                                .has_level = true,
                                .first = 1});
    if (status == PF_OK) status = pf_ablation_write_table(a, NULL, &all, print_table);
    pf_arm_groups_free(&all);
    return status;
}
