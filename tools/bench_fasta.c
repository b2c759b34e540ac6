// performer bench --fasta: whether linear attention pays, for the proteins of a file on this device.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "performer/fasta.h"
#include "tools/bench.h"
#include "tools/device.h"
#include "tools/fasta_input.h"
#include "tools/output.h"
#include "tools/report.h"

enum { MOST_LENGTHS = 32 };

// Lengths at which exact attention and FAVOR were measured, and where they are equally fast.
typedef struct crossing {
    int64_t length[MOST_LENGTHS];
    pf_bench_speed speed[MOST_LENGTHS][PF_BENCH_HYBRID]; // exact, FAVOR
    int count;
    double break_even; // tokens; 0: FAVOR is ahead at the first length; infinite: at none
} crossing;

// Between two lengths the ratio of speeds is taken as a power of the length.
static double cross(const crossing *c)
{
    if (c->count == 0) return (double)INFINITY;
    double lead[MOST_LENGTHS] = {0}; // log of FAVOR over exact
    for (int i = 0; i < c->count; i++)
        lead[i] = log(c->speed[i][PF_BENCH_FAVOR].tokens_per_s / c->speed[i][PF_BENCH_EXACT].tokens_per_s);
    const int last = c->count - 1;
    if (lead[last] <= 0) return (double)INFINITY;
    if (last == 0) return 0;
    const double low = log((double)c->length[last - 1]), high = log((double)c->length[last]);
    return exp(low - lead[last - 1] * (high - low) / (lead[last] - lead[last - 1]));
}

static pf_status find_break_even(const pf_bench *b, const pf_integers *lengths, crossing *c)
{
    if (lengths->count > MOST_LENGTHS)
        return pf_tool_fail(PF_ERROR_USAGE, "--lengths: %d of them, at most %d", lengths->count,
                            MOST_LENGTHS);
    for (int i = 0; i < lengths->count; i++) {
        if (i > 0 && lengths->item[i] <= lengths->item[i - 1])
            return pf_tool_fail(PF_ERROR_USAGE, "--lengths: %lld after %lld; give them rising",
                                (long long)lengths->item[i], (long long)lengths->item[i - 1]);
    }
    for (int i = 0; i < lengths->count; i++) {
        const int64_t length = lengths->item[i];
        c->length[i] = length;
        for (pf_bench_kind kind = PF_BENCH_EXACT; kind < PF_BENCH_HYBRID; kind++) {
            const pf_status status = pf_bench_measure(b, kind, length, &c->speed[i][kind]);
            if (status != PF_OK) return status;
            pf_say(b->common, "windows of %lld tokens, %s: %.0f tokens/s", (long long)length,
                   pf_bench_names[kind], c->speed[i][kind].tokens_per_s);
        }
        c->count++;
        if (c->speed[i][PF_BENCH_FAVOR].tokens_per_s > c->speed[i][PF_BENCH_EXACT].tokens_per_s) break;
    }
    c->break_even = cross(c);
    return PF_OK;
}

// Residues of the files, and those of proteins with more tokens than `length` (begin and end counted).
static pf_status share_beyond(const pf_bench *b, double length, double *share)
{
    uint64_t all = 0, beyond = 0;
    for (int i = 0; i < b->n_files; i++) {
        pf_fasta *fasta = NULL;
        pf_fasta_record record;
        pf_status status = pf_fasta_open(b->files[i], NULL, &fasta);
        while (status == PF_OK && (status = pf_fasta_next(fasta, &record)) == PF_OK) {
            all += record.length;
            if ((double)record.length + 2 > length) beyond += record.length;
        }
        pf_fasta_close(fasta);
        if (status != PF_END) return status;
    }
    *share = all ? (double)beyond / (double)all : 0;
    return PF_OK;
}

// One sentence from the numbers. Within 3 % of each other two speeds are called alike: medians move that
// much.
static void write_verdict(const pf_bench_speed speed[PF_BENCH_KINDS], double break_even, double share,
                          char *out, size_t size)
{
    static const char *const names[PF_BENCH_KINDS] = {"exact attention", "FAVOR", "the hybrid of both"};
    int best = PF_BENCH_EXACT, other = PF_BENCH_FAVOR;
    for (int i = 1; i < PF_BENCH_KINDS; i++)
        if (speed[i].tokens_per_s > speed[best].tokens_per_s) best = i;
    if (speed[PF_BENCH_HYBRID].tokens_per_s > speed[other].tokens_per_s) other = PF_BENCH_HYBRID;
    if (best != PF_BENCH_EXACT) other = PF_BENCH_EXACT; // the question is whether linear attention pays
    const double ratio = speed[best].tokens_per_s / speed[other].tokens_per_s;
    char where[96];
    if (isinf(break_even))
        snprintf(where, sizeof where, "no length was measured at which FAVOR is ahead");
    else
        snprintf(where, sizeof where, "%.0f %% of its residues are in proteins beyond the break-even length",
                 100 * share);
    if (ratio < 1.03)
        snprintf(out, size, "%s and %s are equally fast for this file: %s", names[best], names[other], where);
    else
        snprintf(out, size, "%s is faster for this file: %.2f times the tokens/s of %s; %s", names[best],
                 ratio, names[other], where);
}

