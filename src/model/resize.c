// Other limits for a model that has its weights already. See performer.h.
#include "model/parts.h"

#include "base/memory.h"

// The weights go by way of the host: they are small beside what a larger batch takes.
static pf_status move_weights(pf_model *from, pf_model *to)
{
    pf_status status;
    void *parameters = NULL, *projections = NULL;
    PF_TRY_OR(done, pf_alloc(&parameters, from->params->parameters_size, sizeof(float), "parameters"));
    PF_TRY_OR(done, pf_alloc(&projections, from->params->projections_size, sizeof(float), "projections"));
    PF_TRY_OR(done, pf_model_download(from, parameters, projections));
    PF_TRY_OR(done, pf_model_upload(to, parameters, projections));
done:
    pf_free(parameters);
    pf_free(projections);
    return status;
}

pf_status pf_model_resize(pf_model *model, const pf_model_limits *limits)
{
    pf_model *other = NULL;
    PF_TRY(pf_model_create(model->device, &model->config, limits, &other));
    const pf_status status = move_weights(model, other);
    if (status == PF_OK) {
        const pf_model old = *model;
        *model = *other;
        *other = old;
    }
    pf_model_free(other);
    return status;
}
