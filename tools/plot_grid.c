// Pictures of matrices within a picture. See plot_grid.h.
#include "tools/plot_grid.h"

#include <math.h>

#include "tools/plot_parts.h"

// What the picture of a matrix takes at most, and how wide a grid should be: a screen.
enum { PANEL_WIDTH = 710, PANEL_HEIGHT = 640, TOP = 64, WIDTH = 1440 };

void pf_plot_grid_begin(pf_plot_grid *grid, FILE *out, const char *title, const char *note, int count)
{
    if (grid->columns > count) grid->columns = count > 0 ? count : 1;
    const int rows = (count + grid->columns - 1) / grid->columns;
    grid->out = out;
    grid->next = 0;
    grid->scale = fmax(fmin((double)WIDTH / (PANEL_WIDTH * grid->columns), 1), 0.35);
    pf_plot_begin(out, (int)ceil(grid->columns * PANEL_WIDTH * grid->scale),
                  TOP + (int)ceil(rows * PANEL_HEIGHT * grid->scale), title, note);
}

void pf_plot_grid_add(pf_plot_grid *grid, const pf_plot_matrix *matrix)
{
    const int row = grid->next / grid->columns, column = grid->next % grid->columns;
    fprintf(grid->out, "<g transform=\"translate(%.1f %.1f) scale(%.4f)\">\n",
            column * PANEL_WIDTH * grid->scale, TOP + row * PANEL_HEIGHT * grid->scale, grid->scale);
    pf_plot_matrix_write(grid->out, matrix);
    fputs("</g>\n", grid->out);
    grid->next++;
}

void pf_plot_grid_end(pf_plot_grid *grid)
{
    pf_plot_end(grid->out);
}
