// Pictures of attention maps. See map_pictures.h.
#include "tools/map_pictures.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/plot_grid.h"
#include "tools/report.h"

enum {
    MOST_SINGLE = 16, // maps of a sequence that each get a picture of their own
    FULL_SIZE = 512,  // rows of a picture; longer sequences are shown as means of neighbours
    SMALL_SIZE = 128, // the same in a grid of many
    MOST_NAMED = 40,  // tokens that are named by their letters
    SAMPLES = 65536,  // weights that the end of the colours is chosen from
};

struct pf_map_pictures {
    char *directory;
    int n_layers, n_heads;
    FILE *file; // of the sequence's grid
    pf_plot_grid grid;
};

static bool is_few(const pf_map_pictures *p)
{
    return p->n_layers * p->n_heads <= MOST_SINGLE;
}

// For the pictures of single maps.
static pf_status make_folder(const char *directory)
{
    char *path = NULL;
    pf_status status = PF_OK;
    if (asprintf(&path, "%s/heads", directory) < 0) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    if (mkdir(path, 0777) != 0) status = pf_tool_fail(PF_ERROR_FAILED, "%s: %s", path, strerror(errno));
    free(path);
    return status;
}

pf_status pf_map_pictures_create(const char *directory, int n_layers, int n_heads, pf_map_pictures **out)
{
    pf_map_pictures *made = calloc(1, sizeof *made);
    char *copy = strdup(directory);
    if (!made || !copy) {
        free(made);
        free(copy);
        return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    }
    *made = (pf_map_pictures){.directory = copy, .n_layers = n_layers, .n_heads = n_heads};
    const pf_status status = is_few(made) ? make_folder(directory) : PF_OK;
    if (status != PF_OK) {
        pf_map_pictures_free(made);
        return status;
    }
    *out = made;
    return PF_OK;
}

void pf_map_pictures_free(pf_map_pictures *p)
{
    if (!p) return;
    if (p->file) fclose(p->file);
    free(p->directory);
    free(p);
}

static FILE *create_file(const pf_map_pictures *p, const char *folder, const char *name, const char *ending,
                         pf_status *status)
{
    char *path = NULL;
    FILE *file = NULL;
    if (asprintf(&path, "%s/%s%s%s", p->directory, folder, name, ending) < 0) path = NULL;
    if (path) file = fopen(path, "w");
    if (!file) *status = pf_tool_fail(PF_ERROR_FAILED, "%s: %s", path ? path : name, strerror(errno));
    free(path);
    return file;
}

static pf_status close_file(FILE *file, const char *name)
{
    const bool had_failed = ferror(file) != 0;
    if (fclose(file) == 0 && !had_failed) return PF_OK;
    return pf_tool_fail(PF_ERROR_FAILED, "%s.svg: cannot be written: %s", name, strerror(errno));
}

// ---- a map as a matrix ----

typedef struct picture {
    pf_plot_matrix matrix;
    char title[160], note[160];
    double *value;
    char (*name)[2];
    const char **names;
} picture;

static void free_picture(picture *p)
{
    free(p->value);
    free(p->name);
    free(p->names);
}

static int compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// A few large weights (of a token to itself, to begin) would leave the rest white: the colours end where 0.5
// % of the weights are larger.
static double colours_end(const float *weights, size_t count)
{
    const size_t step = count / SAMPLES + 1, n = (count + step - 1) / step;
    float *sample = malloc(n * sizeof *sample);
    if (!sample) return 0;
    for (size_t i = 0; i < n; i++) sample[i] = fabsf(weights[i * step]);
    qsort(sample, n, sizeof *sample, compare);
    const double end = (double)sample[(size_t)((double)(n - 1) * 0.995)];
    free(sample);
    return end;
}

// Means of step x step weights.
static void shrink(double *out, const float *weights, int length, int step, int size)
{
    for (int r = 0; r < size; r++)
        for (int c = 0; c < size; c++) {
            double sum = 0;
            int count = 0;
            for (int i = r * step; i < (r + 1) * step && i < length; i++)
                for (int j = c * step; j < (c + 1) * step && j < length; j++, count++)
                    sum += (double)weights[(size_t)i * (size_t)length + (size_t)j];
            out[(size_t)r * (size_t)size + (size_t)c] = sum / count;
        }
}

