// What the numbers of `performer approx` say about the papers' orderings. See approx_report.h.
#include <math.h>

#include "tools/approx_report.h"

// What a statement is about: the layers of a model, or random tensors of one scale.
typedef struct view {
    const pf_approx_table *table;
    int first, last; // layers
} view;

// How often one estimator's mean error lies below another's, over numbers of features and layers.
typedef struct comparison {
    int below, clearly_below, clearly_above,
        total;                 // clearly: by more than two standard errors of the difference
    double log_ratio, squares; // sums over all pairs; these are independent, each has draws of its own
} comparison;

static void compare(comparison *c, const pf_approx_row *a, const pf_approx_row *b)
{
    if (!a || !b || a->draws == 0 || b->draws == 0) return;
    const double noise =
        sqrt(a->mse_deviation * a->mse_deviation / a->draws + b->mse_deviation * b->mse_deviation / b->draws);
    c->total++;
    c->below += a->mse < b->mse;
    c->clearly_below += b->mse - a->mse > 2 * noise;
    c->clearly_above += a->mse - b->mse > 2 * noise;
    c->log_ratio += log(a->mse / b->mse);
    c->squares += log(a->mse / b->mse) * log(a->mse / b->mse);
}

// Over all layers and numbers of features: estimator a against b, which differ in kernel or projection.
static void compare_all(comparison *c, const view *v, pf_approx_cell a, pf_approx_cell b)
{
    for (int i = 0; i < v->table->options.n_features; i++) {
        a.n_features = b.n_features = v->table->options.features[i];
        for (int layer = v->first; layer <= v->last; layer++) {
            a.layer = b.layer = layer;
            compare(c, pf_approx_find(v->table, a), pf_approx_find(v->table, b));
        }
    }
}

// Few pairs decide when all say the same, each of them clearly or together by a factor of two; five or more
// when all say the same or the mean of their log ratios is 2.5 of its standard errors away from 0.
static const char *judge(const comparison *c)
{
    const double n = c->total, mean = c->log_ratio / n, spread = sqrt(fmax(c->squares / n - mean * mean, 0));
    const bool all_below = c->below == c->total, all_above = c->below == 0;
    if (c->total < 5) {
        if (all_below && (c->clearly_below == c->total || mean < -log(2))) return "holds";
        if (all_above && (c->clearly_above == c->total || mean > log(2))) return "the other way round";
        return "undecided";
    }
    if (all_below || mean * sqrt(n - 1) < -2.5 * spread) return "holds";
    if (all_above || mean * sqrt(n - 1) > 2.5 * spread) return "the other way round";
    return "undecided";
}

static void print_comparison(FILE *out, const char *claim, const char *where, const comparison *c)
{
    if (c->total > 0)
        fprintf(out, "%s (%s): %s, in %d of %d (clearly in %d, clearly not in %d); error x %.3g\n", claim,
                where, judge(c), c->below, c->total, c->clearly_below, c->clearly_above,
                exp(c->log_ratio / c->total));
}

static void print_projections(FILE *out, const view *v)
{
    for (int k = 0; k < v->table->options.n_kernels; k++) {
        const pf_favor_kernel kernel = v->table->options.kernel[k];
        comparison c = {0};
        compare_all(&c, v, (pf_approx_cell){.kernel = kernel, .projection = PF_PROJECTION_ORTHOGONAL},
                    (pf_approx_cell){.kernel = kernel, .projection = PF_PROJECTION_IID});
        print_comparison(out, "orthogonal below iid", pf_favor_kernel_name(kernel), &c);
    }
}

static void print_kernels(FILE *out, const view *v, const char *claim, pf_favor_kernel a, pf_favor_kernel b)
{
    for (int p = 0; p < v->table->options.n_projections; p++) {
        const pf_projection_kind projection = v->table->options.projection[p];
        comparison c = {0};
        compare_all(&c, v, (pf_approx_cell){.kernel = a, .projection = projection},
                    (pf_approx_cell){.kernel = b, .projection = projection});
        print_comparison(out, claim, pf_approx_projection_name(projection), &c);
    }
}

// Slope of log error against log M, mean over layers; an estimate of a mean has -1.
static void print_slopes(FILE *out, const view *v)
{
    const pf_approx_options *o = &v->table->options;
    for (int k = 0; k < o->n_kernels && o->n_features > 1; k++) {
        double n = 0, x = 0, y = 0, xx = 0, xy = 0;
        for (int i = 0; i < o->n_features; i++)
            for (int layer = v->first; layer <= v->last; layer++) {
                const pf_approx_row *row =
                    pf_approx_find(v->table, (pf_approx_cell){PF_APPROX_ATTENTION, layer, o->kernel[k],
                                                              o->projection[0], o->features[i]});
                if (!row || !(row->mse > 0)) continue;
                const double a = log(o->features[i]), b = log(row->mse);
                n++, x += a, y += b, xx += a * a, xy += a * b;
            }
        if (n * xx - x * x > 0)
            fprintf(out, "error falls as M^%.2f (%s, %s)\n", (n * xy - x * y) / (n * xx - x * x),
                    pf_favor_kernel_name(o->kernel[k]), pf_approx_projection_name(o->projection[0]));
    }
}

// One number for every estimator at the largest M.
static void print_errors(FILE *out, const view *v)
{
    const pf_approx_options *o = &v->table->options;
    int32_t most = 0;
    for (int i = 0; i < o->n_features; i++)
        if (o->features[i] > most) most = o->features[i];
    fprintf(out, "relative error of the attention output%s at M %d:",
            v->table->is_model ? ", mean over layers," : "", most);
    for (int k = 0; k < o->n_kernels; k++) {
        double sum = 0;
        for (int layer = v->first; layer <= v->last; layer++) {
            const pf_approx_row *row = pf_approx_find(
                v->table, (pf_approx_cell){PF_APPROX_ATTENTION, layer, o->kernel[k], o->projection[0], most});
            sum += row ? row->relative / (v->last - v->first + 1) : (double)NAN;
        }
        fprintf(out, "%s %s %.3g", k ? "," : "", pf_favor_kernel_name(o->kernel[k]), sum);
    }
    fprintf(out, " (%s)\n", pf_approx_projection_name(o->projection[0]));
}

