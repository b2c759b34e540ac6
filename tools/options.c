// Parses a command line by its option table (options.h).
#include "tools/options.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report.h"

#define AT(field) offsetof(pf_common, field)

const pf_option pf_common_options[] = {
    {.name = "help", .letter = 'h', .type = PF_OPTION_FLAG, .at = AT(help), .help = "show this help and end"},
    {.name = "device",
     .type = PF_OPTION_TEXT,
     .value = "SELECTOR",
     .fallback = "auto",
     .environment = "PERFORMER_DEVICE",
     .at = AT(device),
     .given_at = AT(device_given),
     .help = "auto, gpu, cpu, accelerator, P.D or part of a name; several with commas, by preference"},
    {.name = "quiet",
     .letter = 'q',
     .type = PF_OPTION_FLAG,
     .at = AT(quiet),
     .help = "no warnings, no progress"},
    {.name = "verbose",
     .letter = 'v',
     .type = PF_OPTION_FLAG,
     .at = AT(verbose),
     .help = "say more on stderr"},
    {.name = "seed",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 0,
     .high = INT64_MAX,
     .fallback = "0",
     .at = AT(seed),
     .given_at = AT(seed_given),
     .help = "seed of every random number"},
    {.name = "threads",
     .letter = 'j',
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 1,
     .high = 65536,
     .environment = "PERFORMER_THREADS",
     .at = AT(threads),
     .given_at = AT(threads_given),
     .help = "cores to use, where the device takes it (default: those that this process may use)"},
    {.name = "profile",
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(profile),
     .help = "write a Chrome trace of the device to FILE and a table to stderr"},
    {0},
};

static int available_cores(void)
{
    cpu_set_t set;
    const int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
    return cores > 0 ? cores : 1;
}

static bool is_bounded(const pf_option *option)
{
    return option->low != 0 || option->high != 0;
}

static pf_status range_error(const pf_option *option, const char *source, const char *text, const char *kind)
{
    if (!is_bounded(option)) {
        return pf_tool_fail(PF_ERROR_USAGE, "%s: '%.80s' is not %s", source, text, kind);
    }
    if (option->high >= 9e15) {
        return pf_tool_fail(PF_ERROR_USAGE, "%s: '%.80s' is not %s of at least %g", source, text, kind,
                            option->low);
    }
    return pf_tool_fail(PF_ERROR_USAGE, "%s: '%.80s' is not %s from %.10g to %.10g", source, text, kind,
                        option->low, option->high);
}

static bool in_range(const pf_option *option, double number)
{
    return !is_bounded(option) || (number >= option->low && number <= option->high);
}

// strtoll takes blanks and "+" in front, which a typing error looks like.
static bool begins_like_number(const char *text)
{
    return *text == '-' || *text == '.' || (*text >= '0' && *text <= '9');
}

static pf_status read_integer(const pf_option *option, const char *source, const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    if (!begins_like_number(text) || end == text || *end || errno || !in_range(option, (double)number)) {
        return range_error(option, source, text, "a whole number");
    }
    *out = number;
    return PF_OK;
}

static pf_status read_number(const pf_option *option, const char *source, const char *text, double *out)
{
    char *end;
    const double number = strtod(text, &end);
    if (!begins_like_number(text) || strpbrk(text, "xX") || end == text || *end || !isfinite(number) ||
        !in_range(option, number)) {
        return range_error(option, source, text, "a number");
    }
    *out = number;
    return PF_OK;
}

static pf_status read_integers(const pf_option *option, const char *source, const char *text,
                               pf_integers *out)
{
    size_t count = 1;
    for (const char *at = text; *at; at++) count += *at == ',';
    char *copy = strdup(text), *rest = copy, *piece;
    int64_t *item = calloc(count, sizeof *item);
    pf_status status = copy && item ? PF_OK : pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    for (size_t i = 0; status == PF_OK && (piece = strsep(&rest, ",")); i++) {
        status = read_integer(option, source, piece, &item[i]);
    }
    free(copy);
    if (status != PF_OK) {
        free(item);
        return status;
    }
    free(out->item);
    *out = (pf_integers){.item = item, .count = (int)count};
    return PF_OK;
}

