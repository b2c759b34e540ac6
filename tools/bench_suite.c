// Measuring the suites of performer bench: what is compared is measured in the same rounds. See
// bench_suite.h.
#include "tools/bench_suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report.h"

enum { MOST_GROUP = 96, MATMUL_ROWS = 4096 };

// Workloads of these sizes at most share the rounds.
static const uint64_t most_group_bytes = (uint64_t)3 << 30;

// Workloads that share their rounds. A row without a suite is there to hold others against.
typedef struct group {
    const pf_suite_request *request;
    pf_device *device;
    pf_output *out;
    pf_bench_rows *rows;
    pf_workload *work[MOST_GROUP];
    pf_bench_row row[MOST_GROUP];
    int count, peak, matmul; // the last two: places of the references, below 0: none
    uint64_t bytes;
} group;

static void begin_group(group *g)
{
    g->count = 0;
    g->peak = g->matmul = -1;
    g->bytes = 0;
}

static void free_group(group *g)
{
    for (int i = 0; i < g->count; i++) pf_workload_free(g->work[i]);
    begin_group(g);
}

// Takes over `work`.
static void add(group *g, pf_workload *work, const pf_bench_row *row)
{
    g->work[g->count] = work;
    g->row[g->count] = *row;
    g->row[g->count].facts = *pf_workload_describe(work);
    g->bytes += g->row[g->count++].facts.device_bytes;
}

static pf_status keep_row(group *g, const pf_bench_row *row)
{
    pf_bench_rows *rows = g->rows;
    if (rows->count == rows->capacity) {
        const int capacity = rows->capacity ? 2 * rows->capacity : 64;
        pf_bench_row *grown = realloc(rows->row, (size_t)capacity * sizeof *grown);
        if (!grown) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
        rows->row = grown;
        rows->capacity = capacity;
    }
    rows->row[rows->count++] = *row;
    if (g->request->json) pf_print_row_json(g->out, pf_device_describe(g->device), row);
    return PF_OK;
}

static pf_status measure_group(group *g)
{
    double seconds[MOST_GROUP] = {0};
    pf_status status =
        g->count ? pf_workloads_measure(g->work, g->count, g->request->rounds, seconds) : PF_OK;
    for (int i = 0; i < g->count; i++) g->row[i].seconds = seconds[i];
    for (int i = 0; i < g->count && status == PF_OK; i++) {
        if (g->row[i].suite == 0) continue;
        if (g->peak >= 0) g->row[i].peak_gflops = pf_row_gflops(&g->row[g->peak]);
        if (g->matmul >= 0) g->row[i].matmul_gflops = pf_row_gflops(&g->row[g->matmul]);
        status = keep_row(g, &g->row[i]);
    }
    free_group(g);
    return status;
}

static pf_status add_peak(group *g)
{
    pf_workload *work = NULL;
    const pf_status status = pf_workload_peak(g->device, &work);
    if (status != PF_OK) return status;
    g->peak = g->count;
    add(g, work, &(pf_bench_row){0});
    return PF_OK;
}

static pf_status add_matmul(group *g, const pf_bench_row *row)
{
    pf_workload *work = NULL;
    const pf_status status = pf_workload_matmul(g->device, &row->matmul, &work);
    if (status == PF_OK) add(g, work, row);
    return status;
}

// ---- suites ----

static pf_status measure_device(group *g)
{
    pf_bench_row row = {.suite = PF_SUITE_DEVICE};
    const pf_status status = pf_device_measure_peak(g->device, &row.peak);
    return status == PF_OK ? keep_row(g, &row) : status;
}

