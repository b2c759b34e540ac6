// Tables and pictures of `performer approx`. See approx_report.h.
#include "tools/approx_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/output.h"
#include "tools/plot.h"

const char *pf_approx_projection_name(pf_projection_kind kind)
{
    static const char *const names[] = {[PF_PROJECTION_ORTHOGONAL] = "orthogonal",
                                        [PF_PROJECTION_IID] = "iid",
                                        [PF_PROJECTION_HADAMARD] = "hadamard",
                                        [PF_PROJECTION_GIVENS] = "givens",
                                        [PF_PROJECTION_NONE] = "none"};
    return names[kind];
}

const pf_approx_row *pf_approx_find(const pf_approx_table *table, pf_approx_cell cell)
{
    for (size_t i = 0; i < table->count; i++) {
        const pf_approx_row *row = &table->row[i];
        if (row->place == cell.place && row->layer == cell.layer && row->kernel == cell.kernel &&
            row->projection == cell.projection && row->n_features == cell.n_features)
            return row;
    }
    return NULL;
}

// ---- tables ----

static const char *place_name(const pf_approx_table *table, const pf_approx_row *row)
{
    if (row->place == PF_APPROX_ATTENTION) return table->is_model ? "model" : "random";
    return row->place == PF_APPROX_STREAM ? "stream" : row->place == PF_APPROX_LOGITS ? "logits" : "alone";
}

static void print_row(pf_output *out, const pf_approx_table *table, const pf_approx_row *row)
{
    const bool is_random = !table->is_model;
    pf_output_print(out, "%s\t%.9g\t%s\t%s\t%d\t%d\t%.9g\t%.9g\t%.9g\t%.9g\t%" PRIu64, place_name(table, row),
                    is_random ? table->options.scale[row->layer - 1] : row->layer,
                    pf_favor_kernel_name(row->kernel), pf_approx_projection_name(row->projection),
                    row->n_features, row->draws, row->mse, row->mse_deviation, row->relative,
                    row->relative_deviation, row->not_finite);
    if (row->place == PF_APPROX_ATTENTION)
        pf_output_print(out, "\t%.9g", row->pair_size);
    else
        pf_output_print(out, "\t%.9g\t%.9g", row->divergence, row->divergence_deviation);
    pf_output_print(out, "\n");
}

static pf_status open_in(const char *directory, const char *name, pf_output **out)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
        return pf_tool_fail(PF_ERROR_FAILED, "%s: the path is too long", directory);
    return pf_output_open(path, out);
}

static pf_status write_table(const pf_approx_table *table, const char *directory, bool is_attention)
{
    pf_output *out = NULL;
    const pf_status status = open_in(directory, is_attention ? "attention.tsv" : "stream.tsv", &out);
    if (status != PF_OK) return status;
    pf_output_print(out,
                    "%s\t%s\tkernel\tprojection\tfeatures\tdraws\tmse\tmse_deviation\trelative\t"
                    "relative_deviation\tnot_finite%s\n",
                    is_attention ? "source" : "place", table->is_model ? "layer" : "scale",
                    is_attention ? "\tpair_size" : "\tdivergence\tdivergence_deviation");
    for (size_t i = 0; i < table->count; i++)
        if ((table->row[i].place == PF_APPROX_ATTENTION) == is_attention)
            print_row(out, table, &table->row[i]);
    return pf_output_commit(out);
}

static bool has_stream(const pf_approx_table *table)
{
    return table->is_model && table->options.stream_features > 0;
}

pf_status pf_approx_write_tables(const pf_approx_table *table, const char *directory)
{
    const pf_status status = write_table(table, directory, true);
    return status == PF_OK && has_stream(table) ? write_table(table, directory, false) : status;
}

// ---- pictures ----

enum { COLOURS = 8, MOST_CURVES = 64, MOST_NAME = 48 }; // colours of tools/plot.c

// Curves of one picture: a colour for each kernel, the first projection in full, the others dashed.
typedef struct picture {
    pf_plot_curve curve[MOST_CURVES];
    char name[MOST_CURVES][MOST_NAME];
    double *numbers; // x, y and deviation of each
    int points, n_curves;
} picture;

// Without what all estimators have in common, for the narrow margin.
static const char *short_name(pf_favor_kernel kernel)
{
    const char *name = pf_favor_kernel_name(kernel);
    return strncmp(name, "softmax_", 8) ? name : name + 8;
}

