// performer embedding-map: where sequences lie in a model's eyes, as one picture.
#include <stdlib.h>
#include <string.h>

#include "performer/embed.h"
#include "tools/classes.h"
#include "tools/commands.h"
#include "tools/device.h"
#include "tools/output.h"
#include "tools/pca.h"
#include "tools/plot.h"
#include "tools/report.h"
#include "tools/stream.h"

typedef struct embedding_map_options {
    pf_common common;
    pf_stream_flags stream;
    const char *labels, *column, *pool, *output, *table;
    int64_t layer;
} embedding_map_options;

#define AT(field) offsetof(embedding_map_options, field)

static const pf_option table[] = {
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .required = true,
     .at = AT(output),
     .help = "the picture, SVG"},
    {.name = "labels",
     .type = PF_OPTION_TEXT,
     .value = "TSV",
     .at = AT(labels),
     .help = "table with a header row; the first column has the sequences' names, another one their classes: "
             "a colour each"},
    {.name = "label-column",
     .type = PF_OPTION_TEXT,
     .value = "NAME",
     .at = AT(column),
     .help = "the column of the classes, by default the second"},
    {.name = "pool",
     .type = PF_OPTION_CHOICE,
     .value = "WHAT",
     .choices = "mean|begin|max",
     .fallback = "mean",
     .at = AT(pool),
     .help = "mean and max over residues, or the row of begin"},
    {.name = "layer",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = -100000,
     .high = 100000,
     .fallback = "-1",
     .at = AT(layer),
     .help = "0 the embedding sum, n after n layers, -1 the last one, after the final norm"},
    {.name = "table",
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(table),
     .help = "the points as TSV, too: id, class, pc1, pc2"},
    PF_STREAM_ROWS(AT(stream)),
    {0},
};

// What is kept of the sequences, in the order of the input.
typedef struct points {
    float *row;     // [count,width]
    int64_t *found; // [count], of pf_classes_find
    char **id;
    double *x, *y;
    int64_t count, room, width;
} points;

static pf_status make_room(points *p)
{
    if (p->count < p->room) return PF_OK;
    const int64_t more = p->room ? 2 * p->room : 256;
    float *row = realloc(p->row, (size_t)(more * p->width) * sizeof *row);
    if (row) p->row = row;
    int64_t *found = realloc(p->found, (size_t)more * sizeof *found);
    if (found) p->found = found;
    char **id = realloc(p->id, (size_t)more * sizeof *id);
    if (id) p->id = id;
    if (!row || !found || !id)
        return pf_tool_fail(PF_ERROR_FAILED, "out of memory for %lld sequences", (long long)more);
    p->room = more;
    return PF_OK;
}

static pf_status take(points *p, pf_classes *classes, const pf_sequence_result *result)
{
    if (p->count == 0) p->width = (int64_t)result->count;
    const pf_status status = make_room(p);
    if (status != PF_OK) return status;
    memcpy(p->row + p->count * p->width, result->values, (size_t)p->width * sizeof *p->row);
    p->found[p->count] = classes ? pf_classes_find(classes, result->id, result->id_length) : -1;
    p->id[p->count] = strndup(result->id, result->id_length);
    if (!p->id[p->count]) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    p->count++;
    return PF_OK;
}

static void free_points(points *p)
{
    for (int64_t i = 0; i < p->count; i++) free(p->id[i]);
    free(p->row), free(p->found), free(p->id);
    free(p->x), free(p->y);
}

static pf_status take_all(const embedding_map_options *o, pf_embed *embed, pf_classes *classes, points *p)
{
    const double began = pf_tool_seconds();
    pf_progress progress;
    pf_status status;
    const char *warning;
    while ((status = pf_embed_step(embed, &progress)) == PF_OK) {
        const pf_sequence_result *result;
        const size_t n = pf_embed_results(embed, &result);
        for (size_t i = 0; status == PF_OK && i < n; i++) status = take(p, classes, &result[i]);
        if (status != PF_OK) break;
        pf_tool_print_progress(&o->common, progress.sequences, progress.tokens, pf_tool_seconds() - began);
    }
    pf_tool_end_progress(&o->common);
    for (size_t i = 0; (warning = pf_embed_warning(embed, i)); i++) pf_warn(&o->common, "%s", warning);
    return status == PF_END ? PF_OK : status;
}