// A layer's products over 4,096 rows, as performer trains; and those of FAVOR for one sequence of so many
// tokens, as batches of a product for each head.
static pf_status measure_matmul(group *g)
{
    const struct pf_config *c = &g->request->config;
    const int32_t N = MATMUL_ROWS, D = c->hidden_size, F = c->intermediate_size, H = c->num_attention_heads;
    const int32_t E = D / H, M = c->attention.num_features;
    const struct {
        const char *name;
        pf_matmul_workload call;
    } products[] = {
        {"qkv", {.m = N, .n = 3 * D, .k = D, .transpose_b = true}},
        {"output", {.m = N, .n = D, .k = D, .transpose_b = true, .has_residual = true}},
        {"up", {.m = N, .n = F, .k = D, .transpose_b = true, .has_bias = true}},
        {"down", {.m = N, .n = D, .k = F, .transpose_b = true, .has_bias = true, .has_residual = true}},
        {"d_qkv_input", {.m = N, .n = D, .k = 3 * D}},
        {"d_output_input", {.m = N, .n = D, .k = D}},
        {"d_up_input", {.m = N, .n = D, .k = F}},
        {"d_down_input", {.m = N, .n = F, .k = D}},
        {"d_qkv_weight", {.m = 3 * D, .n = D, .k = N, .transpose_a = true, .accumulates = true}},
        {"d_output_weight", {.m = D, .n = D, .k = N, .transpose_a = true, .accumulates = true}},
        {"d_up_weight", {.m = F, .n = D, .k = N, .transpose_a = true, .accumulates = true}},
        {"d_down_weight", {.m = D, .n = F, .k = N, .transpose_a = true, .accumulates = true}},
        {"heads_features", {.m = N, .n = M, .k = E, .batch = H, .transpose_b = true}},
        {"heads_state", {.m = M, .n = E, .k = N, .batch = H, .transpose_a = true}},
        {"heads_output", {.m = N, .n = E, .k = M, .batch = H}},
    };
    pf_status status = add_peak(g);
    for (size_t i = 0; i < sizeof products / sizeof *products && status == PF_OK; i++) {
        pf_bench_row row = {.suite = PF_SUITE_MATMUL, .name = products[i].name, .matmul = products[i].call};
        row.matmul.provider = c->compute.matmul;
        status = add_matmul(g, &row);
    }
    return status == PF_OK ? measure_group(g) : status;
}

static pf_status add_attention(group *g, pf_bench_kernel kernel, int32_t length, bool backward)
{
    const struct pf_config *c = &g->request->config;
    pf_workload *work = NULL;
    const pf_bench_row row = {
        .suite = PF_SUITE_ATTENTION,
        .attention = {.batch = 1,
                      .length = length,
                      .heads = c->num_attention_heads,
                      .head_size = c->hidden_size / c->num_attention_heads,
                      .n_features = c->attention.num_features,
                      .kernel = kernel.kernel,
                      .is_exact = kernel.is_exact,
                      .causal = g->request->causal,
                      .backward = backward},
    };
    const pf_status status = pf_workload_attention(g->device, &row.attention, &work);
    if (status == PF_OK) add(g, work, &row);
    return status;
}

// All kernels at one length, beside the product that makes their queries, keys and values.
static pf_status measure_attention(group *g, int32_t length)
{
    const struct pf_config *c = &g->request->config;
    const pf_suite_request *r = g->request;
    const pf_bench_row qkv = {.matmul = {.m = MATMUL_ROWS,
                                         .n = 3 * c->hidden_size,
                                         .k = c->hidden_size,
                                         .transpose_b = true,
                                         .provider = c->compute.matmul}};
    pf_status status = add_peak(g);
    g->matmul = g->count;
    if (status == PF_OK) status = add_matmul(g, &qkv);
    for (int i = 0; i < r->n_attention_kernels && status == PF_OK; i++) {
        status = add_attention(g, r->attention_kernels[i], length, false);
        if (status == PF_OK) status = add_attention(g, r->attention_kernels[i], length, true);
    }
    pf_say(r->common, "attention, %d tokens", length);
    return status == PF_OK ? measure_group(g) : status;
}

pf_status pf_suite_config(const pf_suite_request *request, pf_bench_kernel kernel, int32_t length,
                          struct pf_config *out)
{
    char setting[96];
    *out = request->config;
    out->max_position_embeddings = length;
    if (kernel.is_exact)
        snprintf(setting, sizeof setting, "attention.type=softmax");
    else
        snprintf(setting, sizeof setting, "attention.kernel=%s", pf_favor_kernel_name(kernel.kernel));
    pf_status status = kernel.is_exact ? PF_OK : pf_config_set(out, "attention.type=favor");
    if (status == PF_OK) status = pf_config_set(out, setting);
    if (status == PF_OK && request->causal) status = pf_config_set(out, "objective=clm");
    return status == PF_OK ? pf_config_finish(out, PF_CONFIG_USER) : status;
}

