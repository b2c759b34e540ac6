// The workload of one attention layer, FAVOR or exact, its rows laid out as the model has them. See
// performer/bench.h.
#include "api/bench.h"
#include "base/memory.h"
#include "ops/favor.h"
#include "ops/softmax_attention.h"

typedef struct attention_state {
    const pf_device *device;
    pf_attention_workload what;
    pf_favor_config favor_config;
    pf_softmax_attention_config exact_config;
    pf_favor *favor;
    pf_softmax_attention *exact;
    pf_sequences *sequences;
    pf_buffer *qkv, *o, *d_qkv, *d_o;
    pf_buffer *projection, *state, *kept, *delta, *scratch; // kept: R, or the log of exact attention's sum
} attention_state;

typedef struct qkv_rows {
    pf_rows q, k, v;
} qkv_rows;

static int32_t width(const attention_state *s)
{
    return s->what.heads * s->what.head_size;
}

static qkv_rows columns(const attention_state *s, const pf_buffer *qkv)
{
    const int32_t D = width(s);
    return (qkv_rows){{qkv, 3 * D, 0}, {qkv, 3 * D, D}, {qkv, 3 * D, 2 * D}};
}

static pf_rows rows_of(const attention_state *s, const pf_buffer *buffer)
{
    return (pf_rows){buffer, width(s), 0};
}

static pf_status run_favor(const attention_state *s)
{
    const qkv_rows rows = columns(s, s->qkv), d = columns(s, s->d_qkv);
    PF_TRY(pf_favor_run(s->favor, &(pf_favor_forward){
                                      .o = rows_of(s, s->o),
                                      .q = rows.q,
                                      .k = rows.k,
                                      .v = rows.v,
                                      .projection = s->projection,
                                      .sequences = s->sequences,
                                      .state = s->state,
                                      .normalizer = s->kept,
                                      .scratch = s->scratch,
                                  }));
    if (!s->what.backward) return PF_OK;
    return pf_favor_run_backward(s->favor, &(pf_favor_backward){
                                               .dq = d.q,
                                               .dk = d.k,
                                               .dv = d.v,
                                               .gradient = rows_of(s, s->d_o),
                                               .o = rows_of(s, s->o),
                                               .q = rows.q,
                                               .k = rows.k,
                                               .v = rows.v,
                                               .projection = s->projection,
                                               .sequences = s->sequences,
                                               .state = s->state,
                                               .normalizer = s->kept,
                                               .scratch = s->scratch,
                                           });
}

static pf_status run_exact(const attention_state *s)
{
    const qkv_rows rows = columns(s, s->qkv), d = columns(s, s->d_qkv);
    PF_TRY(pf_softmax_attention_run(s->exact, &(pf_softmax_attention_forward){
                                                  .o = rows_of(s, s->o),
                                                  .q = rows.q,
                                                  .k = rows.k,
                                                  .v = rows.v,
                                                  .log_sum = s->kept,
                                                  .sequences = s->sequences,
                                              }));
    if (!s->what.backward) return PF_OK;
    return pf_softmax_attention_run_backward(s->exact, &(pf_softmax_attention_backward){
                                                           .dq = d.q,
                                                           .dk = d.k,
                                                           .dv = d.v,
                                                           .q = rows.q,
                                                           .k = rows.k,
                                                           .v = rows.v,
                                                           .o = rows_of(s, s->o),
                                                           .d_o = rows_of(s, s->d_o),
                                                           .log_sum = s->kept,
                                                           .delta = s->delta,
                                                           .sequences = s->sequences,
                                                       });
}

static pf_status run_attention(void *state)
{
    const attention_state *s = state;
    return s->what.is_exact ? run_exact(s) : run_favor(s);
}

static void free_attention(void *state)
{
    attention_state *s = state;
    pf_buffer *const buffers[] = {s->qkv,   s->o,    s->d_qkv, s->d_o,    s->projection,
                                  s->state, s->kept, s->delta, s->scratch};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) pf_buffer_free(buffers[i]);
    pf_sequences_free(s->sequences);
    pf_favor_free(s->favor);
    pf_softmax_attention_free(s->exact);
    pf_free(s);
}

static pf_status create_rows(pf_device *device, attention_state *s)
{
    const size_t numbers = (size_t)s->what.batch * (size_t)s->what.length * (size_t)width(s);
    PF_TRY(pf_bench_filled(device, 3 * numbers, &s->qkv));
    PF_TRY(pf_bench_zeros(device, numbers, &s->o));
    if (!s->what.backward) return PF_OK;
    PF_TRY(pf_bench_filled(device, numbers, &s->d_o));
    return pf_bench_zeros(device, 3 * numbers, &s->d_qkv);
}

static pf_status create_sequences(pf_device *device, attention_state *s)
{
    const int32_t batch = s->what.batch, length = s->what.length;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 2 * (size_t)batch, sizeof(int32_t), "sequences"));
    int32_t *first = memory, *lengths = first + batch;
    for (int32_t b = 0; b < batch; b++) first[b] = b * length, lengths[b] = length;
    pf_status status = pf_sequences_create(device, batch, batch * length, &s->sequences);
    if (status == PF_OK) status = pf_sequences_set(s->sequences, first, lengths, batch);
    pf_free(memory);
    return status;
}

