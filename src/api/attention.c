// One attention layer on arrays of one's own. See performer/attention.h.
//
// [B,H,L,E] is B*H sequences of one head each, rows of E numbers: sequence s begins at row s*L and has as
// many rows as its batch entry has tokens; rows behind them belong to nobody and are never touched.
#include "performer/attention.h"

#include <string.h>

#include "api/attention_parts.h"
#include "base/memory.h"
#include "ops/favor.h"
#include "ops/softmax_attention.h"

enum { INPUTS = PF_ATTENTION_INPUTS, OUTPUTS = PF_ATTENTION_OUTPUTS };

// What a run holds on the device. Heads go through it in groups of `most` sequences.
typedef struct layer {
    pf_device *device;
    const pf_attention_arrays *arrays;
    const pf_attention_buffers *given; // NULL: the numbers are in `arrays`, on the host
    bool in_place;                     // all heads fit: `given` itself is what the kernels see
    pf_favor_config favor_config;
    pf_softmax_attention_config exact_config;
    bool trains;
    int32_t most;
    pf_favor *favor;
    pf_softmax_attention *exact;
    pf_sequences *sequences;
    int32_t *first_row, *length;
    pf_buffer *in[INPUTS], *out[OUTPUTS];
    pf_buffer *projection, *kept, *delta, *state, *scratch; // kept: R, or the log of exact attention's sum
} layer;

void pf_attention_default(pf_attention_options *options)
{
    *options = (pf_attention_options){
        .kernel = PF_FAVOR_RELU,
        .projected = true,
        .renormalize = true,
        .epsilon = 1e-3,
    };
}

pf_status pf_attention_check(const pf_attention_options *o, const pf_attention_arrays *a)
{
    PF_CHECK(a->batch >= 1 && a->heads >= 1 && a->length >= 1 && a->head_size >= 1, PF_ERROR_USAGE,
             "attention over [%d,%d,%d,%d]: every size is at least 1", a->batch, a->heads, a->length,
             a->head_size);
    PF_CHECK(a->head_size <= PF_MAX_HEAD_SIZE, PF_ERROR_USAGE, "heads of %d numbers, at most %d are possible",
             a->head_size, PF_MAX_HEAD_SIZE);
    PF_CHECK((int64_t)a->length * a->head_size <= INT32_MAX, PF_ERROR_USAGE,
             "%d tokens of %d numbers, one head holds at most %d numbers", a->length, a->head_size,
             INT32_MAX);
    PF_CHECK(o->exact || o->window == 0, PF_ERROR_USAGE, "a window is for exact attention");
    PF_CHECK(o->window >= 0, PF_ERROR_USAGE, "window %d, expected 0 or more", o->window);
    PF_CHECK(o->exact || !o->projected || a->n_features >= 1, PF_ERROR_USAGE,
             "FAVOR attention without its projection");
    for (int32_t b = 0; a->lengths && b < a->batch; b++)
        PF_CHECK(a->lengths[b] >= 0 && a->lengths[b] <= a->length, PF_ERROR_USAGE,
                 "length %d of batch entry %d, expected 0 to %d", a->lengths[b], b, a->length);
    return PF_OK;
}

static pf_status check_arrays(const pf_attention_options *o, const pf_attention_arrays *a)
{
    PF_CHECK(o->exact || !o->projected || a->projection, PF_ERROR_USAGE,
             "FAVOR attention without its projection");
    PF_CHECK(a->query && a->key && a->value && a->output, PF_ERROR_USAGE, "attention without its arrays");
    PF_CHECK(!a->gradient || (a->dq && a->dk && a->dv), PF_ERROR_USAGE,
             "a gradient without arrays for its results");
    return PF_OK;
}

