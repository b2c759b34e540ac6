// Matrices as pictures: colours in a PNG within the SVG, names and a scale around it. See plot.h.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tools/plot.h"
#include "tools/plot_parts.h"

enum {
    FIELD = 512,
    LEFT = 70,
    TOP = 62,
    BOTTOM = 60,
    RIGHT = 120,
    SCALE_WIDTH = 16,
    MOST_NAMES = 40,
    NAME_HEIGHT = 14,
    SCALE_STEPS = 128
};

typedef struct image {
    int width, height;
    uint8_t *rgb; // [height,width,3]
} image;

// --- colours ------------------------------------------------------------------------------------

// From white to dark blue; signed: from dark orange over white. Lightness falls evenly, so grey prints are
// right too.
static void colour(uint8_t out[3], double value, double low, double high, bool is_signed)
{
    static const double dark[2][3] = {{8, 48, 107}, {127, 39, 4}};
    if (!isfinite(value)) {
        memset(out, 0xb0, 3);
        return;
    }
    const double largest = fmax(fabs(low), fabs(high));
    double t = is_signed    ? value / (largest > 0 ? largest : 1)
               : high > low ? (value - low) / (high - low)
                            : 0;
    const double *end = dark[is_signed && t < 0];
    t = fmin(fabs(fmax(t, is_signed ? t : 0)), 1);
    for (int i = 0; i < 3; i++) out[i] = (uint8_t)lround(255 + (end[i] - 255) * t);
}

// The mean of what the pixel stands for; numbers that are not finite do not count unless all are.
static double mean(const pf_plot_matrix *m, int row, int rows, int column, int columns)
{
    double sum = 0;
    int count = 0;
    for (int r = row; r < row + rows && r < m->rows; r++)
        for (int c = column; c < column + columns && c < m->columns; c++) {
            const double value = m->value[(size_t)r * (size_t)m->columns + (size_t)c];
            if (isfinite(value)) sum += value, count++;
        }
    return count ? sum / count : (double)NAN;
}

// --- PNG ----------------------------------------------------------------------------------------

static void big_endian(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) out[i] = (uint8_t)(value >> (24 - 8 * i));
}

typedef struct bytes {
    uint8_t *data;
    size_t count;
} bytes;

static void add_chunk(bytes *png, const char *type, const uint8_t *data, size_t count)
{
    uint8_t *at = png->data + png->count;
    big_endian(at, (uint32_t)count);
    memcpy(at + 4, type, 4);
    if (count) memcpy(at + 8, data, count);
    big_endian(at + 8 + count, (uint32_t)crc32_z(0, at + 4, count + 4));
    png->count += count + 12;
}

// One row of the file is a byte 0 (no filter) and its pixels.
static uint8_t *packed(const image *picture, uLongf *count)
{
    const size_t row = (size_t)picture->width * 3, size = (row + 1) * (size_t)picture->height;
    uint8_t *raw = malloc(size), *out = NULL;
    *count = compressBound(size);
    if (raw) out = malloc(*count);
    for (int y = 0; out && y < picture->height; y++) {
        raw[(size_t)y * (row + 1)] = 0;
        memcpy(raw + (size_t)y * (row + 1) + 1, picture->rgb + (size_t)y * row, row);
    }
    if (out && compress2(out, count, raw, size, 6) != Z_OK) {
        free(out);
        out = NULL;
    }
    free(raw);
    return out;
}

static bytes make_png(const image *picture)
{
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    uint8_t header[13] = {[8] = 8, [9] = 2}; // 8 bits, RGB
    bytes png = {0};
    uLongf count = 0;
    uint8_t *data = packed(picture, &count);
    if (data) png.data = malloc(count + 64);
    if (!png.data) {
        free(data);
        return png;
    }
    big_endian(header, (uint32_t)picture->width), big_endian(header + 4, (uint32_t)picture->height);
    memcpy(png.data, signature, png.count = sizeof signature);
    add_chunk(&png, "IHDR", header, sizeof header);
    add_chunk(&png, "IDAT", data, count);
    add_chunk(&png, "IEND", NULL, 0);
    free(data);
    return png;
}

