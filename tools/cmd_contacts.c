// performer contacts: which residues of proteins touch each other, in a model's eyes.
#include <stdlib.h>
#include <string.h>

#include "performer/contacts.h"
#include "tools/commands.h"
#include "tools/device.h"
#include "tools/output.h"
#include "tools/plot.h"
#include "tools/report.h"
#include "tools/stream.h"

typedef struct contacts_options {
    pf_common common;
    pf_stream_flags stream;
    const char *output;
    int64_t apart;
} contacts_options;

#define AT(field) offsetof(contacts_options, field)

static const pf_option table[] = {
    {.name = "output",
     .letter = 'o',
     .type = PF_OPTION_TEXT,
     .value = "DIR",
     .at = AT(output),
     .required = true,
     .help = "a new or empty directory"},
    {.name = "apart",
     .type = PF_OPTION_INTEGER,
     .value = "N",
     .low = 1,
     .high = 1 << 20,
     .fallback = "6",
     .at = AT(apart),
     .help = "pairs of the table are at least so far apart in the sequence"},
    PF_STREAM_ROWS(AT(stream)),
    {0},
};

typedef struct pair {
    float score;
    int32_t i, j;
} pair;

static int compare(const void *a, const void *b)
{
    const pair *left = a, *right = b;
    if (left->score != right->score) return left->score < right->score ? 1 : -1;
    return left->i != right->i ? left->i - right->i : left->j - right->j;
}

// As many of the best pairs as there are residues.
static pf_status print_best(pf_output *out, const pf_contact_map *map, int64_t apart)
{
    const int32_t n = map->length;
    pair *pairs = malloc(((size_t)n * (size_t)n / 2 + 1) * sizeof *pairs);
    size_t count = 0;
    if (!pairs) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    for (int32_t i = 0; i < n; i++)
        for (int64_t j = i + apart; j < n; j++)
            pairs[count++] = (pair){map->score[(size_t)i * (size_t)n + (size_t)j], i, (int32_t)j};
    qsort(pairs, count, sizeof *pairs, compare);
    for (size_t p = 0; p < count && p < (size_t)n; p++) {
        pf_output_plain_text(out, map->id, map->id_length);
        pf_output_print(out, "\t%d\t%d\t%c\t%c\t%.6g\n", pairs[p].i + 1, pairs[p].j + 1,
                        map->residues[pairs[p].i], map->residues[pairs[p].j], (double)pairs[p].score);
    }
    free(pairs);
    return PF_OK;
}

static pf_status draw(const char *directory, const pf_contact_map *map)
{
    const size_t n = (size_t)map->length;
    double *value = malloc((n * n + 1) * sizeof *value), high = 0;
    char *path = NULL;
    if (!value || asprintf(&path, "%s/%s.svg", directory, map->name) < 0) path = NULL;
    FILE *file = path ? fopen(path, "w") : NULL;
    for (size_t i = 0; file && i < n; i++)
        for (size_t j = 0; j < n; j++) {
            value[i * n + j] = (double)map->score[i * n + j];
            // Neighbours in the sequence are near in any case: they should not decide the colours.
            if (i + 6 > j || map->is_probability) continue;
            if (value[i * n + j] > high) high = value[i * n + j];
        }
    if (map->is_probability) high = 1;
    pf_plot_matrix matrix = {
        .title = map->id,
        .note = map->is_probability ? "probability of contact"
                                    : "mean of all heads, corrected for rows and columns",
        .x_label = "residue",
        .y_label = "residue",
        .value_label = map->is_probability ? "probability" : "score",
        .value = value,
        .rows = map->length,
        .columns = map->length,
        .high = high,
    };
    pf_status status = PF_OK;
    if (file) pf_plot_matrix_write(file, &matrix);
    if (!file || fclose(file) != 0)
        status = pf_tool_fail(PF_ERROR_FAILED, "%s: cannot be written", path ? path : directory);
    free(value);
    free(path);
    return status;
}

