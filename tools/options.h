// The option tables of the commands: one row per option drives parsing, checking and --help, and
// is what man pages and shell completion are made from.
//
// GNU conventions: `--name value`, `--name=value`, `-n value`, `-nvalue`, `-qv`, options anywhere
// among the operands, `--` ends them. The last use wins unless the row gathers values.
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "performer/status.h"

typedef enum pf_option_type {
    PF_OPTION_END = 0,  // the last row of a table
    PF_OPTION_FLAG,     // bool
    PF_OPTION_TEXT,     // const char *
    PF_OPTION_CHOICE,   // const char *, one of `choices`
    PF_OPTION_INTEGER,  // int64_t
    PF_OPTION_NUMBER,   // double
    PF_OPTION_INTEGERS, // pf_integers, separated by commas
    PF_OPTION_TEXTS,    // pf_texts, one more with each use
    PF_OPTION_FILES,    // pf_texts, everything up to the next option, more with each use
} pf_option_type;

typedef struct pf_texts {
    const char **item;
    int count;
} pf_texts;

typedef struct pf_integers {
    int64_t *item;
    int count;
} pf_integers;

typedef struct pf_option {
    const char *name;        // long name, without the dashes
    char letter;             // short name, or 0
    pf_option_type type;     // decides what lies at `at`
    const char *value;       // what --help calls the value: FILE, DIR, MODEL, N; NULL for flags
    const char *choices;     // "mlm|clm"
    double low, high;        // allowed range of integers and numbers; both 0: any
    const char *fallback;    // the default as a user would write it; NULL: zero, NULL, none
    const char *environment; // variable that stands in when the option is not given, or NULL
    bool required;
    size_t at;        // where the value goes in the command's options
    size_t given_at;  // where a bool goes that says whether it was given; 0: nowhere
    const char *help; // one sentence without a full stop
} pf_option;

// The row of -o FILE, for results that go to stdout otherwise; `at` is the place of a const char *.
#define PF_OUTPUT_ROW(place)                                                                                 \
    {                                                                                                        \
        .name = "output", .letter = 'o', .type = PF_OPTION_TEXT, .value = "FILE", .at = (place),             \
        .help = "write to FILE, which is replaced once all is done"                                          \
    }

// What every command takes. The first member of each command's options.
typedef struct pf_common {
    const char **operands; // arguments that are no options, n_operands of them
    int n_operands;
    const char *device;  // selector, "auto" by default
    const char *cache;   // PERFORMER_CACHE: directory, "off" or NULL
    const char *profile; // file for the Chrome trace, or NULL
    int64_t seed;
    int64_t threads; // never 0: by default the cores that this process may use
    bool seed_given, device_given, threads_given;
    bool help, quiet, verbose;
} pf_common;

typedef struct pf_command {
    const char *name;
    const char *summary;            // one line, without a full stop
    const char *operands;           // for the usage line: "MODEL FASTA..."
    const char *details;            // paragraphs for --help, or NULL
    const char *example;            // lines, each a whole command
    const pf_option *options;       // ends with a row of type PF_OPTION_END
    size_t options_bytes;           // of the struct that `at` counts in; begins with a pf_common
    int min_operands, max_operands; // max < 0: no limit
    void (*more_help)(FILE *out);   // what only the library knows (presets), or NULL
    pf_status (*run)(void *options);
} pf_command;

// The rows that every command has.
extern const pf_option pf_common_options[];

// Fills `options` (command->options_bytes, zeroed here) from the defaults, the environment and the
// arguments behind the command's name. Texts point into `arguments`. Stops early at --help.
// Errors: PF_ERROR_USAGE. Release with pf_options_free in any case.
pf_status pf_options_parse(const pf_command *command, int count, char **arguments, void *options);
void pf_options_free(const pf_command *command, void *options);

// Reads one value of a row into `target`, as pf_options_parse does for the types that are not
// gathered. `source` names it in messages. Errors: PF_ERROR_USAGE.
pf_status pf_option_read(const pf_option *option, const char *source, const char *text, void *target);

// What --help prints.
void pf_help_command(FILE *out, const pf_command *command);
void pf_help_program(FILE *out, const pf_command *const *commands);

// The name nearest to `word` among `count` of them, or NULL when none is near.
const char *pf_nearest(const char *word, const char *const *names, int count);

#endif
