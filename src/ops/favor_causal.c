// Causal FAVOR attention on the host. See favor.h.
#include "ops/favor_parts.h"

pf_status pf_favor_causal_create(pf_favor *op)
{
    (void)op;
    return pf_fail(PF_ERROR_USAGE, "causal FAVOR attention is not there yet");
}

size_t pf_favor_causal_scratch_bytes(const pf_favor_config *config, pf_favor_room room, bool backward)
{
    (void)room, (void)backward;
    return pf_favor_packed_floats(config) * sizeof(float);
}

pf_status pf_favor_causal_run(pf_favor *op, const pf_favor_forward *call)
{
    return pf_favor_pack(op, call->projection, call->scratch);
}

pf_status pf_favor_causal_run_backward(pf_favor *op, const pf_favor_backward *call)
{
    return pf_favor_pack(op, call->projection, call->scratch);
}
