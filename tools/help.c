// What --help prints, made from the option tables, and the nearest name to a mistyped one.
#include <string.h>

#include "tools/options.h"

enum { HELP_COLUMN = 26, LAST_COLUMN = 100, WORD_BYTES = 64 };

// Prints `text` from the present column on, broken at blanks; later lines begin at HELP_COLUMN.
static void print_wrapped(FILE *out, const char *text, int column)
{
    while (*text) {
        const int length = (int)strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + length > LAST_COLUMN) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            column += fprintf(out, " ");
        }
        column += fprintf(out, "%.*s", length, text);
        text += length + (text[length] == ' ');
    }
}

static const char *value_name(const pf_option *option)
{
    return option->value ? option->value : option->choices;
}

static void print_option(FILE *out, const pf_option *option)
{
    char left[128], text[1024];
    int used = option->letter ? snprintf(left, sizeof left, "  -%c, ", option->letter)
                              : snprintf(left, sizeof left, "      ");
    used += snprintf(left + used, sizeof left - (size_t)used, "--%s", option->name);
    if (option->type != PF_OPTION_FLAG) {
        const bool has_dots = option->value && strstr(option->value, "...");
        const char *dots = option->type == PF_OPTION_FILES && !has_dots ? "..." : "";
        snprintf(left + used, sizeof left - (size_t)used, " %s%s", value_name(option), dots);
    }
    int column = fprintf(out, "%-*s", HELP_COLUMN - 2, left);
    if (column > HELP_COLUMN - 2)
        fprintf(out, "\n%*s", HELP_COLUMN, "");
    else
        fprintf(out, "  ");
    used = snprintf(text, sizeof text, "%s", option->help);
    if (option->choices && option->value) {
        used += snprintf(text + used, sizeof text - (size_t)used, ": %s", option->choices);
    }
    if (option->required) used += snprintf(text + used, sizeof text - (size_t)used, " (required)");
    if (option->type == PF_OPTION_TEXTS)
        used += snprintf(text + used, sizeof text - (size_t)used, " (may be repeated)");
    if (option->fallback)
        used += snprintf(text + used, sizeof text - (size_t)used, " (default: %s)", option->fallback);
    if (option->environment) snprintf(text + used, sizeof text - (size_t)used, " [%s]", option->environment);
    print_wrapped(out, text, HELP_COLUMN);
    putc('\n', out);
}

static void print_indented(FILE *out, const char *text)
{
    while (*text) {
        const int length = (int)strcspn(text, "\n");
        fprintf(out, "  %.*s\n", length, text);
        text += length + (text[length] == '\n');
    }
}

void pf_help_command(FILE *out, const pf_command *command)
{
    fprintf(out, "usage: performer %s [options] %s\n\nperformer %s: %s.\n", command->name,
            command->operands ? command->operands : "", command->name, command->summary);
    if (command->details) fprintf(out, "\n%s\n", command->details);
    if (command->options->type != PF_OPTION_END) fprintf(out, "\nOptions:\n");
    for (const pf_option *row = command->options; row->type != PF_OPTION_END; row++) print_option(out, row);
    fprintf(out, "\nCommon options:\n");
    for (const pf_option *row = pf_common_options; row->type != PF_OPTION_END; row++) print_option(out, row);
    if (command->more_help) command->more_help(out);
    fprintf(out, "\nExample:\n");
    print_indented(out, command->example);
}

void pf_help_program(FILE *out, const pf_command *const *commands)
{
    fprintf(out, "usage: performer COMMAND [options] ...\n\n"
                 "Trains and runs Performer protein language models on any OpenCL device.\n\nCommands:\n");
    for (; *commands; commands++) fprintf(out, "  %-14s %s\n", (*commands)->name, (*commands)->summary);
    fprintf(out, "\nHelp on one, with an example:  performer COMMAND --help\n"
                 "Version:                       performer --version\n"
                 "Completion for a shell:        performer --completion bash, or zsh\n"
                 "Environment: PERFORMER_DEVICE, PERFORMER_THREADS, PERFORMER_CACHE (a directory, or off)\n"
                 "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 bad input data,\n"
                 "            4 device or environment, 5 interrupted but saved, 6 numerical\n");
}

// Edit distance with swapped neighbours counted once (optimal string alignment).
static int distance(const char *a, const char *b)
{
    int row[3][WORD_BYTES + 1];
    const int length = (int)strlen(b);
    if (strlen(a) > WORD_BYTES || length > WORD_BYTES) return WORD_BYTES;
    for (int j = 0; j <= length; j++) row[0][j] = j;
    int i = 0;
    for (; a[i]; i++) {
        int *now = row[(i + 1) % 3];
        const int *last = row[i % 3], *before = row[(i + 2) % 3];
        now[0] = i + 1;
        for (int j = 0; j < length; j++) {
            int best = last[j] + (a[i] != b[j]);
            if (last[j + 1] + 1 < best) best = last[j + 1] + 1;
            if (now[j] + 1 < best) best = now[j] + 1;
            if (i && j && a[i] == b[j - 1] && a[i - 1] == b[j] && before[j - 1] + 1 < best)
                best = before[j - 1] + 1;
            now[j + 1] = best;
        }
    }
    return row[i % 3][length];
}

const char *pf_nearest(const char *word, const char *const *names, int count)
{
    const char *best = NULL;
    int least = 1 + (int)strlen(word) / 3;
    for (int n = 0; n < count; n++) {
        const bool begins = strlen(word) >= 3 && !strncmp(names[n], word, strlen(word));
        const int steps = begins ? 0 : distance(word, names[n]);
        if (steps <= least && (!best || steps < least)) {
            least = steps;
            best = names[n];
        }
    }
    return best;
}
