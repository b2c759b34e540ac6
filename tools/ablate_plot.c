// Plots of an ablation. See ablate_groups.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ablate_groups.h"

pf_status pf_ablation_write_picture(const pf_ablation *a, const char *name, const pf_plot *plot)
{
    char *text = NULL;
    size_t size = 0;
    pf_output *out = NULL;
    FILE *memory = open_memstream(&text, &size);
    if (memory) pf_plot_write(memory, plot);
    pf_status status = memory && fclose(memory) == 0 ? pf_ablation_open_file(a, name, &out)
                                                     : pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    if (status == PF_OK) {
        pf_output_write(out, text, size);
        status = pf_output_commit(out);
    }
    free(text);
    return status;
}

enum { MOST_KERNELS = 24, MOST_VARIANTS = 12 }; // MOST_KERNELS: a multiple of the 8 colours of a plot

// A kernel has one colour: its curves are MOST_KERNELS places apart.
typedef struct drawing {
    pf_plot_curve curve[MOST_KERNELS * MOST_VARIANTS];
    double *numbers;    // x, y and deviation of each curve
    double least, most; // of y, where curves begin and end
    int n_kernels, n_variants[MOST_KERNELS];
    const char *kernel[MOST_KERNELS];
} drawing;

// The place of a group's curve; NULL where there is no room.
static pf_plot_curve *place_of(drawing *d, const pf_arm *arm)
{
    int k = 0;
    while (k < d->n_kernels && strcmp(d->kernel[k], arm->kernel) != 0) k++;
    if (k == d->n_kernels) {
        if (k == MOST_KERNELS) return NULL;
        d->kernel[d->n_kernels++] = arm->kernel;
    }
    if (d->n_variants[k] == MOST_VARIANTS) return NULL;
    return &d->curve[k + MOST_KERNELS * d->n_variants[k]++];
}

static pf_status draw(const pf_arm_groups *all, const pf_ablation_plot *want, double unit, drawing *d)
{
    size_t points = 1;
    *d = (drawing){.least = INFINITY, .most = -INFINITY};
    for (int g = 0; g < all->count; g++) points += (size_t)all->group[g].n_points;
    d->numbers = malloc(3 * points * sizeof *d->numbers);
    if (!d->numbers) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    double *x = d->numbers, *y = x + points, *deviation = y + points;
    for (int g = 0; g < all->count; g++) {
        const pf_arm_group *from = &all->group[g];
        pf_plot_curve *curve = from->n_points ? place_of(d, from->first) : NULL;
        if (!curve) continue;
        for (int i = 0; i < from->n_points; i++) {
            x[i] = (want->by_time ? from->point[i].seconds.mean : from->point[i].tokens.mean) / unit;
            y[i] = from->point[i].loss.mean;
            deviation[i] = from->point[i].loss.deviation;
            d->least = fmin(d->least, y[i]);
        }
        d->most = fmax(d->most, y[from->n_points > 1]);
        *curve = (pf_plot_curve){.name = from->first->label,
                                 .x = x,
                                 .y = y,
                                 .count = from->n_points,
                                 .deviation = from->n_seeds > 1 ? deviation : NULL,
                                 .is_dashed = !from->first->renormalize};
        x += from->n_points, y += from->n_points, deviation += from->n_points;
    }
    return PF_OK;
}

// Largest tokens or seconds of any curve.
static double largest(const pf_arm_groups *all, bool by_time)
{
    double most = 0;
    for (int g = 0; g < all->count; g++)
        for (int i = 0; i < all->group[g].n_points; i++)
            most = fmax(most,
                        by_time ? all->group[g].point[i].seconds.mean : all->group[g].point[i].tokens.mean);
    return most;
}

// A model that knows nothing has a loss of log 29; what is far above that is out of the picture.
static double highest(const drawing *d)
{
    const double nothing = 1.05 * log(PF_VOCAB_SIZE);
    return d->most > nothing && d->least < nothing ? nothing : d->most;
}

// What the picture does not show: seeds behind a mean, and arms without a number.
static const char *make_note(const pf_arm_groups *all, char text[200])
{
    int used = 0;
    if (all->count && all->group[0].n_seeds > 1)
        used = snprintf(text, 200, "mean and deviation over %d seeds", all->group[0].n_seeds);
    for (int g = 0, n = 0; g < all->count && used < 120; g++)
        if (all->group[g].n_failed)
            used += snprintf(text + used, 200 - (size_t)used, "%s%.60s",
                             n++    ? ", "
                             : used ? "; not finite: "
                                    : "not finite: ",
                             all->group[g].first->label);
    return used ? text : NULL;
}

// A curve begins where it comes into view.
static void begin_below(pf_plot_curve *c, double high)
{
    for (; c->count > 1 && c->y[0] > high; c->count--) {
        c->x++, c->y++;
        if (c->deviation) c->deviation++;
    }
}

pf_status pf_ablation_plot_losses(const pf_ablation *a, const pf_arm_groups *all,
                                  const pf_ablation_plot *want)
{
    char note[200], label[64];
    drawing d;
    const double most = largest(all, want->by_time);
    const pf_unit unit = want->by_time ? pf_unit_of_seconds(most) : pf_unit_of_tokens(most);
    pf_status status = draw(all, want, unit.size, &d);
    if (status != PF_OK) return status;
    snprintf(label, sizeof label, "%s, %s", want->by_time ? "time of training steps" : "trained on",
             unit.name);
    const double high = highest(&d), room = 0.06 * (high - d.least) + 1e-3;
    const bool is_empty = !(high >= d.least);
    for (int i = 0; i < MOST_KERNELS * MOST_VARIANTS; i++) begin_below(&d.curve[i], high + room);
    const pf_plot plot = {
        .title = want->title,
        .note = make_note(all, note),
        .x_label = label,
        .y_label = "validation loss, nats",
        .y_low = is_empty ? 0 : d.least - room,
        .y_high = is_empty ? 0 : high + room,
        .curves = d.curve,
        .n_curves = MOST_KERNELS * MOST_VARIANTS,
    };
    status = pf_ablation_write_picture(a, want->name, &plot);
    free(d.numbers);
    return status;
}
