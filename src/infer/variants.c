// Wild types and their variants, and the scores of these. See performer/variants.h.
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "data/alphabet.h"
#include "infer/records.h"
#include "infer/variant_parts.h"
#include "model/performer.h"

static pf_status check_id(const pf_variants *v, const pf_record *record)
{
    char quoted[PF_QUOTE_BYTES];
    for (size_t i = 0; i < v->n_wild_types; i++)
        PF_CHECK(v->wild_type[i].id_length != record->name_length ||
                     memcmp(v->wild_type[i].id, record->name, record->name_length) != 0,
                 PF_ERROR_INPUT, "two wild types are called %s; ids must differ",
                 pf_quote(quoted, record->name, record->name_length));
    return PF_OK;
}

static pf_status add_wild_type(pf_variants *v, const pf_record *record)
{
    void *memory = NULL;
    const size_t length = (size_t)record->n_residues;
    PF_TRY(check_id(v, record));
    PF_TRY(pf_grow((void **)&v->wild_type, &v->wild_type_capacity, v->n_wild_types + 1, sizeof *v->wild_type,
                   "wild types"));
    pf_stored_wild_type *w = &v->wild_type[v->n_wild_types++]; // counted at once: close frees what it has
    PF_TRY(pf_copy_text(&w->id, record->name));
    w->id_length = record->name_length;
    PF_TRY(pf_alloc(&memory, length + 1, 1, "wild type"));
    w->letters = memory;
    PF_TRY(pf_alloc(&memory, length, 1, "wild type"));
    w->residue = memory;
    PF_TRY(pf_alloc(&memory, length, 1, "wild type"));
    w->wanted = memory;
    w->n_residues = record->n_residues;
    for (size_t i = 0; i < length; i++) {
        w->residue[i] = record->residue[i];
        w->letters[i] = pf_alphabet_letter(record->residue[i]);
    }
    return PF_OK;
}

static pf_status read_wild_types(pf_variants *v, const pf_variants_options *o)
{
    const pf_records_options options = {
        .stream = {.files = o->files, .n_files = o->n_files, .long_sequences = PF_LONG_WINDOW},
        .longest = v->longest,
    };
    pf_records *records = NULL;
    pf_record record;
    pf_status status;
    PF_TRY(pf_records_open(&options, &records));
    while ((status = pf_records_next(records, &record)) == PF_OK &&
           (status = add_wild_type(v, &record)) == PF_OK) {
    }
    pf_records_close(records);
    if (status != PF_END) return status;
    PF_CHECK(v->n_wild_types > 0, PF_ERROR_INPUT, "%s: no sequence in it; the wild type was expected",
             o->files[0]);
    return PF_OK;
}

static pf_status open_all(pf_variants *v, const pf_variants_options *o)
{
    const pf_model_limits *limits = pf_model_get_limits(v->model);
    PF_TRY(pf_model_need_tokens(v->model));
    PF_CHECK(
        !v->is_causal || o->method != PF_VARIANTS_MASKED, PF_ERROR_USAGE,
        "masked-marginals: a causal model (objective clm) knows no masks; use wt-marginals or pseudo-ppl");
    PF_CHECK(!o->joint || o->method == PF_VARIANTS_MASKED, PF_ERROR_USAGE,
             "sites are masked together by masked-marginals only");
    PF_CHECK(v->longest >= 4, PF_ERROR_USAGE, "the model sees %llu tokens at once; variants need 4",
             (unsigned long long)v->longest);
    PF_TRY(read_wild_types(v, o));
    return pf_batch_builder_create(&v->builder, (uint64_t)limits->max_rows, (uint64_t)limits->max_sequences);
}

pf_status pf_variants_open(pf_model *model, const pf_variants_options *options, pf_variants **out)
{
    void *memory = NULL;
    *out = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_variants), "variants"));
    pf_variants *v = memory;
    v->model = model;
    v->method = options->method;
    v->joint = options->joint;
    v->first_position = options->first_position ? options->first_position : 1;
    v->is_causal = pf_model_config(model)->objective == PF_OBJECTIVE_CLM;
    v->longest = (uint64_t)pf_model_config(model)->max_position_embeddings;
    const pf_status status = open_all(v, options);
    if (status == PF_OK)
        *out = v;
    else
        pf_variants_close(v);
    return status;
}

