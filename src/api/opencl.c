// Attention and models on a caller's own buffers. See performer/opencl.h.
#include "performer/opencl.h"

#include "api/attention_parts.h"
#include "base/memory.h"
#include "device/borrow.h"
#include "infer/pieces.h"

static void give_back(pf_attention_buffers *buffers)
{
    for (int i = 0; i < PF_ATTENTION_INPUTS; i++) pf_buffer_free(buffers->in[i]);
    for (int i = 0; i < PF_ATTENTION_OUTPUTS; i++) pf_buffer_free(buffers->out[i]);
    pf_buffer_free(buffers->projection);
}

static pf_status borrow(pf_device *device, const pf_attention_options *options,
                        const pf_attention_opencl *from, pf_attention_buffers *to)
{
    static const char *const in_names[] = {"query", "key", "value", "gradient"};
    static const char *const out_names[] = {"output", "dq", "dk", "dv"};
    const cl_mem in[] = {from->query, from->key, from->value, from->gradient};
    const cl_mem out[] = {from->output, from->dq, from->dk, from->dv};
    const size_t bytes = (size_t)from->batch * (size_t)from->heads * (size_t)from->length *
                         (size_t)from->head_size * sizeof(float);
    const bool trains = from->gradient != NULL;
    for (int i = 0; i < (trains ? PF_ATTENTION_INPUTS : 3); i++)
        PF_TRY(pf_buffer_borrow(device, in[i], bytes, in_names[i], &to->in[i]));
    for (int i = 0; i < (trains ? PF_ATTENTION_OUTPUTS : 1); i++)
        PF_TRY(pf_buffer_borrow(device, out[i], bytes, out_names[i], &to->out[i]));
    if (options->exact || !options->projected) return PF_OK;
    const size_t projection_bytes = (size_t)from->n_features * (size_t)from->head_size * sizeof(float);
    return pf_buffer_borrow(device, from->projection, projection_bytes, "projection", &to->projection);
}

pf_status pf_attention_run_opencl(pf_device *device, const pf_attention_options *options,
                                  const pf_attention_opencl *from)
{
    const pf_attention_arrays sizes = {
        .batch = from->batch,
        .heads = from->heads,
        .length = from->length,
        .head_size = from->head_size,
        .lengths = from->lengths,
        .n_features = from->n_features,
    };
    pf_attention_buffers buffers = {0};
    PF_TRY(pf_attention_check(options, &sizes));
    pf_status status = borrow(device, options, from, &buffers);
    if (status == PF_OK) status = pf_attention_run_buffers(device, options, &sizes, &buffers);
    give_back(&buffers);
    return status;
}

// ---- a model's rows ----

typedef struct target {
    pf_buffer *to;
    size_t width; // numbers of a row
    int layer;    // -1: the logits
} target;

enum { MOST_TARGETS = PF_MAX_LAYERS_OPENCL + 1 };

static pf_status add_target(pf_model *model, cl_mem memory, int layer, target targets[MOST_TARGETS])
{
    const struct pf_config *config = pf_model_config(model);
    if (!memory) return PF_OK;
    if (layer < 0) PF_TRY(pf_model_need_tokens(model));
    PF_CHECK(layer < pf_model_get_limits(model)->n_captured, PF_ERROR_USAGE,
             "a buffer for layer %d of the %d that the model was opened with", layer + 1,
             pf_model_get_limits(model)->n_captured);
    target *t = &targets[layer + 1];
    t->layer = layer;
    t->width = (size_t)(layer < 0 ? config->vocab_size : config->hidden_size);
    return pf_buffer_borrow(pf_model_device(model), memory, pf_opencl_bytes(memory),
                            layer < 0 ? "logits" : "layer", &t->to);
}

static pf_status copy_rows(pf_model *model, const target *t, uint64_t first, size_t count)
{
    const size_t row_bytes = t->width * sizeof(float);
    const pf_buffer *from = t->layer < 0 ? pf_model_logits(model) : pf_model_layer(model, t->layer);
    const uint64_t room = pf_buffer_bytes(t->to) / row_bytes;
    PF_CHECK(first + count <= room, PF_ERROR_USAGE,
             "%s: the buffer has room for %llu rows of %zu numbers, there are more",
             t->layer < 0 ? "logits" : "layer", (unsigned long long)room, t->width);
    return pf_buffer_copy(t->to, first * row_bytes, from, 0, count * row_bytes);
}

static pf_status run_batches(pf_model *model, const pf_rows_opencl *request,
                             const target targets[MOST_TARGETS], uint64_t *n_rows)
{
    const pf_pieces_options options = {
        .records = {.stream = request->stream, .keep_masks = true},
        .task = PF_PIECES_PLAIN,
    };
    pf_pieces *pieces = NULL;
    pf_piece_batch b;
    pf_status status;
    PF_TRY(pf_pieces_open(model, &options, &pieces));
    while ((status = pf_pieces_next(pieces, &b)) == PF_OK) {
        PF_TRY_OR(done, pf_model_forward(model, b.batch, &b.pass));
        for (int i = 0; i < MOST_TARGETS; i++)
            if (targets[i].to)
                PF_TRY_OR(done, copy_rows(model, &targets[i], *n_rows, (size_t)b.batch->n_rows));
        *n_rows += (uint64_t)b.batch->n_rows;
    }
    if (status == PF_END) status = PF_OK;
done:
    pf_pieces_close(pieces);
    return status;
}

pf_status pf_model_rows_opencl(pf_model *model, const pf_rows_opencl *request, uint64_t *n_rows)
{
    target targets[MOST_TARGETS] = {{0}};
    uint64_t rows = 0;
    pf_status status = add_target(model, request->logits, -1, targets);
    for (int i = 0; i < PF_MAX_LAYERS_OPENCL && status == PF_OK; i++)
        status = add_target(model, request->layers[i], i, targets);
    if (status == PF_OK) status = run_batches(model, request, targets, &rows);
    for (int i = 0; i < MOST_TARGETS; i++) pf_buffer_free(targets[i].to);
    if (status == PF_OK && n_rows) *n_rows = rows;
    return status;
}
