// Similarity of amino acids as tables and a picture. See similarity_report.h.
#include "tools/similarity_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/output.h"
#include "tools/plot_grid.h"
#include "tools/report.h"

enum { LETTERS = PF_SIMILARITY_LETTERS };

static pf_status open_output(const char *directory, const char *name, pf_output **out)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return pf_output_open(path, out);
}

static void print_number(pf_output *out, double value)
{
    if (isfinite(value))
        pf_output_print(out, "\t%.6f", value);
    else
        pf_output_print(out, "\tnan");
}

// A line for each pair of letters.
static pf_status write_pairs(const char *directory, const pf_similarity_result *r,
                             const pf_letter_matrix *blosum)
{
    pf_output *out = NULL;
    const pf_status status = open_output(directory, "similarity.tsv", &out);
    if (status != PF_OK) return status;
    pf_output_print(out, "a\tb\treceived\tgiven\tpairs\tblosum62\n");
    for (int a = 0; a < LETTERS; a++)
        for (int b = a; b < LETTERS; b++) {
            pf_output_print(out, "%c\t%c", PF_AMINO_ACID_LETTERS[a], PF_AMINO_ACID_LETTERS[b]);
            print_number(out, r->received.at[a][b]);
            print_number(out, r->given.at[a][b]);
            print_number(out, r->pairs.at[a][b]);
            pf_output_print(out, "\t%d\n", (int)blosum->at[a][b]);
        }
    return pf_output_commit(out);
}

static pf_status write_matrix(const char *directory, const char *name, const pf_letter_matrix *matrix)
{
    pf_output *out = NULL;
    const pf_status status = open_output(directory, name, &out);
    if (status != PF_OK) return status;
    for (int b = 0; b < LETTERS; b++) pf_output_print(out, "\t%c", PF_AMINO_ACID_LETTERS[b]);
    pf_output_print(out, "\n");
    for (int a = 0; a < LETTERS; a++) {
        pf_output_print(out, "%c", PF_AMINO_ACID_LETTERS[a]);
        for (int b = 0; b < LETTERS; b++) print_number(out, matrix->at[a][b]);
        pf_output_print(out, "\n");
    }
    return pf_output_commit(out);
}

// ---- the picture ----

// Letters by kind (small, acidic and their amides, basic, hydrophobic, aromatic), so that groups show as
// squares.
static const char order[] = "GPASTCNDEQHKRMILVFYW";

typedef struct panel {
    double value[LETTERS * LETTERS];
    char name[LETTERS][2];
    const char *names[LETTERS];
} panel;

// A matrix and what is said about it.
typedef struct measure {
    const char *name, *title, *what, *unit;
    const pf_letter_matrix *matrix;
    pf_agreement agreement; // with BLOSUM62
} measure;

static void add_panel(pf_plot_grid *grid, const measure *m)
{
    const pf_letter_matrix *matrix = m->matrix;
    panel p;
    char note[160];
    double largest = 0;
    if (m->agreement.pairs)
        snprintf(note, sizeof note, "%s; with BLOSUM62: Pearson %.2f, Spearman %.2f, p %.2g", m->what,
                 m->agreement.pearson, m->agreement.spearman, m->agreement.p);
    else
        snprintf(note, sizeof note, "%s", m->what);
    for (int i = 0; i < LETTERS; i++) {
        const int a = (int)(strchr(PF_AMINO_ACID_LETTERS, order[i]) - PF_AMINO_ACID_LETTERS);
        snprintf(p.name[i], sizeof p.name[i], "%c", order[i]);
        p.names[i] = p.name[i];
        for (int j = 0; j < LETTERS; j++) {
            const int b = (int)(strchr(PF_AMINO_ACID_LETTERS, order[j]) - PF_AMINO_ACID_LETTERS);
            p.value[i * LETTERS + j] = i == j ? (double)NAN : matrix->at[a][b];
            if (i != j && isfinite(matrix->at[a][b])) largest = fmax(largest, fabs(matrix->at[a][b]));
        }
    }
    pf_plot_grid_add(grid, &(pf_plot_matrix){
                               .title = m->title,
                               .note = note,
                               .x_label = "amino acid",
                               .y_label = "amino acid",
                               .value_label = m->unit,
                               .value = p.value,
                               .rows = LETTERS,
                               .columns = LETTERS,
                               .row_names = p.names,
                               .column_names = p.names,
                               .low = -largest,
                               .high = largest,
                               .is_signed = true,
                           });
}

