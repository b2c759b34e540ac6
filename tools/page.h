// A page of HTML that stands alone: style and pictures inside, no scripts, nothing fetched. All text from
// elsewhere is escaped; pictures from elsewhere become images, in which nothing can run or be loaded.
#ifndef TOOLS_PAGE_H
#define TOOLS_PAGE_H

#include <stdio.h>

#include "tools/plot.h"
#include "tools/report.h"

void pf_page_begin(FILE *out, const char *title);
void pf_page_end(FILE *out);

// Text with what HTML would take as its own escaped; bytes that are not UTF-8, and control characters, as
// U+FFFD.
void pf_page_text(FILE *out, const char *text);
// The same of a formatted text of at most 4 KiB.
void pf_page_print(FILE *out, const char *format, ...) PF_TOOL_PRINTF(2, 3);

void pf_page_heading(FILE *out, const char *text);
void pf_page_paragraph(FILE *out, const char *format, ...) PF_TOOL_PRINTF(2, 3);

// Two columns, a fact a line: begin, any number of rows, end.
void pf_page_facts_begin(FILE *out);
void pf_page_fact(FILE *out, const char *name, const char *format, ...) PF_TOOL_PRINTF(3, 4);
void pf_page_facts_end(FILE *out);

// A cell with a bar behind its text, `share` from 0 to 1.
void pf_page_bar_cell(FILE *out, double share, const char *format, ...) PF_TOOL_PRINTF(3, 4);

// Text in a box that a click opens.
void pf_page_details(FILE *out, const char *summary, const char *text);

void pf_page_plot(FILE *out, const pf_plot *plot);
// An SVG file as an image. Errors: PF_ERROR_INPUT.
pf_status pf_page_svg_file(FILE *out, const char *path, const char *caption);

#endif
