// What performer bench prints: an object a line, or tables with the ratios that matter. See bench_suite.h.
#include "tools/bench_suite.h"

#include <math.h>
#include <string.h>

void pf_print_json_head(pf_output *out, const char *suite, const pf_device_info *info)
{
    pf_output_print(out, "{\"suite\": \"%s\", \"device\": ", suite);
    pf_output_json_text(out, info->name, strlen(info->name));
    pf_output_print(out, ", \"driver\": ");
    pf_output_json_text(out, info->driver, strlen(info->driver));
}

static const char *transposes(const pf_matmul_workload *w)
{
    return w->transpose_a ? (w->transpose_b ? "TT" : "TN") : w->transpose_b ? "NT" : "NN";
}

static const char *pass_name(const pf_bench_row *row)
{
    if (row->suite == PF_SUITE_MODEL) return row->attention.backward ? "training" : "forward";
    return row->attention.backward ? "forward_backward" : "forward";
}

static void print_device(pf_output *out, const pf_bench_row *row)
{
    pf_output_print(out, ", \"peak_gflops\": %.6g, \"peak_gbytes_per_s\": %.6g, \"launch_us\": %.6g",
                    row->peak.gflops, row->peak.gbytes_per_s, row->peak.launch_us);
}

static void print_matmul(pf_output *out, const pf_bench_row *row)
{
    const pf_matmul_workload *w = &row->matmul;
    pf_output_print(
        out,
        ", \"name\": \"%s\", \"m\": %d, \"n\": %d, \"k\": %d, \"batch\": %d, \"transpose\": \"%s\", "
        "\"provider\": \"%s\", \"tiles\": \"%s\", \"ms\": %.6g, \"gflops\": %.6g, \"peak_gflops\": %.6g",
        row->name, w->m, w->n, w->k, w->batch ? w->batch : 1, transposes(w), row->facts.provider,
        row->facts.tiles, 1e3 * row->seconds, pf_row_gflops(row), row->peak_gflops);
}

static void print_attention(pf_output *out, const pf_bench_row *row)
{
    const pf_attention_workload *w = &row->attention;
    pf_output_print(
        out,
        ", \"length\": %d, \"heads\": %d, \"head_size\": %d, \"num_features\": %d, \"kernel\": \"%s\", "
        "\"causal\": %s, \"pass\": \"%s\", \"ms\": %.6g, \"gflops\": %.6g, \"peak_gflops\": %.6g, "
        "\"matmul_gflops\": %.6g",
        w->length, w->heads, w->head_size, w->n_features, pf_row_attention(row), w->causal ? "true" : "false",
        pass_name(row), 1e3 * row->seconds, pf_row_gflops(row), row->peak_gflops, row->matmul_gflops);
}

static void print_model(pf_output *out, const pf_bench_row *row)
{
    const pf_attention_workload *w = &row->attention;
    pf_output_print(
        out,
        ", \"batch\": %d, \"length\": %d, \"attention\": \"%s\", \"causal\": %s, \"pass\": \"%s\", "
        "\"tokens_per_s\": %.6g, \"peak_bytes\": %llu",
        w->batch, w->length, pf_row_attention(row), w->causal ? "true" : "false", pass_name(row),
        pf_row_tokens_per_s(row), (unsigned long long)row->facts.device_bytes);
}

void pf_print_row_json(pf_output *out, const pf_device_info *info, const pf_bench_row *row)
{
    const char *suite = row->suite == PF_SUITE_DEVICE      ? "device"
                        : row->suite == PF_SUITE_MATMUL    ? "matmul"
                        : row->suite == PF_SUITE_ATTENTION ? "attention"
                                                           : "model";
    pf_print_json_head(out, suite, info);
    if (row->suite == PF_SUITE_DEVICE) print_device(out, row);
    if (row->suite == PF_SUITE_MATMUL) print_matmul(out, row);
    if (row->suite == PF_SUITE_ATTENTION) print_attention(out, row);
    if (row->suite == PF_SUITE_MODEL) print_model(out, row);
    pf_output_print(out, "}\n");
}

// ---- tables ----

// Seconds of exact attention where everything else is as in `row`; 0: not measured.
static double exact_seconds(const pf_bench_rows *rows, const pf_bench_row *row)
{
    for (int i = 0; i < rows->count; i++) {
        const pf_bench_row *r = &rows->row[i];
        if (r->suite == row->suite && r->attention.is_exact && r->attention.batch == row->attention.batch &&
            r->attention.length == row->attention.length && r->attention.backward == row->attention.backward)
            return r->seconds;
    }
    return 0;
}

static void print_ratio(pf_output *out, int width, double ratio)
{
    if (ratio > 0)
        pf_output_print(out, " %*.2f", width, ratio);
    else
        pf_output_print(out, " %*s", width, "-");
}

static void table_device(pf_output *out, const pf_device_info *info, const pf_bench_rows *rows)
{
    for (int i = 0; i < rows->count; i++)
        if (rows->row[i].suite == PF_SUITE_DEVICE)
            pf_output_print(
                out,
                "%s, driver %s: %.0f GFLOP/s in registers, %.1f GB/s copied (read and written), %.0f us for "
                "an empty launch\n",
                info->name, info->driver, rows->row[i].peak.gflops, rows->row[i].peak.gbytes_per_s,
                rows->row[i].peak.launch_us);
}

