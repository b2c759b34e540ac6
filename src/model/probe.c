// A layer's attention over other values than its own. See performer.h.
#include "model/parts.h"

pf_status pf_probe_create(pf_model *m)
{
    if (!m->limits.probe) return PF_OK;
    const size_t values = m->plan.attended, projection = m->plan.probe - values;
    PF_TRY(pf_buffer_create(m->device, values, "values of a probe", &m->probe_values));
    if (projection == 0) return PF_OK;
    return pf_buffer_create(m->device, projection, "projection of a probe", &m->probe_projection);
}

void pf_probe_free(pf_model *m)
{
    pf_buffer_free(m->probe_values);
    pf_buffer_free(m->probe_projection);
}

pf_status pf_model_probe(pf_model *m, const pf_probe *probe)
{
    const size_t bytes = (size_t)m->input.n_rows * (size_t)m->config.hidden_size * sizeof(float);
    const bool is_redrawn = probe->projection && pf_config_has_projection(&m->config, probe->layer);
    const pf_buffer *projection = is_redrawn ? m->probe_projection : NULL;
    PF_CHECK(m->limits.probe, PF_ERROR_USAGE, "the model was not made to have its attention probed");
    if (is_redrawn)
        PF_TRY(
            pf_buffer_write(m->probe_projection, 0, probe->projection, pf_buffer_bytes(m->probe_projection)));
    PF_TRY(pf_buffer_write(m->probe_values, 0, probe->values, bytes));
    // The layer's own o may go: the stream has taken it in.
    PF_TRY(pf_attention_forward_of(m, probe->layer, m->probe_values, projection));
    return pf_buffer_read(pf_kept(m, probe->layer)->attended, 0, probe->out, bytes);
}
