// performer bench without --fasta: suites of workloads, the rows that they give, and what is made of these.
// For tools/*bench*.c only.
#ifndef TOOLS_BENCH_SUITE_H
#define TOOLS_BENCH_SUITE_H

#include "performer/bench.h"
#include "tools/options.h"
#include "tools/output.h"

enum {
    PF_SUITE_DEVICE = 1,
    PF_SUITE_MATMUL = 2,
    PF_SUITE_ATTENTION = 4,
    PF_SUITE_MODEL = 8,
    PF_SUITE_PROFILE = 16,
    PF_SUITE_ALL = 31,
};

typedef struct pf_bench_shape {
    int32_t batch, length;
} pf_bench_shape;

typedef struct pf_bench_kernel {
    bool is_exact;
    pf_favor_kernel kernel;
} pf_bench_kernel;

enum { PF_MOST_BENCH_SHAPES = 32, PF_MOST_BENCH_KERNELS = PF_FAVOR_KERNELS + 1 };

// What to measure, after the command line was understood.
typedef struct pf_suite_request {
    const pf_common *common;
    unsigned suites;
    pf_bench_shape shapes[PF_MOST_BENCH_SHAPES];
    int64_t lengths[PF_MOST_BENCH_SHAPES];
    pf_bench_kernel attention_kernels[PF_MOST_BENCH_KERNELS], model_kernels[PF_MOST_BENCH_KERNELS];
    int n_shapes, n_lengths, n_attention_kernels, n_model_kernels;
    bool causal;
    pf_rounds rounds;
    struct pf_config config; // the model, not finished: positions and attention follow from what is measured
    const char *output;      // directory for tables and pictures; NULL: none
    bool json;
} pf_suite_request;

typedef struct pf_bench_row {
    unsigned suite;
    pf_device_peak peak;       // device
    const char *name;          // matrix products: what the layer calls it
    pf_matmul_workload matmul; // matrix products
    pf_attention_workload
        attention; // attention, and of a model: batch, length, kernel, is_exact, causal, backward
    pf_workload_facts facts;
    double seconds;
    double peak_gflops, matmul_gflops; // in the same rounds; 0: not measured
} pf_bench_row;

typedef struct pf_bench_rows {
    pf_bench_row *row;
    int count, capacity;
} pf_bench_rows;

// Measures all suites but the profile; with json prints each row as soon as it is known. Release rows->row
// with free.
pf_status pf_suite_measure(const pf_suite_request *request, pf_device *device, pf_output *out,
                           pf_bench_rows *rows);

// The configuration of the model for sequences of this length with this attention. Errors: of configurations.
pf_status pf_suite_config(const pf_suite_request *request, pf_bench_kernel kernel, int32_t length,
                          struct pf_config *out);

// One training step of the model by kernels, on a device of its own: prints it.
pf_status pf_suite_profile(const pf_suite_request *request, pf_output *out);

double pf_row_gflops(const pf_bench_row *row);
double pf_row_tokens_per_s(const pf_bench_row *row);
const char *pf_row_attention(const pf_bench_row *row); // a kernel's name, or exact

// Beyond which length row `kernel` is faster than exact attention, by a line through logarithms; 0: at all
// lengths measured; infinite: at none; NaN: not both measured.
double pf_rows_break_even(const pf_bench_rows *rows, pf_favor_kernel kernel, bool backward);

// bench_print.c
void pf_print_row_json(pf_output *out, const pf_device_info *info, const pf_bench_row *row);
void pf_print_json_head(pf_output *out, const char *suite, const pf_device_info *info);
void pf_print_rows(const pf_suite_request *request, pf_output *out, const pf_device_info *info,
                   const pf_bench_rows *rows);

// bench_files.c: attention.tsv, attention.svg, model.tsv, model.svg, matmul.tsv as far as they were measured.
pf_status pf_rows_write(const pf_suite_request *request, const pf_bench_rows *rows, const char *directory);

#endif
