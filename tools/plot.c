// Curves as SVG. See plot.h.
#include "tools/plot.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "tools/plot_parts.h"

enum {
    FIELD = 480,
    HEIGHT = 440,
    LEFT = 80,
    TOP = 62,
    BOTTOM = 60,
    LABEL_GAP = 16,
    MOST_TICKS = 16,
    MOST_NAME = 320,
    CLOUD_NAME = 25, // its dot stands before it
    ROUNDS = 32
};

// Told apart by people who see few colours, too (Okabe and Ito's set, without its yellow).
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#56b4e9", "#e69f00", "#6a3d9a", "#555555"};
enum { COLOURS = sizeof colours / sizeof *colours };

// One direction of the picture: values low .. high lie at pixels from .. to.
typedef struct axis {
    double low, high, from, to;
    bool is_log;
    bool is_empty;
} axis;

static bool is_shown(const axis *a, double value)
{
    return isfinite(value) && (!a->is_log || value > 0);
}

static double scaled(const axis *a, double value)
{
    return a->is_log ? log10(value) : value;
}

static double pixel(const axis *a, double value)
{
    const double at = (scaled(a, value) - scaled(a, a->low)) / (scaled(a, a->high) - scaled(a, a->low));
    return a->from + (a->to - a->from) * fmin(fmax(at, 0), 1);
}

static void include(axis *a, double value)
{
    if (!is_shown(a, value)) return;
    a->low = a->is_empty ? value : fmin(a->low, value);
    a->high = a->is_empty ? value : fmax(a->high, value);
    a->is_empty = false;
}

// A little room around the values; an axis of one value gets some too.
static void widen(axis *a)
{
    if (a->is_empty) a->low = 1, a->high = 10;
    if (a->is_log) {
        const double factor = fmax(pow(a->high / a->low, 0.04), 1.05);
        a->low /= factor, a->high *= factor;
    } else {
        const double room = a->high > a->low ? 0.04 * (a->high - a->low) : fmax(fabs(a->high) * 0.1, 1e-9);
        a->low -= room, a->high += room;
    }
}

// The round number (1, 2 or 5 times a power of ten) next above `least`.
static double round_step(double least)
{
    const double size = pow(10, floor(log10(least)));
    return least <= size ? size : least <= 2 * size ? 2 * size : least <= 5 * size ? 5 * size : 10 * size;
}

static int linear_ticks(const axis *a, double *tick)
{
    const double step = round_step((a->high - a->low) / 6);
    int n = 0;
    for (double k = ceil(a->low / step); k * step <= a->high && n < MOST_TICKS; k++) tick[n++] = k * step;
    return n;
}

// Powers of ten; between few of them 2 and 5 as well. An axis too short for two of these is marked as a linear one.
static int log_ticks(const axis *a, double *tick)
{
    static const double few[] = {1, 2, 5}, many[] = {1};
    const double decades = log10(a->high / a->low);
    const double *factor = decades < 3 ? few : many;
    const int factors = decades < 3 ? 3 : 1;
    const int every = (int)fmax(1, ceil(decades / 8));
    int n = 0;
    for (int power = (int)floor(log10(a->low)); power <= ceil(log10(a->high)); power += every)
        for (int i = 0; i < factors && n < MOST_TICKS; i++) {
            const double value = factor[i] * pow(10, power);
            if (value >= a->low && value <= a->high) tick[n++] = value;
        }
    return n > 1 ? n : linear_ticks(a, tick);
}

static void print_tick(FILE *out, double x, double y, const char *anchor, double value)
{
    char text[32];
    pf_plot_number(text, sizeof text, value);
    pf_plot_text(out, &(pf_plot_label){.x = x, .y = y, .anchor = anchor, .text = text});
}

static void print_axes(FILE *out, const pf_plot *plot, const axis *x, const axis *y)
{
    double tick[MOST_TICKS];
    int n = y->is_log ? log_ticks(y, tick) : linear_ticks(y, tick);
    for (int i = 0; i < n; i++) {
        pf_plot_line(out, x->from, pixel(y, tick[i]), x->to, pixel(y, tick[i]), PF_PLOT_GRID);
        print_tick(out, x->from - 8, pixel(y, tick[i]) + 4, "end", tick[i]);
    }
    n = x->is_log ? log_ticks(x, tick) : linear_ticks(x, tick);
    for (int i = 0; i < n; i++) {
        pf_plot_line(out, pixel(x, tick[i]), y->from, pixel(x, tick[i]), y->from + 5, PF_PLOT_INK);
        print_tick(out, pixel(x, tick[i]), y->from + 20, "middle", tick[i]);
    }
    pf_plot_line(out, x->from, y->from, x->to, y->from, PF_PLOT_INK);
    pf_plot_axis_names(out, &(pf_plot_frame){x->from, x->to, y->to, y->from}, plot->x_label, plot->y_label);
}