static pf_status start_picture(picture *p, const pf_approx_table *table, int points)
{
    const pf_approx_options *o = &table->options;
    *p = (picture){.points = points};
    p->numbers = calloc((size_t)points * 3 * MOST_CURVES, sizeof *p->numbers);
    if (!p->numbers) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    for (int projection = 0; projection < o->n_projections && projection < MOST_CURVES / COLOURS;
         projection++)
        for (int kernel = 0; kernel < o->n_kernels && kernel < COLOURS; kernel++) {
            const int i = projection * COLOURS + kernel;
            double *at = p->numbers + 3 * i * points;
            snprintf(p->name[i], MOST_NAME, "%s, %s", short_name(o->kernel[kernel]),
                     pf_approx_projection_name(o->projection[projection]));
            p->curve[i] = (pf_plot_curve){.name = p->name[i],
                                          .x = at,
                                          .y = at + points,
                                          .deviation = projection ? NULL : at + 2 * points,
                                          .count = points,
                                          .is_dashed = projection > 0};
            p->n_curves = i + 1;
        }
    return PF_OK;
}

static void set_point(picture *p, int curve, int i, double x, const double value[2])
{
    double *at = p->numbers + 3 * curve * p->points;
    at[i] = x;
    at[p->points + i] = value[0];
    at[2 * p->points + i] = value[1];
}

static pf_status finish_picture(picture *p, pf_plot plot, const char *directory, const char *name)
{
    pf_output *out = NULL;
    char *text = NULL;
    size_t length = 0;
    pf_status status = PF_OK;
    plot.curves = p->curve;
    plot.n_curves = p->n_curves;
    FILE *memory = open_memstream(&text, &length);
    if (memory) pf_plot_write(memory, &plot);
    if (!memory || fclose(memory) != 0) status = pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    if (status == PF_OK) status = open_in(directory, name, &out);
    if (status == PF_OK) {
        pf_output_write(out, text, length);
        status = pf_output_commit(out);
    }
    free(text);
    free(p->numbers);
    return status;
}

static pf_approx_cell cell_of(const pf_approx_table *table, int curve)
{
    return (pf_approx_cell){.kernel = table->options.kernel[curve % COLOURS],
                            .projection = table->options.projection[curve / COLOURS]};
}

// Random tensors of one scale: mean squared error, as the paper's figure 4. A model (layer 0): relative
// error, mean over its layers, whose outputs differ in size.
static void value_at_size(const pf_approx_table *table, pf_approx_cell cell, double out[2])
{
    const int layer = cell.layer, first = layer ? layer : 1, last = layer ? layer : table->size.layers;
    out[0] = out[1] = 0;
    for (cell.layer = first; cell.layer <= last; cell.layer++) {
        const pf_approx_row *row = pf_approx_find(table, cell);
        out[0] += !row ? (double)NAN : layer ? row->mse : row->relative / table->size.layers;
        out[1] += !row    ? (double)NAN
                  : layer ? row->mse_deviation
                          : row->relative_deviation / table->size.layers;
    }
}

// What was looked at, for the line below a title. `scale`: its number, 0 for a model.
static const char *describe(const pf_approx_table *t, int scale, char out[200])
{
    if (scale == 0)
        snprintf(out, 200, "%d sequences, %d tokens, heads of %d; %d draws, bars: one standard deviation",
                 t->size.sequences, t->size.tokens, t->size.head_size, t->options.draws);
    else
        snprintf(out, 200, "L %d, E %d, q and k of N(0, %g²); %d draws, bars: one standard deviation",
                 t->size.tokens, t->size.head_size, t->options.scale[scale - 1], t->options.draws);
    return out;
}

static pf_status plot_sizes(const pf_approx_table *table, int layer, const char *directory)
{
    picture p;
    char note[200], name[64] = "attention.svg";
    const pf_status status = start_picture(&p, table, table->options.n_features);
    if (status != PF_OK) return status;
    for (int curve = 0; curve < p.n_curves; curve++)
        for (int i = 0; p.curve[curve].name && i < p.points; i++) {
            pf_approx_cell cell = cell_of(table, curve);
            double value[2];
            cell.layer = layer;
            cell.n_features = table->options.features[i];
            value_at_size(table, cell, value);
            set_point(&p, curve, i, cell.n_features, value);
        }
    if (layer) snprintf(name, sizeof name, "attention-scale-%g.svg", table->options.scale[layer - 1]);
    return finish_picture(
        &p,
        (pf_plot){.title = "FAVOR against exact attention",
                  .note = describe(table, layer, note),
                  .x_label = "random features M (rows of W)",
                  .y_label = layer ? "mean squared error of the attention output"
                                   : "relative error of the attention output, mean over layers",
                  .log_x = true,
                  .log_y = true},
        directory, name);
}