static pf_status read_choice(const pf_option *option, const char *source, const char *text, const char **out)
{
    const size_t length = strlen(text);
    for (const char *choice = option->choices; choice; choice = strchr(choice, '|')) {
        choice += *choice == '|';
        if (length == strcspn(choice, "|") && memcmp(choice, text, length) == 0) {
            *out = text;
            return PF_OK;
        }
    }
    return pf_tool_fail(PF_ERROR_USAGE, "%s: '%.80s' is none of %s", source, text, option->choices);
}

pf_status pf_option_read(const pf_option *option, const char *source, const char *text, void *target)
{
    switch (option->type) {
    case PF_OPTION_CHOICE:
        return read_choice(option, source, text, target);
    case PF_OPTION_INTEGER:
        return read_integer(option, source, text, target);
    case PF_OPTION_NUMBER:
        return read_number(option, source, text, target);
    case PF_OPTION_INTEGERS:
        return read_integers(option, source, text, target);
    default:
        *(const char **)target = text;
        return PF_OK;
    }
}

static bool is_gathered(const pf_option *option)
{
    return option->type == PF_OPTION_TEXTS || option->type == PF_OPTION_FILES;
}

// A command line being read.
typedef struct command_line {
    const pf_command *command;
    char *options;
    char **argument;
    int count, next;
} command_line;

static pf_status store(command_line *line, const pf_option *option, const char *source, const char *text)
{
    if (option->given_at) *(bool *)(line->options + option->given_at) = true;
    void *target = line->options + option->at;
    if (!is_gathered(option)) return pf_option_read(option, source, text, target);
    pf_texts *texts = target;
    if (!texts->item) texts->item = calloc((size_t)line->count, sizeof *texts->item);
    if (!texts->item) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    texts->item[texts->count++] = text;
    return PF_OK;
}

static const pf_option *find(const pf_option *table, const char *name, size_t length, char letter)
{
    for (; table->type != PF_OPTION_END; table++) {
        if (letter ? table->letter == letter
                   : strlen(table->name) == length && !strncmp(table->name, name, length)) {
            return table;
        }
    }
    return NULL;
}

static const pf_option *find_option(const command_line *line, const char *name, size_t length, char letter)
{
    const pf_option *option = find(line->command->options, name, length, letter);
    return option ? option : find(pf_common_options, name, length, letter);
}

static pf_status unknown_option(const command_line *line, const char *name, size_t length)
{
    const char *names[256];
    int count = 0;
    const pf_option *tables[] = {line->command->options, pf_common_options};
    for (int t = 0; t < 2; t++) {
        for (const pf_option *row = tables[t]; row->type != PF_OPTION_END && count < 256; row++)
            names[count++] = row->name;
    }
    char word[81];
    snprintf(word, sizeof word, "%.*s", (int)(length < 80 ? length : 80), name);
    const char *near = pf_nearest(word, names, count);
    const char *command = line->command->name;
    if (near)
        return pf_tool_fail(PF_ERROR_USAGE, "%s: unknown option '--%s'; did you mean --%s?", command, word,
                            near);
    return pf_tool_fail(PF_ERROR_USAGE, "%s: unknown option '--%s'; see: performer %s --help", command, word,
                        command);
}

// The value of an option: `attached` if it was written with it, else the next argument, and for
// files all that follow up to the next option.
static pf_status take_value(command_line *line, const pf_option *option, const char *source,
                            const char *attached)
{
    if (option->type == PF_OPTION_FLAG) {
        if (attached) return pf_tool_fail(PF_ERROR_USAGE, "%s takes no value", source);
        *(bool *)(line->options + option->at) = true;
        return PF_OK;
    }
    if (attached) return store(line, option, source, attached);
    if (line->next >= line->count) {
        return pf_tool_fail(PF_ERROR_USAGE, "%s needs a value: %s %s", source, source, option->value);
    }
    pf_status status = store(line, option, source, line->argument[line->next++]);
    while (status == PF_OK && option->type == PF_OPTION_FILES && line->next < line->count) {
        const char *text = line->argument[line->next];
        if (text[0] == '-' && text[1]) break;
        status = store(line, option, source, text);
        line->next++;
    }
    return status;
}

static pf_status read_long(command_line *line, const char *text)
{
    const char *equals = strchr(text, '=');
    const size_t length = equals ? (size_t)(equals - text) : strlen(text);
    const pf_option *option = find_option(line, text, length, 0);
    if (!option) return unknown_option(line, text, length);
    char source[64];
    snprintf(source, sizeof source, "--%s", option->name);
    return take_value(line, option, source, equals ? equals + 1 : NULL);
}

