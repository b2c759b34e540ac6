// Completion for bash, made from the option tables. See pages.h.
//
// The script is a table (what the value of an option, or an operand, is) and one function that walks over the
// words before the cursor as pf_options_parse does.
#include <stdlib.h>
#include <string.h>

#include "performer/config.h"
#include "tools/completion.h"
#include "tools/report.h"

static pf_value_kind kind_of_word(const char *word, size_t length)
{
    static const struct {
        const char *word;
        pf_value_kind kind;
    } kinds[] = {
        {"FASTA", PF_VALUE_FASTA},   {"MODEL", PF_VALUE_DIRECTORY}, {"RUN", PF_VALUE_DIRECTORY},
        {"DIR", PF_VALUE_DIRECTORY}, {"SOURCE", PF_VALUE_FILE},     {"FILE", PF_VALUE_FILE},
        {"TSV", PF_VALUE_FILE},      {"SELECTOR", PF_VALUE_DEVICE}, {"KEY=VALUE", PF_VALUE_SETTING},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i].word) == length && strncmp(kinds[i].word, word, length) == 0)
            return kinds[i].kind;
    return PF_VALUE_ANY;
}

// Letters, and what "KEY=VALUE" has between them.
static size_t word_length(const char *text)
{
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ=");
}

pf_value_kind pf_value_kind_of(const pf_option *option)
{
    if (option->type == PF_OPTION_FLAG) return PF_VALUE_NONE;
    if (option->choices) return PF_VALUE_CHOICE;
    if (strcmp(option->name, "preset") == 0) return PF_VALUE_PRESET;
    return option->value ? kind_of_word(option->value, word_length(option->value)) : PF_VALUE_ANY;
}

int pf_operand_kinds(const pf_command *command, pf_value_kind kinds[PF_MOST_OPERANDS], bool *repeated)
{
    const char *at = command->operands ? command->operands : "";
    int count = 0;
    *repeated = strstr(at, "...") != NULL;
    while (count < PF_MOST_OPERANDS) {
        at += strcspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (!*at) break;
        const pf_value_kind kind = kind_of_word(at, word_length(at));
        kinds[count++] = kind == PF_VALUE_ANY ? PF_VALUE_FILE : kind;
        at += word_length(at);
    }
    return count;
}

char *pf_setting_keys(void)
{
    char *help = NULL, *keys = NULL;
    size_t bytes = 0;
    if (pf_config_help(&help) != PF_OK) return NULL;
    FILE *out = open_memstream(&keys, &bytes);
    for (const char *line = help; out && *line; line += strcspn(line, "\n") + (strchr(line, '\n') != NULL)) {
        const char *key = line + strspn(line, " ");
        fprintf(out, "%.*s\n", (int)strcspn(key, " \n"), key);
    }
    pf_release(help);
    if (!out || fclose(out) != 0) {
        free(keys);
        return NULL;
    }
    return keys;
}

// The words that may stand where a value of this kind stands, with blanks between them and in front.
void pf_print_words(FILE *out, pf_value_kind kind, const char *choices)
{
    if (kind == PF_VALUE_DEVICE) fputs(" auto gpu cpu accelerator", out);
    for (int i = 0; kind == PF_VALUE_PRESET && pf_preset_name(i); i++) fprintf(out, " %s", pf_preset_name(i));
    while (kind == PF_VALUE_CHOICE && *choices) {
        const size_t length = strcspn(choices, "|");
        fprintf(out, " %.*s", (int)length, choices);
        choices += length + (choices[length] == '|');
    }
}

static const char *kind_name(pf_value_kind kind)
{
    static const char *const names[] = {
        [PF_VALUE_NONE] = "none",       [PF_VALUE_ANY] = "any",       [PF_VALUE_FILE] = "file",
        [PF_VALUE_FASTA] = "fasta",     [PF_VALUE_DIRECTORY] = "dir", [PF_VALUE_DEVICE] = "words",
        [PF_VALUE_SETTING] = "setting", [PF_VALUE_PRESET] = "words",  [PF_VALUE_CHOICE] = "words",
    };
    return names[kind];
}

static void print_option(FILE *out, const char *command, const pf_option *option)
{
    const pf_value_kind kind = pf_value_kind_of(option);
    fprintf(out, "    '%s --%s'", command, option->name);
    if (option->letter) fprintf(out, " | '%s -%c'", command, option->letter);
    fprintf(out, ") REPLY='%s %s", option->type == PF_OPTION_FILES ? "many" : "one", kind_name(kind));
    pf_print_words(out, kind, option->choices);
    fputs("' ;;\n", out);
}

static void print_names(FILE *out, const pf_option *row)
{
    for (; row->type != PF_OPTION_END; row++) {
        fprintf(out, " --%s", row->name);
        if (row->letter) fprintf(out, " -%c", row->letter);
    }
}

