// The search for the fastest matrix products of a model, and its file. See performer/tune.h.
#include "performer/tune.h"

#include <string.h>

#include "base/memory.h"
#include "model/linear.h"
#include "ops/matmul/search.h"

enum { PRODUCTS = PF_LINEAR_KINDS * PF_LINEAR_CALLS, LEAST_ROWS = 256, MOST_ROWS = 4096 };

typedef struct product {
    pf_matmul_call call;
    int times;
} product;

struct pf_tune {
    pf_device *device;
    pf_search *search;
    product products[PRODUCTS];
    int count;
    pf_tuned found, tried; // what is better; what was measured
};

static bool is_same(const pf_matmul_call *a, const pf_matmul_call *b)
{
    const pf_tuned_entry x = pf_tuned_entry_of(a), y = pf_tuned_entry_of(b);
    return x.transpose_a == y.transpose_a && x.transpose_b == y.transpose_b && x.sizes[0] == y.sizes[0] &&
           x.sizes[1] == y.sizes[1];
}

static void add_product(pf_tune *tune, const pf_matmul_call *call, int times)
{
    int at = 0;
    while (at < tune->count && !is_same(&tune->products[at].call, call)) at++;
    tune->products[at].call = *call;
    tune->products[at].times += times;
    if (at == tune->count) tune->count++;
}

// Each layer has each linear layer but the head, which the model has once.
static void list_products(pf_tune *tune, const struct pf_config *config, int rows)
{
    pf_linear kinds[PF_LINEAR_KINDS];
    pf_linear_kinds(config, kinds);
    for (int c = 0; c < PF_LINEAR_CALLS; c++)
        for (int i = 0; i < PF_LINEAR_KINDS; i++) {
            pf_matmul_call calls[PF_LINEAR_CALLS];
            pf_linear_calls(&kinds[i], rows, calls);
            add_product(tune, &calls[c], i == PF_LINEAR_HEAD ? 1 : config->num_hidden_layers);
        }
}

pf_status pf_tune_open(pf_device *device, const struct pf_config *config, int rows, pf_tune **out)
{
    void *made = NULL;
    PF_CHECK(rows >= 0, PF_ERROR_USAGE, "products of %d rows", rows);
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_tune), "tune"));
    pf_tune *tune = made;
    const int64_t tokens = config->train.micro_batch_tokens;
    const int usual = tokens < LEAST_ROWS ? LEAST_ROWS : tokens > MOST_ROWS ? MOST_ROWS : (int)tokens;
    tune->device = device;
    list_products(tune, config, rows ? rows : usual);
    const pf_status status = pf_search_create(device, &tune->search);
    if (status == PF_OK)
        *out = tune;
    else
        pf_tune_close(tune);
    return status;
}

void pf_tune_close(pf_tune *tune)
{
    if (!tune) return;
    pf_search_free(tune->search);
    pf_free(tune);
}

int pf_tune_count(const pf_tune *tune)
{
    return tune->count;
}

pf_status pf_tune_run(pf_tune *tune, int i, pf_tune_result *out)
{
    PF_CHECK(i >= 0 && i < tune->count, PF_ERROR_USAGE, "product %d of %d", i, tune->count);
    const product *p = &tune->products[i];
    pf_search_result r;
    PF_TRY(pf_search_run(tune->search, &p->call, &r));
    const pf_tuned_entry measured = pf_tuned_entry_of(&p->call);
    if (!pf_tuned_find(&tune->tried, &p->call)) tune->tried.entry[tune->tried.count++] = measured;
    *out = (pf_tune_result){.kind = {p->call.transpose_a ? 't' : 'n', p->call.transpose_b ? 't' : 'n'},
                            .m = p->call.m,
                            .n = p->call.n,
                            .k = p->call.k,
                            .times = p->times,
                            .built_in_gflops = r.built_in_gflops,
                            .gflops = r.gflops,
                            .tried = r.tried,
                            .wrong = r.wrong,
                            .refused = r.refused,
                            .is_better = r.has_gain && pf_tuned_add(&tune->found, &r.entry)};
    memcpy(out->built_in, r.built_in, sizeof out->built_in);
    memcpy(out->best, out->is_better ? r.best : r.built_in, sizeof out->best);
    if (!out->is_better) out->gflops = out->built_in_gflops;
    return PF_OK;
}

pf_status pf_tune_save(const pf_tune *tune, char **path)
{
    return pf_tuned_save(tune->device, &tune->tried, &tune->found, path);
}

pf_status pf_tune_check(const pf_device *device, char **warning)
{
    pf_tuned tuned;
    char *text = NULL;
    const pf_status status = pf_tuned_load(device, &tuned);
    if (status != PF_OK && status != PF_END && status != PF_ERROR_INPUT) return status;
    if (status != PF_OK) PF_TRY(pf_copy_text(&text, pf_error_message()));
    *warning = text;
    return PF_OK;
}
