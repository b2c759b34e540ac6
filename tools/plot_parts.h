// What the pictures are made of: text, lines, the frame around them. For tools/plot*.c only.
#ifndef TOOLS_PLOT_PARTS_H
#define TOOLS_PLOT_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define PF_PLOT_INK "#222222"
#define PF_PLOT_GRID "#dddddd"

typedef struct pf_plot_label {
    double x, y;
    const char *anchor; // start (NULL), middle, end
    const char *text, *colour;
    double size; // pixels; 0: 13
    double fits; // text that is wider than this many pixels is squeezed; 0: never
    bool turned; // reads upwards
} pf_plot_label;

// Edges of the field in which values are drawn, in pixels.
typedef struct pf_plot_frame {
    double left, right, top, bottom;
} pf_plot_frame;

void pf_plot_begin(FILE *out, int width, int height, const char *title, const char *note);
void pf_plot_end(FILE *out);
// About how wide the text is, in pixels; size 0: 13.
double pf_plot_text_width(const char *text, double size);
void pf_plot_text(FILE *out, const pf_plot_label *label);
void pf_plot_line(FILE *out, double x0, double y0, double x1, double y1, const char *colour);
void pf_plot_axis_names(FILE *out, const pf_plot_frame *frame, const char *x_label, const char *y_label);
// 20000 as "20k", 1500000 as "1.5M", 0.001 as "0.001", 1e-7 as "1e-7".
void pf_plot_number(char *out, size_t size, double value);

#endif
