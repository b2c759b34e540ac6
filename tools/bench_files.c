// Tables and pictures of performer bench -o DIR: cost against length. See bench_suite.h.
#include <stdlib.h>
#include <string.h>

#include "tools/bench_suite.h"
#include "tools/plot.h"
#include "tools/report.h"

enum { MOST_CURVES = 2 * PF_MOST_BENCH_KERNELS, MOST_POINTS = 64, NAME_BYTES = 64, PATH_BYTES = 4096 };

static bool has_suite(const pf_bench_rows *rows, unsigned suite)
{
    for (int i = 0; i < rows->count; i++)
        if (rows->row[i].suite == suite) return true;
    return false;
}

static pf_status open_in(const char *directory, const char *name, pf_output **out)
{
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
        return pf_tool_fail(PF_ERROR_FAILED, "%s: the path is too long", directory);
    return pf_output_open(path, out);
}

// ---- tables ----

static pf_status write_attention(const pf_bench_rows *rows, const char *directory)
{
    pf_output *out = NULL;
    const pf_status status = open_in(directory, "attention.tsv", &out);
    if (status != PF_OK) return status;
    pf_output_print(out, "kernel\tlength\tcausal\tpass\tms\tgflops\tmatmul_gflops\tpeak_gflops\n");
    for (int i = 0; i < rows->count; i++) {
        const pf_bench_row *row = &rows->row[i];
        if (row->suite != PF_SUITE_ATTENTION) continue;
        pf_output_print(out, "%s\t%d\t%d\t%s\t%.6g\t%.6g\t%.6g\t%.6g\n", pf_row_attention(row),
                        row->attention.length, row->attention.causal,
                        row->attention.backward ? "forward_backward" : "forward", 1e3 * row->seconds,
                        pf_row_gflops(row), row->matmul_gflops, row->peak_gflops);
    }
    return pf_output_commit(out);
}

static pf_status write_models(const pf_bench_rows *rows, const char *directory)
{
    pf_output *out = NULL;
    const pf_status status = open_in(directory, "model.tsv", &out);
    if (status != PF_OK) return status;
    pf_output_print(out, "attention\tbatch\tlength\tcausal\tpass\ttokens_per_s\tpeak_bytes\n");
    for (int i = 0; i < rows->count; i++) {
        const pf_bench_row *row = &rows->row[i];
        if (row->suite != PF_SUITE_MODEL) continue;
        pf_output_print(out, "%s\t%d\t%d\t%d\t%s\t%.6g\t%llu\n", pf_row_attention(row), row->attention.batch,
                        row->attention.length, row->attention.causal,
                        row->attention.backward ? "training" : "forward", pf_row_tokens_per_s(row),
                        (unsigned long long)row->facts.device_bytes);
    }
    return pf_output_commit(out);
}

// ---- pictures ----

typedef struct picture {
    pf_plot_curve curve[MOST_CURVES];
    char name[MOST_CURVES][NAME_BYTES];
    double x[MOST_CURVES][MOST_POINTS], y[MOST_CURVES][MOST_POINTS];
    int count;
} picture;

static pf_plot_curve *curve_of(picture *p, const char *name)
{
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->name[i], name) == 0) return &p->curve[i];
    if (p->count == MOST_CURVES) return NULL;
    const int i = p->count++;
    snprintf(p->name[i], NAME_BYTES, "%s", name);
    p->curve[i] = (pf_plot_curve){.name = p->name[i], .x = p->x[i], .y = p->y[i]};
    return &p->curve[i];
}

// A curve for each kernel; exact attention, which the others are held against, is dashed. Rows come by rising
// length where attention is alone; a model's are sorted in by what was asked for.
static void fill(picture *p, const pf_bench_rows *rows, unsigned suite, bool backward)
{
    p->count = 0;
    for (int i = 0; i < rows->count; i++) {
        const pf_bench_row *row = &rows->row[i];
        if (row->suite != suite || row->attention.backward != backward) continue;
        pf_plot_curve *curve = curve_of(p, pf_row_attention(row));
        if (!curve || curve->count == MOST_POINTS) continue;
        const int which = (int)(curve - p->curve);
        int at = curve->count++;
        for (; at > 0 && p->x[which][at - 1] > row->attention.length; at--)
            p->x[which][at] = p->x[which][at - 1], p->y[which][at] = p->y[which][at - 1];
        p->x[which][at] = row->attention.length;
        p->y[which][at] = suite == PF_SUITE_MODEL ? pf_row_tokens_per_s(row) : 1e3 * row->seconds;
        curve->is_dashed = row->attention.is_exact;
    }
}

static pf_status draw(const picture *p, pf_plot plot, const char *directory, const char *name)
{
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
        return pf_tool_fail(PF_ERROR_FAILED, "%s: the path is too long", directory);
    FILE *file = fopen(path, "w");
    if (!file) return pf_tool_fail(PF_ERROR_FAILED, "%s: cannot be written", path);
    plot.curves = p->curve;
    plot.n_curves = p->count;
    pf_plot_write(file, &plot);
    const bool failed = ferror(file) != 0;
    return fclose(file) != 0 || failed ? pf_tool_fail(PF_ERROR_FAILED, "%s: cannot be written", path) : PF_OK;
}

static pf_status draw_attention(picture *p, const pf_suite_request *r, const pf_bench_rows *rows,
                                const char *directory)
{
    static const char *const title[] = {"attention, forward", "attention, forward and backward"};
    static const char *const name[] = {"attention-forward.svg", "attention-forward-backward.svg"};
    char note[128];
    const struct pf_config *c = &r->config;
    snprintf(note, sizeof note, "%d heads of %d, %d features%s", c->num_attention_heads,
             c->hidden_size / c->num_attention_heads, c->attention.num_features, r->causal ? ", causal" : "");
    pf_status status = PF_OK;
    for (int backward = 0; backward < 2 && status == PF_OK; backward++) {
        fill(p, rows, PF_SUITE_ATTENTION, backward);
        status = draw(p,
                      (pf_plot){.title = title[backward],
                                .note = note,
                                .x_label = "tokens",
                                .y_label = "milliseconds",
                                .log_x = true,
                                .log_y = true},
                      directory, name[backward]);
    }
    return status;
}

static pf_status draw_models(picture *p, const pf_suite_request *r, const pf_bench_rows *rows,
                             const char *directory)
{
    char note[128];
    const struct pf_config *c = &r->config;
    snprintf(note, sizeof note, "%d layers, D %d, F %d, %d heads, %d features%s", c->num_hidden_layers,
             c->hidden_size, c->intermediate_size, c->num_attention_heads, c->attention.num_features,
             r->causal ? ", causal" : "");
    fill(p, rows, PF_SUITE_MODEL, true);
    return draw(p,
                (pf_plot){.title = "training",
                          .note = note,
                          .x_label = "tokens of a sequence",
                          .y_label = "tokens/s",
                          .log_x = true},
                directory, "model.svg");
}

pf_status pf_rows_write(const pf_suite_request *request, const pf_bench_rows *rows, const char *directory)
{
    picture *p = calloc(1, sizeof *p);
    if (!p) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    pf_status status = PF_OK;
    if (has_suite(rows, PF_SUITE_ATTENTION)) {
        status = write_attention(rows, directory);
        if (status == PF_OK) status = draw_attention(p, request, rows, directory);
    }
    if (status == PF_OK && has_suite(rows, PF_SUITE_MODEL)) {
        status = write_models(rows, directory);
        if (status == PF_OK) status = draw_models(p, request, rows, directory);
    }
    free(p);
    return status;
}