static void configure(layer *l, const pf_attention_options *o)
{
    const int32_t E = l->arrays->head_size;
    l->trains = l->given ? l->given->in[3] != NULL : l->arrays->gradient != NULL;
    l->favor_config = (pf_favor_config){
        .n_heads = 1,
        .head_size = E,
        .n_features = l->arrays->n_features,
        .kernel = o->kernel,
        .projected = o->projected,
        .causal = o->causal,
        .renormalize = o->renormalize,
        .trains = l->trains,
        .epsilon = (float)o->epsilon,
        .oprf_s = (float)(o->oprf_s > 0 ? o->oprf_s : E / 16.0),
    };
    l->exact_config = (pf_softmax_attention_config){
        .n_heads = 1,
        .head_size = E,
        .causal = o->causal,
        .window = o->window,
        .has_backward = l->trains,
    };
}

// Bytes of the buffers for groups of `count` sequences.
typedef struct room {
    size_t tensor, kept, state, scratch;
} room;

static room room_of(const layer *l, bool exact, int32_t count)
{
    const int32_t rows = count * l->arrays->length;
    const size_t tensor = (size_t)rows * (size_t)l->arrays->head_size * sizeof(float);
    if (exact)
        return (room){.tensor = tensor,
                      .kept = pf_softmax_attention_log_sum_floats(&l->exact_config, rows) * sizeof(float)};
    const pf_favor_room favor = {count, pf_blocks_at_most(count, rows), rows};
    const size_t forward = pf_favor_forward_scratch_bytes(&l->favor_config, favor);
    const size_t backward = l->trains ? pf_favor_backward_scratch_bytes(&l->favor_config, favor) : 0;
    return (room){
        .tensor = tensor,
        .kept = pf_favor_normalizer_bytes(&l->favor_config, rows),
        .state = l->favor_config.causal ? 0 : pf_favor_state_bytes(&l->favor_config, count),
        .scratch = forward > backward ? forward : backward,
    };
}

// As many heads at once as take a quarter of the device's memory; one in any case.
static int32_t choose_group(const layer *l, bool exact)
{
    const pf_device_info *info = pf_device_describe(l->device);
    const int64_t length = l->arrays->length, width = l->arrays->head_size;
    int64_t count = (int64_t)l->arrays->batch * l->arrays->heads;
    if (count > INT32_MAX / (length * width)) count = INT32_MAX / (length * width);
    for (; count > 1; count -= count / 2) {
        const room r = room_of(l, exact, (int32_t)count);
        const size_t tensors = l->trains ? 8 : 4;
        const size_t largest = r.scratch > r.state ? r.scratch : r.state;
        if (largest <= info->largest_buffer_bytes && r.tensor <= info->largest_buffer_bytes &&
            tensors * r.tensor + 2 * r.kept + r.state + r.scratch <= info->global_bytes / 4)
            break;
    }
    return (int32_t)count;
}

static pf_status create_buffers(layer *l, bool exact)
{
    static const char *const in[INPUTS] = {"queries", "keys", "values", "gradient"};
    static const char *const out[OUTPUTS] = {"output", "dq", "dk", "dv"};
    const room r = room_of(l, exact, l->most);
    for (int i = 0; i < (l->trains ? INPUTS : 3); i++) {
        if (l->in_place)
            l->in[i] = l->given->in[i];
        else
            PF_TRY(pf_buffer_create(l->device, r.tensor, in[i], &l->in[i]));
    }
    for (int i = 0; i < (l->trains ? OUTPUTS : 1); i++) {
        if (l->in_place)
            l->out[i] = l->given->out[i];
        else
            PF_TRY(pf_buffer_create(l->device, r.tensor, out[i], &l->out[i]));
    }
    PF_TRY(pf_buffer_create(l->device, r.kept, "normalizer", &l->kept));
    if (exact && l->trains) PF_TRY(pf_buffer_create(l->device, r.kept, "scratch", &l->delta));
    if (r.state) PF_TRY(pf_buffer_create(l->device, r.state, "state", &l->state));
    if (r.scratch) PF_TRY(pf_buffer_create(l->device, r.scratch, "scratch", &l->scratch));
    if (exact || !l->favor_config.projected) return PF_OK;
    if (l->given) {
        l->projection = l->given->projection;
        return PF_OK;
    }
    const size_t bytes = (size_t)l->arrays->n_features * (size_t)l->arrays->head_size * sizeof(float);
    PF_TRY(pf_buffer_create(l->device, bytes, "projection", &l->projection));
    return pf_buffer_write(l->projection, 0, l->arrays->projection, bytes);
}

