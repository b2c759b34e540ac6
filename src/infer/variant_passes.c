// The passes of a model that variants need. See performer/variants.h.
//
// A unit is a wild type or a variant. Its residues are gone through in order: each that is wanted is told by
// a pass over its window, and without masks one pass tells all wanted residues of that window.
#include <math.h>

#include "base/memory.h"
#include "data/alphabet.h"
#include "infer/variant_parts.h"
#include "model/performer.h"

static const pf_stored_variant *variant_of(const pf_variants *v, size_t unit)
{
    return unit < v->n_wild_types ? NULL : &v->variant[unit - v->n_wild_types];
}

static pf_stored_wild_type *wild_type_of(const pf_variants *v, size_t unit)
{
    return &v->wild_type[unit < v->n_wild_types ? unit : variant_of(v, unit)->wild_type];
}

// The variant's substitution at a residue, or NULL.
static const pf_substitution *site_at(const pf_variants *v, const pf_stored_variant *variant, uint64_t index)
{
    for (size_t s = 0; variant && s < variant->n_sites; s++)
        if (v->site[variant->first_site + s].index == index) return &v->site[variant->first_site + s];
    return NULL;
}

// Whether a residue of the unit has to be told.
static bool is_wanted(const pf_variants *v, size_t unit, uint64_t index)
{
    const pf_stored_variant *variant = variant_of(v, unit);
    if (v->method == PF_VARIANTS_PSEUDO) return variant || v->wild_type[unit].is_used;
    if (!variant) return v->wild_type[unit].wanted[index];
    return v->joint && variant->n_sites > 1 && site_at(v, variant, index);
}

static bool has_work(const pf_variants *v, size_t unit)
{
    const pf_stored_variant *variant = variant_of(v, unit);
    if (!variant) return v->wild_type[unit].is_used;
    return v->method == PF_VARIANTS_PSEUDO || (v->joint && variant->n_sites > 1);
}

// First token of the window that tells of a residue: it lies in the window's middle, between 3/8 and 5/8, so
// that a few windows serve all residues.
static uint64_t window_of(const pf_variants *v, uint64_t n_residues, uint64_t index)
{
    const uint64_t n_tokens = n_residues + 2, before = 3 * v->longest / 8, step = v->longest / 4,
                   token = index + 1;
    if (n_tokens <= v->longest || token <= before) return 0;
    const uint64_t first = (token - before) / step * step;
    return first < n_tokens - v->longest ? first : n_tokens - v->longest;
}

// Each wanted residue has a pass of its own if it is masked alone.
static bool is_masked_alone(const pf_variants *v, size_t unit)
{
    if (v->is_causal || v->method == PF_VARIANTS_WILD_TYPE) return false;
    return v->method == PF_VARIANTS_PSEUDO || !variant_of(v, unit);
}

// Moves on to the next wanted residue; false: there is none.
static bool find_next(pf_variants *v)
{
    for (; v->unit < v->n_wild_types + v->n_variants; v->unit++, v->position = 0) {
        if (!has_work(v, v->unit)) continue;
        const uint64_t length = wild_type_of(v, v->unit)->n_residues;
        while (v->position < length && !is_wanted(v, v->unit, v->position)) v->position++;
        if (v->position < length) return true;
    }
    return false;
}

static pf_variant_pass pass_here(const pf_variants *v)
{
    const uint64_t length = wild_type_of(v, v->unit)->n_residues, first = window_of(v, length, v->position);
    uint64_t end = v->position + 1;
    if (!is_masked_alone(v, v->unit))
        while (end < length && window_of(v, length, end) == first) end++;
    return (pf_variant_pass){.unit = v->unit, .begin = v->position, .end = end, .first = first};
}

// The window's tokens: the variant's letters instead of the wild type's, and masks.
static void write_tokens(const pf_variants *v, const pf_variant_pass *pass, int32_t *token, uint64_t count)
{
    const pf_stored_wild_type *w = wild_type_of(v, pass->unit);
    const pf_stored_variant *variant = variant_of(v, pass->unit);
    pf_alphabet_window(token, w->residue, w->n_residues, pass->first, count);
    for (size_t s = 0; variant && s < variant->n_sites; s++) {
        const pf_substitution *site = &v->site[variant->first_site + s];
        if (site->index + 1 < pass->first || site->index + 1 >= pass->first + count) continue;
        token[site->index + 1 - pass->first] = v->method == PF_VARIANTS_MASKED ? PF_TOKEN_MASK : site->to;
    }
    if (is_masked_alone(v, pass->unit)) token[pass->begin + 1 - pass->first] = PF_TOKEN_MASK;
}

