// Losses of swapped models against M. See ablate_swap.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ablate_swap.h"

enum { MOST_CURVES = 32, MOST_NAME = 96 };

typedef struct drawing {
    pf_plot_curve curve[MOST_CURVES];
    char name[MOST_CURVES][MOST_NAME];
    double *numbers;               // x, y and deviation of each curve, [points] each
    double level[2], height[2][2]; // lines across
    int n_curves, points;
} drawing;

// In order of x, each once: rows come in the order of their trainings.
static void set_point(drawing *d, double x, const pf_statistic *s)
{
    pf_plot_curve *c = &d->curve[d->n_curves];
    double *at = d->numbers + 3 * d->n_curves * d->points, *y = at + d->points, *deviation = y + d->points;
    int place = 0;
    while (place < c->count && at[place] < x) place++;
    if (s->count == 0 || (place < c->count && at[place] == x)) return;
    for (int i = c->count++; i > place; i--)
        at[i] = at[i - 1], y[i] = y[i - 1], deviation[i] = deviation[i - 1];
    at[place] = x, y[place] = s->mean, deviation[place] = s->count > 1 ? s->deviation : 0;
    c->x = at, c->y = y, c->deviation = deviation;
}

// Rows of one kernel, redraw interval and training; `is_after`: their loss after it.
static void add_curve(drawing *d, const pf_swap_results *all, const pf_swap_row *like, bool is_after)
{
    if (d->n_curves == MOST_CURVES) return;
    d->curve[d->n_curves] = (pf_plot_curve){.name = d->name[d->n_curves]};
    for (int i = 0; i < all->n_rows; i++) {
        const pf_swap_row *r = &all->row[i];
        if (r->kernel != like->kernel) continue;
        if (is_after && (r->redraw != like->redraw || strcmp(r->tuned, like->tuned) != 0)) continue;
        set_point(d, r->features, is_after ? &r->after : &r->at_once);
    }
    if (d->curve[d->n_curves].count > 0) d->n_curves++;
}

static void name_next(drawing *d, const char *kernel, const char *what, int64_t redraw)
{
    char *name = d->name[d->n_curves < MOST_CURVES ? d->n_curves : 0];
    const int used = snprintf(name, MOST_NAME, "%s, %s", kernel, what);
    if (redraw) snprintf(name + used, MOST_NAME - (size_t)used, ", new every %lld", (long long)redraw);
}

// Whether an earlier row belongs to the same curve.
static bool is_drawn(const pf_swap_results *all, int row, bool is_after)
{
    for (int i = 0; i < row; i++) {
        const pf_swap_row *x = &all->row[i], *y = &all->row[row];
        if (x->kernel == y->kernel && (!is_after || (x->redraw == y->redraw && !strcmp(x->tuned, y->tuned))))
            return true;
    }
    return false;
}

// How many numbers of features a row's kernel and training have: a curve needs two.
static int count_like(const pf_swap_results *all, const pf_swap_row *like)
{
    int n = 0;
    for (int i = 0; i < all->n_rows; i++)
        n += all->row[i].kernel == like->kernel && all->row[i].redraw == like->redraw &&
             !strcmp(all->row[i].tuned, like->tuned);
    return n;
}

static void add_level(drawing *d, const char *name, double value, int place)
{
    if (d->n_curves == MOST_CURVES || !isfinite(value)) return;
    d->height[place][0] = d->height[place][1] = value;
    d->curve[d->n_curves] =
        (pf_plot_curve){.name = name, .x = d->level, .y = d->height[place], .count = 2, .is_dashed = true};
    d->n_curves++;
}

static void draw(drawing *d, const pf_swap_results *all)
{
    char after[48];
    snprintf(after, sizeof after, "after %lld steps", (long long)all->steps);
    for (int i = 0; i < all->n_rows; i++) {
        const pf_swap_row *r = &all->row[i];
        if (!r->features || !strcmp(r->tuned, "scratch")) continue;
        d->level[0] = d->level[0] > 0 ? fmin(d->level[0], r->features) : r->features;
        d->level[1] = fmax(d->level[1], r->features);
        if (!is_drawn(all, i, false)) {
            name_next(d, r->kernel, "at once", 0);
            add_curve(d, all, r, false);
        }
        if (r->tuned[0] && !is_drawn(all, i, true) && count_like(all, r) > 1) {
            name_next(d, r->kernel, after, r->redraw);
            add_curve(d, all, r, true);
        }
    }
    add_level(d, "exact", all->exact, 0);
    add_level(d, "exact, trained on", all->trained_on.mean, 1);
}

// What is far above a model that was never trained is out of the picture.
static double highest(const drawing *d)
{
    double most = -INFINITY;
    for (int i = 0; i < d->n_curves; i++)
        for (int p = 0; p < d->curve[i].count; p++)
            most = fmax(most, d->curve[i].y[p] + (d->curve[i].deviation ? d->curve[i].deviation[p] : 0));
    return fmin(most, 1.05 * log(PF_VOCAB_SIZE));
}

pf_status pf_swap_plot(const pf_ablation *a, const pf_swap_results *all)
{
    char note[200];
    drawing d = {.points = all->n_rows + 1};
    d.numbers = calloc((size_t)d.points * 3 * MOST_CURVES, sizeof *d.numbers);
    if (!d.numbers) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    draw(&d, all);
    double least = INFINITY;
    for (int i = 0; i < d.n_curves; i++)
        for (int p = 0; p < d.curve[i].count; p++) least = fmin(least, d.curve[i].y[p]);
    const int seeds = all->n_rows ? all->row[0].n_seeds : 0;
    snprintf(note, sizeof note,
             "mean and deviation: at once over %lld draws of the projections, after training over %d seed%s",
             (long long)all->draws, seeds, seeds == 1 ? "" : "s");
    const double high = highest(&d), room = 0.06 * (high - least) + 1e-3;
    const pf_status status =
        pf_ablation_write_picture(a, "swap.svg",
                                  &(pf_plot){.title = "A trained model's attention swapped for FAVOR",
                                             .note = note,
                                             .x_label = "random features M",
                                             .y_label = "validation loss, nats",
                                             .log_x = true,
                                             .y_low = least - room,
                                             .y_high = high + room,
                                             .curves = d.curve,
                                             .n_curves = d.n_curves});
    free(d.numbers);
    return status;
}
