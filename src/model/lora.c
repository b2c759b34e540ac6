// Which matrices have adapters. See lora.h.
#include "model/lora.h"

#include <stdio.h>
#include <string.h>

#include "base/patterns.h"
#include "base/status.h"
#include "base/text.h"

enum { NAME_BYTES = 64 };

#define NAMES(module)                                                                                        \
    {                                                                                                        \
        module, module ".lora_down.weight", module ".lora_up.weight"                                         \
    }
static const pf_lora_names modules[PF_LORA_TARGETS] = {
    NAMES("attention.query"),  NAMES("attention.key"),   NAMES("attention.value"),
    NAMES("attention.output"), NAMES("feed_forward.up"), NAMES("feed_forward.down"),
};

const pf_lora_names *pf_lora_names_of(int target)
{
    return &modules[target];
}

pf_lora_shape pf_lora_shape_of(const struct pf_config *config, int target)
{
    const int D = config->hidden_size, F = config->intermediate_size;
    if (target == PF_LORA_UP) return (pf_lora_shape){.out = F, .in = D};
    if (target == PF_LORA_DOWN) return (pf_lora_shape){.out = D, .in = F};
    return (pf_lora_shape){.out = D, .in = D};
}

// "query", or "layers.3.attention.query" for those who want some layers only.
static bool names(const char *patterns, int layer, int target)
{
    char full[NAME_BYTES];
    snprintf(full, sizeof full, "layers.%d.%s", layer, modules[target].module);
    return pf_patterns_match(patterns, strchr(modules[target].module, '.') + 1) ||
           pf_patterns_match(patterns, full);
}

bool pf_lora_has(const struct pf_config *config, int layer, int target)
{
    return config->lora.rank > 0 && names(config->lora.targets, layer, target);
}

bool pf_lora_is_target(const struct pf_config *config, int layer, const char *tensor)
{
    char full[NAME_BYTES];
    for (int target = 0; layer >= 0 && target < PF_LORA_TARGETS; target++) {
        snprintf(full, sizeof full, "layers.%d.%s.weight", layer, modules[target].module);
        if (strcmp(tensor, full) == 0) return pf_lora_has(config, layer, target);
    }
    return false;
}

static bool is_used(const struct pf_config *config, const char *pattern)
{
    for (int layer = 0; layer < config->num_hidden_layers; layer++)
        for (int target = 0; target < PF_LORA_TARGETS; target++)
            if (names(pattern, layer, target)) return true;
    return false;
}

pf_status pf_lora_check(const struct pf_config *config, pf_status code)
{
    const struct pf_lora_config *lora = &config->lora;
    char pattern[PF_PATTERNS_BYTES], quoted[PF_QUOTE_BYTES];
    PF_CHECK(lora->rank > 0 || !lora->targets[0], code, "lora.targets has no meaning while lora.rank is 0");
    PF_CHECK(lora->rank > 0 || !lora->also[0], code, "lora.also has no meaning while lora.rank is 0");
    for (const char *list = lora->targets; pf_patterns_next(&list, pattern, sizeof pattern);)
        PF_CHECK(is_used(config, pattern), code,
                 "lora.targets: %s is no matrix; expected query, key, value, output, up, down, a pattern of "
                 "these, "
                 "or of names with their layers, as in layers.0.%s",
                 pf_quote(quoted, pattern, strlen(pattern)), modules[0].module);
    return PF_OK;
}
