// Where the time of a training step goes, kernel by kernel, and how much of it is neither a matrix product
// nor attention. See bench_suite.h.
#include <stdlib.h>
#include <string.h>

#include "tools/bench_suite.h"
#include "tools/report.h"

enum { MOST_KERNELS = 128, RUNS = 3 };

// Kernels whose work is products; the rest is norms, activations, the loss, the optimiser and moving data.
typedef enum kind { PRODUCT, ATTENTION, OTHER } kind;

static kind kind_of(const char *kernel)
{
    static const char *const attention[] = {"favor_", "softmax_attention_", "prefix_sum_"};
    for (size_t i = 0; i < sizeof attention / sizeof *attention; i++)
        if (strncmp(kernel, attention[i], strlen(attention[i])) == 0) return ATTENTION;
    if (strcmp(kernel, "matmul_epilogue") == 0)
        return OTHER; // what a foreign library's products leave undone
    return strncmp(kernel, "matmul", 6) == 0 || strncmp(kernel, "Xgemm", 5) == 0 ? PRODUCT : OTHER;
}

static int by_time(const void *a, const void *b)
{
    const double left = ((const pf_kernel_profile *)a)->seconds,
                 right = ((const pf_kernel_profile *)b)->seconds;
    return (left < right) - (left > right);
}

typedef struct step_profile {
    pf_kernel_profile kernel[MOST_KERNELS];
    int count, steps;
    double seconds, share[OTHER + 1]; // of a step by the clock; of the device's time
    double device_seconds;            // of a step
} step_profile;

static void add_up(step_profile *p)
{
    qsort(p->kernel, (size_t)p->count, sizeof p->kernel[0], by_time);
    for (int i = 0; i < p->count; i++) p->device_seconds += p->kernel[i].seconds / p->steps;
    for (int i = 0; i < p->count && p->device_seconds > 0; i++)
        p->share[kind_of(p->kernel[i].name)] += p->kernel[i].seconds / p->steps / p->device_seconds;
}

static void print_json(pf_output *out, const pf_device_info *info, const pf_bench_row *row,
                       const step_profile *p)
{
    for (int i = 0; i < p->count; i++) {
        const pf_kernel_profile *k = &p->kernel[i];
        pf_print_json_head(out, "profile", info);
        pf_output_print(out, ", \"kernel\": ");
        pf_output_json_text(out, k->name, strlen(k->name));
        pf_output_print(out, ", \"calls\": %.6g, \"ms\": %.6g, \"share\": %.4f, \"gflops\": %.6g}\n",
                        (double)k->calls / p->steps, 1e3 * k->seconds / p->steps,
                        p->device_seconds > 0 ? k->seconds / p->steps / p->device_seconds : 0,
                        k->seconds > 0 ? 1e-9 * k->flops / k->seconds : 0);
    }
    pf_print_json_head(out, "profile", info);
    pf_output_print(
        out,
        ", \"batch\": %d, \"length\": %d, \"attention\": \"%s\", \"step_ms\": %.6g, \"device_ms\": %.6g, "
        "\"matmul_share\": %.4f, \"attention_share\": %.4f, \"other_share\": %.4f, "
        "\"returns_v_tokens_per_s\": %.6g}\n",
        row->attention.batch, row->attention.length, pf_row_attention(row), 1e3 * p->seconds,
        1e3 * p->device_seconds, p->share[PRODUCT], p->share[ATTENTION], p->share[OTHER],
        row->facts.tokens / (p->seconds * (1 - p->share[ATTENTION])));
}

static void print_table(pf_output *out, const pf_bench_row *row, const step_profile *p)
{
    pf_output_print(out, "\na training step on %d x %d tokens, %s, by kernels\n%-32s %6s %10s %7s %9s\n",
                    row->attention.batch, row->attention.length, pf_row_attention(row), "kernel", "calls",
                    "ms", "%", "GFLOP/s");
    for (int i = 0; i < p->count; i++) {
        const pf_kernel_profile *k = &p->kernel[i];
        pf_output_print(out, "%-32.32s %6.0f %10.3f %7.2f", k->name, (double)k->calls / p->steps,
                        1e3 * k->seconds / p->steps,
                        p->device_seconds > 0 ? 100 * k->seconds / p->steps / p->device_seconds : 0);
        if (k->flops > 0 && k->seconds > 0)
            pf_output_print(out, " %9.1f\n", 1e-9 * k->flops / k->seconds);
        else
            pf_output_print(out, " %9s\n", "-");
    }
    pf_output_print(
        out,
        "matrix products %.1f %%, attention %.1f %%, everything else %.1f %% of %.1f ms on the device; a "
        "step "
        "takes %.1f ms\nif attention returned V: about %.0f tokens/s (this step without its attention "
        "kernels)\n",
        100 * p->share[PRODUCT], 100 * p->share[ATTENTION], 100 * p->share[OTHER], 1e3 * p->device_seconds,
        1e3 * p->seconds, row->facts.tokens / (p->seconds * (1 - p->share[ATTENTION])));
}

static pf_status run_steps(pf_device *device, const pf_suite_request *request, pf_bench_row *row,
                           step_profile *p)
{
    struct pf_config config;
    pf_workload *work = NULL;
    const pf_bench_kernel kernel = request->model_kernels[0];
    const pf_bench_shape shape = request->shapes[0];
    pf_status status = pf_suite_config(request, kernel, shape.length, &config);
    const pf_model_workload what = {&config, shape.batch, shape.length, true};
    if (status == PF_OK) status = pf_workload_model(device, &what, &work);
    if (status == PF_OK) status = pf_device_clear_profile(device);
    for (int i = 0; i < RUNS && status == PF_OK; i++) {
        double seconds = 0;
        status = pf_workload_run(work, &seconds);
        p->seconds += seconds / RUNS;
    }
    if (status == PF_OK) status = pf_device_read_profile(device, p->kernel, MOST_KERNELS, &p->count);
    if (p->count > MOST_KERNELS) p->count = MOST_KERNELS;
    if (status == PF_OK) {
        p->steps = RUNS * pf_workload_describe(work)->calls;
        *row = (pf_bench_row){.suite = PF_SUITE_MODEL,
                              .attention = {.batch = shape.batch,
                                            .length = shape.length,
                                            .kernel = kernel.kernel,
                                            .is_exact = kernel.is_exact,
                                            .backward = true},
                              .facts = *pf_workload_describe(work)};
    }
    pf_workload_free(work);
    return status;
}

pf_status pf_suite_profile(const pf_suite_request *request, pf_output *out)
{
    const pf_common *common = request->common;
    const pf_device_options options = {
        .selector = common->device,
        .cache_directory = common->cache,
        .threads = common->threads_given ? (int)common->threads : 0,
        .profile = true,
    };
    pf_device *device = NULL;
    pf_bench_row row;
    step_profile p = {.count = 0};
    pf_say(common, "a training step by kernels");
    pf_status status = pf_device_open(&options, &device);
    if (status != PF_OK) return status;
    status = run_steps(device, request, &row, &p);
    if (status == PF_OK) {
        add_up(&p);
        if (request->json)
            print_json(out, pf_device_describe(device), &row, &p);
        else
            print_table(out, &row, &p);
    }
    pf_device_close(device);
    return status;
}
