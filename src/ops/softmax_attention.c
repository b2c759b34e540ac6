// Exact softmax attention on the device. See softmax_attention.h; kernels in cl/softmax_attention.cl and
// cl/softmax_attention_backward.cl.
#include "ops/softmax_attention.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

struct pf_softmax_attention {
    pf_softmax_attention_config config;
    int32_t back, ahead; // a query sees the keys from `back` tokens before it to `ahead` after it
    float scale;
    pf_kernel *forward, *backward_query, *backward_key;
};

// Sizes of the tiles, see cl/softmax_attention.cl.
typedef struct tiles {
    int own, other;              // TQ, TK
    int score_rows, score_width; // SR, SN
    int out_rows, out_width;     // OR, ON
} tiles;

static const int head_sizes[] = {16, 32, 48, 64, 96, 128}; // programs are built for these: few, so that builds are

static int rounded_head_size(int head_size)
{
    int i = 0;
    while (head_sizes[i] < head_size) i++;
    return head_sizes[i];
}

// Local memory is what bounds these: 16 KiB to 112 KiB in the wide shape, 28 KiB at most in the narrow one.
static tiles choose_tiles(pf_shape shape, int padded, bool backward)
{
    const bool large = padded > 64;
    if (shape.work_group == 1) {
        const int own = backward && large ? 32 : 64, other = backward ? 32 : 64;
        const int vectors = padded / shape.vector, wide = vectors % 4 == 0 ? 4 : vectors % 3 == 0 ? 3 : vectors;
        const int lanes = own / shape.vector;
        return (tiles){own, other, 16 / lanes, lanes, wide < 3 ? 8 : 4, wide};
    }
    // Small register tiles, as many as there are work-items.
    if (backward) return large ? (tiles){8, 8, 1, 1, 4, 1} : (tiles){16, 16, 1, 1, padded < 64 ? 2 : 4, 1};
    if (large) return (tiles){16, 16, 1, 1, 4, padded == 128 ? 2 : 1};
    return (tiles){32, 32, 4, 1, padded < 32 ? 2 : 4, padded == 64 ? 2 : 1};
}

static pf_status create_kernel(pf_device *device, int head_size, const char *file, const char *name, pf_kernel **out)
{
    const int padded = rounded_head_size(head_size);
    const tiles t = choose_tiles(pf_device_shape(device), padded, strcmp(file, "softmax_attention") != 0);
    const pf_define defines[] = {{"EP", padded},        {"TQ", t.own},      {"TK", t.other},    {"SR", t.score_rows},
                                 {"SN", t.score_width}, {"OR", t.out_rows}, {"ON", t.out_width}};
    const pf_program_key program = {.file = file, .defines = defines, .n_defines = sizeof defines / sizeof *defines};
    return pf_kernel_create(device, &program, name, out);
}

pf_status pf_softmax_attention_create(pf_device *device, const pf_softmax_attention_config *config,
                                      pf_softmax_attention **out)
{
    static const char *const backward_file = "softmax_attention_backward";
    const int size = config->head_size;
    PF_CHECK(size >= 1 && size <= PF_MOST_HEAD_SIZE, PF_ERROR_USAGE, "head size %d; exact attention takes 1 to %d", size,
             PF_MOST_HEAD_SIZE);
    void *made = NULL;
    pf_status status;
    PF_TRY(pf_alloc(&made, 1, sizeof(pf_softmax_attention), "softmax attention"));
    pf_softmax_attention *op = made;
    op->config = *config;
    op->back = config->window ? config->window - 1 : INT32_MAX / 2;
    op->ahead = config->causal ? 0 : op->back;
    op->scale = (float)(1 / sqrt(size));
    PF_TRY_OR(failed, create_kernel(device, size, "softmax_attention", "softmax_attention_forward", &op->forward));
    if (config->has_backward) {
        PF_TRY_OR(failed, create_kernel(device, size, backward_file, "softmax_attention_backward_query",
                                        &op->backward_query));
        PF_TRY_OR(failed, create_kernel(device, size, backward_file, "softmax_attention_backward_key", &op->backward_key));
    }
    *out = op;
    return PF_OK;
failed:
    pf_softmax_attention_free(op);
    return status;
}

void pf_softmax_attention_free(pf_softmax_attention *op)
{
    if (!op) return;
    pf_kernel_free(op->forward);
    pf_kernel_free(op->backward_query);
    pf_kernel_free(op->backward_key);
    pf_free(op);
}

