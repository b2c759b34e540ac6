// What came of kernel x renormalize x projection. See ablate.h.
#include <inttypes.h>
#include <string.h>

#include "tools/ablate_groups.h"

static double tokens_per_s(const pf_arm_group *g)
{
    const pf_arm_point *last = &g->point[g->n_points - 1];
    return last->seconds.mean > 0 ? last->tokens.mean / last->seconds.mean : 0;
}

static void print_grid_tsv(pf_output *out, const pf_arm_groups *all)
{
    pf_output_print(
        out,
        "kernel\trenormalize\tprojection\tseeds\tsteps\ttokens\tvalid_loss\tdeviation\tperplexity\taccuracy\t"
        "tokens_per_s\tseconds\tresult\n");
    for (int i = 0; i < all->count; i++) {
        const pf_arm_group *g = &all->group[i];
        const bool is_exact = !strcmp(g->first->kernel, "exact");
        pf_output_print(out, "%s\t%s\t%s\t%d\t", g->first->kernel,
                        is_exact                ? ""
                        : g->first->renormalize ? "on"
                                                : "off",
                        g->first->projection, g->n_seeds);
        if (g->n_points) {
            const pf_arm_point *p = &g->point[g->n_points - 1];
            pf_output_print(out, "%" PRId64 "\t%.0f\t%.6f\t%.6f\t%.8g\t%.5f\t%.0f\t%.1f\t", p->step,
                            p->tokens.mean, p->loss.mean, p->loss.deviation, p->perplexity.mean,
                            p->accuracy.mean, tokens_per_s(g), p->seconds.mean);
        } else {
            pf_output_print(out, "%d\t%" PRId64 "\tnan\tnan\tnan\tnan\t\t\t", g->first->run->n_steps,
                            g->first->run->tokens);
        }
        pf_ablation_print_failure(out, g);
        pf_output_print(out, "\n");
    }
}

static void print_grid_table(pf_output *out, const pf_arm_groups *all)
{
    const int width = pf_ablation_label_width(all);
    pf_output_print(out, "%-*s %9s %10s %10s %10s %9s %10s\n", width, "attention", "loss", "deviation",
                    "perplexity", "accuracy", "tokens/s", "seconds");
    for (int i = 0; i < all->count; i++) {
        const pf_arm_group *g = &all->group[i];
        pf_output_print(out, "%-*s ", width, g->first->label);
        if (g->n_points) {
            const pf_arm_point *p = &g->point[g->n_points - 1];
            pf_output_print(out, "%9.4f ", p->loss.mean);
            if (g->n_seeds - g->n_failed > 1)
                pf_output_print(out, "%10.4f ", p->loss.deviation);
            else
                pf_output_print(out, "%10s ", "-");
            pf_output_print(out, p->perplexity.mean < 1e6 ? "%10.3f" : "%10.3g", p->perplexity.mean);
            pf_output_print(out, " %8.2f %% %9.0f %10.1f", 100 * p->accuracy.mean, tokens_per_s(g),
                            p->seconds.mean);
        }
        if (g->n_failed) pf_output_print(out, " "), pf_ablation_print_failure(out, g);
        pf_output_print(out, "\n");
    }
}

pf_status pf_ablation_write_grid(const pf_ablation *a)
{
    pf_arm_groups all;
    pf_status status = pf_arm_groups_create(a, &all);
    if (status != PF_OK) return status;
    status = pf_ablation_write_curves(a, &all);
    if (status == PF_OK) status = pf_ablation_write_table(a, "ablation.tsv", &all, print_grid_tsv);
    if (status == PF_OK)
        status =
            pf_ablation_plot_losses(a, &all,
                                    &(pf_ablation_plot){.name = "loss-tokens.svg",
                                                        .title = "Kernels: validation loss against tokens"});
    if (status == PF_OK)
        status = pf_ablation_plot_losses(a, &all,
                                         &(pf_ablation_plot){.name = "loss-seconds.svg",
                                                             .title = "Kernels: validation loss against time",
                                                             .by_time = true});
    if (status == PF_OK) status = pf_ablation_write_table(a, NULL, &all, print_grid_table);
    pf_arm_groups_free(&all);
    return status;
}
