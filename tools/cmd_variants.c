// performer variants: what mutations do to proteins, in a model's eyes.
#include <stdlib.h>
#include <string.h>

#include "performer/variants.h"
#include "tools/commands.h"
#include "tools/device.h"
#include "tools/output.h"
#include "tools/report.h"
#include "tools/scan.h"
#include "tools/stream.h"
#include "tools/table.h"

typedef struct variants_options {
    pf_common common;
    pf_stream_flags stream;
    pf_texts wild_types;
    const char *mutations, *column, *method, *output, *plot;
    int64_t offset;
    bool scan, joint;
} variants_options;

#define AT(field) offsetof(variants_options, field)

static const pf_option table[] = {
    {.name = "wild-type",
     .type = PF_OPTION_FILES,
     .value = "FASTA...",
     .required = true,
     .at = AT(wild_types),
     .help = "the proteins that are mutated"},
    {.name = "mutations",
     .type = PF_OPTION_TEXT,
     .value = "TSV",
     .at = AT(mutations),
     .help =
         "table with a header row and a column of mutations such as A42G or A42G:L50P; -: standard input. A "
         "column id chooses among several wild types"},
    {.name = "column",
     .type = PF_OPTION_TEXT,
     .value = "NAME",
     .fallback = "mutation",
     .at = AT(column),
     .help = "the column that holds the mutations"},
    {.name = "scan",
     .type = PF_OPTION_FLAG,
     .at = AT(scan),
     .help = "score every single substitution instead"},
    {.name = "plot",
     .type = PF_OPTION_TEXT,
     .value = "FILE",
     .at = AT(plot),
     .help = "with --scan of one protein: a heat map of the scores as SVG"},
    {.name = "method",
     .type = PF_OPTION_CHOICE,
     .value = "METHOD",
     .choices = "wt-marginals|masked-marginals|pseudo-ppl",
     .fallback = "wt-marginals",
     .at = AT(method),
     .help = "how a mutation is scored"},
    {.name = "joint",
     .type = PF_OPTION_FLAG,
     .at = AT(joint),
     .help = "masked-marginals: mask all sites of a variant together; by default each alone, and the scores "
             "add up"},
    {.name = "offset",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = -1e9,
     .high = 1e9,
     .fallback = "1",
     .at = AT(offset),
     .help = "the position that the mutations give the first residue"},
    PF_OUTPUT_ROW(AT(output)),
    {.name = "batch-tokens",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 1,
     .high = INT32_MAX,
     .at = AT(stream) + offsetof(pf_stream_flags, batch_tokens),
     .help = "most tokens computed at once; by default what the device's memory suggests"},
    PF_SETTINGS_ROW(AT(stream)),
    {0},
};

static pf_status check(const variants_options *o)
{
    if (o->scan == (o->mutations != NULL))
        return pf_tool_fail(PF_ERROR_USAGE, "%s: --mutations scores those of a table, --scan all of them",
                            o->scan ? "both --scan and --mutations given"
                                    : "neither --mutations nor --scan given");
    if (o->plot && !o->scan)
        return pf_tool_fail(PF_ERROR_USAGE, "--plot shows every substitution: it goes with --scan");
    return PF_OK;
}

static pf_variant_method method_of(const char *name)
{
    return !strcmp(name, "wt-marginals")       ? PF_VARIANTS_WILD_TYPE
           : !strcmp(name, "masked-marginals") ? PF_VARIANTS_MASKED
                                               : PF_VARIANTS_PSEUDO;
}

// What the rows of the user's table are about.
typedef struct columns {
    int mutation, id; // id: -1 where there is one wild type and no such column
} columns;

static pf_status find_columns(const variants_options *o, const pf_table *t, const pf_variants *v,
                              columns *out)
{
    out->mutation = pf_table_column(t, o->column);
    out->id = pf_table_column(t, "id");
    if (out->mutation < 0)
        return pf_tool_fail(PF_ERROR_INPUT,
                            "%s: no column '%s' in its header; --column names the one with the mutations",
                            t->name, o->column);
    if (pf_table_column(t, "score") >= 0)
        return pf_tool_fail(PF_ERROR_INPUT,
                            "%s: has a column score already, which the result would be called; rename it",
                            t->name);
    if (out->id < 0 && pf_variants_count_wild_types(v) > 1)
        return pf_tool_fail(PF_ERROR_INPUT,
                            "%s: no column id, which says which of the %zu wild types a row is about",
                            t->name, pf_variants_count_wild_types(v));
    return PF_OK;
}

static pf_status find_wild_type(const pf_variants *v, const pf_table *t, size_t row, int column, size_t *out)
{
    size_t length;
    *out = 0;
    if (column < 0) return PF_OK;
    const char *id = pf_table_field(t, row, column, &length);
    for (size_t i = 0; i < pf_variants_count_wild_types(v); i++) {
        const pf_wild_type w = pf_variants_wild_type(v, i);
        *out = i;
        if (w.id_length == length && memcmp(w.id, id, length) == 0) return PF_OK;
    }
    return pf_tool_fail(PF_ERROR_INPUT, "%s: line %zu: no wild type is called '%.*s'", t->name, t->line[row],
                        (int)(length < 80 ? length : 80), id);
}