static pf_status read_short(command_line *line, const char *letters)
{
    for (; *letters; letters++) {
        const pf_option *option = find_option(line, NULL, 0, *letters);
        if (!option) {
            return pf_tool_fail(PF_ERROR_USAGE, "%s: unknown option '-%c'; see: performer %s --help",
                                line->command->name, *letters, line->command->name);
        }
        const char source[] = {'-', *letters, 0};
        const bool is_last = option->type != PF_OPTION_FLAG;
        const pf_status status = take_value(line, option, source, is_last && letters[1] ? letters + 1 : NULL);
        if (status != PF_OK || is_last) return status;
    }
    return PF_OK;
}

static pf_status read_arguments(command_line *line, pf_common *common)
{
    bool ended = false;
    pf_status status = PF_OK;
    while (status == PF_OK && !common->help && line->next < line->count) {
        const char *text = line->argument[line->next++];
        if (ended || text[0] != '-' || !text[1])
            common->operands[common->n_operands++] = text;
        else if (!strcmp(text, "--"))
            ended = true;
        else if (text[1] == '-')
            status = read_long(line, text + 2);
        else
            status = read_short(line, text + 1);
    }
    return status;
}

static pf_status set_defaults(command_line *line, const pf_option *table)
{
    for (; table->type != PF_OPTION_END; table++) {
        if (!table->fallback || is_gathered(table)) continue;
        const pf_status status =
            pf_option_read(table, table->name, table->fallback, line->options + table->at);
        if (status != PF_OK) return status;
    }
    return PF_OK;
}

// Variables that stand in for options; an empty one is as good as none.
static pf_status read_environment(command_line *line, const pf_option *table)
{
    for (; table->type != PF_OPTION_END; table++) {
        const char *text = table->environment ? getenv(table->environment) : NULL;
        const bool *given = (const bool *)(line->options + table->given_at);
        if (!text || !*text || (table->given_at && *given)) continue;
        const pf_status status = store(line, table, table->environment, text);
        if (status != PF_OK) return status;
    }
    return PF_OK;
}

static pf_status check_complete(const pf_command *command, char *options, const pf_common *common)
{
    for (const pf_option *row = command->options; row->type != PF_OPTION_END; row++) {
        const void *target = options + row->at;
        if (row->required && !*(void *const *)target) {
            return pf_tool_fail(PF_ERROR_USAGE, "%s: --%s %s is missing; see: performer %s --help",
                                command->name, row->name, row->value, command->name);
        }
    }
    if (common->n_operands < command->min_operands) {
        return pf_tool_fail(PF_ERROR_USAGE, "usage: performer %s [options] %s; see: performer %s --help",
                            command->name, command->operands, command->name);
    }
    if (command->max_operands >= 0 && common->n_operands > command->max_operands) {
        return pf_tool_fail(PF_ERROR_USAGE, "%s: '%.80s' is one argument too many; see: performer %s --help",
                            command->name, common->operands[command->max_operands], command->name);
    }
    return PF_OK;
}

pf_status pf_options_parse(const pf_command *command, int count, char **arguments, void *options)
{
    memset(options, 0, command->options_bytes);
    pf_common *common = options;
    command_line line = {.command = command, .options = options, .argument = arguments, .count = count};
    common->operands = calloc((size_t)count + 1, sizeof *common->operands);
    if (!common->operands) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    common->cache = getenv("PERFORMER_CACHE");
    common->threads = available_cores();
    const pf_option *tables[] = {pf_common_options, command->options};
    pf_status status = PF_OK;
    for (int t = 0; t < 2 && status == PF_OK; t++) status = set_defaults(&line, tables[t]);
    if (status == PF_OK) status = read_arguments(&line, common);
    if (common->help) return status;
    for (int t = 0; t < 2 && status == PF_OK; t++) status = read_environment(&line, tables[t]);
    return status == PF_OK ? check_complete(command, options, common) : status;
}

void pf_options_free(const pf_command *command, void *options)
{
    free(((pf_common *)options)->operands);
    for (const pf_option *row = command->options; row->type != PF_OPTION_END; row++) {
        void *target = (char *)options + row->at;
        if (is_gathered(row)) free(((pf_texts *)target)->item);
        if (row->type == PF_OPTION_INTEGERS) free(((pf_integers *)target)->item);
    }
}
