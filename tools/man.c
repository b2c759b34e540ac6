// Manual pages made from the option tables. See pages.h.
//
// Text is escaped for troff: a backslash, a dash that must stay a dash, a point or quote that begins a line,
// and what is not ASCII.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "tools/pages.h"

// One character of UTF-8 that is not ASCII, as \[uXXXX]; returns its bytes.
static int print_character(FILE *out, const unsigned char *at)
{
    const int count = *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : 2;
    unsigned code = *at & (0xffu >> (count + 1));
    for (int i = 1; i < count; i++) {
        if ((at[i] & 0xc0) != 0x80) return 1;
        code = code << 6 | (at[i] & 0x3fu);
    }
    fprintf(out, "\\[u%04X]", code);
    return count;
}

// `length` bytes of text; a new line begins where `at_start`.
static void print_escaped(FILE *out, const char *text, size_t length, bool at_start)
{
    for (size_t i = 0; i < length; i++) {
        const char c = text[i];
        if (at_start && (c == '.' || c == '\'')) fputs("\\&", out);
        at_start = c == '\n';
        if (c == '\\')
            fputs("\\e", out);
        else if (c == '-')
            fputs("\\-", out);
        else if (c == '\'')
            fputs("\\(aq", out);
        else if (c == '`')
            fputs("\\(ga", out);
        else if (c == '^' || c == '~')
            fputs(c == '^' ? "\\(ha" : "\\(ti", out);
        else if ((unsigned char)c >= 0x80)
            i += (size_t)print_character(out, (const unsigned char *)text + i) - 1;
        else
            putc(c, out);
    }
}

static void print_text(FILE *out, const char *text)
{
    print_escaped(out, text, strlen(text), false);
}

// As it stands, for examples and lists.
static void print_verbatim(FILE *out, const char *text)
{
    fputs(".nf\n", out);
    print_escaped(out, text, strlen(text), true);
    if (*text && text[strlen(text) - 1] != '\n') putc('\n', out);
    fputs(".fi\n", out);
}

// Each line of `text` is a paragraph.
static void print_paragraphs(FILE *out, const char *text)
{
    for (bool first = true; *text; first = false) {
        const size_t length = strcspn(text, "\n");
        if (!first && length) fputs(".PP\n", out);
        print_escaped(out, text, length, true);
        if (length) putc('\n', out);
        text += length + (text[length] == '\n');
    }
}

static void print_facts(FILE *out, const pf_option *option)
{
    print_text(out, option->help);
    if (option->choices && option->value) {
        fputs(": ", out);
        print_text(out, option->choices);
    }
    if (option->required) fputs(" (required)", out);
    if (option->type == PF_OPTION_TEXTS) fputs(" (may be repeated)", out);
    if (option->fallback) {
        fputs(" (default: ", out);
        print_text(out, option->fallback);
        putc(')', out);
    }
    if (option->environment) fprintf(out, " [%s]", option->environment);
}

static void print_option(FILE *out, const pf_option *option)
{
    const char *value = option->value ? option->value : option->choices;
    fputs(".TP\n", out);
    if (option->letter) fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", out);
    print_text(out, option->name);
    fputs("\\fR", out);
    if (option->type != PF_OPTION_FLAG && value) {
        fputs(" \\fI", out);
        print_text(out, value);
        if (option->type == PF_OPTION_FILES && !strstr(value, "...")) fputs("...", out);
        fputs("\\fR", out);
    }
    putc('\n', out);
    print_facts(out, option);
    putc('\n', out);
}

static void print_options(FILE *out, const char *title, const pf_option *row)
{
    if (row->type == PF_OPTION_END) return;
    fprintf(out, ".SH %s\n", title);
    for (; row->type != PF_OPTION_END; row++) print_option(out, row);
}

// What only the library knows, as --help prints it: sections of an indented list each.
static void print_more(FILE *out, void (*more_help)(FILE *out))
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *memory = open_memstream(&text, &bytes);
    if (!memory) return;
    more_help(memory);
    if (fclose(memory) == 0) {
        fputs(".SH REFERENCE\n", out);
        print_verbatim(out, text[0] == '\n' ? text + 1 : text);
    }
    free(text);
}

// Up to the name in the synopsis.
static void print_head(FILE *out, const char *name, const char *summary)
{
    fputs(".\\\" Made from the program's option tables; do not edit.\n.TH \"PERFORMER", out);
    if (*name) fputs("\\-", out);
    for (const char *c = name; *c; c++) fprintf(out, *c == '-' ? "\\-" : "%c", toupper((unsigned char)*c));
    fputs("\" 1 \"\" \"performer " PERFORMER_VERSION "\" \"performer\"\n.SH NAME\nperformer", out);
    if (*name) fputs("\\-", out);
    print_text(out, name);
    fputs(" \\- ", out);
    print_text(out, summary);
    fputs("\n.SH SYNOPSIS\n.B performer", out);
}

static void print_exit_codes(FILE *out)
{
    fputs(".SH EXIT STATUS\n"
          "0 done, 1 failed, 2 usage or configuration, 3 bad input data, 4 device or environment, 5 "
          "interrupted but\n"
          "saved, 6 numerical.\n",
          out);
}

void pf_man_command(FILE *out, const pf_command *command)
{
    print_head(out, command->name, command->summary);
    putc(' ', out);
    print_text(out, command->name);
    fputs("\n[\\fIoptions\\fR]", out);
    if (command->operands && *command->operands) {
        fputs(" \\fI", out);
        print_text(out, command->operands);
        fputs("\\fR", out);
    }
    putc('\n', out);
    if (command->details) {
        fputs(".SH DESCRIPTION\n", out);
        print_paragraphs(out, command->details);
    }
    print_options(out, "OPTIONS", command->options);
    print_options(out, "COMMON OPTIONS", pf_common_options);
    if (command->more_help) print_more(out, command->more_help);
    print_exit_codes(out);
    fputs(".SH EXAMPLES\n", out);
    print_verbatim(out, command->example);
    fputs(".SH SEE ALSO\n.BR performer (1)\n", out);
}

void pf_man_program(FILE *out, const pf_command *const *commands)
{
    print_head(out, "", "trains and runs Performer protein language models on any OpenCL device");
    fputs("\n.I COMMAND\n[\\fIoptions\\fR] ...\n.SH COMMANDS\n", out);
    for (const pf_command *const *command = commands; *command; command++) {
        fputs(".TP\n\\fBperformer\\-", out);
        print_text(out, (*command)->name);
        fputs("\\fR(1)\n", out);
        print_text(out, (*command)->summary);
        putc('\n', out);
    }
    fputs(".SH ENVIRONMENT\n"
          ".TP\n\\fBPERFORMER_DEVICE\\fR\nas \\-\\-device, which comes before it\n"
          ".TP\n\\fBPERFORMER_THREADS\\fR\nas \\-\\-threads, which comes before it\n"
          ".TP\n\\fBPERFORMER_CACHE\\fR\na directory for compiled kernels, or off\n",
          out);
    print_exit_codes(out);
    fputs(".SH EXAMPLES\n.nf\nperformer devices\nperformer train \\-\\-help\n.fi\n", out);
}