static void print_json_head(pf_output *out, const char *suite, const pf_device_info *info)
{
    pf_output_print(out, "{\"suite\": \"%s\", \"device\": ", suite);
    pf_output_json_text(out, info->name, strlen(info->name));
    pf_output_print(out, ", \"driver\": ");
    pf_output_json_text(out, info->driver, strlen(info->driver));
}

static void print_json(pf_output *out, const pf_device_info *info, const crossing *c,
                       const pf_bench_speed speed[PF_BENCH_KINDS], double share, const char *verdict)
{
    for (int i = 0; i < c->count; i++)
        for (int kind = 0; kind < PF_BENCH_HYBRID; kind++) {
            print_json_head(out, "model", info);
            pf_output_print(out, ", \"length\": %lld, \"attention\": \"%s\", \"pass\": \"training\", ",
                            (long long)c->length[i], pf_bench_names[kind]);
            pf_output_print(out, "\"tokens_per_s\": %.6g, \"peak_bytes\": %llu}\n",
                            c->speed[i][kind].tokens_per_s, (unsigned long long)c->speed[i][kind].peak_bytes);
        }
    for (int kind = 0; kind < PF_BENCH_KINDS; kind++) {
        print_json_head(out, "fasta", info);
        pf_output_print(out, ", \"attention\": \"%s\", \"pass\": \"training\", ", pf_bench_names[kind]);
        pf_output_print(out, "\"tokens_per_s\": %.6g, \"peak_bytes\": %llu}\n", speed[kind].tokens_per_s,
                        (unsigned long long)speed[kind].peak_bytes);
    }
    print_json_head(out, "fasta", info);
    if (isfinite(c->break_even))
        pf_output_print(out, ", \"break_even_length\": %.0f", c->break_even);
    else
        pf_output_print(out, ", \"break_even_length\": null");
    pf_output_print(out, ", \"share_beyond\": %.4f, \"verdict\": ", share);
    pf_output_json_text(out, verdict, strlen(verdict));
    pf_output_print(out, "}\n");
}

static void print_table(pf_output *out, const crossing *c, const pf_bench_speed speed[PF_BENCH_KINDS],
                        double share, const char *verdict)
{
    const int64_t first = c->length[0], last = c->length[c->count - 1];
    pf_output_print(out, "%-10s %12s %14s\n", "attention", "tokens/s", "device memory");
    for (int kind = 0; kind < PF_BENCH_KINDS; kind++)
        pf_output_print(out, "%-10s %12.0f %11.1f MB\n", pf_bench_names[kind], speed[kind].tokens_per_s,
                        (double)speed[kind].peak_bytes / 1e6);
    if (isinf(c->break_even))
        pf_output_print(out, "break-even length: above %lld tokens", (long long)last);
    else if (c->break_even == 0)
        pf_output_print(out, "break-even length: below %lld tokens", (long long)first);
    else
        pf_output_print(out, "break-even length: %.0f tokens", c->break_even);
    pf_output_print(out, "; %.1f %% of the residues are in proteins beyond it\n%s\n", 100 * share, verdict);
}

static pf_status measure(const pf_bench *b, const pf_integers *lengths, bool json, pf_output *out)
{
    crossing c = {0};
    pf_bench_speed speed[PF_BENCH_KINDS];
    double share = 0;
    char verdict[320];
    pf_device *device = NULL;
    pf_status status = find_break_even(b, lengths, &c);
    for (int kind = 0; kind < PF_BENCH_KINDS && status == PF_OK; kind++) {
        status = pf_bench_measure(b, (pf_bench_kind)kind, 0, &speed[kind]);
        if (status == PF_OK)
            pf_say(b->common, "the file, %s: %.0f tokens/s", pf_bench_names[kind], speed[kind].tokens_per_s);
    }
    if (status == PF_OK) status = share_beyond(b, c.break_even, &share);
    if (status == PF_OK) status = pf_tool_device_open(b->common, &device);
    if (status != PF_OK) return status;
    write_verdict(speed, c.break_even, share, verdict, sizeof verdict);
    if (json)
        print_json(out, pf_device_describe(device), &c, speed, share, verdict);
    else
        print_table(out, &c, speed, share, verdict);
    return pf_tool_device_close(b->common, device, PF_OK);
}

pf_status pf_bench_fasta(pf_bench *bench, const pf_integers *lengths, bool json)
{
    pf_output *out = NULL;
    for (int i = 0; i < bench->n_files; i++)
        if (strcmp(bench->files[i], "-") == 0)
            return pf_tool_fail(PF_ERROR_USAGE,
                                "bench reads its files several times; name a file in place of '-'");
    pf_status status = pf_bench_prepare(bench);
    if (status == PF_OK) status = pf_output_open(NULL, &out);
    if (status == PF_OK) status = measure(bench, lengths, json, out);
    if (status == PF_OK) return pf_output_commit(out);
    pf_output_discard(out);
    return status;
}