static pf_status embed_all(const embedding_map_options *o, pf_device *device, pf_classes *classes, points *p)
{
    pf_embed_options options = {.pool = !strcmp(o->pool, "mean")  ? PF_POOL_MEAN
                                        : !strcmp(o->pool, "max") ? PF_POOL_MAX
                                                                  : PF_POOL_BEGIN};
    const int32_t layer = (int32_t)o->layer;
    pf_model *model = NULL;
    pf_embed *embed = NULL;
    pf_status status = pf_tool_stream(&o->common, &o->stream, &options.stream);
    if (status == PF_OK)
        status = pf_tool_model_open(&o->common, &o->stream, device,
                                    (pf_model_options){.layers = &layer, .n_layers = 1}, &model);
    if (status == PF_OK) status = pf_embed_open(model, &options, &embed);
    if (status == PF_OK) status = take_all(o, embed, classes, p);
    pf_embed_close(embed);
    pf_model_close(model);
    if (status == PF_OK && p->count == 0)
        status = pf_tool_fail(PF_ERROR_INPUT, "%s: no sequences; a map needs some", o->common.operands[1]);
    return status;
}

// The class of each point as the number of a cloud; those without a label are the last one.
static int cloud_of(const points *p, const pf_classes *classes, int64_t i)
{
    const int rank = classes ? pf_classes_rank(classes, p->found[i]) : -1;
    return rank >= 0 ? rank : classes ? pf_classes_count(classes) : 0;
}

typedef struct cloud {
    double *x, *y;
    int count;
    char name[160];
} cloud;

static void name_cloud(cloud *c, const pf_classes *classes, int number)
{
    uint64_t sequences = (uint64_t)c->count;
    const char *name = !classes                             ? "sequences"
                       : number < pf_classes_count(classes) ? pf_classes_name(classes, number, &sequences)
                                                            : "without a label";
    snprintf(c->name, sizeof c->name, "%.120s (%llu)", name, (unsigned long long)sequences);
}

// Points grouped by cloud: x and y of a cloud are parts of two arrays as long as all of them.
static void group(const points *p, const pf_classes *classes, cloud *clouds, double *x, double *y)
{
    int64_t first = 0;
    for (int k = 0; k <= PF_MOST_CLASSES; k++) {
        cloud *c = &clouds[k];
        *c = (cloud){.x = x + first, .y = y + first};
        for (int64_t i = 0; i < p->count; i++)
            if (cloud_of(p, classes, i) == k) c->x[c->count] = p->x[i], c->y[c->count++] = p->y[i];
        name_cloud(c, classes, c->count ? k : PF_MOST_CLASSES + 1);
        first += c->count;
    }
}

static void draw(const points *p, const pf_classes *classes, const double share[2], FILE *out,
                 double *grouped)
{
    cloud clouds[PF_MOST_CLASSES + 1];
    pf_plot_curve curve[PF_MOST_CLASSES + 1];
    char x_label[64], y_label[64], note[96];
    int n = 0;
    group(p, classes, clouds, grouped, grouped + p->count);
    for (int k = 0; k <= PF_MOST_CLASSES; k++)
        if (clouds[k].count)
            curve[n++] = (pf_plot_curve){.name = clouds[k].name,
                                         .x = clouds[k].x,
                                         .y = clouds[k].y,
                                         .count = clouds[k].count,
                                         .is_cloud = true};
    snprintf(x_label, sizeof x_label, "principal component 1 (%.1f %% of the variance)", 100 * share[0]);
    snprintf(y_label, sizeof y_label, "principal component 2 (%.1f %%)", 100 * share[1]);
    snprintf(note, sizeof note, "%lld sequences, %lld numbers each, in the plane of their largest spread",
             (long long)p->count, (long long)p->width);
    pf_plot_write(out, &(pf_plot){.title = "Embeddings",
                                  .note = note,
                                  .x_label = x_label,
                                  .y_label = y_label,
                                  .curves = curve,
                                  .n_curves = n});
}

