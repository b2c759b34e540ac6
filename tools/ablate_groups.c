// Arms over their seeds, and tables of them. See ablate_groups.h.
#include "tools/ablate_groups.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void pf_statistic_add(pf_statistic *s, double value)
{
    // Welford: deviation holds the sum of squares until it is finished.
    const double difference = value - s->mean;
    s->count++;
    s->mean += difference / s->count;
    s->deviation += difference * (value - s->mean);
}

pf_statistic pf_statistic_finish(pf_statistic s)
{
    if (s.count == 0) return (pf_statistic){.mean = NAN, .deviation = NAN};
    s.deviation = s.count > 1 ? sqrt(s.deviation / (s.count - 1)) : 0;
    return s;
}

static int count_points(const pf_arm *arm)
{
    return arm->failure ? 0 : arm->run->n_evaluations + arm->has_start;
}

static pf_run_evaluation evaluation_of(const pf_arm *arm, int point)
{
    if (arm->has_start && point == 0) return arm->at_once;
    return arm->run->evaluation[point - arm->has_start];
}

static pf_arm_point measure_point(const pf_arm *first, int n_seeds, int point, double *scratch)
{
    pf_arm_point p = {0};
    for (int s = 0; s < n_seeds; s++) {
        if (point >= count_points(first + s)) continue;
        const pf_run_evaluation e = evaluation_of(first + s, point);
        p.step = e.step;
        pf_statistic_add(&p.loss, e.loss);
        pf_statistic_add(&p.perplexity, e.perplexity);
        pf_statistic_add(&p.accuracy, e.accuracy);
        pf_statistic_add(&p.tokens, (double)e.tokens_so_far);
        pf_statistic_add(&p.seconds, pf_run_step_seconds(first[s].run, e.step, scratch));
    }
    p.loss = pf_statistic_finish(p.loss), p.perplexity = pf_statistic_finish(p.perplexity),
    p.accuracy = pf_statistic_finish(p.accuracy);
    p.tokens = pf_statistic_finish(p.tokens), p.seconds = pf_statistic_finish(p.seconds);
    return p;
}

static pf_status make_group(const pf_ablation *a, int first, pf_arm_group *out)
{
    pf_arm_group g = {.first = &a->arm[first], .n_seeds = pf_ablation_group(a, first)};
    int steps = 1;
    for (int s = 0; s < g.n_seeds; s++) {
        const pf_arm *arm = g.first + s;
        if (arm->failure && !g.failure) g.failure = arm->failure;
        g.n_failed += arm->failure != NULL;
        if (count_points(arm) > g.n_points) g.n_points = count_points(arm);
        if (arm->run->n_steps > steps) steps = arm->run->n_steps;
    }
    double *scratch = malloc((size_t)steps * sizeof *scratch);
    g.point = calloc((size_t)g.n_points + 1, sizeof *g.point);
    for (int p = 0; scratch && g.point && p < g.n_points; p++)
        g.point[p] = measure_point(g.first, g.n_seeds, p, scratch);
    pf_status status = PF_OK;
    if (!scratch || !g.point) {
        free(g.point);
        status = pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    } else {
        *out = g;
    }
    free(scratch);
    return status;
}

void pf_arm_groups_free(pf_arm_groups *g)
{
    for (int i = 0; i < g->count; i++) free(g->group[i].point);
    free(g->group);
}

pf_status pf_arm_groups_create(const pf_ablation *a, pf_arm_groups *out)
{
    pf_arm_groups g = {.group = calloc((size_t)a->n_arms + 1, sizeof *g.group)};
    pf_status status = g.group ? PF_OK : pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    for (int i = 0; i < a->n_arms && status == PF_OK; i += pf_ablation_group(a, i)) {
        status = make_group(a, i, &g.group[g.count]);
        if (status == PF_OK) g.count++;
    }
    if (status == PF_OK)
        *out = g;
    else
        pf_arm_groups_free(&g);
    return status;
}

pf_status pf_ablation_open_file(const pf_ablation *a, const char *name, pf_output **out)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", a->directory, name) < 0)
        return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    const pf_status status = pf_output_open(path, out);
    free(path);
    return status;
}

pf_status pf_ablation_write_curves(const pf_ablation *a, const pf_arm_groups *all)
{
    pf_output *out;
    const pf_status status = pf_ablation_open_file(a, "curves.tsv", &out);
    if (status != PF_OK) return status;
    pf_output_print(out, "arm\tstep\ttokens\tseconds\tvalid_loss\tdeviation\tperplexity\taccuracy\n");
    for (int g = 0; g < all->count; g++)
        for (int i = 0; i < all->group[g].n_points; i++) {
            const pf_arm_point *p = &all->group[g].point[i];
            pf_output_print(out, "%s\t%" PRId64 "\t%.0f\t%.2f\t%.6f\t%.6f\t%.8g\t%.5f\n",
                            all->group[g].first->label, p->step, p->tokens.mean, p->seconds.mean,
                            p->loss.mean, p->loss.deviation, p->perplexity.mean, p->accuracy.mean);
        }
    return pf_output_commit(out);
}

int pf_ablation_label_width(const pf_arm_groups *all)
{
    size_t width = 10;
    for (int g = 0; g < all->count; g++)
        if (strlen(all->group[g].first->label) > width) width = strlen(all->group[g].first->label);
    return (int)width;
}

void pf_ablation_print_failure(pf_output *out, const pf_arm_group *g)
{
    if (!g->n_failed) {
        pf_output_print(out, "finite");
        return;
    }
    if (g->n_failed < g->n_seeds) pf_output_print(out, "%d of %d ", g->n_failed, g->n_seeds);
    pf_output_print(out, "NaN: ");
    pf_output_plain_text(out, g->failure, strlen(g->failure));
}

pf_status pf_ablation_write_table(const pf_ablation *a, const char *name, const pf_arm_groups *all,
                                  void (*print)(pf_output *out, const pf_arm_groups *all))
{
    pf_output *out;
    const pf_status status = name ? pf_ablation_open_file(a, name, &out) : pf_output_open(NULL, &out);
    if (status != PF_OK) return status;
    print(out, all);
    return pf_output_commit(out);
}
