// The program: picks the command, reads its options, runs it, and turns its status into the one
// line on stderr and the exit code.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/commands.h"
#include "tools/options.h"
#include "tools/pages.h"
#include "tools/report.h"

static const pf_command *const commands[] = {
    &pf_command_devices,
    &pf_command_selftest,
    &pf_command_fasta,
    &pf_command_split,
    &pf_command_init,
    &pf_command_import,
    &pf_command_export,
    &pf_command_info,
    &pf_command_train,
    &pf_command_generate,
    &pf_command_attend,
    &pf_command_approx,
    &pf_command_attention_map,
    &pf_command_contacts,
    &pf_command_embed,
    &pf_command_embedding_map,
    &pf_command_eval,
    &pf_command_logits,
    &pf_command_score,
    &pf_command_predict,
    &pf_command_variants,
    &pf_command_report,
    &pf_command_ablate,
    &pf_command_bench,
    &pf_command_tune,
    NULL,
};

static const pf_command *find_command(const char *name)
{
    for (const pf_command *const *command = commands; *command; command++) {
        if (!strcmp((*command)->name, name)) return *command;
    }
    return NULL;
}

static pf_status unknown_command(const char *word)
{
    const char *names[64] = {0};
    int count = 0;
    for (; commands[count] && count < 64; count++) names[count] = commands[count]->name;
    if (word[0] == '-') {
        return pf_tool_fail(PF_ERROR_USAGE,
                            "'%.80s' before the command; write: performer COMMAND [options], "
                            "see: performer --help",
                            word);
    }
    const char *near = pf_nearest(word, names, count);
    if (near) return pf_tool_fail(PF_ERROR_USAGE, "unknown command '%.80s'; did you mean %s?", word, near);
    return pf_tool_fail(PF_ERROR_USAGE, "unknown command '%.80s'; see: performer --help", word);
}

static pf_status run_command(const pf_command *command, int count, char **arguments)
{
    void *options = calloc(1, command->options_bytes);
    if (!options) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    pf_status status = pf_options_parse(command, count, arguments, options);
    if (status == PF_OK) {
        if (((const pf_common *)options)->help)
            pf_help_command(stdout, command);
        else
            status = command->run(options);
    }
    pf_options_free(command, options);
    free(options);
    return status;
}

// What the build installs beside the program; completion is for users as well.
static pf_status write_page(const char *what, const char *of)
{
    if (strcmp(what, "--completion") == 0) return pf_completion(stdout, of ? of : "", commands);
    const pf_command *command = of ? find_command(of) : NULL;
    if (of && !command) return unknown_command(of);
    if (command)
        pf_man_command(stdout, command);
    else
        pf_man_program(stdout, commands);
    return PF_OK;
}

static pf_status dispatch(int count, char **arguments)
{
    if (count < 2) {
        return pf_tool_fail(PF_ERROR_USAGE, "which command? write: performer COMMAND [options], "
                                            "see: performer --help");
    }
    const char *word = arguments[1];
    const bool is_help = !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
    if (is_help && count > 2 && find_command(arguments[2])) {
        pf_help_command(stdout, find_command(arguments[2]));
        return PF_OK;
    }
    if (is_help) {
        pf_help_program(stdout, commands);
        return PF_OK;
    }
    if (!strcmp(word, "--version")) {
        printf("performer " PERFORMER_VERSION "\n");
        return PF_OK;
    }
    if (!strcmp(word, "--completion") || !strcmp(word, "--man"))
        return write_page(word, count > 2 ? arguments[2] : NULL);
    const pf_command *command = find_command(word);
    return command ? run_command(command, count - 2, arguments + 2) : unknown_command(word);
}

// What is still in stdout's buffer counts too. A reader that has left is no error.
static pf_status finish_stdout(pf_status status)
{
    errno = 0;
    const bool had_failed = ferror(stdout) != 0;
    const bool failed = fclose(stdout) != 0 || had_failed;
    if (!failed || errno == EPIPE || status != PF_OK) return status;
    return pf_tool_fail(PF_ERROR_FAILED, "standard output: %s", strerror(errno ? errno : EIO));
}

int main(int count, char **arguments)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16); // a whole help text, so that errno tells why it failed
    const pf_status status = finish_stdout(dispatch(count, arguments));
    if (status == PF_OK || status == PF_END) return 0;
    pf_print_error(pf_tool_message());
    return status;
}
