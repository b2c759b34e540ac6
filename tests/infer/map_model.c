// Models with heads of every kind. See map_model.h.
#include "infer/map_model.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/init.h"
#include "support/device.h"
#include "support/suite.h"
#include "support/temporary.h"

enum { SETTINGS = 3 };

static const char *const kinds[KINDS][SETTINGS] = {
    {"objective=mlm", "attention.type=softmax", "position_embedding_type=learned"},
    {"objective=clm", "attention.type=softmax", "position_embedding_type=rotary"},
    {"objective=mlm", "attention.kernel=relu", "position_embedding_type=rotary"},
    {"objective=clm", "attention.kernel=relu", "attention.local_heads=1"},
    {"objective=mlm", "attention.kernel=softmax_hyperbolic", "attention.local_heads=1"},
    {"objective=clm", "attention.kernel=softmax", "position_embedding_type=learned"},
    {"objective=mlm", "attention.projection=none", "attention.kernel=elu1"},
};

pf_model *map_model(int kind, int32_t rows)
{
    return map_model_with(kind, rows, "attention.num_features=20");
}

pf_model *map_model_with(int kind, int32_t rows, const char *setting)
{
    static const char *const sizes[] = {"hidden_size=24",        "num_hidden_layers=2",
                                        "num_attention_heads=2", "attention.window=5",
                                        "intermediate_size=32",  "max_position_embeddings=120"};
    const pf_model_limits limits = {.max_rows = rows, .max_sequences = 2, .max_length = 120, .probe = true};
    struct pf_config config;
    pf_model *model = NULL;
    pf_config_default(&config);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) must(pf_config_set(&config, sizes[i]));
    for (int i = 0; i < SETTINGS; i++) must(pf_config_set(&config, kinds[kind][i]));
    must(pf_config_set(&config, setting));
    must(pf_config_finish(&config, PF_CONFIG_USER));
    must(pf_model_create(test_device(), &config, &limits, &model));
    const pf_parameters *params = pf_model_params(model);
    float *trained = calloc(params->trained_size, sizeof *trained);
    float *projections = calloc(params->projections_size + 1, sizeof *projections);
    must(pf_init_parameters(&config, params, 5, trained, projections));
    // Fresh queries and keys are so small that every map is nearly even.
    for (int l = 0; l < LAYERS; l++)
        for (size_t i = 0; i < 2 * D * D; i++) trained[params->layer[l].qkv_weight + i] *= 3;
    must(pf_model_upload(model, trained, projections));
    free(trained);
    free(projections);
    return model;
}

const char *map_fasta(const char *text)
{
    const char *path = temporary("in.fasta");
    must(pf_write_file(path, text, strlen(text), NULL));
    return path;
}
