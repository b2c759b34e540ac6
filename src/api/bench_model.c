// The workload of a whole model: optimiser steps or forward passes on random sequences of one length. See
// performer/bench.h.
#include "api/bench.h"
#include "base/memory.h"
#include "base/random.h"
#include "model/files.h"
#include "model/init.h"
#include "train/trainer.h"

enum { AMINO_ACIDS = 20 };

typedef struct model_state {
    pf_model *model;
    pf_trainer *trainer; // NULL: forward passes
    pf_batch batch;
    int32_t *start, *token;
    uint64_t *number;
    int64_t step;
    double learning_rate;
} model_state;

static pf_status run_model(void *state)
{
    model_state *s = state;
    if (!s->trainer) return pf_model_forward(s->model, &s->batch, &(pf_pass){0});
    pf_trainer_result result;
    return pf_trainer_step(s->trainer,
                           &(pf_trainer_step_call){
                               .micro = &s->batch,
                               .n_micro = 1,
                               .n_targets = (uint64_t)s->batch.n_targets,
                               .step = ++s->step,
                               .learning_rate = s->learning_rate,
                           },
                           &result);
}

static void free_model(void *state)
{
    model_state *s = state;
    pf_trainer_free(s->trainer);
    pf_model_free(s->model);
    pf_free(s->start);
    pf_free(s->token);
    pf_free(s->number);
    pf_free(s);
}

static pf_status draw_batch(const pf_model_workload *what, model_state *s)
{
    const int32_t B = what->batch, rows = B * what->length;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, (size_t)B + 1, sizeof(int32_t), "batch"));
    s->start = memory;
    PF_TRY(pf_alloc(&memory, (size_t)rows, sizeof(int32_t), "batch"));
    s->token = memory;
    PF_TRY(pf_alloc(&memory, (size_t)B, sizeof(uint64_t), "batch"));
    s->number = memory;
    for (int32_t b = 0; b <= B; b++) s->start[b] = b * what->length;
    for (int32_t b = 0; b < B; b++) s->number[b] = (uint64_t)b;
    for (int32_t row = 0; row < rows; row++)
        s->token[row] = (int32_t)pf_random_below(AMINO_ACIDS, 0, PF_RANDOM_STUDY, 2, (uint64_t)row);
    s->batch = (pf_batch){
        .n_sequences = B,
        .n_rows = rows,
        .n_targets = rows,
        .longest = what->length,
        .start = s->start,
        .token = s->token,
        .target = s->token,
        .number = s->number,
    };
    return PF_OK;
}

static pf_status upload_fresh(const struct pf_config *config, pf_model *model)
{
    pf_model_arrays *arrays = NULL;
    PF_TRY(pf_model_arrays_create(config, &arrays));
    pf_status status =
        pf_init_parameters(config, arrays->parameters, 0, arrays->trained, arrays->projections);
    if (status == PF_OK) status = pf_model_upload(model, arrays->trained, arrays->projections);
    pf_model_arrays_free(arrays);
    return status;
}

static pf_status create_all(pf_device *device, const pf_model_workload *what, model_state *s)
{
    const pf_model_limits limits = {
        .max_rows = what->batch * what->length,
        .max_sequences = what->batch,
        .max_length = what->length,
        .training = what->training,
    };
    s->learning_rate = what->config->train.learning_rate;
    PF_TRY(draw_batch(what, s));
    PF_TRY(pf_model_create(device, what->config, &limits, &s->model));
    PF_TRY(upload_fresh(what->config, s->model));
    return what->training ? pf_trainer_create(s->model, &s->trainer) : PF_OK;
}

pf_status pf_workload_model(pf_device *device, const pf_model_workload *what, pf_workload **out)
{
    static const pf_workload_kind kind = {run_model, free_model};
    PF_CHECK(what->batch >= 1 && what->length >= 1 && (int64_t)what->batch * what->length <= INT32_MAX / 4,
             PF_ERROR_USAGE, "a model on %d x %d tokens: every size is at least 1, together at most %d",
             what->batch, what->length, INT32_MAX / 4);
    PF_CHECK(what->length <= what->config->max_position_embeddings, PF_ERROR_USAGE,
             "a model on sequences of %d tokens, its positions end at %d", what->length,
             what->config->max_position_embeddings);
    const uint64_t bytes = pf_device_bytes(device);
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(model_state), "workload"));
    model_state *s = memory;
    const pf_status status = create_all(device, what, s);
    if (status != PF_OK) {
        free_model(s);
        return pf_context(status, "a model on %d x %d tokens", what->batch, what->length);
    }
    const pf_workload_facts facts = {
        .tokens = (double)what->batch * what->length,
        .device_bytes = pf_device_bytes(device) - bytes,
    };
    return pf_workload_create(device, &kind, s, &facts, out);
}