static pf_status create_tables(layer *l)
{
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, (size_t)l->most, sizeof(int32_t), "rows"));
    l->first_row = memory;
    PF_TRY(pf_alloc(&memory, (size_t)l->most, sizeof(int32_t), "lengths"));
    l->length = memory;
    return pf_sequences_create(l->device, l->most, l->most * l->arrays->length, &l->sequences);
}

static pf_status create_layer(layer *l, bool exact)
{
    PF_TRY(exact ? pf_softmax_attention_create(l->device, &l->exact_config, &l->exact)
                 : pf_favor_create(l->device, &l->favor_config, &l->favor));
    l->most = choose_group(l, exact);
    l->in_place = l->given && l->most >= (int64_t)l->arrays->batch * l->arrays->heads;
    PF_TRY(create_tables(l));
    return create_buffers(l, exact);
}

static void free_layer(layer *l)
{
    for (int i = 0; i < INPUTS && !l->in_place; i++) pf_buffer_free(l->in[i]);
    for (int i = 0; i < OUTPUTS && !l->in_place; i++) pf_buffer_free(l->out[i]);
    if (!l->given) pf_buffer_free(l->projection);
    pf_buffer *others[] = {l->kept, l->delta, l->state, l->scratch};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) pf_buffer_free(others[i]);
    pf_sequences_free(l->sequences);
    pf_favor_free(l->favor);
    pf_softmax_attention_free(l->exact);
    pf_free(l->first_row);
    pf_free(l->length);
}

static pf_status run_favor(const layer *l, const pf_rows in[INPUTS], const pf_rows out[OUTPUTS])
{
    PF_TRY(pf_favor_run(l->favor, &(pf_favor_forward){
                                      .o = out[0],
                                      .q = in[0],
                                      .k = in[1],
                                      .v = in[2],
                                      .projection = l->projection,
                                      .sequences = l->sequences,
                                      .state = l->state,
                                      .normalizer = l->kept,
                                      .scratch = l->scratch,
                                  }));
    if (!l->trains) return PF_OK;
    return pf_favor_run_backward(l->favor, &(pf_favor_backward){
                                               .dq = out[1],
                                               .dk = out[2],
                                               .dv = out[3],
                                               .gradient = in[3],
                                               .o = out[0],
                                               .q = in[0],
                                               .k = in[1],
                                               .v = in[2],
                                               .projection = l->projection,
                                               .sequences = l->sequences,
                                               .state = l->state,
                                               .normalizer = l->kept,
                                               .scratch = l->scratch,
                                           });
}

static pf_status run_exact(const layer *l, const pf_rows in[INPUTS], const pf_rows out[OUTPUTS])
{
    PF_TRY(pf_softmax_attention_run(l->exact, &(pf_softmax_attention_forward){
                                                  .o = out[0],
                                                  .q = in[0],
                                                  .k = in[1],
                                                  .v = in[2],
                                                  .log_sum = l->kept,
                                                  .sequences = l->sequences,
                                              }));
    if (!l->trains) return PF_OK;
    return pf_softmax_attention_run_backward(l->exact, &(pf_softmax_attention_backward){
                                                           .dq = out[1],
                                                           .dk = out[2],
                                                           .dv = out[3],
                                                           .q = in[0],
                                                           .k = in[1],
                                                           .v = in[2],
                                                           .o = out[0],
                                                           .d_o = in[3],
                                                           .log_sum = l->kept,
                                                           .delta = l->delta,
                                                           .sequences = l->sequences,
                                                       });
}