static bool has_point(const pf_plot_curve *c, int i, const axis *x, const axis *y)
{
    return is_shown(x, c->x[i]) && is_shown(y, c->y[i]);
}

static void print_bars(FILE *out, const pf_plot_curve *c, const char *colour, const axis *x, const axis *y)
{
    for (int i = 0; i < c->count; i++) {
        if (!has_point(c, i, x, y) || !(c->deviation[i] > 0)) continue;
        const double low = c->y[i] - c->deviation[i], at = pixel(x, c->x[i]);
        const double bottom = is_shown(y, low) ? pixel(y, low) : y->from,
                     top = pixel(y, c->y[i] + c->deviation[i]);
        fprintf(out, "<path d=\"M%.1f %.1fV%.1fM%.1f %.1fh6M%.1f %.1fh6\" stroke=\"%s\" fill=\"none\"/>\n",
                at, bottom, top, at - 3, bottom, at - 3, top, colour);
    }
}

static void print_curve(FILE *out, const pf_plot_curve *c, const char *colour, const axis *x, const axis *y)
{
    const bool has_marks = c->count <= 40 && !c->is_faint && !c->is_dashed && !c->has_no_marks;
    bool is_open = false;
    if (c->deviation) print_bars(out, c, colour, x, y);
    fprintf(out, "<path d=\"");
    for (int i = 0; i < c->count; i++) {
        const bool shown = has_point(c, i, x, y);
        if (shown) fprintf(out, "%c%.1f %.1f", is_open ? 'L' : 'M', pixel(x, c->x[i]), pixel(y, c->y[i]));
        is_open = shown;
    }
    fprintf(out, "\" stroke=\"%s\" fill=\"none\" stroke-linejoin=\"round\" stroke-width=\"%s\"%s%s/>\n",
            colour, c->is_faint ? "1" : "2", c->is_dashed ? " stroke-dasharray=\"6 4\"" : "",
            c->is_faint ? " opacity=\"0.4\"" : "");
    for (int i = 0; has_marks && i < c->count; i++)
        if (has_point(c, i, x, y))
            fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", pixel(x, c->x[i]),
                    pixel(y, c->y[i]), colour);
}

// Every ROUNDS-th point of a cloud from `first` on. They are lines of no length with round ends,
// half-transparent: a few bytes for each.
static void print_dots(FILE *out, const pf_plot_curve *c, int first, const char *style, const axis *x,
                       const axis *y)
{
    bool is_open = false;
    for (int i = first; i < c->count; i += ROUNDS) {
        if (!has_point(c, i, x, y)) continue;
        fprintf(out, "%sM%.1f %.1fh0", is_open ? "" : "<path d=\"", pixel(x, c->x[i]), pixel(y, c->y[i]));
        is_open = true;
    }
    if (is_open) fprintf(out, "\" %s stroke-linecap=\"round\" stroke-opacity=\"0.5\"/>\n", style);
}

// In rounds, so that no cloud covers another and dense places are dark.
static void print_clouds(FILE *out, const pf_plot *plot, const axis *x, const axis *y)
{
    int64_t points = 0;
    for (int i = 0; i < plot->n_curves; i++) points += plot->curves[i].is_cloud ? plot->curves[i].count : 0;
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < plot->n_curves; i++) {
            char style[64];
            if (!plot->curves[i].is_cloud) continue;
            snprintf(style, sizeof style, "stroke=\"%s\" stroke-width=\"%d\"", colours[i % COLOURS],
                     points > 5000   ? 3
                     : points > 1000 ? 4
                                     : 5);
            print_dots(out, &plot->curves[i], round, style, x, y);
        }
}

typedef struct name_place {
    double y;
    int curve;
} name_place;

