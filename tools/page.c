// Pages of HTML. See page.h.
#include "tools/page.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tools/output.h"

enum { TEXT_BYTES = 4096, MOST_SVG_BYTES = 16 << 20 };

static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:62rem;margin:2rem "
    "auto;padding:0 1rem}"
    "h1{font-size:1.7rem;margin-bottom:.3rem}h2{font-size:1.25rem;margin-top:2.5rem;border-bottom:1px solid "
    "#ddd}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{padding:.15rem "
    ".8rem;text-align:right;vertical-align:top}"
    "thead th{border-bottom:1px solid #999}tbody tr:nth-child(even){background:#f7f7f7}"
    ".facts th{font-weight:600;text-align:left;white-space:nowrap}.facts "
    "td{text-align:left;overflow-wrap:anywhere}"
    "td.bar{background-image:linear-gradient(#b9d7e4,#b9d7e4);background-repeat:no-repeat}"
    "figure{margin:1.2rem 0}figure svg,figure img{max-width:100%;height:auto}figcaption{color:#555}"
    ".tables{display:flex;flex-wrap:wrap;gap:0 3rem;align-items:flex-start}"
    "pre{background:#f7f7f7;padding:.8rem;overflow:auto;font-size:.85rem}summary{cursor:pointer}";

void pf_page_text(FILE *out, const char *text)
{
    const unsigned char *byte = (const unsigned char *)text, *end = byte + strlen(text);
    while (byte < end) {
        const size_t length = pf_tool_utf8_length(byte, (size_t)(end - byte));
        const bool is_control = (*byte < 0x20 && *byte != '\n' && *byte != '\t') || *byte == 0x7f;
        if (length == 0 || is_control)
            fputs("\xef\xbf\xbd", out);
        else if (strchr("&<>\"'", *byte))
            fprintf(out, "&#%d;", *byte);
        else
            fwrite(byte, 1, length, out);
        byte += length ? length : 1;
    }
}

static void print_text(FILE *out, const char *format, va_list arguments)
{
    char text[TEXT_BYTES];
    vsnprintf(text, sizeof text, format, arguments);
    pf_page_text(out, text);
}

void pf_page_print(FILE *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_text(out, format, arguments);
    va_end(arguments);
}

void pf_page_begin(FILE *out, const char *title)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
          out);
    pf_page_text(out, title);
    fprintf(out, "</title>\n<style>%s</style>\n</head>\n<body>\n<h1>", style);
    pf_page_text(out, title);
    fputs("</h1>\n", out);
}

void pf_page_end(FILE *out)
{
    fputs("</body>\n</html>\n", out);
}

void pf_page_heading(FILE *out, const char *text)
{
    fputs("<h2>", out);
    pf_page_text(out, text);
    fputs("</h2>\n", out);
}

void pf_page_paragraph(FILE *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("<p>", out);
    print_text(out, format, arguments);
    fputs("</p>\n", out);
    va_end(arguments);
}

void pf_page_facts_begin(FILE *out)
{
    fputs("<table class=\"facts\">\n", out);
}

void pf_page_fact(FILE *out, const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("<tr><th>", out);
    pf_page_text(out, name);
    fputs("</th><td>", out);
    print_text(out, format, arguments);
    fputs("</td></tr>\n", out);
    va_end(arguments);
}

void pf_page_facts_end(FILE *out)
{
    fputs("</table>\n", out);
}

void pf_page_bar_cell(FILE *out, double share, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(out, "<td class=\"bar\" style=\"background-size:%.1f%% 100%%\">", 100 * fmin(fmax(share, 0), 1));
    print_text(out, format, arguments);
    fputs("</td>", out);
    va_end(arguments);
}

void pf_page_details(FILE *out, const char *summary, const char *text)
{
    fputs("<details><summary>", out);
    pf_page_text(out, summary);
    fputs("</summary><pre>", out);
    pf_page_text(out, text);
    fputs("</pre></details>\n", out);
}

void pf_page_plot(FILE *out, const pf_plot *plot)
{
    fputs("<figure>\n", out);
    pf_plot_write(out, plot);
    fputs("</figure>\n", out);
}

static void write_base64(FILE *out, const unsigned char *byte, size_t count)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < count; i += 3) {
        const unsigned three = (unsigned)byte[i] << 16 | (unsigned)(i + 1 < count ? byte[i + 1] : 0) << 8 |
                               (unsigned)(i + 2 < count ? byte[i + 2] : 0);
        putc(digit[three >> 18], out);
        putc(digit[three >> 12 & 63], out);
        putc(i + 1 < count ? digit[three >> 6 & 63] : '=', out);
        putc(i + 2 < count ? digit[three & 63] : '=', out);
    }
}

pf_status pf_page_svg_file(FILE *out, const char *path, const char *caption)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = file ? malloc(MOST_SVG_BYTES + 1) : NULL;
    errno = file && !bytes ? ENOMEM : errno;
    const size_t count = bytes ? fread(bytes, 1, MOST_SVG_BYTES + 1, file) : 0;
    pf_status status = PF_OK;
    if (!bytes || ferror(file))
        status = pf_tool_fail(PF_ERROR_INPUT, "%s: %s", path, strerror(errno));
    else if (count > MOST_SVG_BYTES)
        status = pf_tool_fail(PF_ERROR_INPUT, "%s: more than %d MB, too large for a page", path,
                              MOST_SVG_BYTES >> 20);
    if (status == PF_OK) {
        fputs("<figure><img alt=\"", out);
        pf_page_text(out, caption);
        fputs("\" src=\"data:image/svg+xml;base64,", out);
        write_base64(out, bytes, count);
        fputs("\"><figcaption>", out);
        pf_page_text(out, caption);
        fputs("</figcaption></figure>\n", out);
    }
    if (file) fclose(file);
    free(bytes);
    return status;
}