static pf_status plot_layers(const pf_approx_table *table, pf_approx_place place, int32_t n_features,
                             const char *directory)
{
    picture p;
    char note[200], title[120];
    const bool is_stream = place == PF_APPROX_STREAM;
    const pf_status status = start_picture(&p, table, table->size.layers);
    if (status != PF_OK) return status;
    for (int curve = 0; curve < p.n_curves; curve++)
        for (int i = 0; p.curve[curve].name && i < p.points; i++) {
            pf_approx_cell cell = cell_of(table, curve);
            cell.place = place, cell.layer = i + 1, cell.n_features = n_features;
            const pf_approx_row *row = pf_approx_find(table, cell);
            set_point(
                &p, curve, i, i + 1,
                (double[]){row ? row->relative : (double)NAN, row ? row->relative_deviation : (double)NAN});
        }
    snprintf(title, sizeof title,
             is_stream ? "The attention of all layers by FAVOR, M %d: the error through the layers"
                       : "FAVOR against exact attention in each layer, M %d",
             n_features);
    return finish_picture(&p,
                          (pf_plot){.title = title,
                                    .note = describe(table, 0, note),
                                    .x_label = "layer",
                                    .y_label = is_stream ? "relative error of the stream after the layer"
                                                         : "relative error of the attention output",
                                    .log_y = true},
                          directory, is_stream ? "stream.svg" : "layers.svg");
}

// What each layer costs where it is replaced alone, with all of them together as a line across.
static pf_status plot_alone(const pf_approx_table *table, const char *directory)
{
    picture p = {.n_curves = 2, .points = table->size.layers > 2 ? table->size.layers : 2};
    const pf_approx_options *o = &table->options;
    char note[200], title[120];
    p.numbers = calloc((size_t)p.points * 6, sizeof *p.numbers);
    if (!p.numbers) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    pf_approx_cell cell = {PF_APPROX_LOGITS, 0, o->kernel[0], o->projection[0], o->stream_features};
    const pf_approx_row *all = pf_approx_find(table, cell);
    for (int i = 0; i < 2; i++) {
        double *at = p.numbers + 3 * i * p.points;
        p.curve[i] = (pf_plot_curve){.name = i ? "all layers" : "one layer", .x = at, .y = at + p.points};
    }
    cell.place = PF_APPROX_ALONE;
    p.curve[0].count = table->size.layers, p.curve[0].deviation = p.numbers + 2 * p.points;
    for (int i = 0; i < table->size.layers; i++) {
        cell.layer = i + 1;
        const pf_approx_row *row = pf_approx_find(table, cell);
        set_point(
            &p, 0, i, i + 1,
            (double[]){row ? row->divergence : (double)NAN, row ? row->divergence_deviation : (double)NAN});
    }
    p.curve[1].count = 2, p.curve[1].is_dashed = true;
    for (int i = 0; i < 2; i++)
        set_point(&p, 1, i, i ? table->size.layers : 1, (double[]){all ? all->divergence : (double)NAN, 0});
    snprintf(title, sizeof title, "The attention of one layer by %s, M %d: what it costs",
             pf_favor_kernel_name(o->kernel[0]), o->stream_features);
    return finish_picture(&p,
                          (pf_plot){.title = title,
                                    .note = describe(table, 0, note),
                                    .x_label = "layer",
                                    .y_label = "divergence of the predictions, nats a token",
                                    .log_y = true},
                          directory, "alone.svg");
}

pf_status pf_approx_write_plots(const pf_approx_table *table, const char *directory)
{
    const pf_approx_options *o = &table->options;
    pf_status status = PF_OK;
    for (int i = 1; i <= table->size.layers && !table->is_model && status == PF_OK; i++)
        status = plot_sizes(table, i, directory);
    if (status != PF_OK || !table->is_model) return status;
    status = plot_sizes(table, 0, directory);
    if (status != PF_OK) return status;
    // Layers are shown for the number of features nearest below that of the stream.
    int32_t shown = o->features[0];
    for (int i = 0; i < o->n_features; i++)
        if (o->features[i] > shown && (o->features[i] <= o->stream_features || !o->stream_features))
            shown = o->features[i];
    status = plot_layers(table, PF_APPROX_ATTENTION, shown, directory);
    if (status != PF_OK || !has_stream(table)) return status;
    status = plot_layers(table, PF_APPROX_STREAM, o->stream_features, directory);
    return status == PF_OK ? plot_alone(table, directory) : status;
}