static int compare_places(const void *a, const void *b)
{
    const double left = ((const name_place *)a)->y, right = ((const name_place *)b)->y;
    return (left > right) - (left < right);
}

// Names at the right edge, each beside its curve's last point as far as the others leave room.
static void print_names(FILE *out, const pf_plot *plot, const axis *x, const axis *y)
{
    name_place *place = calloc((size_t)plot->n_curves + 1, sizeof *place);
    int n = 0;
    for (int i = 0; place && i < plot->n_curves; i++) {
        const pf_plot_curve *c = &plot->curves[i];
        int last = c->count - 1;
        while (last >= 0 && !has_point(c, last, x, y)) last--;
        if (!c->name) continue;
        const double at = c->is_cloud ? y->to + LABEL_GAP * i : last < 0 ? y->from : pixel(y, c->y[last]);
        place[n++] = (name_place){at, i};
    }
    if (n) qsort(place, (size_t)n, sizeof *place, compare_places);
    // Down from the top with the gap kept, then up from the bottom where that went too far.
    for (int i = 1; i < n; i++) place[i].y = fmax(place[i].y, place[i - 1].y + LABEL_GAP);
    double limit = HEIGHT - BOTTOM + 8;
    for (int i = n - 1; i >= 0; i--, limit -= LABEL_GAP) place[i].y = fmin(place[i].y, limit);
    for (int i = 0; i < n; i++) {
        const pf_plot_curve *c = &plot->curves[place[i].curve];
        const char *colour = colours[place[i].curve % COLOURS];
        if (c->is_cloud)
            fprintf(out,
                    "<path d=\"M%.1f %.1fh0\" stroke=\"%s\" stroke-width=\"9\" stroke-linecap=\"round\"/>\n",
                    x->to + 15, place[i].y, colour);
        pf_plot_text(out, &(pf_plot_label){.x = x->to + (c->is_cloud ? CLOUD_NAME : 10),
                                           .y = place[i].y + 4,
                                           .text = c->name,
                                           .colour = colour,
                                           .fits = MOST_NAME});
    }
    free(place);
}

static double names_width(const pf_plot *plot)
{
    double width = 0;
    for (int i = 0; i < plot->n_curves; i++)
        if (plot->curves[i].name) width = fmax(width, pf_plot_text_width(plot->curves[i].name, 0));
    for (int i = 0; i < plot->n_curves; i++)
        if (plot->curves[i].is_cloud) return fmin(width, MOST_NAME) + CLOUD_NAME;
    return fmin(width, MOST_NAME);
}

static void measure(const pf_plot *plot, axis *x, axis *y)
{
    for (int n = 0; n < plot->n_curves; n++) {
        const pf_plot_curve *c = &plot->curves[n];
        for (int i = 0; i < c->count; i++) {
            if (!has_point(c, i, x, y)) continue;
            include(x, c->x[i]);
            include(y, c->y[i]);
            if (c->deviation && isfinite(c->deviation[i]))
                include(y, c->y[i] - c->deviation[i]), include(y, c->y[i] + c->deviation[i]);
        }
    }
}

void pf_plot_write(FILE *out, const pf_plot *plot)
{
    axis x = {.from = LEFT, .to = LEFT + FIELD, .is_log = plot->log_x, .is_empty = true};
    axis y = {.from = HEIGHT - BOTTOM, .to = TOP, .is_log = plot->log_y, .is_empty = true};
    measure(plot, &x, &y);
    const bool is_empty = x.is_empty;
    widen(&x), widen(&y);
    if (plot->y_high > plot->y_low) y.low = plot->y_low, y.high = plot->y_high;
    pf_plot_begin(out, LEFT + FIELD + (int)names_width(plot) + 30, HEIGHT, plot->title, plot->note);
    print_axes(out, plot, &x, &y);
    print_clouds(out, plot, &x, &y);
    for (int i = 0; i < plot->n_curves; i++)
        if (!plot->curves[i].is_cloud) print_curve(out, &plot->curves[i], colours[i % COLOURS], &x, &y);
    print_names(out, plot, &x, &y);
    if (is_empty)
        pf_plot_text(out, &(pf_plot_label){.x = LEFT + FIELD / 2.0,
                                           .y = HEIGHT / 2.0,
                                           .anchor = "middle",
                                           .text = "no numbers to show"});
    pf_plot_end(out);
}
