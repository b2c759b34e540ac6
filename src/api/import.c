// A model of another program becomes a model directory. See performer/import.h.
#include "performer/import.h"

#include <string.h>

#include "api/convert.h"
#include "base/memory.h"
#include "model/init.h"

// Whether a model with this configuration can be opened again: a foreign one may have numbers out of range.
static pf_status check_ranges(const struct pf_config *config)
{
    struct pf_config back;
    char *text = NULL;
    pf_config_default(&back);
    PF_TRY(pf_config_write(config, PF_CONFIG_MODEL_KEYS, &text));
    const pf_status status = pf_config_read(&back, text, strlen(text), "config.json", PF_CONFIG_MODEL);
    pf_free(text);
    return status;
}

static pf_status configure(pf_import_job *job, const pf_import_options *o, struct pf_config *config)
{
    pf_config_default(config);
    PF_TRY(pf_import_config(job, o->tokens, config));
    for (int i = 0; i < o->n_settings; i++) PF_TRY(pf_config_set(config, o->settings[i]));
    // Of the feature map that was assumed; no other has it.
    if (job->kind == PF_FAMILY_PERFORMER_PYTORCH &&
        config->attention.softmax_epsilon == PF_PERFORMER_PYTORCH_EPSILON &&
        (config->attention.kernel != PF_FAVOR_SOFTMAX || config->objective == PF_OBJECTIVE_CLM))
        config->attention.softmax_epsilon = 0;
    const pf_status status = pf_config_finish(config, o->n_settings ? PF_CONFIG_USER : PF_CONFIG_MODEL);
    PF_TRY(pf_context(status, "%s", job->source->path));
    PF_TRY(pf_context(check_ranges(config), "%s", job->source->path));
    const bool is_softmax =
        job->kind == PF_FAMILY_PERFORMER_PYTORCH && config->attention.kernel == PF_FAVOR_SOFTMAX;
    // There the past of a causal model depends on its future: keys are scaled by the largest of the whole
    // sequence.
    if (is_softmax && config->objective == PF_OBJECTIVE_CLM)
        return pf_text_add(
            &job->notes,
            "performer-pytorch adds 1e-4 to each softmax feature relative to the largest of all keys, also "
            "of those to come, and this program adds nothing where a model is causal: results differ until "
            "the model is trained on\n");
    return PF_OK;
}

// "import of esm2_t6_8M_UR50D (esm)", unless the file says where it came from itself.
static pf_status set_source(const pf_import_job *job, pf_model_arrays *model)
{
    pf_text text = {0};
    if (job->source->origin) return pf_model_arrays_set_source(model, job->source->origin);
    size_t length = strlen(job->source->path);
    while (length > 1 && job->source->path[length - 1] == '/') length--;
    size_t begin = length;
    while (begin > 0 && job->source->path[begin - 1] != '/') begin--;
    pf_status status = pf_text_add(&text, "import of ");
    char quoted[PF_QUOTE_BYTES];
    pf_quote(quoted, job->source->path + begin, length - begin);
    if (status == PF_OK) status = pf_text_add(&text, "%s (%s)", quoted, job->family->name);
    if (status == PF_OK) status = pf_model_arrays_set_source(model, text.data);
    pf_text_free(&text);
    return status;
}

static pf_status note_not_finite(pf_import_job *job, const pf_model_arrays *model)
{
    if (model->n_not_finite == 0) return PF_OK;
    const bool is_one = model->n_not_finite == 1;
    return pf_text_add(&job->notes, "%llu number%s NaN or infinite, %sin tensor %s: results will be, too\n",
                       (unsigned long long)model->n_not_finite, is_one ? " is" : "s are",
                       is_one ? "" : "the first ", model->not_finite->name);
}

static pf_status import(pf_import_job *job, const pf_import_options *o, const char *directory)
{
    struct pf_config config;
    pf_model_arrays *model = NULL;
    pf_status status;
    PF_TRY(configure(job, o, &config));
    PF_TRY_OR(done, pf_model_arrays_create(&config, &model));
    PF_TRY_OR(done,
              pf_init_parameters(&config, model->parameters, o->seed, model->trained, model->projections));
    for (int i = 0; i < model->parameters->n_tensors; i++) {
        const pf_parameter *tensor = &model->parameters->tensor[i];
        if (tensor->is_trained) memset(model->trained + tensor->offset, 0, tensor->count * sizeof(float));
    }
    PF_TRY_OR(done, pf_import_tensors(job, model));
    PF_TRY_OR(done, note_not_finite(job, model));
    PF_TRY_OR(done, set_source(job, model));
    PF_TRY_OR(done, pf_model_save(directory, model, PF_CONFIG_MODEL_KEYS, NULL));
done:
    pf_model_arrays_free(model);
    return status;
}

pf_status pf_import(const char *source, const pf_import_options *options, const char *directory, char **notes)
{
    pf_source files;
    PF_TRY(pf_source_open(source, &files));
    pf_import_job job = {.source = &files};
    const pf_status status = import(&job, options, directory);
    if (notes) *notes = NULL;
    if (job.notes.length) job.notes.data[job.notes.length - 1] = '\0'; // the last line's end
    if (status == PF_OK && notes)
        *notes = job.notes.data;
    else
        pf_text_free(&job.notes);
    pf_source_close(&files);
    return status;
}