// Sequences without a token are left out of the table: they have no rows to compute.
static pf_status set_sequences(layer *l, int64_t first, int32_t count)
{
    const pf_attention_arrays *a = l->arrays;
    int32_t n = 0;
    for (int32_t s = 0; s < count; s++) {
        const int32_t length = a->lengths ? a->lengths[(first + s) / a->heads] : a->length;
        if (length == 0) continue;
        l->first_row[n] = s * a->length;
        l->length[n++] = length;
    }
    return pf_sequences_set(l->sequences, l->first_row, l->length, n);
}

static pf_status bring(const layer *l, int i, size_t at, size_t bytes)
{
    const pf_attention_arrays *a = l->arrays;
    const float *const from[INPUTS] = {a->query, a->key, a->value, a->gradient};
    if (l->in_place) return PF_OK;
    if (l->given) return pf_buffer_copy(l->in[i], 0, l->given->in[i], at * sizeof(float), bytes);
    return pf_buffer_write(l->in[i], 0, from[i] + at, bytes);
}

static pf_status fetch(const layer *l, int i, size_t at, size_t bytes)
{
    const pf_attention_arrays *a = l->arrays;
    float *const to[OUTPUTS] = {a->output, a->dq, a->dk, a->dv};
    if (l->in_place) return PF_OK;
    if (l->given) return pf_buffer_copy(l->given->out[i], at * sizeof(float), l->out[i], 0, bytes);
    return pf_buffer_read(l->out[i], 0, to[i] + at, bytes);
}

// Heads first .. first+count-1: up, through the layer, down again.
static pf_status run_group(layer *l, int64_t first, int32_t count)
{
    const pf_attention_arrays *a = l->arrays;
    const size_t head = (size_t)a->length * (size_t)a->head_size;
    const size_t bytes = (size_t)count * head * sizeof(float), at = (size_t)first * head;
    pf_rows in[INPUTS] = {{0}}, out[OUTPUTS] = {{0}};
    PF_TRY(set_sequences(l, first, count));
    for (int i = 0; i < INPUTS && l->in[i]; i++) {
        in[i] = (pf_rows){l->in[i], a->head_size, 0};
        PF_TRY(bring(l, i, at, bytes));
    }
    for (int i = 0; i < OUTPUTS && l->out[i]; i++) {
        out[i] = (pf_rows){l->out[i], a->head_size, 0};
        PF_TRY(pf_buffer_zero(l->out[i], 0, bytes)); // what padding keeps
    }
    if (l->sequences->n_sequences > 0) PF_TRY(l->exact ? run_exact(l, in, out) : run_favor(l, in, out));
    for (int i = 0; i < OUTPUTS && l->out[i]; i++) PF_TRY(fetch(l, i, at, bytes));
    return PF_OK;
}

pf_status pf_attention_run_buffers(pf_device *device, const pf_attention_options *options,
                                   const pf_attention_arrays *arrays, const pf_attention_buffers *buffers)
{
    layer l = {.device = device, .arrays = arrays, .given = buffers};
    configure(&l, options);
    const int64_t heads = (int64_t)arrays->batch * arrays->heads;
    pf_status status = create_layer(&l, options->exact);
    for (int64_t first = 0; status == PF_OK && first < heads; first += l.most)
        status = run_group(&l, first, heads - first < l.most ? (int32_t)(heads - first) : l.most);
    free_layer(&l);
    return status;
}

pf_status pf_attention_run(pf_device *device, const pf_attention_options *options,
                           const pf_attention_arrays *arrays)
{
    PF_TRY(pf_attention_check(options, arrays));
    PF_TRY(check_arrays(options, arrays));
    return pf_attention_run_buffers(device, options, arrays, NULL);
}
