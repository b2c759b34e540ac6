// Matrices side by side as one picture, in rows of so many.
#ifndef TOOLS_PLOT_GRID_H
#define TOOLS_PLOT_GRID_H

#include "tools/plot.h"

typedef struct pf_plot_grid {
    FILE *out;
    int columns, next;
    double scale; // of each matrix's picture
} pf_plot_grid;

// Set grid->columns first. `count` matrices will be added; then pf_plot_grid_end. The note is a line below
// the title, or NULL.
void pf_plot_grid_begin(pf_plot_grid *grid, FILE *out, const char *title, const char *note, int count);
void pf_plot_grid_add(pf_plot_grid *grid, const pf_plot_matrix *matrix);
void pf_plot_grid_end(pf_plot_grid *grid);

#endif
