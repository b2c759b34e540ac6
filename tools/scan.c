// A deep mutational scan. See scan.h.
#include "tools/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/plot.h"
#include "tools/report.h"

static const char amino_acids[] = "ACDEFGHIKLMNPQRSTVWY";
enum { AMINO_ACIDS = sizeof amino_acids - 1 };

// What is done with each substitution, in order. `number` counts them.
typedef pf_status scan_step(void *context, pf_wild_type wild_type, size_t residue, int letter, size_t number);

static pf_status for_each(const pf_variants *v, scan_step *step, void *context)
{
    size_t number = 0;
    pf_status status = PF_OK;
    for (size_t i = 0; i < pf_variants_count_wild_types(v); i++) {
        const pf_wild_type w = pf_variants_wild_type(v, i);
        for (size_t r = 0; r < w.length; r++)
            for (int a = 0; a < AMINO_ACIDS && status == PF_OK; a++)
                if (w.residues[r] != amino_acids[a]) status = step(context, w, r, a, number++);
    }
    return status;
}

typedef struct scan {
    pf_variants *variants;
    const pf_variants *scored;
    pf_output *out;
    const char *id; // of the wild type that is gone through
    size_t wild_type;
    int64_t first_position;
    double *score; // [AMINO_ACIDS, length]
} scan;

static void write_mutation(char out[64], const scan *s, pf_wild_type w, size_t residue, int letter)
{
    snprintf(out, 64, "%c%lld%c", w.residues[residue], (long long)(s->first_position + (int64_t)residue),
             amino_acids[letter]);
}

static pf_status add(void *context, pf_wild_type w, size_t residue, int letter, size_t number)
{
    scan *s = context;
    char mutation[64];
    (void)number;
    if (s->id && s->id != w.id) s->wild_type++;
    s->id = w.id;
    write_mutation(mutation, s, w, residue, letter);
    return pf_variants_add(s->variants, s->wild_type, mutation);
}

pf_status pf_scan_add(pf_variants *v, int64_t first_position)
{
    scan s = {.variants = v, .first_position = first_position};
    return for_each(v, add, &s);
}

static pf_status print(void *context, pf_wild_type w, size_t residue, int letter, size_t number)
{
    const scan *s = context;
    char mutation[64];
    write_mutation(mutation, s, w, residue, letter);
    pf_output_plain_text(s->out, w.id, w.id_length);
    pf_output_print(s->out, "\t%s\t%.9g\n", mutation, pf_variants_score(s->scored, number));
    return PF_OK;
}

void pf_scan_print(pf_output *out, const pf_variants *v, int64_t first_position)
{
    scan s = {.scored = v, .out = out, .first_position = first_position};
    pf_output_print(out, "id\tmutation\tscore\n");
    for_each(v, print, &s); // printing keeps its errors to itself
}

pf_status pf_scan_check_plot(const pf_variants *v)
{
    if (pf_variants_count_wild_types(v) == 1) return PF_OK;
    return pf_tool_fail(PF_ERROR_USAGE, "--plot shows one protein, %zu were given; scan them one by one",
                        pf_variants_count_wild_types(v));
}

static pf_status place(void *context, pf_wild_type w, size_t residue, int letter, size_t number)
{
    const scan *s = context;
    s->score[(size_t)letter * w.length + residue] = pf_variants_score(s->scored, number);
    return PF_OK;
}

static pf_status write_picture(const char *path, const pf_plot_matrix *matrix)
{
    pf_output *out = NULL;
    const pf_status status = pf_output_open(path, &out);
    if (status != PF_OK) return status;
    pf_plot_matrix_write(pf_output_stream(out), matrix);
    return pf_output_commit(out);
}

pf_status pf_scan_plot(const char *path, const pf_variants *v, int64_t first_position, const char *method)
{
    const pf_wild_type w = pf_variants_wild_type(v, 0);
    scan s = {.scored = v, .score = malloc(AMINO_ACIDS * w.length * sizeof(double))};
    char title[160], note[160];
    const char *names[AMINO_ACIDS];
    static char letters[AMINO_ACIDS][2];
    if (!s.score) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    for (int a = 0; a < AMINO_ACIDS; a++) {
        letters[a][0] = amino_acids[a];
        names[a] = letters[a];
    }
    for (size_t i = 0; i < AMINO_ACIDS * w.length; i++)
        s.score[i] = (double)NAN; // the wild type's own letter
    for_each(v, place, &s);
    snprintf(title, sizeof title, "Every substitution of %.*s", (int)(w.id_length < 100 ? w.id_length : 100),
             w.id);
    snprintf(note, sizeof note,
             "%s; above 0: likelier than the wild type, which is grey; first residue: %lld", method,
             (long long)first_position);
    const pf_status status = write_picture(path, &(pf_plot_matrix){
                                                     .title = title,
                                                     .note = note,
                                                     .x_label = "residue",
                                                     .y_label = "new amino acid",
                                                     .value_label = "score",
                                                     .value = s.score,
                                                     .rows = AMINO_ACIDS,
                                                     .columns = (int)w.length,
                                                     .row_names = names,
                                                     .is_signed = true,
                                                 });
    free(s.score);
    return status;
}
