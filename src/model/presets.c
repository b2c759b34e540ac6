// The built-in configurations. Sizes follow ESM-2 (Lin et al. 2022) and, for `paper`, the protein
// model of Choromanski et al. 2020 (arXiv:2009.14794, appendix); all have heads of 64.
#include <string.h>

#include "base/status.h"
#include "performer/config.h"

typedef struct preset {
    const char *name, *summary, *text;
} preset;

// Rotary positions: no table to learn, and no worse at lengths that training saw rarely. No dropout:
// one pass over many proteins does not overfit models of these sizes.
static const preset presets[] = {
    {"tiny", "0.8 M parameters, length 512: minutes on two cores",
     "{\"hidden_size\": 128, \"num_hidden_layers\": 4, \"num_attention_heads\": 2, \"intermediate_size\": 512,"
     " \"max_position_embeddings\": 512, \"position_embedding_type\": \"rotary\", \"hidden_dropout\": 0,"
     " \"attention\": {\"local_heads\": 1, \"window\": 32},"
     " \"train\": {\"steps\": 1200, \"eval_interval\": 300, \"checkpoint_interval\": 300,"
     " \"batch_tokens\": 4096, \"learning_rate\": 2e-3, \"warmup_steps\": 100,"
     " \"schedule\": \"cosine\"}}"},
    {"small", "7.4 M parameters, length 1,024, the size of ESM-2 8M: the GPU of a laptop",
     "{\"hidden_size\": 320, \"num_hidden_layers\": 6, \"num_attention_heads\": 5, \"intermediate_size\": 1280,"
     " \"max_position_embeddings\": 1024, \"position_embedding_type\": \"rotary\", \"hidden_dropout\": 0,"
     " \"train\": {\"steps\": 50000, \"batch_tokens\": 16384, \"learning_rate\": 1e-3, \"warmup_steps\": 1000,"
     " \"schedule\": \"cosine\"}}"},
    {"base", "38 M parameters, length 1,024, the size of ESM-2 35M: a GPU of 8 GB and more",
     "{\"hidden_size\": 512, \"num_hidden_layers\": 12, \"num_attention_heads\": 8, \"intermediate_size\": 2048,"
     " \"max_position_embeddings\": 1024, \"position_embedding_type\": \"rotary\", \"hidden_dropout\": 0,"
     " \"train\": {\"steps\": 100000, \"batch_tokens\": 65536, \"micro_batch_tokens\": 16384,"
     " \"learning_rate\": 6e-4, \"warmup_steps\": 2000, \"schedule\": \"cosine\"}}"},
    {"large", "148 M parameters, length 2,048, the size of ESM-2 150M: one GPU of 80 GB",
     "{\"hidden_size\": 640, \"num_hidden_layers\": 30, \"num_attention_heads\": 10, \"intermediate_size\": 2560,"
     " \"max_position_embeddings\": 2048, \"position_embedding_type\": \"rotary\", \"hidden_dropout\": 0,"
     " \"train\": {\"steps\": 200000, \"batch_tokens\": 262144, \"micro_batch_tokens\": 32768,"
     " \"learning_rate\": 4e-4, \"warmup_steps\": 2000, \"schedule\": \"cosine\"}}"},
    {"paper", "76 M parameters, length 1,024: the protein model of the Performer paper",
     "{\"hidden_size\": 512, \"num_hidden_layers\": 36, \"num_attention_heads\": 8, \"intermediate_size\": 1024,"
     " \"max_position_embeddings\": 1024, \"position_embedding_type\": \"learned\", \"hidden_dropout\": 0.1,"
     " \"train\": {\"steps\": 100000, \"batch_tokens\": 65536, \"micro_batch_tokens\": 16384,"
     " \"learning_rate\": 1e-3}}"},
};

enum { PRESETS = sizeof presets / sizeof *presets };

const char *pf_preset_name(int i)
{
    return i >= 0 && i < PRESETS ? presets[i].name : NULL;
}

const char *pf_preset_summary(int i)
{
    return i >= 0 && i < PRESETS ? presets[i].summary : NULL;
}

const char *pf_preset_text(int i)
{
    return i >= 0 && i < PRESETS ? presets[i].text : NULL;
}

pf_status pf_config_preset(struct pf_config *config, const char *name)
{
    for (int i = 0; i < PRESETS; i++)
        if (strcmp(name, presets[i].name) == 0)
            return pf_config_read(config, presets[i].text, strlen(presets[i].text), name, PF_CONFIG_USER);
    return pf_fail(PF_ERROR_USAGE, "preset %.80s is not known, expected tiny, small, base, large or paper", name);
}
