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

// Options of PerformerLM that no configuration here has, by what their tensors are called.
static const struct {
    const char *begin, *part, *end, *option;
} refused[] = {
    {"performer.net.blocks.", "", "", "reversible=True"},
    {"performer.net.layers.", ".fn.fn.to_q.", "", "shift_tokens=True"},
    {"performer.net.layers.", ".local_attn.", "", "local_attn_heads"},
    {"performer.net.layers.", "", ".g", "use_scalenorm=True or use_rezero=True"},
    {"pos_emb.weights", "", "", "axial_position_emb=True"},
};

static bool ends_with(const char *name, const char *end)
{
    const size_t length = strlen(name), behind = strlen(end);
    return length >= behind && strcmp(name + length - behind, end) == 0;
}

static pf_status check_options(const pf_import_job *job)
{
    for (int i = 0; i < job->source->n_tensors; i++) {
        const char *name = job->source->tensor[i].info->name;
        char quoted[PF_QUOTE_BYTES];
        pf_quote(quoted, name, strlen(name));
        for (size_t k = 0; k < sizeof refused / sizeof *refused; k++)
            PF_CHECK(strncmp(name, refused[k].begin, strlen(refused[k].begin)) != 0 ||
                         !strstr(name, refused[k].part) || !ends_with(name, refused[k].end),
                     PF_ERROR_INPUT, "%s: tensor %s: a PerformerLM with %s, expected one without",
                     job->source->path, quoted, refused[k].option);
        PF_CHECK(!ends_with(name, ".token_emb.weight"), PF_ERROR_INPUT,
                 "%s: tensor %s, expected token_emb.weight: the state dict of the PerformerLM itself, not of "
                 "what is around it",
                 job->source->path, quoted);
    }
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
             "%s: tensor %s has %llu rows: a PerformerLM with ff_glu=True, expected %llu rows",
             job->source->path, up->name, (unsigned long long)up->shape[0],
             (unsigned long long)down->shape[1]);
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
    PF_TRY(check_options(job));
    PF_TRY(need_matrix(job, "token_emb.weight", &token));
    config->vocab_size = (int32_t)token->shape[0];
    config->hidden_size = (int32_t)token->shape[1];
    config->alphabet = PF_ALPHABET_TOKENS;
    PF_TRY(read_layers(job, config));
    PF_TRY(read_positions(job, config));
    config->attention.kernel = PF_FAVOR_SOFTMAX;
    config->attention.softmax_epsilon = PF_PERFORMER_PYTORCH_EPSILON;
    config->layer_norm_eps = 1e-5;
    config->hidden_dropout = 0;
    config->attention_bias =
        find(job->source, FIRST "0.fn.to_q.bias") || find(job->source, FIRST "0.fn.to_out.bias");
    config->tie_word_embeddings = !find(job->source, "to_out.weight");
    return pf_text_add(
        &job->notes, "a state dict does not say its kernel nor whether it is causal: softmax and both "
                     "sides are assumed, --kernel relu and --set objective=clm say otherwise (no_projection "
                     "and cross_attend, of which it says nothing either, have no place here)\n");
}