static pf_status create_favor(pf_device *device, attention_state *s)
{
    const pf_attention_workload *w = &s->what;
    s->favor_config = (pf_favor_config){
        .n_heads = w->heads,
        .head_size = w->head_size,
        .n_features = w->n_features,
        .kernel = w->kernel,
        .projected = true,
        .causal = w->causal,
        .renormalize = true,
        .trains = w->backward,
        .epsilon = 1e-3f,
        .oprf_s = (float)w->head_size / 16,
    };
    const pf_favor_config *c = &s->favor_config;
    const int32_t rows = w->batch * w->length;
    const pf_favor_room room = {w->batch, pf_blocks_at_most(w->batch, rows), rows};
    size_t scratch_bytes = pf_favor_forward_scratch_bytes(c, room);
    if (w->backward && pf_favor_backward_scratch_bytes(c, room) > scratch_bytes)
        scratch_bytes = pf_favor_backward_scratch_bytes(c, room);
    PF_TRY(pf_favor_create(device, c, &s->favor));
    PF_TRY(pf_bench_filled(device, (size_t)w->n_features * (size_t)w->head_size, &s->projection));
    PF_TRY(pf_buffer_create(device, pf_favor_normalizer_bytes(c, rows), "normalizer", &s->kept));
    if (!w->causal) PF_TRY(pf_buffer_create(device, pf_favor_state_bytes(c, w->batch), "state", &s->state));
    return scratch_bytes ? pf_buffer_create(device, scratch_bytes, "scratch", &s->scratch) : PF_OK;
}

static pf_status create_exact(pf_device *device, attention_state *s)
{
    const pf_attention_workload *w = &s->what;
    s->exact_config = (pf_softmax_attention_config){
        .n_heads = w->heads, .head_size = w->head_size, .causal = w->causal, .has_backward = w->backward};
    const size_t bytes =
        pf_softmax_attention_log_sum_floats(&s->exact_config, w->batch * w->length) * sizeof(float);
    PF_TRY(pf_softmax_attention_create(device, &s->exact_config, &s->exact));
    PF_TRY(pf_buffer_create(device, bytes, "log sums", &s->kept));
    return w->backward ? pf_buffer_create(device, bytes, "scratch", &s->delta) : PF_OK;
}

static double flops(const pf_attention_workload *w)
{
    const double B = w->batch, L = w->length, H = w->heads, E = w->head_size;
    if (w->is_exact) return (w->causal ? 2 : 4) * B * L * L * E * H * (w->backward ? 3.5 : 1);
    const bool is_double = w->kernel == PF_FAVOR_SOFTMAX_HYPERBOLIC || w->kernel == PF_FAVOR_SOFTMAX_TRIG;
    const double F = is_double ? 2.0 * w->n_features : w->n_features;
    return 2 * B * L * H * (2 * E * w->n_features + 2 * F * (E + 1)) * (w->backward ? 3 : 1);
}

static pf_status check(const pf_attention_workload *w)
{
    PF_CHECK(w->batch >= 1 && w->length >= 1 && w->heads >= 1 && w->head_size >= 1, PF_ERROR_USAGE,
             "attention over %d x %d tokens, %d heads of %d: every size is at least 1", w->batch, w->length,
             w->heads, w->head_size);
    PF_CHECK(w->is_exact || w->n_features >= 1, PF_ERROR_USAGE, "FAVOR with %d features, expected at least 1",
             w->n_features);
    const int64_t rows = (int64_t)w->batch * w->length;
    PF_CHECK(rows * 3 * w->heads * w->head_size <= INT32_MAX, PF_ERROR_USAGE,
             "attention over %d x %d tokens: at most %d numbers fit one matrix", w->batch, w->length,
             INT32_MAX);
    return PF_OK;
}

static pf_status create_all(pf_device *device, attention_state *s)
{
    PF_TRY(create_rows(device, s));
    PF_TRY(create_sequences(device, s));
    return s->what.is_exact ? create_exact(device, s) : create_favor(device, s);
}

pf_status pf_workload_attention(pf_device *device, const pf_attention_workload *what, pf_workload **out)
{
    static const pf_workload_kind kind = {run_attention, free_attention};
    PF_TRY(check(what));
    const uint64_t bytes = pf_device_bytes(device);
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(attention_state), "workload"));
    attention_state *s = memory;
    *s = (attention_state){.device = device, .what = *what};
    const pf_status status = create_all(device, s);
    if (status != PF_OK) {
        free_attention(s);
        return pf_context(status, "attention over %d x %d tokens", what->batch, what->length);
    }
    const pf_workload_facts facts = {
        .flops = flops(what),
        .tokens = (double)what->batch * what->length,
        .device_bytes = pf_device_bytes(device) - bytes,
    };
    return pf_workload_create(device, &kind, s, &facts, out);
}
