// The search behind `performer tune`. See search.h.
#include "ops/matmul/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/random.h"

// Around the built-in constants, one or two things changed at a time: packed or staged panels, the register
// tile, how many rows are staged and how deep. See cl/matmul.cl.
static const pf_tile_shape wide[] = {
    {1, 6, 4, 1, 96, 128},  {1, 6, 4, 1, 96, 256},  {1, 6, 4, 1, 48, 512},
    {1, 6, 4, 1, 192, 256}, {1, 12, 2, 1, 96, 512}, {1, 8, 3, 1, 96, 256},
    {2, 6, 4, 1, 96, 128},  {2, 6, 4, 1, 264, 128}, {2, 12, 2, 1, 96, 128},
};
static const pf_tile_shape narrow[] = {
    {0, 4, 2, 8, 32, 32}, {0, 4, 2, 8, 32, 16}, {0, 8, 1, 8, 64, 16},  {0, 8, 1, 16, 32, 32},
    {0, 8, 2, 8, 64, 16}, {0, 8, 2, 8, 64, 32}, {0, 4, 2, 16, 16, 32}, {0, 4, 4, 8, 32, 16},
};
enum {
    WIDE = sizeof wide / sizeof *wide,
    NARROW = sizeof narrow / sizeof *narrow,
    MOST_CANDIDATES = WIDE + 2,
    FINALISTS = 3,
    ROUNDS = 9,
    SAMPLES = 64,
};

static const double long_enough_s = 0.008; // of one timing: launches and waiting are small beside it
static const double least_gain = 0.03;     // less is noise
static const double hopeless = 2.5;        // a foreign library that is so much slower is not asked again

typedef struct candidate {
    pf_tuned tuned; // one entry; none: the built-in choice
    pf_matmul *matmul;
    double seconds;
} candidate;

struct pf_search {
    pf_device *device;
    pf_tuned_device about;
    pf_matmul *built_in;
    bool without_foreign; // CLBlast was hopeless
};

// One product: its operands on both sides, and what the built-in choice made of them: host[2].
typedef struct problem {
    pf_matmul_call call;
    pf_buffer *buffer[3]; // a, b, c
    size_t floats[3];
    float *host[3], *got;
    double *row_norm, *column_norm; // of op(A)'s rows and op(B)'s columns
} problem;

pf_status pf_search_create(pf_device *device, pf_search **out)
{
    void *made = NULL;
    pf_status status;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_search), "search"));
    pf_search *search = made;
    search->device = device;
    search->about.shape = pf_device_shape(device);
    search->about.local_bytes = pf_device_describe(device)->local_bytes;
    PF_TRY_OR(failed, pf_matmul_create_tuned(device, PF_MATMUL_AUTO, NULL, &search->built_in));
    *out = search;
    return PF_OK;
failed:
    pf_search_free(search);
    return status;
}

void pf_search_free(pf_search *search)
{
    if (!search) return;
    pf_matmul_free(search->built_in);
    pf_free(search);
}

// ---- a product and its right answer ----

static void problem_free(problem *p)
{
    for (int i = 0; i < 3; i++) {
        pf_buffer_free(p->buffer[i]);
        pf_free(p->host[i]);
    }
    pf_free(p->got);
    pf_free(p->row_norm);
    pf_free(p->column_norm);
}

static double element_a(const problem *p, int i, int e)
{
    return (double)p->host[0][p->call.transpose_a ? (size_t)e * (size_t)p->call.m + (size_t)i
                                                  : (size_t)i * (size_t)p->call.k + (size_t)e];
}

static double element_b(const problem *p, int e, int j)
{
    return (double)p->host[1][p->call.transpose_b ? (size_t)j * (size_t)p->call.k + (size_t)e
                                                  : (size_t)e * (size_t)p->call.n + (size_t)j];
}

