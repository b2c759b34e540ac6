// FAVOR attention from host arrays. See favor_case.h.
#include "ops/favor_case.h"

#include <check.h>
#include <stdlib.h>

#include "support/device.h"

enum { MOST_BUFFERS = 16 };

typedef struct buffers {
    pf_buffer *all[MOST_BUFFERS];
    int count;
} buffers;

static pf_buffer *kept(buffers *b, pf_buffer *buffer)
{
    ck_assert_int_lt(b->count, MOST_BUFFERS);
    return b->all[b->count++] = buffer;
}

static float *downloaded(const pf_rows *rows, size_t count)
{
    float *data = malloc(count * sizeof *data);
    test_download(rows->buffer, data, count);
    return data;
}

favor_result favor_case_run(const favor_case *c)
{
    const int width = c->config.n_heads * c->config.head_size, n = c->n_sequences;
    const size_t count = (size_t)c->rows * (size_t)width;
    const pf_favor_room room = {n, pf_blocks_at_most(n, c->rows), c->rows};
    buffers b = {0};
    favor_result result = {0};
    pf_favor *op = NULL;
    pf_sequences *sequences = NULL;
    must(pf_favor_create(test_device(), &c->config, &op));
    must(pf_sequences_create(test_device(), n, c->rows, &sequences));
    must(pf_sequences_set(sequences, c->first_row, c->length, n));
#define EMPTY(bytes) kept(&b, test_empty((bytes) / sizeof(float)))
#define EMPTY_ROWS ((pf_rows){EMPTY(count * sizeof(float)), width, 0})
#define UPLOAD_ROWS(x) ((pf_rows){kept(&b, test_upload(x, count)), width, 0})
    pf_favor_forward forward = {
        EMPTY_ROWS, UPLOAD_ROWS(c->q), UPLOAD_ROWS(c->k), UPLOAD_ROWS(c->v),
        .sequences = sequences,
        .state = c->config.causal ? NULL : EMPTY(pf_favor_state_bytes(&c->config, n)),
        .normalizer = EMPTY(pf_favor_normalizer_bytes(&c->config, c->rows)),
        .scratch = EMPTY(pf_favor_forward_scratch_bytes(&c->config, room)),
    };
    if (c->w)
        forward.projection =
            kept(&b, test_upload(c->w, (size_t)c->config.n_features * (size_t)c->config.head_size));
    must(pf_favor_run(op, &forward));
    result.o = downloaded(&forward.o, count);
    if (c->g) {
        const pf_favor_backward backward = {
            EMPTY_ROWS, EMPTY_ROWS, EMPTY_ROWS, UPLOAD_ROWS(c->g), forward.o, forward.q, forward.k, forward.v,
            forward.projection, sequences, forward.state, forward.normalizer,
            EMPTY(pf_favor_backward_scratch_bytes(&c->config, room)),
        };
        must(pf_favor_run_backward(op, &backward));
        result.dq = downloaded(&backward.dq, count);
        result.dk = downloaded(&backward.dk, count);
        result.dv = downloaded(&backward.dv, count);
    }
    for (int i = 0; i < b.count; i++) pf_buffer_free(b.all[i]);
    pf_sequences_free(sequences);
    pf_favor_free(op);
    return result;
}

void favor_result_free(favor_result *result)
{
    free(result->o), free(result->dq), free(result->dk), free(result->dv);
    *result = (favor_result){0};
}