static pf_status write_picture(const embedding_map_options *o, const points *p, const pf_classes *classes,
                               const double share[2])
{
    pf_output *out;
    char *text = NULL;
    size_t bytes = 0;
    double *grouped = malloc((size_t)p->count * 2 * sizeof *grouped);
    FILE *stream = grouped ? open_memstream(&text, &bytes) : NULL;
    if (stream) draw(p, classes, share, stream, grouped);
    free(grouped);
    pf_status status = PF_OK;
    if (!stream || fclose(stream) != 0) status = pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    if (status == PF_OK) status = pf_output_open(o->output, &out);
    if (status == PF_OK) {
        pf_output_write(out, text, bytes);
        status = pf_output_commit(out);
    }
    free(text);
    return status;
}

static pf_status write_table(const embedding_map_options *o, const points *p, const pf_classes *classes)
{
    pf_output *out;
    const pf_status status = o->table ? pf_output_open(o->table, &out) : PF_OK;
    if (status != PF_OK || !o->table) return status;
    pf_output_print(out, "id\tclass\tpc1\tpc2\n");
    for (int64_t i = 0; i < p->count; i++) {
        uint64_t sequences;
        const int rank = classes ? pf_classes_rank(classes, p->found[i]) : -1;
        const char *name = rank < 0 ? "" : pf_classes_name(classes, rank, &sequences);
        pf_output_plain_text(out, p->id[i], strlen(p->id[i]));
        pf_output_print(out, "\t");
        pf_output_plain_text(out, name, strlen(name));
        pf_output_print(out, "\t%.9g\t%.9g\n", p->x[i], p->y[i]);
    }
    return pf_output_commit(out);
}

static pf_status map(const embedding_map_options *o, pf_device *device, pf_classes *classes)
{
    points p = {0};
    double share[2];
    pf_status status = embed_all(o, device, classes, &p);
    if (status == PF_OK) {
        if (classes) pf_classes_sort(classes);
        p.x = malloc((size_t)p.count * sizeof *p.x);
        p.y = malloc((size_t)p.count * sizeof *p.y);
        if (!p.x || !p.y) status = pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    }
    if (status == PF_OK) status = pf_pca_plane(p.row, p.count, p.width, p.x, p.y, share);
    if (status == PF_OK) status = write_picture(o, &p, classes, share);
    if (status == PF_OK) status = write_table(o, &p, classes);
    free_points(&p);
    return status;
}

static pf_status run(void *given)
{
    const embedding_map_options *o = given;
    pf_device *device = NULL;
    pf_classes *classes = NULL;
    if (o->column && !o->labels)
        return pf_tool_fail(PF_ERROR_USAGE, "--label-column names a column of the table that --labels gives");
    pf_status status = o->labels ? pf_classes_open(o->labels, o->column, &classes) : PF_OK;
    if (status == PF_OK) status = pf_tool_device_open(&o->common, &device);
    if (status == PF_OK) status = pf_tool_device_close(&o->common, device, map(o, device, classes));
    pf_classes_free(classes);
    return status;
}

const pf_command pf_command_embedding_map = {
    .name = "embedding-map",
    .summary = "draw where sequences lie in a model's eyes",
    .operands = "MODEL FASTA...",
    .details = "A point for each sequence: its embedding in the plane of the first two principal components "
               "of all of "
               "them, with the share of the variance that each axis carries. With --labels classes have "
               "colours, the "
               "seven largest their own where there are more than eight.",
    .example = "performer embedding-map run proteins.fasta --labels labels.tsv -o map.svg",
    .options = table,
    .options_bytes = sizeof(embedding_map_options),
    .min_operands = 2,
    .max_operands = -1,
    .run = run,
};
