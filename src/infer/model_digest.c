// The digest of a model. See model_digest.h.
#include "infer/model_digest.h"

#include "base/memory.h"
#include "base/text.h"

static pf_status add_array(pf_text *text, const float *numbers, size_t count)
{
    const pf_digest digest = pf_digest_of(numbers, count * sizeof *numbers);
    return pf_text_add_bytes(text, &digest, sizeof digest);
}

pf_status pf_model_digest(pf_model *model, pf_digest *out)
{
    const pf_parameters *p = pf_model_params(model);
    pf_text text = {0};
    char *config = NULL;
    void *trained = NULL, *projections = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_alloc(&trained, p->parameters_size, sizeof(float), "parameters"));
    PF_TRY_OR(done, pf_alloc(&projections, p->projections_size, sizeof(float), "projections"));
    PF_TRY_OR(done, pf_model_download(model, trained, projections));
    PF_TRY_OR(done, add_array(&text, trained, p->parameters_size));
    PF_TRY_OR(done, add_array(&text, projections, p->projections_size));
    PF_TRY_OR(done, pf_config_write(pf_model_config(model), PF_CONFIG_MODEL_KEYS, &config));
    PF_TRY_OR(done, pf_text_add(&text, "%s", config));
    *out = pf_digest_of(text.data, text.length);
done:
    pf_release(config);
    pf_free(trained);
    pf_free(projections);
    pf_text_free(&text);
    return status;
}