static void table_matmul(pf_output *out, const pf_bench_rows *rows)
{
    int printed = 0;
    for (int i = 0; i < rows->count; i++) {
        const pf_bench_row *row = &rows->row[i];
        if (row->suite != PF_SUITE_MATMUL) continue;
        if (printed++ == 0)
            pf_output_print(out, "\n%-16s %2s %6s %6s %6s %6s %9s %9s %7s  %s\n", "matrix product", "",
                            "batch", "m", "n", "k", "ms", "GFLOP/s", "of peak", "by");
        const pf_matmul_workload *w = &row->matmul;
        pf_output_print(out, "%-16s %2s %6d %6d %6d %6d %9.3f %9.1f", row->name, transposes(w),
                        w->batch ? w->batch : 1, w->m, w->n, w->k, 1e3 * row->seconds, pf_row_gflops(row));
        print_ratio(out, 7, row->peak_gflops > 0 ? pf_row_gflops(row) / row->peak_gflops : 0);
        pf_output_print(out, "  %s %s\n", row->facts.provider, row->facts.tiles);
    }
}

static void table_attention(pf_output *out, const pf_bench_rows *rows)
{
    int printed = 0;
    for (int i = 0; i < rows->count; i++) {
        const pf_bench_row *row = &rows->row[i];
        if (row->suite != PF_SUITE_ATTENTION) continue;
        const pf_attention_workload *w = &row->attention;
        if (printed++ == 0)
            pf_output_print(out, "\n%-20s %8s %-17s %10s %9s %9s %7s %9s\n",
                            w->causal ? "causal attention" : "attention", "length", "pass", "ms", "GFLOP/s",
                            "of matmul", "of peak", "vs exact");
        const double gflops = pf_row_gflops(row);
        pf_output_print(out, "%-20s %8d %-17s %10.3f %9.1f", pf_row_attention(row), w->length, pass_name(row),
                        1e3 * row->seconds, gflops);
        print_ratio(out, 9, row->matmul_gflops > 0 ? gflops / row->matmul_gflops : 0);
        print_ratio(out, 7, row->peak_gflops > 0 ? gflops / row->peak_gflops : 0);
        print_ratio(out, 9, w->is_exact ? 0 : exact_seconds(rows, row) / row->seconds);
        pf_output_print(out, "\n");
    }
}

static void table_model(pf_output *out, const pf_bench_rows *rows)
{
    int printed = 0;
    for (int i = 0; i < rows->count; i++) {
        const pf_bench_row *row = &rows->row[i];
        if (row->suite != PF_SUITE_MODEL) continue;
        const pf_attention_workload *w = &row->attention;
        if (printed++ == 0)
            pf_output_print(out, "\n%-20s %6s %8s %-9s %10s %14s %9s\n", w->causal ? "causal model" : "model",
                            "batch", "length", "pass", "tokens/s", "device memory", "vs exact");
        pf_output_print(out, "%-20s %6d %8d %-9s %10.0f %11.1f MB", pf_row_attention(row), w->batch,
                        w->length, pass_name(row), pf_row_tokens_per_s(row),
                        1e-6 * (double)row->facts.device_bytes);
        print_ratio(out, 9, w->is_exact ? 0 : exact_seconds(rows, row) / row->seconds);
        pf_output_print(out, "\n");
    }
}

static void print_break_even(pf_output *out, const pf_bench_rows *rows, pf_favor_kernel kernel, bool backward)
{
    const double length = pf_rows_break_even(rows, kernel, backward);
    const char *name = pf_favor_kernel_name(kernel), *pass = backward ? "forward and backward" : "forward";
    if (isnan(length)) return;
    if (isinf(length))
        pf_output_print(out, "break-even of %s, %s: beyond the lengths measured\n", name, pass);
    else if (length == 0)
        pf_output_print(out, "break-even of %s, %s: below the lengths measured\n", name, pass);
    else
        pf_output_print(out, "break-even of %s, %s: %.0f tokens\n", name, pass, length);
}

static void print_break_even_json(pf_output *out, const pf_device_info *info, double length,
                                  const char *kernel, bool backward)
{
    if (isnan(length)) return;
    pf_print_json_head(out, "break_even", info);
    pf_output_print(out, ", \"kernel\": \"%s\", \"pass\": \"%s\", \"length\": ", kernel,
                    backward ? "forward_backward" : "forward");
    if (isinf(length))
        pf_output_print(out, "null}\n");
    else
        pf_output_print(out, "%.0f}\n", length);
}

void pf_print_rows(const pf_suite_request *request, pf_output *out, const pf_device_info *info,
                   const pf_bench_rows *rows)
{
    if (!request->json) {
        table_device(out, info, rows);
        table_matmul(out, rows);
        table_attention(out, rows);
    }
    for (int i = 0; i < request->n_attention_kernels; i++) {
        const pf_bench_kernel k = request->attention_kernels[i];
        for (int backward = 0; backward < 2 && !k.is_exact; backward++)
            if (request->json)
                print_break_even_json(out, info, pf_rows_break_even(rows, k.kernel, backward),
                                      pf_favor_kernel_name(k.kernel), backward);
            else
                print_break_even(out, rows, k.kernel, backward);
    }
    if (!request->json) table_model(out, rows);
}