static void print_stream(FILE *out, const view *v)
{
    const pf_approx_options *o = &v->table->options;
    for (int k = 0; k < o->n_kernels; k++) {
        pf_approx_cell cell = {PF_APPROX_STREAM, 1, o->kernel[k], o->projection[0], o->stream_features};
        const pf_approx_row *begin = pf_approx_find(v->table, cell);
        cell.layer = v->table->size.layers;
        const pf_approx_row *end = pf_approx_find(v->table, cell);
        cell.place = PF_APPROX_LOGITS, cell.layer = 0;
        const pf_approx_row *logits = pf_approx_find(v->table, cell);
        if (begin && end && logits)
            fprintf(
                out,
                "all layers by %s, M %d: relative error %.3g after layer 1, %.3g after layer %d, %.3g in the "
                "logits\n",
                pf_favor_kernel_name(o->kernel[k]), o->stream_features, begin->relative, end->relative,
                v->table->size.layers, logits->relative);
    }
}

static const pf_approx_row *find_alone(const pf_approx_table *t, int layer)
{
    const pf_approx_options *o = &t->options;
    return pf_approx_find(t, (pf_approx_cell){layer ? PF_APPROX_ALONE : PF_APPROX_LOGITS, layer, o->kernel[0],
                                              o->projection[0], o->stream_features});
}

// The layer of largest divergence among those that are not `taken`, 0: none.
static int find_worst(const pf_approx_table *t, const bool *taken)
{
    int worst = 0;
    for (int layer = 1; layer <= t->size.layers; layer++) {
        const pf_approx_row *row = find_alone(t, layer), *other = worst ? find_alone(t, worst) : NULL;
        if (row && !taken[layer] && row->divergence > 0 && (!other || row->divergence > other->divergence))
            worst = layer;
    }
    return worst;
}

// Which layers to keep exact: the fewest that make up half of what layers cost one by one.
static void print_layers(FILE *out, const pf_approx_table *t)
{
    const pf_approx_row *all = find_alone(t, 0);
    bool taken[PF_MAX_LAYERS + 1] = {false};
    double sum = 0, half = 0;
    if (!all || !find_alone(t, 1)) return;
    fprintf(out, "predictions move by so many nats a token where one layer alone is replaced (%s, M %d):",
            pf_favor_kernel_name(all->kernel), all->n_features);
    for (int layer = 1; layer <= t->size.layers; layer++) {
        const double divergence = find_alone(t, layer)->divergence;
        if (divergence > 0) sum += divergence;
        fprintf(out, "%s %d: %.2g", layer > 1 ? "," : "", layer, divergence);
    }
    fprintf(out, "; all together: %.2g\n", all->divergence);
    for (int worst; half < sum / 2 && (worst = find_worst(t, taken)) > 0; taken[worst] = true)
        half += find_alone(t, worst)->divergence;
    if (t->size.layers < 2 || half <= 0) return;
    fprintf(out, "half of that comes from these layers, the first to keep exact:");
    const char *before = " ";
    for (int layer = 1; layer <= t->size.layers; layer++)
        if (taken[layer]) fprintf(out, "%s%d", before, layer), before = ",";
    fprintf(out, " (performer ablate --recipe swap --init MODEL --exact-layers N,N says what it is worth)\n");
}

// The estimates of weights that are far from uniform have not begun to converge when errors are as large as
// results.
static void print_view(FILE *out, const view *v)
{
    const pf_approx_table *table = v->table;
    double size = 0;
    for (size_t i = 0; i < table->count; i++)
        if (table->row[i].layer >= v->first && table->row[i].layer <= v->last &&
            table->row[i].pair_size > size)
            size = table->row[i].pair_size;
    if (!table->is_model) fprintf(out, "q and k of N(0, %g^2): ", table->options.scale[v->first - 1]);
    fprintf(
        out,
        "mean |x+y|^2 of queries and keys%s %.3g, so one positive feature has relative variance e^%.3g - 1\n",
        table->is_model ? ", largest of the layers," : "", size, size);
    print_projections(out, v);
    print_kernels(out, v, "positive below trigonometric", PF_FAVOR_SOFTMAX, PF_FAVOR_SOFTMAX_TRIG);
    print_kernels(out, v, "hyperbolic below positive", PF_FAVOR_SOFTMAX_HYPERBOLIC, PF_FAVOR_SOFTMAX);
    print_kernels(out, v, "OPRF below positive", PF_FAVOR_SOFTMAX_OPRF, PF_FAVOR_SOFTMAX);
    print_slopes(out, v);
    print_errors(out, v);
}

void pf_approx_print_verdict(FILE *out, const pf_approx_table *table)
{
    uint64_t not_finite = 0;
    for (size_t i = 0; i < table->count; i++) not_finite += table->row[i].not_finite;
    if (table->is_model) {
        const view all = {table, 1, table->size.layers};
        print_view(out, &all);
        print_stream(out, &all);
        print_layers(out, table);
    }
    for (int i = 1; i <= table->size.layers && !table->is_model; i++) {
        if (i > 1) fprintf(out, "\n");
        print_view(out, &(view){table, i, i});
    }
    if (not_finite > 0) fprintf(out, "%llu results were not finite\n", (unsigned long long)not_finite);
}
