// Pictures as SVG, in one look for all commands: curves with deviations, clouds of points, matrices as
// colours. Written to any stream, so that a page can hold them too (open_memstream).
#ifndef TOOLS_PLOT_H
#define TOOLS_PLOT_H

#include <stdbool.h>
#include <stdio.h>

// One curve; its name stands beside its last point.
typedef struct pf_plot_curve {
    const char *name;
    const double *x, *y;     // [count]; a y that is not finite is a gap
    const double *deviation; // [count], bars of y - d to y + d; NULL: none
    int count;
    bool is_dashed;    // for what is held against: a baseline, a theory
    bool is_faint;     // for what lies behind: every step of a noisy curve
    bool has_no_marks; // a line alone, however few its points
    bool is_cloud;     // points without a line, in any number and order
} pf_plot_curve;

typedef struct pf_plot {
    const char *title, *note;      // the note is a line below the title, or NULL
    const char *x_label, *y_label; // with units
    bool log_x, log_y;             // positive numbers only; others are gaps
    double y_low, y_high;          // what is shown; both 0: all of it
    const pf_plot_curve *curves;
    int n_curves; // colours repeat after 8
} pf_plot;

// A whole SVG document. A plot without a point to show says so in the picture.
void pf_plot_write(FILE *out, const pf_plot *plot);

// A matrix, row 0 on top. Few rows and columns may have names (letters), many are numbered from 1.
typedef struct pf_plot_matrix {
    const char *title, *note;
    const char *x_label, *y_label, *value_label;
    const double *value; // [rows,columns]; not finite: grey
    int rows, columns;
    const char *const *row_names, *const *column_names; // NULL: numbers
    int unit; // what a row or column counts for where they are numbers: of a matrix that was shrunk before; 0: 1
    double low, high;                                   // of the colour scale; both 0: of the values
    bool is_signed;                                     // white at 0, two colours; else white to dark
} pf_plot_matrix;

// As above. More than 512 rows or columns are shown as means of neighbours.
void pf_plot_matrix_write(FILE *out, const pf_plot_matrix *matrix);

#endif
