// performer split: drops copies and shares sequences out among training, validation and test.
#include "performer/split.h"

#include <inttypes.h>
#include <stdio.h>

#include "tools/commands.h"
#include "tools/fasta_input.h"
#include "tools/output.h"

enum { PARTS = 3, LINE_LETTERS = 60 };

static const char *const part_names[PARTS] = {"train", "valid", "test"};

typedef struct split_options {
    pf_common common;
    double valid, test;
    const char *clusters, *output;
} split_options;

#define AT(field) offsetof(split_options, field)

static const pf_option table[] = {
    {.name = "valid",
     .type = PF_OPTION_NUMBER,
     .value = "SHARE",
     .low = 0,
     .high = 1,
     .fallback = "0.05",
     .at = AT(valid),
     .help = "share of the sequences for validation"},
    {.name = "test",
     .type = PF_OPTION_NUMBER,
     .value = "SHARE",
     .low = 0,
     .high = 1,
     .fallback = "0.05",
     .at = AT(test),
     .help = "share of the sequences for the test"},
    {.name = "clusters",
     .type = PF_OPTION_TEXT,
     .value = "TSV",
     .at = AT(clusters),
     .help =
         "two columns, representative and member id, as mmseqs easy-cluster writes: relatives stay together"},
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "DIR",
     .required = true,
     .at = AT(output),
     .help = "new or empty directory for train.fasta, valid.fasta and test.fasta"},
    {0},
};

// What is being written: a file and its counts for each part.
typedef struct parts {
    pf_output *file[PARTS];
    uint64_t sequences[PARTS], residues[PARTS], copies;
} parts;

static void write_record(pf_output *out, const pf_fasta_record *record)
{
    pf_output_write(out, ">", 1);
    pf_output_write(out, record->id, record->id_length);
    if (record->description_length) pf_output_write(out, " ", 1);
    pf_output_write(out, record->description, record->description_length);
    for (size_t i = 0; i < record->length; i += LINE_LETTERS) {
        const size_t left = record->length - i;
        pf_output_write(out, "\n", 1);
        pf_output_write(out, record->sequence + i, left < LINE_LETTERS ? left : LINE_LETTERS);
    }
    pf_output_write(out, "\n", 1);
}

static pf_status share_out(const pf_common *common, const char *path, pf_split *split, parts *to)
{
    pf_fasta *fasta;
    pf_fasta_record record;
    pf_split_part part;
    pf_status status = pf_fasta_open(path, NULL, &fasta);
    if (status != PF_OK) return status;
    while ((status = pf_fasta_next(fasta, &record)) == PF_OK) {
        status = pf_split_next(split, &record, &part);
        if (status != PF_OK) break;
        if (part == PF_SPLIT_COPY) {
            to->copies++;
            continue;
        }
        to->sequences[part]++;
        to->residues[part] += record.length;
        write_record(to->file[part], &record);
        if (pf_output_failed(to->file[part])) break; // the commit says why
    }
    pf_print_fasta_warnings(common, fasta);
    pf_fasta_close(fasta);
    return status == PF_END ? PF_OK : status;
}

static pf_status open_parts(parts *to, const char *folder)
{
    pf_status status = PF_OK;
    for (int i = 0; i < PARTS && status == PF_OK; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s.fasta", folder, part_names[i]);
        status = pf_output_open(path, &to->file[i]);
    }
    return status;
}

static pf_status close_parts(parts *to, pf_status status)
{
    for (int i = 0; i < PARTS; i++) {
        if (status == PF_OK)
            status = pf_output_commit(to->file[i]);
        else
            pf_output_discard(to->file[i]);
    }
    return status;
}

static void print_summary(const pf_common *common, const parts *to)
{
    for (int i = 0; i < PARTS; i++) {
        pf_say(common, "%s.fasta: %" PRIu64 " sequences, %" PRIu64 " residues", part_names[i],
               to->sequences[i], to->residues[i]);
    }
    pf_say(common, "dropped: %" PRIu64 " copies of earlier sequences", to->copies);
    if (to->sequences[0] == 0) pf_warn(common, "no sequence fell to train.fasta");
}

static pf_status run(void *given)
{
    const split_options *options = given;
    const pf_common *common = &options->common;
    const pf_split_options how = {
        .valid = options->valid, .test = options->test, .clusters = options->clusters, .seed = (uint64_t)common->seed};
    parts to = {0};
    pf_split *split = NULL;
    pf_output_directory *directory = NULL;
    pf_status status = pf_check_stdin_once(common->operands, common->n_operands);
    if (status == PF_OK) status = pf_output_directory_check(options->output);
    if (status == PF_OK) status = pf_split_create(&how, &split);
    if (status == PF_OK) status = pf_output_directory_open(options->output, &directory);
    if (status == PF_OK) status = open_parts(&to, pf_output_staging(directory));
    for (int i = 0; status == PF_OK && i < common->n_operands; i++) {
        status = share_out(common, common->operands[i], split, &to);
    }
    status = close_parts(&to, status);
    if (status == PF_OK)
        status = pf_output_directory_commit(directory);
    else
        pf_output_directory_discard(directory);
    if (status == PF_OK) print_summary(common, &to);
    pf_split_free(split);
    return status;
}

const pf_command pf_command_split = {
    .name = "split",
    .summary = "share sequences out for training, validation and test",
    .operands = "FASTA...",
    .details = "Later copies of equal sequences are dropped. The rest is shared out by a hash of the "
               "sequence alone, so\n"
               "a sequence falls to the same part in every file; with --clusters by a hash of its "
               "representative's id.\n"
               "Another --seed gives other parts by the same rules, for repeating an experiment.",
    .example = "performer split proteins.fasta.gz --valid 0.05 --test 0.05 -o data\n"
               "mmseqs easy-cluster proteins.fasta c tmp && performer split proteins.fasta --clusters "
               "c_cluster.tsv -o data",
    .options = table,
    .options_bytes = sizeof(split_options),
    .min_operands = 1,
    .max_operands = -1,
    .run = run,
};
