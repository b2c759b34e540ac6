// Completion for zsh, made from the option tables: one call of _arguments for each command. See pages.h.
#include <stdlib.h>
#include <string.h>

#include "tools/completion.h"

// Text between single quotes, where _arguments and _describe give brackets and colons a meaning.
static void print_quoted(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:\\", *text))
            fprintf(out, "\\%c", *text);
        else
            putc(*text, out);
    }
}

static void print_action(FILE *out, pf_value_kind kind, const char *choices)
{
    switch (kind) {
    case PF_VALUE_FILE:
        fputs("_files", out);
        break;
    case PF_VALUE_FASTA:
        fputs("_files -g \"*.(fa|fasta|faa|fas)(|.gz)(-.)\"", out);
        break;
    case PF_VALUE_DIRECTORY:
        fputs("_files -/", out);
        break;
    case PF_VALUE_SETTING:
        fputs("_performer_keys", out);
        break;
    case PF_VALUE_DEVICE:
    case PF_VALUE_PRESET:
    case PF_VALUE_CHOICE:
        putc('(', out);
        pf_print_words(out, kind, choices);
        fputs(" )", out);
        break;
    case PF_VALUE_NONE:
    case PF_VALUE_ANY:
        putc(' ', out);
        break;
    }
}

static bool may_be_repeated(const pf_option *option)
{
    return option->type == PF_OPTION_TEXTS || option->type == PF_OPTION_FILES;
}

// One way to write the option; `-o` and `--output` are two specifications that exclude each other.
static void print_form(FILE *out, const pf_option *option, const char *form, bool is_long)
{
    const char *value = option->value ? option->value : "value";
    const bool is_flag = option->type == PF_OPTION_FLAG;
    fputs(" \\\n            '", out);
    if (may_be_repeated(option))
        putc('*', out);
    else if (option->letter)
        fprintf(out, "(-%c --%s)", option->letter, option->name);
    fputs(form, out);
    if (!is_flag && option->type != PF_OPTION_FILES) putc(is_long ? '=' : '+', out);
    putc('[', out);
    print_quoted(out, option->help);
    putc(']', out);
    if (!is_flag) {
        fputs(option->type == PF_OPTION_FILES ? ":*-*:" : ":", out);
        print_quoted(out, value);
        putc(':', out);
        print_action(out, pf_value_kind_of(option), option->choices);
    }
    putc('\'', out);
}

static void print_options(FILE *out, const pf_option *row)
{
    for (; row->type != PF_OPTION_END; row++) {
        char form[80];
        snprintf(form, sizeof form, "--%s", row->name);
        print_form(out, row, form, true);
        snprintf(form, sizeof form, "-%c", row->letter);
        if (row->letter) print_form(out, row, form, false);
    }
}

static void print_command(FILE *out, const pf_command *command)
{
    bool repeated;
    pf_value_kind kinds[PF_MOST_OPERANDS];
    const int count = pf_operand_kinds(command, kinds, &repeated);
    fprintf(out, "    %s)\n        _arguments -s -S", command->name);
    print_options(out, command->options);
    print_options(out, pf_common_options);
    for (int n = 0; n < count; n++) {
        fputs(" \\\n            '", out);
        fprintf(out, repeated && n == count - 1 ? "*" : "%d", n + 1);
        fputs(":operand:", out);
        print_action(out, kinds[n], NULL);
        putc('\'', out);
    }
    fputs("\n        ;;\n", out);
}

static void print_keys(FILE *out)
{
    char *keys = pf_setting_keys();
    fputs("_performer_keys() {\n    local -a keys=(", out);
    for (const char *key = keys; key && *key; key += strcspn(key, "\n") + 1)
        fprintf(out, "\n        %.*s", (int)strcspn(key, "\n"), key);
    fputs(")\n    compadd -S = -- $keys\n}\n\n", out);
    free(keys);
}

void pf_completion_zsh(FILE *out, const pf_command *const *commands)
{
    fputs("#compdef performer\n# Completion of performer's commands for zsh; made by `performer --completion "
          "zsh`.\n\n",
          out);
    print_keys(out);
    fputs("_performer_commands() {\n    local -a commands=(", out);
    for (const pf_command *const *command = commands; *command; command++) {
        fprintf(out, "\n        '%s:", (*command)->name);
        print_quoted(out, (*command)->summary);
        putc('\'', out);
    }
    fputs(")\n    _describe command commands\n}\n\n"
          "_performer() {\n    local curcontext=$curcontext context state state_descr line\n    typeset -A "
          "opt_args\n"
          "    _arguments -C '(- *)--help[list the commands]' '(- *)--version[print the version]' \\\n"
          "        '1:command:_performer_commands' '*::argument:->argument'\n"
          "    [[ $state == argument ]] || return\n    case $words[1] in\n",
          out);
    for (; *commands; commands++) print_command(out, *commands);
    fputs("    esac\n}\n\n"
          "if [[ $funcstack[1] == _performer ]]; then _performer \"$@\"; else compdef _performer performer; "
          "fi\n",
          out);
}