static void measure_norms(problem *p)
{
    for (int e = 0; e < p->call.k; e++) {
        for (int i = 0; i < p->call.m; i++) p->row_norm[i] += element_a(p, i, e) * element_a(p, i, e);
        for (int j = 0; j < p->call.n; j++) p->column_norm[j] += element_b(p, e, j) * element_b(p, e, j);
    }
    for (int i = 0; i < p->call.m; i++) p->row_norm[i] = sqrt(p->row_norm[i]);
    for (int j = 0; j < p->call.n; j++) p->column_norm[j] = sqrt(p->column_norm[j]);
}

// Uniform in -1 .. 1.
static void fill(float *out, size_t count, uint64_t stream)
{
    uint32_t word[4];
    for (size_t e = 0; e < count; e++) {
        if (e % 4 == 0) pf_random_block(word, 0, PF_RANDOM_STUDY, stream, e / 4);
        out[e] = (float)(int32_t)word[e % 4] * 0x1p-31f;
    }
}

static pf_status problem_create(pf_search *search, const pf_matmul_call *sizes, problem *p)
{
    static const char *const names[] = {"a of a product", "b of a product", "c of a product"};
    const size_t m = (size_t)sizes->m, n = (size_t)sizes->n, k = (size_t)sizes->k;
    const size_t floats[] = {m * k, k * n, m * n};
    void *memory[3] = {0};
    for (int i = 0; i < 3; i++) {
        p->floats[i] = floats[i];
        PF_TRY(pf_buffer_create(search->device, floats[i] * sizeof(float), names[i], &p->buffer[i]));
        PF_TRY(pf_alloc(&memory[0], floats[i], sizeof(float), names[i]));
        p->host[i] = memory[0];
        if (i < 2) fill(p->host[i], floats[i], (uint64_t)i);
        if (i < 2) PF_TRY(pf_buffer_write(p->buffer[i], 0, p->host[i], floats[i] * sizeof(float)));
    }
    PF_TRY(pf_alloc(&memory[0], m * n, sizeof(float), "products"));
    p->got = memory[0];
    PF_TRY(pf_alloc(&memory[1], m, sizeof(double), "norms"));
    p->row_norm = memory[1];
    PF_TRY(pf_alloc(&memory[2], n, sizeof(double), "norms"));
    p->column_norm = memory[2];
    p->call = (pf_matmul_call){.c = p->buffer[2],
                               .a = p->buffer[0],
                               .b = p->buffer[1],
                               .m = sizes->m,
                               .n = sizes->n,
                               .k = sizes->k,
                               .transpose_a = sizes->transpose_a,
                               .transpose_b = sizes->transpose_b,
                               .alpha = 1,
                               .beta = sizes->beta};
    measure_norms(p);
    return PF_OK;
}

static pf_status compute(pf_matmul *matmul, problem *p, float *out)
{
    size_t scratch = 0;
    PF_TRY(pf_matmul_scratch_bytes(matmul, &p->call, &scratch));
    PF_TRY(pf_matmul_reserve(matmul, scratch));
    PF_TRY(pf_buffer_zero(p->buffer[2], 0, p->floats[2] * sizeof(float)));
    PF_TRY(pf_matmul_run(matmul, &p->call));
    return pf_buffer_read(p->buffer[2], 0, out, p->floats[2] * sizeof(float));
}

// k + 1 roundings of 2^-24, of sums of terms whose sizes add up to at most the product of the norms.
static bool is_near(const problem *p, size_t at, double expected, double times)
{
    const size_t i = at / (size_t)p->call.n, j = at % (size_t)p->call.n;
    return fabs((double)p->got[at] - expected) <=
           times * (p->call.k + 1) * 0x1p-24 * p->row_norm[i] * p->column_norm[j];
}

// Some elements against sums in double precision.
static bool is_right(const problem *p)
{
    for (size_t s = 0; s < SAMPLES; s++) {
        const size_t at = s * (p->floats[2] - 1) / (SAMPLES - 1), n = (size_t)p->call.n;
        double sum = 0;
        for (int e = 0; e < p->call.k; e++)
            sum += element_a(p, (int)(at / n), e) * element_b(p, e, (int)(at % n));
        if (!is_near(p, at, sum, 1)) return false;
    }
    return true;
}

