// Text and lines of pictures. See plot_parts.h.
#include "tools/plot_parts.h"

#include <math.h>
#include <string.h>

static void print_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '&')
            fputs("&amp;", out);
        else if (c == '<')
            fputs("&lt;", out);
        else if (c == '>')
            fputs("&gt;", out);
        else if (c == '"')
            fputs("&quot;", out);
        else
            putc(c < 0x20 || c == 0x7f ? ' ' : c, out);
    }
}

void pf_plot_begin(FILE *out, int width, int height, const char *title, const char *note)
{
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" ",
            width, height, width, height);
    fputs("font-family=\"sans-serif\" role=\"img\"><title>", out);
    print_escaped(out, title ? title : "");
    fprintf(out, "</title>\n<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n", width, height);
    if (title)
        pf_plot_text(out, &(pf_plot_label){.x = 20, .y = 28, .text = title, .size = 17, .fits = width - 40});
    if (note)
        pf_plot_text(
            out, &(pf_plot_label){.x = 20, .y = 48, .text = note, .colour = "#666666", .fits = width - 40});
}

void pf_plot_end(FILE *out)
{
    fputs("</svg>\n", out);
}

// Characters of a text, whatever bytes each takes.
static size_t characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

double pf_plot_text_width(const char *text, double size)
{
    return 0.57 * (size > 0 ? size : 13) * (double)characters(text);
}

void pf_plot_text(FILE *out, const pf_plot_label *label)
{
    const double size = label->size > 0 ? label->size : 13;
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\" font-size=\"%g\"", label->x,
            label->y, label->anchor ? label->anchor : "start", label->colour ? label->colour : PF_PLOT_INK,
            size);
    if (label->turned) fprintf(out, " transform=\"rotate(-90 %.1f %.1f)\"", label->x, label->y);
    if (label->fits > 0 && pf_plot_text_width(label->text, size) > label->fits)
        fprintf(out, " textLength=\"%.1f\" lengthAdjust=\"spacingAndGlyphs\"", label->fits);
    fputs(">", out);
    print_escaped(out, label->text);
    fputs("</text>\n", out);
}

void pf_plot_line(FILE *out, double x0, double y0, double x1, double y1, const char *colour)
{
    fprintf(out, "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"%s\"/>\n", x0, y0, x1, y1, colour);
}

void pf_plot_axis_names(FILE *out, const pf_plot_frame *frame, const char *x_label, const char *y_label)
{
    if (x_label)
        pf_plot_text(out, &(pf_plot_label){.x = (frame->left + frame->right) / 2,
                                           .y = frame->bottom + 42,
                                           .anchor = "middle",
                                           .text = x_label});
    if (y_label)
        pf_plot_text(out, &(pf_plot_label){.x = 18,
                                           .y = (frame->top + frame->bottom) / 2,
                                           .anchor = "middle",
                                           .text = y_label,
                                           .turned = true});
}

void pf_plot_number(char *out, size_t size, double value)
{
    const double absolute = fabs(value);
    if (absolute >= 1e9 || (absolute > 0 && absolute < 1e-3)) {
        snprintf(out, size, "%.3g", value);
        char *zeros = strstr(out, "e-0"); // 1e-07
        if (zeros) memmove(zeros + 2, zeros + 3, strlen(zeros + 3) + 1);
    } else if (absolute >= 1e6)
        snprintf(out, size, "%.4gM", value / 1e6);
    else if (absolute >= 1e4)
        snprintf(out, size, "%.4gk", value / 1e3);
    else
        snprintf(out, size, "%.6g", absolute < 1e-12 ? 0 : value);
}