static pf_status make_room(pf_variants *v, uint64_t tokens)
{
    pf_model_limits limits = *pf_model_get_limits(v->model);
    limits.max_rows = (int32_t)tokens;
    PF_TRY(pf_model_resize(v->model, &limits));
    pf_batch_builder_free(&v->builder);
    return pf_batch_builder_create(&v->builder, tokens, (uint64_t)limits.max_sequences);
}

static pf_status fill(pf_variants *v)
{
    pf_batch_builder_clear(&v->builder);
    for (v->n_passes = 0; find_next(v); v->n_passes++) {
        pf_variant_pass pass = pass_here(v);
        const uint64_t n_tokens = wild_type_of(v, v->unit)->n_residues + 2;
        const uint64_t count = n_tokens < v->longest ? n_tokens : v->longest;
        if (count > v->builder.most_rows && v->n_passes == 0) PF_TRY(make_room(v, count));
        if (count > v->builder.most_rows || !pf_batch_builder_fits(&v->builder, count)) break;
        PF_TRY(pf_grow((void **)&v->pass, &v->pass_capacity, v->n_passes + 1, sizeof *v->pass, "passes"));
        pass.row = pf_batch_builder_add(&v->builder, count, 0);
        write_tokens(v, &pass, v->builder.token + pass.row, count);
        v->pass[v->n_passes] = pass;
        v->position = pass.end;
    }
    return PF_OK;
}

// log of the sum of the exponentials of a row
static double log_sum(const float *logit, size_t A)
{
    double top = (double)logit[0], sum = 0;
    for (size_t a = 1; a < A; a++)
        if ((double)logit[a] > top) top = (double)logit[a];
    for (size_t a = 0; a < A; a++) sum += exp((double)logit[a] - top);
    return top + log(sum);
}

static pf_status take_residue(pf_variants *v, const pf_variant_pass *pass, uint64_t index)
{
    const size_t A = (size_t)pf_model_config(v->model)->vocab_size;
    // A causal model says a token in the row before it; tokens are residues behind a begin.
    const uint64_t row = (uint64_t)pass->row + index + 1 - pass->first - (v->is_causal ? 1 : 0);
    const float *logit = v->logits + (size_t)row * A;
    const double sum = log_sum(logit, A);
    pf_stored_wild_type *w = wild_type_of(v, pass->unit);
    const bool is_variant = pass->unit >= v->n_wild_types;
    pf_stored_variant *variant = is_variant ? &v->variant[pass->unit - v->n_wild_types] : NULL;
    const pf_substitution *site = site_at(v, variant, index);
    PF_CHECK(isfinite(sum), PF_ERROR_NUMERICAL, "%s, residue %llu: the model's logits are not finite", w->id,
             (unsigned long long)index + 1);
    if (v->method == PF_VARIANTS_PSEUDO) {
        const int32_t token = site ? site->to : w->residue[index];
        const double log_p = (double)logit[pf_model_token_number(v->model, token)] - sum;
        *(variant ? &variant->total : &w->total) += log_p;
    } else if (variant) {
        variant->total += (double)logit[pf_model_token_number(v->model, site->to)] -
                          (double)logit[pf_model_token_number(v->model, site->from)];
    } else
        for (size_t a = 0; a < A; a++) w->log_p[(size_t)index * A + a] = (float)((double)logit[a] - sum);
    return PF_OK;
}

pf_status pf_variants_step(pf_variants *v, uint64_t *tokens)
{
    const size_t A = (size_t)pf_model_config(v->model)->vocab_size;
    const pf_pass plain = {0};
    PF_TRY(fill(v));
    if (v->n_passes == 0) return PF_END;
    const pf_batch *batch = &v->builder.batch;
    PF_TRY(pf_grow((void **)&v->logits, &v->logits_capacity, (size_t)batch->n_rows * A, sizeof *v->logits,
                   "logits of a batch"));
    PF_TRY(pf_model_forward(v->model, batch, &plain));
    PF_TRY(pf_model_read_logits(v->model, v->logits));
    for (size_t i = 0; i < v->n_passes; i++)
        for (uint64_t index = v->pass[i].begin; index < v->pass[i].end; index++)
            if (is_wanted(v, v->pass[i].unit, index)) PF_TRY(take_residue(v, &v->pass[i], index));
    *tokens += (uint64_t)batch->n_rows;
    return PF_OK;
}
