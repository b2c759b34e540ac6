// One optimiser step: gradients of all micro-batches, their norm, clipping, AdamW (Loshchilov and
// Hutter, arXiv:1711.05101). See trainer.h.
#include "train/trainer.h"

#include <math.h>

#include "base/memory.h"
#include "model/params.h"
#include "ops/adamw.h"
#include "ops/global_norm.h"
#include "train/rates.h"

struct pf_trainer {
    pf_model *model;
    pf_buffer *m, *v;
    pf_global_norm *norm;
    pf_adamw *adamw;
    pf_rates rates;
    pf_buffer *rate; // of blocks of numbers; NULL: all alike
};

static size_t count(const pf_trainer *t)
{
    return pf_model_params(t->model)->trained_size;
}

static pf_status clear_moments(pf_trainer *t)
{
    const size_t bytes = count(t) * sizeof(float);
    PF_TRY(pf_buffer_zero(t->m, 0, bytes));
    return pf_buffer_zero(t->v, 0, bytes);
}

// Frozen layers at the bottom cost no backward pass.
static pf_status create_rates(pf_trainer *t)
{
    PF_TRY(pf_rates_create(pf_model_config(t->model), pf_model_params(t->model), &t->rates));
    pf_model_train_from(t->model, t->rates.lowest);
    if (!t->rates.rate) return PF_OK;
    const size_t bytes = t->rates.count * sizeof(float);
    PF_TRY(pf_buffer_create(pf_model_device(t->model), bytes, "learning rates", &t->rate));
    return pf_buffer_write(t->rate, 0, t->rates.rate, bytes);
}

pf_status pf_trainer_create(pf_model *model, pf_trainer **out)
{
    pf_status status;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_trainer), "trainer"));
    pf_trainer *t = memory;
    t->model = model;
    pf_device *device = pf_model_device(model);
    const size_t bytes = count(t) * sizeof(float);
    PF_TRY_OR(failed, pf_buffer_create(device, bytes, "optimiser moments", &t->m));
    PF_TRY_OR(failed, pf_buffer_create(device, bytes, "optimiser moments", &t->v));
    PF_TRY_OR(failed, pf_global_norm_create(device, (int64_t)count(t), &t->norm));
    PF_TRY_OR(failed, pf_adamw_create(device, &t->adamw));
    PF_TRY_OR(failed, clear_moments(t));
    PF_TRY_OR(failed, create_rates(t));
    *out = t;
    return PF_OK;
failed:
    pf_trainer_free(t);
    return status;
}

void pf_trainer_free(pf_trainer *t)
{
    if (!t) return;
    pf_adamw_free(t->adamw);
    pf_global_norm_free(t->norm);
    pf_buffer_free(t->m);
    pf_buffer_free(t->v);
    pf_buffer_free(t->rate);
    pf_rates_free(&t->rates);
    pf_free(t);
}

pf_status pf_trainer_upload(pf_trainer *t, pf_moment_range range, const float *numbers)
{
    return pf_buffer_write(range.moment == PF_MOMENT_M ? t->m : t->v, range.first * sizeof *numbers, numbers,
                           range.count * sizeof *numbers);
}

pf_status pf_trainer_download(const pf_trainer *t, pf_moment_range range, float *numbers)
{
    return pf_buffer_read(range.moment == PF_MOMENT_M ? t->m : t->v, range.first * sizeof *numbers, numbers,
                          range.count * sizeof *numbers);
}

static pf_status accumulate(pf_trainer *t, const pf_trainer_step_call *call)
{
    const struct pf_config *c = pf_model_config(t->model);
    const pf_pass pass = {
        .dropout = c->hidden_dropout > 0, .seed = (uint64_t)c->train.seed, .step = (uint64_t)call->step};
    const float scale =
        call->n_targets ? (float)(1.0 / (double)call->n_targets) : 0.0f; // no target: gradient 0
    PF_TRY(pf_model_clear_gradients(t->model));
    PF_TRY(pf_model_clear_metrics(t->model));
    for (size_t i = 0; i < call->n_micro; i++) {
        PF_TRY(pf_model_forward(t->model, &call->micro[i], &pass));
        PF_TRY(pf_model_loss(t->model, scale));
        PF_TRY(pf_model_backward(t->model));
    }
    return PF_OK;
}

static pf_status clear_run(void *gradients, size_t begin, size_t end)
{
    return pf_buffer_zero(gradients, begin * sizeof(float), (end - begin) * sizeof(float));
}

static pf_status update(pf_trainer *t, const pf_trainer_step_call *call)
{
    const struct pf_config *c = pf_model_config(t->model);
    const pf_parameters *params = pf_model_params(t->model);
    // What is frozen has no part in the norm that clips the others.
    PF_TRY(pf_rates_for_each_frozen(&t->rates, count(t), clear_run, pf_model_gradients(t->model)));
    PF_TRY(pf_global_norm_run(t->norm, pf_model_gradients(t->model), (int64_t)count(t),
                              (float)c->train.clip_norm));
    return pf_adamw_run(t->adamw, &(pf_adamw_call){
                                      .p = pf_model_parameters(t->model),
                                      .gradient = pf_model_gradients(t->model),
                                      .m = t->m,
                                      .v = t->v,
                                      .norm = pf_global_norm_result(t->norm),
                                      .count = (int64_t)params->trained_size,
                                      .n_decay = (int64_t)params->decayed_size,
                                      .step = call->step,
                                      .lr = call->learning_rate,
                                      .decay = c->train.weight_decay,
                                      .b1 = 0.9,
                                      .b2 = 0.98,
                                      .eps = 1e-9,
                                      .rate = t->rate,
                                  });
}

static const char *tensor_at(const pf_parameters *parameters, size_t index)
{
    for (int i = 0; i < parameters->n_tensors; i++) {
        const pf_parameter *p = &parameters->tensor[i];
        if (p->is_trained && !p->is_frozen && index >= p->offset && index - p->offset < p->count)
            return p->name;
    }
    return NULL;
}

// Names what is not finite: the loss, or the tensor that holds the first such gradient.
static pf_status fail_not_finite(pf_trainer *t, double loss)
{
    if (!isfinite(loss)) return pf_fail(PF_ERROR_NUMERICAL, "the loss is %g; no update was made", loss);
    int64_t index = -1;
    PF_TRY(pf_global_norm_find_bad(t->norm, pf_model_gradients(t->model), (int64_t)count(t), &index));
    const char *name = index < 0 ? NULL : tensor_at(pf_model_params(t->model), (size_t)index);
    return pf_fail(PF_ERROR_NUMERICAL, "the gradient of %s is not finite; no update was made",
                   name ? name : "all tensors together");
}

pf_status pf_trainer_step(pf_trainer *t, const pf_trainer_step_call *call, pf_trainer_result *out)
{
    pf_metrics metrics;
    pf_norm_result norm;
    PF_TRY(accumulate(t, call));
    PF_TRY(update(t, call));
    PF_TRY(pf_model_read_metrics(t->model, &metrics));
    PF_TRY(pf_global_norm_read(t->norm, &norm));
    const double loss = call->n_targets ? metrics.loss / (double)call->n_targets : 0;
    if (!isfinite(loss) || !norm.finite) return fail_not_finite(t, loss);
    *out = (pf_trainer_result){.loss = loss, .grad_norm = (double)norm.norm};
    return PF_OK;
}
