// State dicts of performer-pytorch: no configuration, so sizes come from the shapes of tensors. What shapes
// do not say (the kernel, whether it is causal) is for settings. See convert.h.
#include <stdio.h>
#include <string.h>

#include "api/convert.h"

#define FIRST "performer.net.layers.0."

static const pf_source_tensor *find(pf_source *s, const char *name)
{
    return pf_source_find(s, name);
}

static pf_status need_matrix(const pf_import_job *job, const char *name, const pf_tensor_info **out)
{
    const pf_source_tensor *t = find(job->source, name);
    PF_CHECK(t && t->info->rank == 2 && t->info->shape[0] <= INT32_MAX && t->info->shape[1] <= INT32_MAX,
             PF_ERROR_INPUT,
             "%s: no matrix %s; expected config.json beside it, or the state dict of a PerformerLM",
             job->source->path, name);
    *out = t->info;
    return PF_OK;
}

static pf_status read_layers(const pf_import_job *job, struct pf_config *config)
{
    char name[PF_FOREIGN_NAME];
    const pf_tensor_info *query = NULL, *up = NULL, *down = NULL, *projection = NULL;
    const int D = config->hidden_size;
    PF_TRY(need_matrix(job, FIRST "0.fn.to_q.weight", &query));
    PF_TRY(need_matrix(job, FIRST "1.fn.fn.w1.weight", &up));
    PF_TRY(need_matrix(job, FIRST "1.fn.fn.w2.weight", &down));
    PF_TRY(need_matrix(job, FIRST "0.fn.fast_attention.projection_matrix", &projection));
    PF_CHECK(up->shape[0] == down->shape[1], PF_ERROR_INPUT,
             "%s: tensor %s has %llu rows, expected %llu: no ff_glu", job->source->path, up->name,
             (unsigned long long)up->shape[0], (unsigned long long)down->shape[1]);
    PF_CHECK(query->shape[0] == (uint64_t)D, PF_ERROR_INPUT,
             "%s: tensor %s has %llu rows, expected %d: heads that together are as wide as the model",
             job->source->path, query->name, (unsigned long long)query->shape[0], D);
    PF_CHECK(projection->shape[1] > 0 && (uint64_t)D % projection->shape[1] == 0, PF_ERROR_INPUT,
             "%s: tensor %s has %llu columns, expected a divisor of %d", job->source->path, projection->name,
             (unsigned long long)projection->shape[1], D);
    config->intermediate_size = (int32_t)up->shape[0];
    config->num_attention_heads = (int32_t)((uint64_t)D / projection->shape[1]);
    config->attention.num_features = (int32_t)projection->shape[0];
    for (;; config->num_hidden_layers++) {
        snprintf(name, sizeof name, "performer.net.layers.%d.0.fn.to_q.weight", config->num_hidden_layers);
        if (!find(job->source, name)) return PF_OK;
    }
}

static pf_status read_positions(const pf_import_job *job, struct pf_config *config)
{
    const pf_source_tensor *learned = find(job->source, "pos_emb.emb.weight"),
                           *fixed = find(job->source, "pos_emb.emb"),
                           *rotary = find(job->source, "layer_pos_emb.emb"),
                           *table = learned ? learned : fixed;
    PF_CHECK(table && table->info->rank == 2 && table->info->shape[0] <= INT32_MAX, PF_ERROR_INPUT,
             "%s: no table of positions, expected pos_emb.emb.weight or pos_emb.emb", job->source->path);
    config->max_position_embeddings = (int32_t)table->info->shape[0];
    config->position_embedding_type = rotary ? PF_POSITION_LEARNED_ROTARY : PF_POSITION_LEARNED;
    return PF_OK;
}

pf_status pf_performer_pytorch_config(pf_import_job *job, struct pf_config *config)
{
    const pf_tensor_info *token = NULL;
    job->kind = PF_FAMILY_PERFORMER_PYTORCH;
    job->family = pf_family_of(job->kind);
    PF_CHECK(!find(job->source, "performer.net.blocks.0.f.net.norm.weight"), PF_ERROR_INPUT,
             "%s: a reversible network, expected reversible=False", job->source->path);
    PF_TRY(need_matrix(job, "token_emb.weight", &token));
    config->vocab_size = (int32_t)token->shape[0];
    config->hidden_size = (int32_t)token->shape[1];
    config->alphabet = PF_ALPHABET_TOKENS;
    PF_TRY(read_layers(job, config));
    PF_TRY(read_positions(job, config));
    config->attention.kernel = PF_FAVOR_SOFTMAX;
    config->layer_norm_eps = 1e-5;
    config->hidden_dropout = 0;
    config->attention_bias =
        find(job->source, FIRST "0.fn.to_q.bias") || find(job->source, FIRST "0.fn.to_out.bias");
    config->tie_word_embeddings = !find(job->source, "to_out.weight");
    return pf_text_add(&job->notes,
                       "a state dict does not say its kernel nor whether it is causal: softmax and both "
                       "sides are assumed, --kernel relu and --set objective=clm say otherwise\n");
}