static pf_status take_maps(const contacts_options *o, pf_contacts *contacts, const char *directory,
                           pf_output *out)
{
    const double began = pf_tool_seconds();
    uint64_t sequences = 0, tokens = 0;
    pf_contact_map map;
    pf_status status;
    const char *warning;
    pf_output_print(out, "id\ti\tj\tresidue_i\tresidue_j\tscore\n");
    while ((status = pf_contacts_next(contacts, &map)) == PF_OK) {
        if (sequences == 0 && !map.is_probability)
            pf_say(&o->common,
                   "the model carries no contact regression: scores are means over its heads, not "
                   "probabilities");
        status = print_best(out, &map, o->apart);
        if (status == PF_OK) status = draw(directory, &map);
        if (status != PF_OK) break;
        tokens += (uint64_t)map.length;
        pf_tool_print_progress(&o->common, ++sequences, tokens, pf_tool_seconds() - began);
    }
    pf_tool_end_progress(&o->common);
    for (size_t i = 0; (warning = pf_contacts_warning(contacts, i)); i++) pf_warn(&o->common, "%s", warning);
    return status == PF_END ? PF_OK : status;
}

static pf_status write_all(const contacts_options *o, pf_model *model, const char *directory)
{
    pf_contacts_options options = {.directory = directory};
    pf_contacts *contacts = NULL;
    pf_output *out = NULL;
    char *path = NULL;
    pf_status status = pf_tool_stream(&o->common, &o->stream, &options.stream);
    if (status == PF_OK && asprintf(&path, "%s/contacts.tsv", directory) < 0)
        status = pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    if (status == PF_OK) status = pf_contacts_open(model, &options, &contacts);
    if (status == PF_OK) status = pf_output_open(path, &out);
    if (status == PF_OK) status = take_maps(o, contacts, directory, out);
    if (status == PF_OK)
        status = pf_output_commit(out);
    else
        pf_output_discard(out);
    pf_contacts_close(contacts);
    free(path);
    return status;
}

static pf_status compute(const contacts_options *o, pf_device *device)
{
    pf_output_directory *directory = NULL;
    pf_model *model = NULL;
    pf_stream_flags flags = o->stream;
    if (flags.batch_tokens == 0) flags.batch_tokens = 512; // one sequence at a time; the model grows with it
    pf_status status =
        pf_tool_model_open(&o->common, &flags, device, (pf_model_options){.probe = true}, &model);
    if (status == PF_OK) status = pf_output_directory_open(o->output, &directory);
    if (status == PF_OK) status = write_all(o, model, pf_output_staging(directory));
    if (status == PF_OK)
        status = pf_output_directory_commit(directory);
    else
        pf_output_directory_discard(directory);
    pf_model_close(model);
    return status;
}

static pf_status run(void *given)
{
    const contacts_options *o = given;
    pf_device *device = NULL;
    pf_status status = pf_output_directory_check(o->output);
    if (status == PF_OK) status = pf_tool_device_open(&o->common, &device);
    if (status != PF_OK) return status;
    return pf_tool_device_close(&o->common, device, compute(o, device));
}

const pf_command pf_command_contacts = {
    .name = "contacts",
    .summary = "show which residues of proteins touch each other",
    .operands = "MODEL FASTA...",
    .details =
        "DIR/N-ID.npy holds the N-th sequence's scores [residues, residues], float32, symmetric; N-ID.svg "
        "shows\n"
        "them; contacts.tsv lists the best pairs of each, as many as it has residues: id, i, j (from 1), "
        "their\n"
        "letters, score. Scores are probabilities where the model carries ESM's contact regression (ESM-2,\n"
        "ESM-1b), else means over all heads: symmetric attention less what rows and columns have anyway.",
    .example = "performer contacts esm2 proteins.fasta -o contacts",
    .options = table,
    .options_bytes = sizeof(contacts_options),
    .min_operands = 2,
    .max_operands = -1,
    .run = run,
};