static void print_base64(FILE *out, const bytes *b)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < b->count; i += 3) {
        const size_t left = b->count - i;
        const uint32_t three = (uint32_t)b->data[i] << 16 | (left > 1 ? (uint32_t)b->data[i + 1] << 8 : 0) |
                               (left > 2 ? b->data[i + 2] : 0);
        const char four[] = {letters[three >> 18], letters[three >> 12 & 63],
                             left > 1 ? letters[three >> 6 & 63] : '=', left > 2 ? letters[three & 63] : '='};
        fwrite(four, 1, sizeof four, out);
    }
}

// --- the picture --------------------------------------------------------------------------------

// One direction: cells of `step` numbers, each `zoom` pixels wide.
typedef struct axis {
    int step, zoom, cells;
} axis;

typedef struct layout {
    axis x, y;
    double low, high;
    pf_plot_frame frame;
} layout;

static axis lay_axis(int count, int most)
{
    axis a = {.step = (most + FIELD - 1) / FIELD};
    if (a.step < 1) a.step = 1;
    a.cells = (count + a.step - 1) / a.step;
    const int cells = (most + a.step - 1) / a.step;
    a.zoom = cells > 0 && FIELD / cells > 1 ? FIELD / cells : 1;
    return a;
}

// Cells are squares; but rows with names are not put together because there are many columns, and are as high
// as their names.
static layout lay_out(const pf_plot_matrix *m)
{
    const int most = m->rows > m->columns ? m->rows : m->columns;
    layout l = {.x = lay_axis(m->columns, most), .low = m->low, .high = m->high};
    l.y = lay_axis(m->rows, m->row_names ? m->rows : most);
    if (m->row_names) l.y.zoom = l.x.zoom > NAME_HEIGHT || m->rows > MOST_NAMES ? l.x.zoom : NAME_HEIGHT;
    l.frame = (pf_plot_frame){LEFT, LEFT + l.x.cells * l.x.zoom, TOP, TOP + l.y.cells * l.y.zoom};
    if (l.low != 0 || l.high != 0) return l;
    l.low = (double)INFINITY, l.high = -(double)INFINITY;
    for (int y = 0; y < l.y.cells; y++)
        for (int x = 0; x < l.x.cells; x++) {
            const double value = mean(m, y * l.y.step, l.y.step, x * l.x.step, l.x.step);
            if (isfinite(value)) l.low = fmin(l.low, value), l.high = fmax(l.high, value);
        }
    if (!(l.low <= l.high)) l.low = 0, l.high = 1;
    if (m->is_signed) l.high = fmax(fabs(l.low), fabs(l.high)), l.low = -l.high;
    return l;
}

static void print_image(FILE *out, const pf_plot_matrix *m, const layout *l)
{
    const axis ax = l->x, ay = l->y;
    image picture = {ax.cells * ax.zoom, ay.cells * ay.zoom, NULL};
    picture.rgb = malloc((size_t)picture.width * (size_t)picture.height * 3 + 1);
    for (int y = 0; picture.rgb && y < picture.height; y++)
        for (int x = 0; x < picture.width; x++) {
            uint8_t *pixel = picture.rgb + ((size_t)y * (size_t)picture.width + (size_t)x) * 3;
            if (x % ax.zoom)
                memcpy(pixel, pixel - 3, 3);
            else if (y % ay.zoom)
                memcpy(pixel, pixel - (size_t)picture.width * 3, 3);
            else
                colour(pixel, mean(m, y / ay.zoom * ay.step, ay.step, x / ax.zoom * ax.step, ax.step), l->low,
                       l->high, m->is_signed);
        }
    bytes png = picture.rgb && picture.width > 0 && picture.height > 0 ? make_png(&picture) : (bytes){0};
    if (png.data) {
        fprintf(out, "<image x=\"%g\" y=\"%g\" width=\"%d\" height=\"%d\" href=\"data:image/png;base64,",
                l->frame.left, l->frame.top, picture.width, picture.height);
        print_base64(out, &png);
        fputs("\"/>\n", out);
    }
    free(png.data);
    free(picture.rgb);
}