enum { MEASURES = 3 };

static pf_status write_picture(const char *directory, const pf_similarity_result *r, const measure *measures,
                               const measure *blosum)
{
    char path[4096], note[200];
    snprintf(path, sizeof path, "%s/similarity.svg", directory);
    FILE *file = fopen(path, "w");
    if (!file) return pf_tool_fail(PF_ERROR_FAILED, "%s: cannot be written", path);
    pf_plot_grid grid = {.columns = 2};
    snprintf(note, sizeof note,
             "%" PRIu64 " sequences, %" PRIu64 " residues, %d heads; letters by kind, the diagonal left out",
             r->sequences, r->residues, r->n_heads);
    pf_plot_grid_begin(&grid, file, "How alike amino acids are, to attention and in evolution", note,
                       MEASURES + 1);
    for (int i = 0; i < MEASURES; i++) add_panel(&grid, &measures[i]);
    add_panel(&grid, blosum);
    pf_plot_grid_end(&grid);
    const bool failed = ferror(file) != 0;
    if (fclose(file) == 0 && !failed) return PF_OK;
    return pf_tool_fail(PF_ERROR_FAILED, "%s: cannot be written", path);
}

static pf_status print_agreements(const measure *measures, const pf_similarity_result *r)
{
    pf_output *out = NULL;
    const pf_status status = pf_output_open(NULL, &out);
    if (status != PF_OK) return status;
    pf_output_print(out, "measure\tpearson\tspearman\tp\tpairs\tsequences\tresidues\theads\n");
    for (int i = 0; i < MEASURES; i++) {
        pf_output_print(out, "%s", measures[i].name);
        print_number(out, measures[i].agreement.pearson);
        print_number(out, measures[i].agreement.spearman);
        print_number(out, measures[i].agreement.p);
        pf_output_print(out, "\t%d\t%" PRIu64 "\t%" PRIu64 "\t%d\n", measures[i].agreement.pairs,
                        r->sequences, r->residues, r->n_heads);
    }
    return pf_output_commit(out);
}

pf_status pf_similarity_report(const pf_common *common, const char *directory, const pf_similarity_result *r)
{
    pf_letter_matrix evolution;
    pf_blosum62(&evolution);
    const measure blosum = {
        .title = "BLOSUM62", .what = "Henikoff and Henikoff 1992", .unit = "half bits", .matrix = &evolution};
    measure measures[MEASURES] = {
        {.name = "received",
         .title = "attention received",
         .what = "correlation over heads",
         .unit = "correlation",
         .matrix = &r->received},
        {.name = "given",
         .title = "attention given",
         .what = "correlation of preferences",
         .unit = "correlation",
         .matrix = &r->given},
        {.name = "pairs",
         .title = "attention to each other",
         .what = "over chance",
         .unit = "log2",
         .matrix = &r->pairs},
    };
    pf_status status = write_pairs(directory, r, &evolution);
    for (int i = 0; status == PF_OK && i < MEASURES; i++) {
        char name[64];
        snprintf(name, sizeof name, "similarity-%s.tsv", measures[i].name);
        status = write_matrix(directory, name, measures[i].matrix);
        pf_similarity_compare(measures[i].matrix, &evolution, &measures[i].agreement);
        if (measures[i].agreement.pairs < LETTERS * (LETTERS - 1) / 2)
            pf_warn(common, "similarity by attention %s is known of %d of 190 pairs", measures[i].name,
                    measures[i].agreement.pairs);
    }
    if (status == PF_OK) status = write_picture(directory, r, measures, &blosum);
    return status == PF_OK ? print_agreements(measures, r) : status;
}