static pf_status add_model(group *g, pf_bench_kernel kernel, pf_bench_shape shape, bool training)
{
    struct pf_config config;
    pf_workload *work = NULL;
    pf_status status = pf_suite_config(g->request, kernel, shape.length, &config);
    if (status != PF_OK) return status;
    const pf_model_workload what = {&config, shape.batch, shape.length, training};
    const pf_bench_row row = {.suite = PF_SUITE_MODEL,
                              .attention = {.batch = shape.batch,
                                            .length = shape.length,
                                            .kernel = kernel.kernel,
                                            .is_exact = kernel.is_exact,
                                            .causal = config.objective == PF_OBJECTIVE_CLM,
                                            .backward = training}};
    status = pf_workload_model(g->device, &what, &work);
    if (status == PF_OK) add(g, work, &row);
    return status;
}

// As many models share their rounds as memory allows.
static pf_status measure_models(group *g)
{
    const pf_suite_request *r = g->request;
    const uint64_t room = pf_device_describe(g->device)->global_bytes / 4;
    pf_status status = PF_OK;
    for (int s = 0; s < r->n_shapes; s++) {
        for (int i = 0; i < 2 * r->n_model_kernels && status == PF_OK; i++)
            status = add_model(g, r->model_kernels[i / 2], r->shapes[s], i % 2 == 0);
        if (status == PF_OK && s + 1 < r->n_shapes && g->count + 2 * r->n_model_kernels <= MOST_GROUP &&
            g->bytes < room && g->bytes < most_group_bytes)
            continue;
        pf_say(r->common, "models, up to %d x %d tokens", r->shapes[s].batch, r->shapes[s].length);
        if (status == PF_OK) status = measure_group(g);
        if (status != PF_OK) return status;
    }
    return PF_OK;
}

pf_status pf_suite_measure(const pf_suite_request *request, pf_device *device, pf_output *out,
                           pf_bench_rows *rows)
{
    group *g = calloc(1, sizeof *g);
    if (!g) return pf_tool_fail(PF_ERROR_FAILED, "out of memory");
    *g = (group){.request = request, .device = device, .out = out, .rows = rows};
    pf_status status = PF_OK;
    begin_group(g);
    if (request->suites & PF_SUITE_DEVICE) status = measure_device(g);
    if (status == PF_OK && request->suites & PF_SUITE_MATMUL) status = measure_matmul(g);
    for (int i = 0; status == PF_OK && request->suites & PF_SUITE_ATTENTION && i < request->n_lengths; i++)
        status = measure_attention(g, (int32_t)request->lengths[i]);
    if (status == PF_OK && request->suites & PF_SUITE_MODEL) status = measure_models(g);
    free_group(g);
    free(g);
    return status;
}

// ---- what rows say ----

double pf_row_gflops(const pf_bench_row *row)
{
    return row->seconds > 0 ? 1e-9 * row->facts.flops / row->seconds : 0;
}

double pf_row_tokens_per_s(const pf_bench_row *row)
{
    return row->seconds > 0 ? row->facts.tokens / row->seconds : 0;
}

const char *pf_row_attention(const pf_bench_row *row)
{
    return row->attention.is_exact ? "exact" : pf_favor_kernel_name(row->attention.kernel);
}

// Seconds of a kernel's attention at a length; 0: not measured.
static double seconds_at(const pf_bench_rows *rows, const pf_attention_workload *want)
{
    for (int i = 0; i < rows->count; i++) {
        const pf_attention_workload *w = &rows->row[i].attention;
        if (rows->row[i].suite == PF_SUITE_ATTENTION && w->length == want->length &&
            w->backward == want->backward && w->is_exact == want->is_exact &&
            (w->is_exact || w->kernel == want->kernel))
            return rows->row[i].seconds;
    }
    return 0;
}

double pf_rows_break_even(const pf_bench_rows *rows, pf_favor_kernel kernel, bool backward)
{
    double earlier = NAN, earlier_length = 0; // log of exact over FAVOR at the length before
    for (int i = 0; i < rows->count; i++) {
        pf_attention_workload w = rows->row[i].attention;
        if (rows->row[i].suite != PF_SUITE_ATTENTION || !w.is_exact || w.backward != backward) continue;
        w.is_exact = false, w.kernel = kernel;
        const double favor = seconds_at(rows, &w), length = w.length;
        if (favor <= 0) continue;
        const double lead = log(rows->row[i].seconds / favor);
        if (lead > 0 && isnan(earlier)) return 0;
        if (lead > 0)
            return exp(log(earlier_length) - earlier * log(length / earlier_length) / (lead - earlier));
        earlier = lead;
        earlier_length = length;
    }
    return isnan(earlier) ? (double)NAN : (double)INFINITY;
}