// Letters stand at every row; numbers at about eight round ones.
static void print_names(FILE *out, const pf_plot_matrix *m, const layout *l, bool of_rows)
{
    const char *const *names = of_rows ? m->row_names : m->column_names;
    const int unit = !names && m->unit > 1 ? m->unit : 1;
    const int count = (of_rows ? m->rows : m->columns) * unit;
    int every = 1;
    static const int factors[] = {2, 5, 10};
    for (int size = 1; !names && count / every > 8; size *= 10)
        for (int i = 0; i < 3 && count / every > 8; i++) every = factors[i] * size;
    if (names && count > MOST_NAMES) every = count / MOST_NAMES + 1;
    for (int i = names || every == 1 ? 0 : every - 1; i < count; i += every) {
        char number[16];
        snprintf(number, sizeof number, "%d", i + 1);
        const axis *along = of_rows ? &l->y : &l->x;
        const double at = ((double)i + 0.5) * along->zoom / (along->step * unit);
        pf_plot_label label = {.text = names ? names[i] : number,
                               .x = l->frame.left + at,
                               .y = l->frame.bottom + 18,
                               .anchor = "middle"};
        if (of_rows) label.x = l->frame.left - 8, label.y = l->frame.top + at + 4, label.anchor = "end";
        pf_plot_text(out, &label);
    }
}

static void print_scale(FILE *out, const pf_plot_matrix *m, const layout *l)
{
    const double left = l->frame.right + 20, height = l->frame.bottom - l->frame.top,
                 step = height / SCALE_STEPS;
    for (int i = 0; i < SCALE_STEPS; i++) {
        uint8_t c[3];
        colour(c, l->high + (l->low - l->high) * (i + 0.5) / SCALE_STEPS, l->low, l->high, m->is_signed);
        fprintf(out, "<rect x=\"%.1f\" y=\"%.2f\" width=\"%d\" height=\"%.2f\" fill=\"#%02x%02x%02x\"/>\n",
                left, l->frame.top + i * step, SCALE_WIDTH, step + 0.5, c[0], c[1], c[2]);
    }
    // Three digits of the largest.
    const double largest = fmax(fabs(l->low), fabs(l->high));
    const double digit = largest > 0 ? pow(10, floor(log10(largest)) - 2) : 1;
    for (int i = 0; i <= 4; i++) {
        char number[32];
        const double value = l->high + (l->low - l->high) * i / 4;
        pf_plot_number(number, sizeof number, round(value / digit) * digit);
        pf_plot_text(out, &(pf_plot_label){.x = left + SCALE_WIDTH + 6,
                                           .y = l->frame.top + height * i / 4 + 4,
                                           .text = number});
    }
    if (m->value_label)
        pf_plot_text(out, &(pf_plot_label){.x = left + SCALE_WIDTH + 72,
                                           .y = (l->frame.top + l->frame.bottom) / 2,
                                           .anchor = "middle",
                                           .text = m->value_label,
                                           .turned = true});
}

void pf_plot_matrix_write(FILE *out, const pf_plot_matrix *matrix)
{
    const layout l = lay_out(matrix);
    pf_plot_begin(out, (int)l.frame.right + RIGHT, (int)l.frame.bottom + BOTTOM, matrix->title, matrix->note);
    print_image(out, matrix, &l);
    print_names(out, matrix, &l, false);
    print_names(out, matrix, &l, true);
    print_scale(out, matrix, &l);
    pf_plot_axis_names(out, &l.frame, matrix->x_label, matrix->y_label);
    pf_plot_end(out);
}
