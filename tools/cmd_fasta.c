// performer fasta: checks and describes sequence files.
#include "performer/fasta.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/commands.h"
#include "tools/fasta_input.h"
#include "tools/output.h"

typedef struct fasta_options {
    pf_common common;
    bool list, json;
    const char *output;
} fasta_options;

#define AT(field) offsetof(fasta_options, field)

static const pf_option table[] = {
    {.name = "list",
     .type = PF_OPTION_FLAG,
     .at = AT(list),
     .help = "print each sequence as it will be tokenised: TSV with id, length, sequence"},
    {.name = "json", .type = PF_OPTION_FLAG, .at = AT(json), .help = "print the description as JSON"},
    PF_OUTPUT_ROW(AT(output)),
    {0},
};

static void print_record(pf_output *out, const pf_fasta_record *record)
{
    pf_output_plain_text(out, record->id, record->id_length);
    pf_output_print(out, "\t%zu\t", record->length);
    pf_output_write(out, record->sequence, record->length);
    pf_output_write(out, "\n", 1);
}

static void print_json(pf_output *out, const char *path, const pf_fasta_statistics *s)
{
    pf_output_print(out, "{\"file\": ");
    pf_output_json_text(out, path, strlen(path));
    pf_output_print(out, ", \"records\": %" PRIu64 ", \"residues\": %" PRIu64, s->records, s->residues);
    pf_output_print(out, ", \"shortest\": %" PRIu64 ", \"longest\": %" PRIu64, s->shortest, s->longest);
    pf_output_print(out, ", \"longest_id\": ");
    pf_output_json_text(out, s->longest_id, strlen(s->longest_id));
    pf_output_print(out, ", \"letters\": {");
    for (int i = 0; i < PF_FASTA_LETTER_COUNT; i++) {
        pf_output_print(out, "%s\"%c\": %" PRIu64, i ? ", " : "", PF_FASTA_LETTERS[i], s->letters[i]);
    }
    pf_output_print(out, "}, \"lower_case\": %" PRIu64 ", \"stops_dropped\": %" PRIu64, s->lower_case,
                    s->stops_dropped);
    pf_output_print(out, ", \"replaced\": %" PRIu64 ", \"empty\": %" PRIu64, s->replaced, s->empty);
    pf_output_print(out, ", \"duplicate_ids\": %" PRIu64 "}", s->duplicate_ids);
}

static void print_count(pf_output *out, const char *what, uint64_t count, const char *remark)
{
    if (count || !*remark)
        pf_output_print(out, "%-14s %14" PRIu64 "%s%s\n", what, count, *remark ? "  " : "", remark);
}

static void print_letters(pf_output *out, const pf_fasta_statistics *s)
{
    pf_output_print(out, "letters (%%)");
    int column = 0;
    for (int i = 0; i < PF_FASTA_LETTER_COUNT; i++) {
        if (!s->letters[i]) continue;
        if (column++ % 10 == 0) pf_output_print(out, column == 1 ? "    " : "\n%15s", "");
        pf_output_print(out, " %c %-5.2f", PF_FASTA_LETTERS[i],
                        100.0 * (double)s->letters[i] / (double)s->residues);
    }
    pf_output_print(out, "\n");
}

static void print_table(pf_output *out, const char *path, const pf_fasta_statistics *s)
{
    pf_output_print(out, "file           ");
    pf_output_plain_text(out, path, strlen(path));
    pf_output_print(out, "\n");
    print_count(out, "records", s->records, "");
    print_count(out, "residues", s->residues, "");
    print_count(out, "shortest", s->shortest, "");
    pf_output_print(out, "%-14s %14.1f\n", "mean", (double)s->residues / (double)s->records);
    pf_output_print(out, "%-14s %14" PRIu64 "  ", "longest", s->longest);
    pf_output_plain_text(out, s->longest_id, strlen(s->longest_id));
    pf_output_print(out, "\n");
    print_letters(out, s);
    print_count(out, "lower case", s->lower_case, "letters, raised");
    print_count(out, "stops dropped", s->stops_dropped, "'*' at the end of a sequence");
    print_count(out, "replaced", s->replaced, "residues that became X");
    print_count(out, "empty", s->empty, "records without residues, skipped");
    print_count(out, "duplicate ids", s->duplicate_ids, "records whose id an earlier one has");
}

// Reads one input to its end; what is printed about it depends on the options.
static pf_status describe(const fasta_options *options, const char *path, int number, pf_output *out)
{
    pf_fasta *fasta;
    pf_fasta_record record;
    pf_status status = pf_fasta_open(path, NULL, &fasta);
    if (status != PF_OK) return status;
    while ((status = pf_fasta_next(fasta, &record)) == PF_OK && !pf_output_failed(out)) {
        if (options->list) print_record(out, &record);
    }
    pf_print_fasta_warnings(&options->common, fasta);
    if (status == PF_END) {
        const pf_fasta_statistics *statistics = pf_fasta_get_statistics(fasta);
        if (options->json) {
            pf_output_print(out, number ? ",\n " : "{\"files\": [");
            print_json(out, path, statistics);
        } else if (!options->list) {
            if (number) pf_output_print(out, "\n");
            print_table(out, path, statistics);
        }
        status = PF_OK;
    }
    pf_fasta_close(fasta);
    return status;
}

static pf_status run(void *given)
{
    const fasta_options *options = given;
    if (options->list && options->json) {
        return pf_tool_fail(PF_ERROR_USAGE, "fasta: --list and --json exclude each other; give one of them");
    }
    pf_status status = pf_check_stdin_once(options->common.operands, options->common.n_operands);
    if (status != PF_OK) return status;
    pf_output *out;
    status = pf_output_open(options->output, &out);
    if (status != PF_OK) return status;
    if (options->list) pf_output_print(out, "id\tlength\tsequence\n");
    for (int i = 0; status == PF_OK && i < options->common.n_operands; i++) {
        status = describe(options, options->common.operands[i], i, out);
    }
    if (status != PF_OK) {
        pf_output_discard(out);
        return status;
    }
    if (options->json) pf_output_print(out, "]}\n");
    return pf_output_commit(out);
}

const pf_command pf_command_fasta = {
    .name = "fasta",
    .summary = "check and describe sequence files",
    .operands = "FASTA...",
    .details =
        "Inputs are FASTA files, plain or gzip, or - for standard input. Says how many records, residues "
        "and\n"
        "letters there are, what was repaired, and refuses with file and line what is no protein sequence.",
    .example = "performer fasta proteins.fasta.gz\nperformer fasta --list proteins.fasta | cut -f 1,2",
    .options = table,
    .options_bytes = sizeof(fasta_options),
    .min_operands = 1,
    .max_operands = -1,
    .run = run,
};