// Letters of a short sequence; else the picture counts tokens.
static bool make_names(picture *p, const pf_attention_map *map)
{
    if (map->length > MOST_NAMED) return true;
    const size_t count = (size_t)map->length;
    p->name = calloc(count, sizeof *p->name);
    p->names = calloc(count, sizeof *p->names);
    if (!p->name || !p->names) return false;
    for (size_t i = 0; i < count; i++) {
        p->name[i][0] = map->letters[i];
        p->names[i] = p->name[i];
    }
    p->matrix.row_names = p->matrix.column_names = p->names;
    return true;
}

static void set_colours(picture *p, const pf_attention_map *map)
{
    const size_t count = (size_t)map->length * (size_t)map->length;
    float low = map->weights[0], high = low;
    for (size_t i = 0; i < count; i++) low = fminf(low, map->weights[i]), high = fmaxf(high, map->weights[i]);
    const double end = colours_end(map->weights, count);
    p->matrix.is_signed = low < 0;
    p->matrix.high = end > 0 ? end : (double)high;
    p->matrix.low = p->matrix.is_signed ? -p->matrix.high : 0;
    const int used = snprintf(p->note, sizeof p->note, "weights from %.3g to %.3g, evenly spread %.3g",
                              (double)low, (double)high, 1.0 / map->length);
    if (!map->deviations) return;
    double deviations = 0, weights = 0;
    for (size_t i = 0; i < count; i++)
        deviations += (double)map->deviations[i], weights += fabs((double)map->weights[i]);
    snprintf(p->note + used, sizeof p->note - (size_t)used, "; deviation between draws %.0f %%",
             weights > 0 ? 100 * deviations / weights : 0);
}

static bool make_picture(picture *p, const pf_attention_map *map, int most)
{
    const int step = (map->length + most - 1) / most, size = (map->length + step - 1) / step;
    *p = (picture){.value = malloc((size_t)size * (size_t)size * sizeof *p->value)};
    if (!p->value || !make_names(p, map)) return false;
    shrink(p->value, map->weights, map->length, step, size);
    set_colours(p, map);
    p->matrix.value = p->value;
    p->matrix.rows = p->matrix.columns = size;
    p->matrix.unit = step;
    p->matrix.x_label = map->length <= MOST_NAMED ? "token attended to" : "token attended to (1 is begin)";
    p->matrix.y_label = "token";
    p->matrix.value_label = "weight";
    snprintf(p->title, sizeof p->title, "layer %d, head %d", map->layer, map->head);
    p->matrix.title = p->title;
    p->matrix.note = p->note;
    return true;
}

// ---- the files ----

static pf_status begin_grid(pf_map_pictures *p, const pf_attention_map *map)
{
    pf_status status = PF_OK;
    char title[256], note[256];
    snprintf(title, sizeof title, "What the tokens of %.*s attend to",
             map->id_length < 120 ? (int)map->id_length : 120, map->id);
    snprintf(
        note, sizeof note,
        "%llu residues, %d tokens with begin and end; a row of maps for each layer, a column for each head%s",
        (unsigned long long)map->n_residues, map->length, map->deviations ? "; means over draws" : "");
    p->file = create_file(p, "", map->name, ".svg", &status);
    if (!p->file) return status;
    p->grid.columns = p->n_heads;
    pf_plot_grid_begin(&p->grid, p->file, title, note, p->n_layers * p->n_heads);
    return PF_OK;
}

static pf_status write_single(const pf_map_pictures *p, const pf_attention_map *map,
                              const pf_plot_matrix *matrix)
{
    pf_status status = PF_OK;
    char ending[64];
    snprintf(ending, sizeof ending, ".layer%d.head%d.svg", map->layer, map->head);
    FILE *file = create_file(p, "heads/", map->name, ending, &status);
    if (!file) return status;
    pf_plot_matrix_write(file, matrix);
    return close_file(file, map->name);
}

pf_status pf_map_pictures_add(pf_map_pictures *p, const pf_attention_map *map)
{
    picture made;
    pf_status status = map->is_first ? begin_grid(p, map) : PF_OK;
    if (status != PF_OK) return status;
    if (make_picture(&made, map, is_few(p) ? FULL_SIZE : SMALL_SIZE)) {
        pf_plot_grid_add(&p->grid, &made.matrix);
        if (is_few(p)) status = write_single(p, map, &made.matrix);
    } else {
        status = pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    }
    free_picture(&made);
    if (status != PF_OK || !map->is_last) return status;
    pf_plot_grid_end(&p->grid);
    FILE *file = p->file;
    p->file = NULL;
    return close_file(file, map->name);
}