// Our own kernels give the same bits with any constants; between libraries the bound holds for both sides.
static bool is_like_built_in(const problem *p, bool to_the_bit)
{
    if (to_the_bit) return memcmp(p->got, p->host[2], p->floats[2] * sizeof(float)) == 0;
    for (size_t at = 0; at < p->floats[2]; at++)
        if (!is_near(p, at, (double)p->host[2][at], 2)) return false;
    return true;
}

// ---- time ----

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static pf_status time_runs(pf_device *device, pf_matmul *matmul, const problem *p, int times, double *seconds)
{
    const double start = now_s();
    for (int i = 0; i < times; i++) PF_TRY(pf_matmul_run(matmul, &p->call));
    PF_TRY(pf_device_sync(device));
    *seconds = (now_s() - start) / times;
    return PF_OK;
}

static int by_number(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int by_time(const void *a, const void *b)
{
    return by_number(&((const candidate *)a)->seconds, &((const candidate *)b)->seconds);
}

// ---- candidates ----

static int list_candidates(const pf_search *search, const pf_matmul_call *call, candidate *out)
{
    const bool is_wide = search->about.shape.work_group == 1;
    const pf_tile_shape *const shapes = is_wide ? wide : narrow;
    int count = 0;
    pf_tuned_entry entry = pf_tuned_entry_of(call);
    entry.provider = PF_MATMUL_TILE;
    for (int i = 0; i < (is_wide ? WIDE : NARROW); i++) {
        entry.shape = shapes[i];
        if (pf_tile_shape_fits(&entry.shape, &search->about)) pf_tuned_add(&out[count++].tuned, &entry);
    }
    entry.provider = PF_MATMUL_CLBLAST;
    if (!search->without_foreign) pf_tuned_add(&out[count++].tuned, &entry);
    return count;
}

// Whether a candidate may go on: it compiles and computes what the built-in choice does. Its first time is
// taken.
static pf_status admit(pf_search *search, candidate *c, problem *p, pf_search_result *result, bool *fine)
{
    *fine = false;
    const pf_status created = pf_matmul_create_tuned(search->device, PF_MATMUL_AUTO, &c->tuned, &c->matmul);
    const pf_status ran = created == PF_OK ? compute(c->matmul, p, p->got) : created;
    if (ran == PF_ERROR_DEVICE) {
        result->refused++;
        return PF_OK;
    }
    if (ran != PF_OK) return ran;
    char built_in[48], name[48];
    pf_matmul_describe(search->built_in, &p->call, built_in, sizeof built_in);
    pf_matmul_describe(c->matmul, &p->call, name, sizeof name);
    if (strcmp(built_in, name) == 0) return PF_OK; // itself
    const bool ours = c->tuned.entry[0].provider == PF_MATMUL_TILE;
    if (!is_like_built_in(p, ours && pf_matmul_provider(search->built_in) == PF_MATMUL_TILE) ||
        !is_right(p)) {
        result->wrong++;
        return PF_OK;
    }
    double again = 0;
    PF_TRY(time_runs(search->device, c->matmul, p, 1, &c->seconds));
    const int times = c->seconds > long_enough_s ? 1 : 1 + (int)(long_enough_s / 2 / c->seconds);
    PF_TRY(time_runs(search->device, c->matmul, p, times, &c->seconds));
    PF_TRY(time_runs(search->device, c->matmul, p, times, &again));
    if (again < c->seconds) c->seconds = again;
    *fine = true;
    return PF_OK;
}

// Alternating with the built-in choice, so that what slows the machine down slows both. `ratio`: medians of
// the finalists' times over the built-in one's in the same round, whose median is *seconds.
static pf_status hold_final(pf_search *search, const candidate *finalist, int count, const problem *p,
                            double *ratio, double *seconds)
{
    double first = 0, each[FINALISTS][ROUNDS], base[ROUNDS];
    PF_TRY(time_runs(search->device, search->built_in, p, 1, &first));
    const int times = first > long_enough_s ? 1 : 1 + (int)(long_enough_s / first);
    for (int round = 0; round < ROUNDS; round++) {
        PF_TRY(time_runs(search->device, search->built_in, p, times, &base[round]));
        for (int i = 0; i < count; i++) {
            PF_TRY(time_runs(search->device, finalist[i].matmul, p, times, &each[i][round]));
            each[i][round] /= base[round];
        }
    }
    for (int i = 0; i < count; i++) {
        qsort(each[i], ROUNDS, sizeof(double), by_number);
        ratio[i] = each[i][ROUNDS - 2] < 1 ? each[i][ROUNDS / 2] : 1; // slower more than once: chance
    }
    qsort(base, ROUNDS, sizeof(double), by_number);
    *seconds = base[ROUNDS / 2];
    return PF_OK;
}

static pf_status choose(pf_search *search, candidate *fine, int count, const problem *p,
                        pf_search_result *result)
{
    double ratio[FINALISTS], seconds = 0;
    int best = 0;
    qsort(fine, (size_t)count, sizeof *fine, by_time);
    if (count > FINALISTS) count = FINALISTS;
    PF_TRY(hold_final(search, fine, count, p, ratio, &seconds));
    for (int i = 1; i < count; i++)
        if (ratio[i] < ratio[best]) best = i;
    result->built_in_gflops = result->gflops = 2e-9 * p->call.m * p->call.n * p->call.k / seconds;
    pf_matmul_describe(search->built_in, &p->call, result->built_in, sizeof result->built_in);
    memcpy(result->best, result->built_in, sizeof result->best);
    if (count == 0 || ratio[best] > 1 - least_gain) return PF_OK;
    result->has_gain = true;
    result->gflops /= ratio[best];
    result->entry = fine[best].tuned.entry[0];
    result->entry.gflops = result->gflops, result->entry.built_in = result->built_in_gflops;
    pf_matmul_describe(fine[best].matmul, &p->call, result->best, sizeof result->best);
    return PF_OK;
}

static pf_status try_all(pf_search *search, candidate *all, problem *p, pf_search_result *result)
{
    PF_TRY(compute(search->built_in, p, p->host[2]));
    memcpy(p->got, p->host[2], p->floats[2] * sizeof(float));
    PF_CHECK(is_right(p), PF_ERROR_DEVICE, "the built-in choice gives wrong results; run performer selftest");
    int count = 0;
    double foreign = 0;
    result->tried = list_candidates(search, &p->call, all);
    for (int i = 0; i < result->tried; i++) {
        bool fine = false;
        PF_TRY(admit(search, &all[i], p, result, &fine));
        if (!fine) continue;
        if (all[i].tuned.entry[0].provider == PF_MATMUL_CLBLAST) foreign = all[i].seconds;
        const candidate swapped = all[count];
        all[count++] = all[i];
        if (count - 1 != i) all[i] = swapped;
    }
    PF_TRY(choose(search, all, count, p, result));
    if (count && foreign > hopeless * all[0].seconds) search->without_foreign = true;
    return PF_OK;
}

pf_status pf_search_run(pf_search *search, const pf_matmul_call *sizes, pf_search_result *out)
{
    void *memory = NULL;
    problem p = {0};
    pf_search_result result = {0};
    PF_CHECK(sizes->m > 0 && sizes->n > 0 && sizes->k > 0, PF_ERROR_USAGE, "an empty product of %d x %d x %d",
             sizes->m, sizes->n, sizes->k);
    PF_TRY(pf_alloc(&memory, MOST_CANDIDATES, sizeof(candidate), "candidates"));
    candidate *all = memory;
    pf_status status = problem_create(search, sizes, &p);
    if (status == PF_OK) status = try_all(search, all, &p, &result);
    for (int i = 0; i < MOST_CANDIDATES; i++) pf_matmul_free(all[i].matmul);
    pf_free(all);
    problem_free(&p);
    if (status == PF_OK) *out = result;
    return pf_context(status, "product %d x %d x %d", sizes->m, sizes->n, sizes->k);
}
