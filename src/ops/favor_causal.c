// Causal FAVOR attention on the host. See favor.h; kernels in cl/favor_causal.cl, cl/favor_causal_backward.cl.
//
// A group walks one head of one sequence from one end to the other: heads and sequences are the parallel
// work. Scratch: packed W; the state of each sequence and head, unless the caller carries it; and for
// exponential features (softmax kernels, exp) the exponents of a chunk of queries and keys each.
#include "ops/favor_parts.h"

#include <string.h>

enum { FORWARD };    // op->forward
enum { QUERY, KEY }; // op->backward

// The backward pass has so many tiles that a GPU's local memory holds 16 features at a time.
enum { NARROW_BACKWARD_SLICE = 16 };

enum { MOST_CHUNK = 32 }; // tokens of a chunk on any device, at most

static pf_status create_backward(pf_favor *op, const char *name, pf_kernel **out)
{
    pf_define defines[PF_FAVOR_DEFINES];
    for (int i = 0; i < op->n_defines; i++) {
        defines[i] = op->defines[i];
        if (strcmp(defines[i].name, "FP") == 0 && pf_device_shape(op->device).work_group > 1)
            defines[i].value = NARROW_BACKWARD_SLICE;
    }
    const pf_program_key program = {.file = "favor_causal_backward", .defines = defines, .n_defines = op->n_defines};
    return pf_kernel_create(op->device, &program, name, out);
}

pf_status pf_favor_causal_create(pf_favor *op)
{
    PF_TRY(pf_favor_kernel_create(op, "favor_causal", "favor_causal", &op->forward[FORWARD]));
    if (!op->config.trains) return PF_OK;
    PF_TRY(create_backward(op, "favor_causal_backward_query", &op->backward[QUERY]));
    return create_backward(op, "favor_causal_backward_key", &op->backward[KEY]);
}

size_t pf_favor_causal_scratch_bytes(const pf_favor_config *config, pf_favor_room room, bool backward)
{
    (void)backward; // both sweeps use the same states, one after the other
    size_t each = pf_favor_state_floats(config);
    if (pf_favor_is_exponential(config->kernel)) each += 2 * (size_t)pf_favor_tiles_of(config).features * MOST_CHUNK;
    const size_t heads = (size_t)room.sequences * (size_t)config->n_heads;
    return (pf_favor_packed_floats(config) + heads * each) * sizeof(float);
}

// One launch over all heads and sequences that makes so many products of rows, features and head size.
static pf_work work_of(const pf_favor *op, const pf_sequences *sequences, double products)
{
    double rows = 0;
    for (int b = 0; b < sequences->n_sequences; b++) rows += sequences->host_sequences[b].length;
    const double heads = op->config.n_heads;
    return (pf_work){
        .groups = {(size_t)op->config.n_heads, (size_t)sequences->n_sequences},
        .flops = 2 * products * rows * heads * op->config.head_size * pf_favor_feature_rows(&op->config),
    };
}

// The three arguments of rows whose first column is that of the operation's first head.
#define ROWS(rows)                                           \
    pf_arg_buffer((rows).buffer), pf_arg_int((rows).stride), \
        pf_arg_int((rows).offset + op->config.first_head * op->config.head_size)

// Where states and exponents of a call lie in its scratch buffer, in floats.
typedef struct layout {
    int state, exponents;
} layout;

static layout layout_of(const pf_favor *op, const pf_sequences *sequences)
{
    const size_t state = pf_favor_packed_floats(&op->config);
    const size_t heads = (size_t)sequences->n_sequences * (size_t)op->config.n_heads;
    return (layout){(int)state, (int)(state + heads * pf_favor_state_floats(&op->config))};
}

pf_status pf_favor_causal_run(pf_favor *op, const pf_favor_forward *call)
{
    PF_CHECK(call->state || !call->resume, PF_ERROR_USAGE, "FAVOR attention: a state to resume from is missing");
    PF_TRY(pf_favor_pack(op, call->projection, call->scratch));
    const layout at = layout_of(op, call->sequences);
    const pf_arg scratch = pf_arg_buffer(call->scratch);
    return pf_launch(op->forward[FORWARD], work_of(op, call->sequences, 4),
                     PF_ARGS(ROWS(call->o), pf_arg_buffer(call->normalizer),
                             call->state ? pf_arg_buffer(call->state) : scratch, pf_arg_int(call->state ? 0 : at.state),
                             scratch, pf_arg_int(at.exponents), pf_arg_int(call->resume),
                             pf_arg_buffer(call->sequences->sequences), scratch, ROWS(call->q), ROWS(call->k),
                             ROWS(call->v), pf_arg_float(op->config.epsilon),
                             pf_arg_float(pf_favor_log_constant(&op->config))));
}

pf_status pf_favor_causal_run_backward(pf_favor *op, const pf_favor_backward *call)
{
    PF_TRY(pf_favor_pack(op, call->projection, call->scratch));
    const layout at = layout_of(op, call->sequences);
    const pf_arg scratch = pf_arg_buffer(call->scratch), state = pf_arg_int(at.state);
    const pf_arg exponents = pf_arg_int(at.exponents), sequences = pf_arg_buffer(call->sequences->sequences);
    const pf_arg epsilon = pf_arg_float(op->config.epsilon);
    const pf_arg log_constant = pf_arg_float(pf_favor_log_constant(&op->config));
#define HEAD_ARGUMENTS                                                                                             \
    scratch, state, scratch, exponents, sequences, scratch, ROWS(call->gradient), ROWS(call->o),                   \
        pf_arg_buffer(call->normalizer), ROWS(call->q), ROWS(call->k), ROWS(call->v), epsilon, log_constant
    PF_TRY(pf_launch(op->backward[QUERY], work_of(op, call->sequences, 3), PF_ARGS(ROWS(call->dq), HEAD_ARGUMENTS)));
    return pf_launch(op->backward[KEY], work_of(op, call->sequences, 5),
                     PF_ARGS(ROWS(call->dk), ROWS(call->dv), HEAD_ARGUMENTS));
}