static pf_status add_row(pf_variants *v, const pf_table *t, const columns *c, size_t row)
{
    size_t wild_type, length;
    pf_status status = find_wild_type(v, t, row, c->id, &wild_type);
    if (status != PF_OK) return status;
    const char *field = pf_table_field(t, row, c->mutation, &length);
    char *mutations = strndup(field, length);
    if (!mutations) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    status = pf_variants_add(v, wild_type, mutations);
    free(mutations);
    if (status == PF_OK) return PF_OK;
    return pf_tool_fail(status, "%s: line %zu: %s", t->name, t->line[row], pf_tool_message());
}

static pf_status add_table(const variants_options *o, pf_variants *v, const pf_table *t)
{
    columns c;
    pf_status status = find_columns(o, t, v, &c);
    for (size_t row = 1; row < t->n_rows && status == PF_OK; row++) status = add_row(v, t, &c, row);
    return status;
}

static void print_table(pf_output *out, const pf_variants *v, const pf_table *t)
{
    pf_output_print(out, "%s\tscore\n", t->row[0]);
    for (size_t row = 1; row < t->n_rows; row++)
        pf_output_print(out, "%s\t%.9g\n", t->row[row], pf_variants_score(v, row - 1));
}

static pf_status compute(const pf_common *common, pf_variants *v)
{
    const double began = pf_tool_seconds();
    uint64_t tokens = 0;
    pf_status status;
    while ((status = pf_variants_step(v, &tokens)) == PF_OK)
        pf_tool_print_progress(common, 0, tokens, pf_tool_seconds() - began);
    pf_tool_end_progress(common);
    return status == PF_END ? PF_OK : status;
}

static pf_status write_results(const variants_options *o, const pf_variants *v, const pf_table *t)
{
    pf_output *out = NULL;
    pf_status status = pf_output_open(o->output, &out);
    if (status != PF_OK) return status;
    if (o->scan)
        pf_scan_print(out, v, o->offset);
    else
        print_table(out, v, t);
    if (o->plot) status = pf_scan_plot(o->plot, v, o->offset, o->method);
    if (status == PF_OK) return pf_output_commit(out);
    pf_output_discard(out);
    return status;
}

// Everything that can be wrong with the input is found before the device computes.
static pf_status score(const variants_options *o, pf_model *model, const pf_table *t)
{
    const pf_variants_options options = {
        .files = (const char *const *)o->wild_types.item,
        .n_files = o->wild_types.count,
        .method = method_of(o->method),
        .joint = o->joint,
        .first_position = o->offset,
    };
    pf_variants *v = NULL;
    pf_status status = pf_variants_open(model, &options, &v);
    if (status == PF_OK) status = o->scan ? pf_scan_add(v, o->offset) : add_table(o, v, t);
    if (status == PF_OK && o->plot) status = pf_scan_check_plot(v);
    if (status == PF_OK) status = compute(&o->common, v);
    if (status == PF_OK) status = write_results(o, v, t);
    pf_variants_close(v);
    return status;
}

static pf_status run(void *given)
{
    const variants_options *o = given;
    pf_table t = {0};
    pf_device *device = NULL;
    pf_model *model = NULL;
    pf_status status = check(o);
    if (status == PF_OK && o->mutations) status = pf_table_read(o->mutations, &t);
    if (status == PF_OK) status = pf_tool_device_open(&o->common, &device);
    if (status == PF_OK) {
        status = pf_tool_model_open(&o->common, &o->stream, device, (pf_model_options){0}, &model);
        if (status == PF_OK) status = score(o, model, &t);
        pf_model_close(model);
        status = pf_tool_device_close(&o->common, device, status);
    }
    pf_table_free(&t);
    return status;
}

const pf_command pf_command_variants = {
    .name = "variants",
    .summary = "score what mutations do to proteins",
    .operands = "MODEL",
    .details =
        "Prints the columns of the table and a score: above 0 the model finds the variant likelier than the "
        "wild\n"
        "type. wt-marginals sums log p(new) - log p(old) over the sites, seeing the wild type: one pass for "
        "a\n"
        "protein. masked-marginals masks each site, a pass for each. pseudo-ppl is the difference of the\n"
        "pseudo-log-likelihoods of mutant and wild type, as many passes as residues for each variant; with "
        "a\n"
        "causal model the difference of the log-likelihoods. --scan prints id, mutation and score. Letters "
        "of\n"
        "the wild type are checked against the sequence.",
    .example = "performer variants run --wild-type protein.fasta --mutations assay.tsv -o scores.tsv\n"
               "performer variants run --wild-type protein.fasta --scan --method masked-marginals --plot "
               "scan.svg -o "
               "scan.tsv",
    .options = table,
    .options_bytes = sizeof(variants_options),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
