// What the model reaches, by letter and by length, and what other commands have drawn. See report_page.h.
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report_page.h"

// A bar's full length is the best of the letters that proteins are made of.
enum { COMMON_LETTERS = 20, MOST_PICTURES = 200, MOST_TABLE_BYTES = 1 << 16 };

static void print_group(FILE *out, const char *name, const pf_group_metrics *g, double most)
{
    if (g->targets == 0) return;
    fprintf(out, "<tr><th>%s</th><td>%" PRIu64 "</td><td>%.3f</td>", name, g->targets, g->loss);
    pf_page_bar_cell(out, most > 0 ? g->accuracy / most : 0, "%.2f %%", 100 * g->accuracy);
    fputs("</tr>\n", out);
}

static double best_accuracy(const pf_group_metrics *g, int count)
{
    double most = 0;
    for (int i = 0; i < count; i++)
        if (g[i].targets && g[i].accuracy > most) most = g[i].accuracy;
    return most;
}

static void print_groups(FILE *out, const pf_evaluate_result *e)
{
    static const char head[] =
        "<table><thead><tr><th>%s</th><th>targets</th><th>loss</th><th>accuracy</th></tr></thead><tbody>\n";
    const double best_letter = best_accuracy(e->by_letter, COMMON_LETTERS),
                 best_length = best_accuracy(e->by_length, PF_LENGTH_GROUPS);
    fputs("<div class=\"tables\">\n", out);
    fprintf(out, head, "letter");
    for (int i = 0; i < PF_FASTA_LETTER_COUNT; i++)
        print_group(out, (char[]){PF_FASTA_LETTERS[i], '\0'}, &e->by_letter[i], best_letter);
    fputs("</tbody></table>\n", out);
    fprintf(out, head, "residues");
    for (int i = 0; i < PF_LENGTH_GROUPS; i++) {
        char name[48];
        snprintf(name, sizeof name, "%" PRIu64 "&ndash;%" PRIu64, i ? pf_length_group_end(i - 1) + 1 : 1,
                 pf_length_group_end(i));
        print_group(out, name, &e->by_length[i], best_length);
    }
    fputs("</tbody></table>\n</div>\n", out);
}

static void print_ngrams(FILE *out, const pf_evaluate_result *e)
{
    const double best = e->ngram[e->best_order - 1].perplexity;
    if (e->perplexity < best)
        pf_page_paragraph(out,
                          "The model's perplexity is below that of the best n-gram, %.3f (order %d; the "
                          "unigram's is %.3f).",
                          best, e->best_order, e->ngram[0].perplexity);
    else
        pf_page_paragraph(out,
                          "The model's perplexity is NOT below that of the best n-gram, %.3f (order %d): on "
                          "these sequences it is no "
                          "better than counts of letters.",
                          best, e->best_order);
    fputs("<table><thead><tr><th>baseline</th><th>perplexity</th><th>accuracy</th></tr></thead><tbody>\n",
          out);
    for (int i = 0; i < PF_NGRAM_BASELINES; i++)
        fprintf(out, "<tr><th>%d-gram</th><td>%.3f</td><td>%.2f %%</td></tr>\n", i + 1,
                e->ngram[i].perplexity, 100 * e->ngram[i].accuracy);
    fputs("</tbody></table>\n", out);
}

void pf_report_results(FILE *out, const pf_report *r)
{
    const pf_evaluate_result *e = r->result;
    pf_page_heading(out, "Results by letter and by length");
    if (!e) {
        pf_page_paragraph(out, "%s", r->result_reason);
        return;
    }
    pf_page_facts_begin(out);
    fputs("<tr><th>Measured on</th><td>", out);
    for (int i = 0; i < r->n_result_files; i++)
        pf_page_print(out, "%s%.400s", i ? ", " : "", r->result_files[i]);
    fputs(r->is_own_valid ? " (the run&#39;s own validation data)</td></tr>\n" : "</td></tr>\n", out);
    pf_page_fact(out, "Sequences", "%" PRIu64, e->sequences);
    pf_page_fact(out, "Targets", "%" PRIu64 ", %s", e->targets,
                 e->is_causal ? "every token but the first" : "15 % of the residues, masked");
    pf_page_fact(out, "Loss", "%.4f nats", e->loss);
    pf_page_fact(out, "Perplexity", "%.3f", e->perplexity);
    pf_page_fact(out, "Accuracy", "%.2f %%", 100 * e->accuracy);
    pf_page_facts_end(out);
    if (e->has_baselines) print_ngrams(out, e);
    print_groups(out, e);
}

// --- directories of other commands --------------------------------------------------------------

static bool ends_with(const char *name, const char *end)
{
    const size_t length = strlen(name), tail = strlen(end);
    return length > tail && name[0] != '.' && !strcmp(name + length - tail, end);
}

static int is_picture(const struct dirent *entry)
{
    return ends_with(entry->d_name, ".svg");
}

static int is_table(const struct dirent *entry)
{
    return ends_with(entry->d_name, ".tsv");
}

static pf_status print_table(FILE *out, const char *path, const char *name)
{
    char *text = malloc(MOST_TABLE_BYTES + 1);
    FILE *file = text ? fopen(path, "rb") : NULL;
    const size_t count = file ? fread(text, 1, MOST_TABLE_BYTES, file) : 0;
    const bool failed = !file || ferror(file);
    if (!failed) {
        text[count] = '\0';
        pf_page_details(out, name, text);
        if (count == MOST_TABLE_BYTES)
            pf_page_paragraph(out, "Only the first %d KB of %.200s are shown.", MOST_TABLE_BYTES >> 10, name);
    }
    if (file) fclose(file);
    free(text);
    return failed ? pf_tool_fail(PF_ERROR_INPUT, "%s: %s", path, strerror(errno)) : PF_OK;
}

static pf_status print_files(FILE *out, const char *directory, int (*is_wanted)(const struct dirent *),
                             pf_status (*print)(FILE *out, const char *path, const char *name), int *printed)
{
    struct dirent **entries = NULL;
    pf_status status = PF_OK;
    const int count = scandir(directory, &entries, is_wanted, versionsort);
    if (count < 0) return pf_tool_fail(PF_ERROR_INPUT, "%s: %s", directory, strerror(errno));
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (status == PF_OK && i < MOST_PICTURES) {
            status = asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0
                         ? pf_tool_fail(PF_ERROR_FAILED, "out of memory")
                         : print(out, path, entries[i]->d_name);
            free(path);
        }
        free(entries[i]);
    }
    free(entries);
    if (count > MOST_PICTURES) pf_page_paragraph(out, "%d more are in the directory.", count - MOST_PICTURES);
    *printed += count;
    return status;
}

pf_status pf_report_directory(FILE *out, const char *heading, const char *directory, const char *without)
{
    int printed = 0;
    pf_page_heading(out, heading);
    if (!directory) {
        pf_page_paragraph(out, "%s", without);
        return PF_OK;
    }
    pf_status status = print_files(out, directory, is_picture, pf_page_svg_file, &printed);
    if (status == PF_OK) status = print_files(out, directory, is_table, print_table, &printed);
    if (status == PF_OK && printed == 0)
        status = pf_tool_fail(PF_ERROR_INPUT, "%s: holds no picture (.svg) and no table (.tsv)", directory);
    return status;
}