void pf_variants_close(pf_variants *v)
{
    if (!v) return;
    for (size_t i = 0; i < v->n_wild_types; i++) {
        pf_free(v->wild_type[i].id);
        pf_free(v->wild_type[i].letters);
        pf_free(v->wild_type[i].residue);
        pf_free(v->wild_type[i].wanted);
        pf_free(v->wild_type[i].log_p);
    }
    pf_free(v->wild_type);
    pf_free(v->variant);
    pf_free(v->site);
    pf_free(v->pass);
    pf_free(v->logits);
    pf_batch_builder_free(&v->builder);
    pf_free(v);
}

size_t pf_variants_count_wild_types(const pf_variants *v)
{
    return v->n_wild_types;
}

pf_wild_type pf_variants_wild_type(const pf_variants *v, size_t i)
{
    const pf_stored_wild_type *w = &v->wild_type[i];
    return (pf_wild_type){w->id, w->id_length, w->letters, (size_t)w->n_residues};
}

// The marginals that a score is the sum of are kept for each site of the wild type, whoever needs it.
static pf_status want_sites(pf_variants *v, const pf_stored_variant *variant)
{
    pf_stored_wild_type *w = &v->wild_type[variant->wild_type];
    const bool is_joint = v->joint && variant->n_sites > 1;
    w->is_used = true;
    if (v->method == PF_VARIANTS_PSEUDO || is_joint) return PF_OK;
    for (size_t s = 0; s < variant->n_sites; s++) w->wanted[v->site[variant->first_site + s].index] = 1;
    if (w->log_p) return PF_OK;
    void *memory = NULL;
    const size_t A = (size_t)pf_model_config(v->model)->vocab_size;
    PF_TRY(pf_alloc(&memory, (size_t)w->n_residues * A, sizeof(float), "marginals of a wild type"));
    w->log_p = memory;
    return PF_OK;
}

static pf_status add_site(pf_variants *v, const pf_stored_variant *variant, const pf_substitution *site)
{
    const pf_stored_wild_type *w = &v->wild_type[variant->wild_type];
    for (size_t s = 0; s < variant->n_sites; s++)
        PF_CHECK(v->site[variant->first_site + s].index != site->index, PF_ERROR_INPUT,
                 "position %lld of %s is mutated twice in one variant",
                 (long long)site->index + v->first_position, w->id);
    PF_TRY(pf_grow((void **)&v->site, &v->site_capacity, variant->first_site + variant->n_sites + 1,
                   sizeof *v->site, "sites"));
    v->site[variant->first_site + variant->n_sites] = *site;
    return PF_OK;
}

pf_status pf_variants_add(pf_variants *v, size_t i, const char *mutations)
{
    const pf_stored_wild_type *w = &v->wild_type[i];
    const pf_mutation_context context = {w->id, w->id_length, w->residue, w->n_residues, v->first_position};
    pf_stored_variant variant = {.wild_type = i, .first_site = v->n_sites};
    const char *rest = mutations;
    do {
        pf_substitution site;
        PF_TRY(pf_read_substitution(&context, &rest, &site));
        PF_TRY(add_site(v, &variant, &site));
        variant.n_sites++;
    } while (*rest);
    PF_TRY(pf_grow((void **)&v->variant, &v->variant_capacity, v->n_variants + 1, sizeof *v->variant,
                   "variants"));
    PF_TRY(want_sites(v, &variant));
    v->variant[v->n_variants++] = variant;
    v->n_sites += variant.n_sites;
    return PF_OK;
}

double pf_variants_score(const pf_variants *v, size_t number)
{
    const pf_stored_variant *variant = &v->variant[number];
    const pf_stored_wild_type *w = &v->wild_type[variant->wild_type];
    const size_t A = (size_t)pf_model_config(v->model)->vocab_size;
    double score = 0;
    if (v->method == PF_VARIANTS_PSEUDO) return variant->total - w->total;
    if (v->joint && variant->n_sites > 1) return variant->total;
    for (size_t s = 0; s < variant->n_sites; s++) {
        const pf_substitution *site = &v->site[variant->first_site + s];
        const float *log_p = w->log_p + (size_t)site->index * A;
        score += (double)log_p[pf_model_token_number(v->model, site->to)] -
                 (double)log_p[pf_model_token_number(v->model, site->from)];
    }
    return score;
}