static void print_command(FILE *out, const pf_command *command)
{
    for (const pf_option *row = command->options; row->type != PF_OPTION_END; row++)
        print_option(out, command->name, row);
    for (const pf_option *row = pf_common_options; row->type != PF_OPTION_END; row++)
        print_option(out, command->name, row);
    fprintf(out, "    '%s options') REPLY='", command->name);
    print_names(out, command->options);
    print_names(out, pf_common_options);
    fputs("' ;;\n", out);
    bool repeated;
    pf_value_kind kinds[PF_MOST_OPERANDS];
    const int count = pf_operand_kinds(command, kinds, &repeated);
    for (int n = 0; n < count; n++) {
        fprintf(out, "    '%s operand ", command->name);
        fprintf(out, repeated && n == count - 1 ? "'*" : "%d'", n);
        fprintf(out, ") REPLY='one %s' ;;\n", kind_name(kinds[n]));
    }
}

static const char bash_functions[] =
    "# What is proposed for the word at the cursor, by its kind.\n"
    "_performer_propose() {\n"
    "    local kind=$1 word=$2\n"
    "    shift 2\n"
    "    case $kind in\n"
    "    words) mapfile -t COMPREPLY < <(compgen -W \"$*\" -- \"$word\") ;;\n"
    "    setting)\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$_performer_keys\" -S = -- \"$word\")\n"
    "        compopt -o nospace 2>/dev/null\n"
    "        ;;\n"
    "    dir) mapfile -t COMPREPLY < <(compgen -d -- \"$word\") ;;\n"
    "    file) mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n"
    "    fasta)\n"
    "        local name\n"
    "        while IFS= read -r name; do\n"
    "            case $name in\n"
    "            *.fa | *.fasta | *.faa | *.fas | *.fa.gz | *.fasta.gz | *.faa.gz | *.fas.gz) "
    "COMPREPLY+=(\"$name\") ;;\n"
    "            *) [ -d \"$name\" ] && COMPREPLY+=(\"$name\") ;;\n"
    "            esac\n"
    "        done < <(compgen -f -- \"$word\")\n"
    "        ;;\n"
    "    esac\n"
    "    case $kind in dir | file | fasta) compopt -o filenames 2>/dev/null ;; esac\n"
    "}\n\n"
    "_performer() {\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} pending='' operand=0 at seen REPLY\n"
    "    COMPREPLY=()\n"
    "    if [ \"$COMP_CWORD\" -le 1 ]; then\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$_performer_commands --help --version\" -- \"$word\")\n"
    "        return\n"
    "    fi\n"
    "    # --name=value comes as three words, as '=' breaks them.\n"
    "    for ((at = 2; at < COMP_CWORD; at++)); do\n"
    "        seen=${COMP_WORDS[at]}\n"
    "        case $seen in\n"
    "        =) ;;\n"
    "        -?*) REPLY='' && _performer_value \"$command $seen\" && pending=$REPLY ;;\n"
    "        *)\n"
    "            case $pending in\n"
    "            'many '*) ;;\n"
    "            'one '*) pending='' ;;\n"
    "            *) [ \"${COMP_WORDS[at - 1]}\" = = ] || operand=$((operand + 1)) ;;\n"
    "            esac\n"
    "            ;;\n"
    "        esac\n"
    "        case $pending in 'one none') pending='' ;; esac\n"
    "    done\n"
    "    if [ \"$word\" = = ]; then word=''; else at=$((at - 1)); fi\n"
    "    if [ \"$word\" = '' ] || [ \"${COMP_WORDS[at]}\" = = ]; then [ \"${COMP_WORDS[at]}$pending\" != = ] "
    "|| return; fi\n"
    "    REPLY=''\n"
    "    case $pending:$word in\n"
    "    one*) REPLY=$pending ;;\n"
    "    *:-*)\n"
    "        _performer_value \"$command options\"\n"
    "        REPLY=\"one words $REPLY\"\n"
    "        ;;\n"
    "    many*) REPLY=$pending ;;\n"
    "    *) _performer_value \"$command operand $operand\" ;;\n"
    "    esac\n"
    "    # shellcheck disable=SC2086 # words on purpose\n"
    "    set -- $REPLY\n"
    "    [ $# -lt 2 ] || _performer_propose \"$2\" \"$word\" \"${@:3}\"\n"
    "}\n"
    "complete -F _performer performer\n";

static void print_bash(FILE *out, const pf_command *const *commands)
{
    char *keys = pf_setting_keys();
    fputs("# Completion of performer's commands for bash; made by `performer --completion "
          "bash`.\n_performer_commands='",
          out);
    for (const pf_command *const *command = commands; *command; command++)
        fprintf(out, "%s%s", command == commands ? "" : " ", (*command)->name);
    fprintf(out, "'\n_performer_keys='%s'\n\n", keys ? keys : "");
    free(keys);
    fputs("# What the value of `COMMAND --OPTION` or `COMMAND operand N` is: one or many, its kind, its "
          "words.\n"
          "_performer_value() {\n    case $1 in\n",
          out);
    for (; *commands; commands++) print_command(out, *commands);
    fputs("    *) REPLY='' ;;\n    esac\n}\n\n", out);
    fputs(bash_functions, out);
}

pf_status pf_completion(FILE *out, const char *shell, const pf_command *const *commands)
{
    if (strcmp(shell, "bash") == 0)
        print_bash(out, commands);
    else if (strcmp(shell, "zsh") == 0)
        pf_completion_zsh(out, commands);
    else
        return pf_tool_fail(PF_ERROR_USAGE, "--completion: '%.80s' is neither bash nor zsh", shell);
    return PF_OK;
}