size_t pf_softmax_attention_log_sum_floats(const pf_softmax_attention_config *config, int32_t rows)
{
    return (size_t)rows * (size_t)config->n_heads;
}

// Pairs of a query and a key that it sees, all sequences together: what the work is proportional to.
static double count_pairs(const pf_softmax_attention *op, const pf_sequences *sequences)
{
    double pairs = 0;
    for (int32_t b = 0; b < sequences->n_sequences; b++) {
        const double length = sequences->host_sequences[b].length;
        const double back = fmin(op->back, length - 1), ahead = fmin(op->ahead, length - 1);
        pairs += length * (1 + back + ahead) - back * (back + 1) / 2 - ahead * (ahead + 1) / 2;
    }
    return pairs;
}

static pf_work work_of(const pf_softmax_attention *op, const pf_sequences *sequences, int products, int tensors)
{
    double rows = 0;
    for (int32_t b = 0; b < sequences->n_sequences; b++) rows += sequences->host_sequences[b].length;
    const double width = (double)op->config.n_heads * op->config.head_size;
    return (pf_work){.groups = {(size_t)sequences->n_blocks, (size_t)op->config.n_heads},
                     .flops = 2 * products * width * count_pairs(op, sequences),
                     .bytes = 4 * tensors * width * rows};
}

#define ROWS(r) pf_arg_int((r).stride), pf_arg_int((r).offset)

pf_status pf_softmax_attention_run(pf_softmax_attention *op, const pf_softmax_attention_forward *call)
{
    const pf_sequences *s = call->sequences;
    pf_work work = work_of(op, s, 2, 4);
    if (call->keys) work.flops = work.bytes = 0; // how many keys there are is known on the device only
    return pf_launch(op->forward, work,
                     PF_ARGS(pf_arg_buffer(call->o.buffer), pf_arg_buffer(call->log_sum ? call->log_sum : call->o.buffer),
                             pf_arg_buffer(call->q.buffer), pf_arg_buffer(call->k.buffer), pf_arg_buffer(call->v.buffer),
                             pf_arg_buffer(s->blocks), pf_arg_buffer(call->keys ? call->keys : s->sequences),
                             ROWS(call->o), ROWS(call->q), ROWS(call->k), ROWS(call->v), pf_arg_int(call->keys != NULL),
                             pf_arg_int(op->config.first_head), pf_arg_int(op->config.head_size), pf_arg_int(op->back),
                             pf_arg_int(op->ahead), pf_arg_int(call->log_sum != NULL), pf_arg_float(op->scale)));
}

pf_status pf_softmax_attention_run_backward(pf_softmax_attention *op, const pf_softmax_attention_backward *call)
{
    PF_CHECK(op->backward_query, PF_ERROR_USAGE, "softmax attention was made without its backward pass");
    const pf_sequences *s = call->sequences;
    const pf_arg first_head = pf_arg_int(op->config.first_head), size = pf_arg_int(op->config.head_size);
    const pf_arg back = pf_arg_int(op->back), ahead = pf_arg_int(op->ahead), scale = pf_arg_float(op->scale);
    PF_TRY(pf_launch(op->backward_query, work_of(op, s, 3, 6),
                     PF_ARGS(pf_arg_buffer(call->dq.buffer), pf_arg_buffer(call->delta), pf_arg_buffer(call->q.buffer),
                             pf_arg_buffer(call->k.buffer), pf_arg_buffer(call->v.buffer), pf_arg_buffer(call->o.buffer),
                             pf_arg_buffer(call->d_o.buffer), pf_arg_buffer(call->log_sum), pf_arg_buffer(s->blocks),
                             pf_arg_buffer(s->sequences), ROWS(call->dq), ROWS(call->q), ROWS(call->k), ROWS(call->v),
                             ROWS(call->o), ROWS(call->d_o), first_head, size, back, ahead, scale)));
    return pf_launch(op->backward_key, work_of(op, s, 4, 6),
                     PF_ARGS(pf_arg_buffer(call->dk.buffer), pf_arg_buffer(call->dv.buffer), pf_arg_buffer(call->q.buffer),
                             pf_arg_buffer(call->k.buffer), pf_arg_buffer(call->v.buffer), pf_arg_buffer(call->d_o.buffer),
                             pf_arg_buffer(call->log_sum), pf_arg_buffer(call->delta), pf_arg_buffer(s->blocks),
                             pf_arg_buffer(s->sequences), ROWS(call->dk), ROWS(call->dv), ROWS(call->q), ROWS(call->k),
                             ROWS(call->v), ROWS(call->d_o), first_head, size, back, ahead, scale));
}
